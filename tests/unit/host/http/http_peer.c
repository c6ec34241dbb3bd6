/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/host/http/http_peer.h"

#include "base/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void http_home_open(http_home *h, const http_server_options *options)
{
    *h = (http_home){0};
    assert_int_equal(0, uv_loop_init(&h->loop));
    assert_status(LOOM_OK, http_server_open(&h->server, &h->loop, options != NULL ? options : &(http_server_options){0}));
}

void http_home_listen(http_home *h, const char *scheme, const http_listen_options *options)
{
    char text[64], why[HTTP_ERROR_SIZE];
    url u;
    snprintf(text, sizeof text, "%s://127.0.0.1:0", scheme);
    assert_status(LOOM_OK, url_parse(&u, text, URL_LINKS | URL_WEB, why));
    assert_status(LOOM_OK, http_server_listen(h->server, &u, options, why));
    h->port = u.port;
}

static void on_closed(void *user)
{
    ((http_home *)user)->closed = true;
}

void http_home_close(http_home *h)
{
    if (h->server != NULL) {
        http_server_close(h->server, on_closed, h);
        h->server = NULL;
        turn_until(&h->loop, h->closed);
    }
    assert_int_equal(0, uv_run(&h->loop, UV_RUN_DEFAULT));
    assert_int_equal(0, uv_loop_close(&h->loop));
}

void http_peer_open(http_peer *p, uv_loop_t *loop, uint16_t port)
{
    *p = (http_peer){.loop = loop, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(p->fd >= 0);
    assert_int_equal(0, connect(p->fd, (struct sockaddr *)&to, sizeof to)); /* the kernel accepts it */
}

void http_peer_close(http_peer *p)
{
    close(p->fd);
    free(p->heard);
}

bool http_peer_hear(http_peer *p)
{
    for (;;) {
        if (p->cap - p->len < 64 * 1024) {
            p->cap = p->cap * 2 + 128 * 1024;
            p->heard = realloc(p->heard, p->cap);
            assert_non_null(p->heard);
        }
        ssize_t got = recv(p->fd, p->heard + p->len, p->cap - p->len - 1, MSG_DONTWAIT);
        if (got <= 0) {
            p->over = p->over || got == 0 || errno != EAGAIN;
            p->heard[p->len] = '\0';
            return true;
        }
        p->len += (size_t)got;
    }
}

void http_peer_send_pieces(http_peer *p, const void *data, size_t len, size_t piece)
{
    const char *at = data;
    while (len > 0 && !p->over) {
        ssize_t sent = send(p->fd, at, len < piece ? len : piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) {
            break;
        }
        at += sent > 0 ? sent : 0;
        len -= sent > 0 ? (size_t)sent : 0;
        uv_run(p->loop, UV_RUN_NOWAIT);
        http_peer_hear(p);
    }
}

void http_peer_send(http_peer *p, const void *data, size_t len)
{
    http_peer_send_pieces(p, data, len, SIZE_MAX);
}

void http_peer_say(http_peer *p, const char *text)
{
    http_peer_send(p, text, strlen(text));
}

void http_peer_wait_end(http_peer *p)
{
    turn_until(p->loop, http_peer_hear(p) && p->over);
}

void http_peer_wait_for(http_peer *p, const char *text)
{
    turn_until(p->loop, http_peer_hear(p) && strstr(p->heard, text) != NULL);
}

char *http_peer_ask(uv_loop_t *loop, uint16_t port, const char *text)
{
    http_peer p;
    http_peer_open(&p, loop, port);
    http_peer_say(&p, text);
    shutdown(p.fd, SHUT_WR);
    http_peer_wait_end(&p);
    close(p.fd);
    return p.heard;
}

void http_peer_upgrade(http_peer *p, const char *path, const char *more)
{
    char head[512];
    snprintf(head, sizeof head,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
             path, more);
    http_peer_say(p, head);
    http_peer_wait_for(p, "\r\n\r\n");
    p->taken = (size_t)(strstr(p->heard, "\r\n\r\n") - p->heard) + 4;
}

void http_peer_send_frame(http_peer *p, uint8_t first, const void *data, size_t len)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    uint8_t *frame = malloc(len + 14);
    assert_non_null(frame);
    size_t head = 2;
    frame[0] = first;
    frame[1] = (uint8_t)(0x80 | (len < 126 ? len : len <= UINT16_MAX ? 126 : 127));
    for (size_t width = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8, i = width; i > 0; i--) {
        frame[head++] = (uint8_t)((uint64_t)len >> (8 * (i - 1)));
    }
    memcpy(frame + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < len; i++) {
        frame[head + i] = ((const uint8_t *)data)[i] ^ mask[i & 3];
    }
    http_peer_send(p, frame, head + len);
    free(frame);
}

/* Whether a whole frame is there; total: its size. */
static bool whole_frame(http_peer *p, size_t *head, size_t *total)
{
    const uint8_t *at = (const uint8_t *)p->heard + p->taken;
    size_t have = p->len - p->taken;
    *head = 2;
    if (have < 2) {
        return false;
    }
    uint64_t len = at[1]; /* a server does not mask */
    size_t width = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (have < 2 + width) {
        return false;
    }
    if (width > 0) {
        len = 0;
        for (size_t i = 0; i < width; i++) {
            len = len << 8 | at[2 + i];
        }
    }
    *head += width;
    *total = *head + (size_t)len;
    return have >= *total;
}

uint8_t http_peer_frame(http_peer *p, loom_bytes *payload)
{
    size_t head, total;
    turn_until(p->loop, http_peer_hear(p) && (whole_frame(p, &head, &total) || p->over));
    assert_true(whole_frame(p, &head, &total));
    uint8_t first = (uint8_t)p->heard[p->taken];
    *payload = (loom_bytes){(const uint8_t *)p->heard + p->taken + head, total - head};
    p->taken += total;
    return first;
}

uint16_t http_peer_close_code(http_peer *p)
{
    loom_bytes payload;
    while (http_peer_frame(p, &payload) != 0x88) {
    }
    unsigned code = payload.len >= 2 ? (unsigned)payload.data[0] << 8 | payload.data[1] : 0;
    return (uint16_t)code;
}
