/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics over HTTP: the counters of a process in the text format of Prometheus (exposition format 0.0.4).
 *
 * nng serves HTTP on its own threads; a request waits in an inbox until the loop has written the text, so the counters
 * are read on the loop and never while they change. */
#ifndef LOOM_HOST_HTTP_METRICS_SERVER_H
#define LOOM_HOST_HTTP_METRICS_SERVER_H

#include <loom/status.h>
#include <stdio.h>
#include <uv.h>

typedef struct metrics_server metrics_server;

enum { METRICS_ERROR_SIZE = 256 };

/* url: http://HOST:PORT. write puts the metrics into out; it runs on the loop.
 * LOOM_EBUSY, LOOM_EINVAL, LOOM_EIO, LOOM_ENOMEM; why then holds a sentence that names the URL. */
LOOM_MUST_CHECK loom_status metrics_server_open(metrics_server **out, uv_loop_t *loop, const char *url,
                                                void (*write)(void *user, FILE *out), void *user, char why[METRICS_ERROR_SIZE]);
/* Requests that wait are answered 503. Frees itself; runs no callback after it returns. */
void metrics_server_close(metrics_server *m);

/* # HELP and # TYPE of a metric; type is "counter" or "gauge". Its samples follow. */
void metrics_describe(FILE *out, const char *name, const char *type, const char *help);
/* One sample. label NULL: none. A label's value may be any text. */
void metrics_sample(FILE *out, const char *name, const char *label, loom_str label_value, uint64_t value);
/* A metric with one sample and no label. */
void metrics_counter(FILE *out, const char *name, const char *help, uint64_t value);
void metrics_gauge(FILE *out, const char *name, const char *help, uint64_t value);

#endif
