/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/http_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tools/bench/stream.h"

#define HEAD                                                                                                                \
    "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n"

bool http_client_open(http_client *c, const char *url, const char *path, size_t size)
{
    const char *port = strrchr(url, ':');
    *c = (http_client){.fd = -1};
    if (port == NULL) {
        bench_complain("%s has no port", url);
        return false;
    }
    const int head = snprintf(NULL, 0, HEAD, path, port + 1, size);
    c->body_at = (size_t)head;
    c->request_len = c->body_at + size;
    c->request = malloc(c->request_len + 1);
    if (c->request == NULL) {
        bench_complain("out of memory");
        return false;
    }
    snprintf(c->request, c->body_at + 1, HEAD, path, port + 1, size);
    memset(c->request + c->body_at, 'x', size);
    c->fd = stream_connect_port((unsigned)strtoul(port + 1, NULL, 10));
    return c->fd >= 0;
}

void http_client_close(http_client *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    free(c->request);
    *c = (http_client){.fd = -1};
}

bool http_client_send(http_client *c)
{
    c->len = c->body = c->whole = 0;
    if (!stream_put(c->fd, (const uint8_t *)c->request, c->request_len)) {
        bench_complain("cannot send a request: %s", strerror(errno));
        return false;
    }
    return true;
}

/* The length that the head tells of the body; without it there is none, as with 204. */
static size_t body_length(const char *head, size_t len)
{
    static const char name[] = "\r\ncontent-length:";
    for (size_t i = 0; i + sizeof name <= len; i++) {
        if (strncasecmp(head + i, name, sizeof name - 1) == 0) {
            return strtoul(head + i + sizeof name - 1, NULL, 10);
        }
    }
    return 0;
}

static bool read_head(http_client *c)
{
    c->answer[c->len] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n");
    if (end == NULL) {
        return true;
    }
    c->body = (size_t)(end - c->answer) + 4;
    c->whole = c->body + body_length(c->answer, c->body);
    if (c->len < sizeof "HTTP/1.1 200" || c->answer[sizeof "HTTP/1.1 " - 1] != '2') {
        bench_complain("the server answers %.*s", (int)strcspn(c->answer, "\r"), c->answer);
        return false;
    }
    return true;
}

bool http_client_read(http_client *c, bool *done)
{
    const ssize_t n = read(c->fd, c->answer + c->len, sizeof c->answer - 1 - c->len);
    if (n <= 0) {
        bench_complain("the server has closed the connection%s%s", n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
        return false;
    }
    c->len += (size_t)n;
    if (c->whole == 0 && !read_head(c)) {
        return false;
    }
    *done = c->whole != 0 && c->len >= c->whole;
    if (c->whole > sizeof c->answer - 1 || c->len == sizeof c->answer - 1 || (*done && c->len > c->whole)) {
        bench_complain("the answer is longer than expected");
        return false;
    }
    return true;
}
