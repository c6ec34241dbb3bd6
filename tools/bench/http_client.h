/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/1.1 connection kept alive, one request at a time: as little as a client can do, so that the server is measured.
 * What fails is told with bench_complain(). One thread each. */
#ifndef LOOM_BENCH_HTTP_CLIENT_H
#define LOOM_BENCH_HTTP_CLIENT_H

#include "tools/bench/site.h"

enum { HTTP_ANSWER_MAX = 16 * 1024 }; /* bytes of an answer, head and body */

typedef struct http_client {
    int fd;
    char *request; /* of every request: head and body */
    size_t request_len, body_at;
    char answer[HTTP_ANSWER_MAX];
    size_t len, body, whole; /* bytes read; where the body begins and the answer ends, 0: not known yet */
} http_client;

/* POST path with a body of size bytes. url: http://127.0.0.1:PORT. */
bool http_client_open(http_client *c, const char *url, const char *path, size_t size);
void http_client_close(http_client *c);
/* The bytes of the next request's body, to be written. */
static inline char *http_client_body(http_client *c)
{
    return c->request + c->body_at;
}
bool http_client_send(http_client *c);
/* Reads what is there, and waits for it when nothing is. done: the answer is whole, and its status is 2xx. */
bool http_client_read(http_client *c, bool *done);

#endif
