/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics over HTTP: the counters of a process in the text format of Prometheus (exposition format 0.0.4), or as OpenMetrics
 * for those who accept it. /healthz answers 200 while the loop turns, /readyz while the process can do its work, otherwise 503.
 *
 * Threads: the loop's. */
#ifndef LOOM_HOST_HTTP_METRICS_SERVER_H
#define LOOM_HOST_HTTP_METRICS_SERVER_H

#include <stdio.h>

#include "host/http/http_server.h"

typedef struct metrics_server metrics_server;

enum { METRICS_ERROR_SIZE = 512 };

typedef struct metrics_source {
    void (*write)(void *user, FILE *out, bool openmetrics);
    bool (*ready)(void *user, const char **why); /* why: a word for the answer, either way */
    void *user;
    bool openmetrics; /* whether write can */
} metrics_source;

/* url: http://HOST:PORT. source is copied.
 * LOOM_EBUSY, LOOM_EINVAL, LOOM_EIO, LOOM_ENOMEM; why then holds a sentence that names the URL. */
LOOM_MUST_CHECK loom_status metrics_server_open(metrics_server **out, uv_loop_t *loop, logger *log, const char *url,
                                                const metrics_source *source, char why[METRICS_ERROR_SIZE]);
/* Where it is served, with the real port: http://127.0.0.1:7780/metrics. Valid until it is closed. */
const char *metrics_server_url(const metrics_server *m);
http_server_counts metrics_server_get_counts(const metrics_server *m);
/* Runs the loop until it is closed: not from within a callback of the loop. NULL is allowed. */
void metrics_server_close(metrics_server *m);

#endif
