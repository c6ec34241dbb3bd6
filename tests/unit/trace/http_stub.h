/* SPDX-License-Identifier: Apache-2.0 */
/* A receiver on a loopback port that answers each request with the next of its scripted answers; the last one repeats. */
#ifndef LOOM_TESTS_TRACE_HTTP_STUB_H
#define LOOM_TESTS_TRACE_HTTP_STUB_H

#include <pthread.h>
#include <stdatomic.h>

#include <loom/api.h>

typedef struct http_stub {
    int listener;
    char url[64];
    const char *const *answers; /* whole HTTP responses; NULL: read the request and never answer */
    size_t answer_count;
    atomic_size_t requests; /* complete requests so far */
    pthread_mutex_t lock;
    uint8_t last_body[65536]; /* guarded by lock */
    size_t last_len;
    char last_head[4096];
    pthread_t thread;
    atomic_bool stop;
} http_stub;

void http_stub_start(http_stub *stub, const char *const *answers, size_t answer_count);
void http_stub_stop(http_stub *stub);
/* A loopback URL where nobody listens. */
void http_stub_dead_url(char *out, size_t size);

#define HTTP_ANSWER(status, body_size) "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Length: " body_size "\r\n\r\n"

#endif
