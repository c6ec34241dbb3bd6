/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics of a verb that runs until it is stopped: a server on a loop and a thread of its own.
 *
 * Threads: open and close in one; write runs on the server's. */
#ifndef LOOM_TOOLS_METRICS_THREAD_H
#define LOOM_TOOLS_METRICS_THREAD_H

#include "host/http/metrics_server.h"

typedef struct metrics_thread metrics_thread;

/* As metrics_server_open(). */
LOOM_MUST_CHECK loom_status metrics_thread_open(metrics_thread **out, const char *url, void (*write)(void *user, FILE *out),
                                                void *user, char why[METRICS_ERROR_SIZE]);
/* Where it is served, with the real port. */
const char *metrics_thread_url(const metrics_thread *m);
void metrics_thread_close(metrics_thread *m); /* NULL is allowed */

#endif
