/* SPDX-License-Identifier: Apache-2.0 */
/* Where connections come in. Sockets are accepted here, and not by libuv, which without a descriptor would either try again
 * at once, for ever, or close whoever waits. */
#include "host/http/internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "host/net/listen.h"

enum { ACCEPTS_MAX = 64 /* in one round */, PAUSE_MS = 100, SOON_MS = 1, TELL_MS = 10000 };

static void on_acceptable(uv_poll_t *handle, int status, int events);

/* ---- accepting ---- */

static void tell(http_server *s, int error)
{
    uint64_t suppressed;
    if (rate_limit_pass(&s->told, uv_now(s->loop), TELL_MS, 1, &suppressed)) {
        log_warn(s->options.log, "connections wait to be accepted: %s suppressed=%llu", strerror(error),
                 (unsigned long long)suppressed);
    }
}

static void on_pause_over(uv_timer_t *timer);

static void stop_for(http_listener *l, uint64_t ms)
{
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->pause, on_pause_over, ms, 0);
}

/* Trying at once would keep a core busy: the socket stays readable. */
static void pause_accepting(http_listener *l, int error)
{
    tell(l->server, error);
    stop_for(l, PAUSE_MS);
}

static void refuse(http_listener *l, int fd, const char *why)
{
    static const char problem[] = "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"code\":\"busy\","
                                  "\"detail\":\"too many connections\"}\n";
    char busy[512];
    const int len = snprintf(busy, sizeof busy, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
                             "Content-Length: %zu\r\nRetry-After: 1\r\nConnection: close\r\n\r\n%s", sizeof problem - 1, problem);
    http_server *s = l->server;
    uint64_t suppressed;
    s->counts.refused++;
    if (rate_limit_pass(&s->told_refused, uv_now(s->loop), TELL_MS, 1, &suppressed)) {
        log_warn(s->options.log, "connection refused: %s connections=%zu suppressed=%llu", why, l->connections,
                 (unsigned long long)suppressed);
    }
    if (l->tls == NULL) {
        (void)send(fd, busy, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    close(fd);
}

static bool is_out_of_something(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static bool somebody_comes(const http_listener *l)
{
    struct pollfd backlog = {.fd = l->fd, .events = POLLIN};
    return poll(&backlog, 1, 0) == 1;
}

/* accept() fails for want of a descriptor even when nobody comes. False: the round is over. */
static bool find_descriptor(http_listener *l, int error)
{
    if (!somebody_comes(l)) {
        return false;
    }
    http_room room = http_server_make_room(l->server, NULL);
    if (room == ROOM_NONE) {
        pause_accepting(l, error);
    }
    return room == ROOM_MADE;
}

/* The descriptors from the limit on are for others: one of those takes the place, and the number, of a connection that waits.
 * *fd may be another descriptor then. ROOM_NONE: there is no place. */
static http_room below_limit(http_listener *l, int *fd)
{
    const int limit = l->server->options.descriptor_limit;
    if (limit <= 0 || *fd < limit) {
        return ROOM_MADE;
    }
    const http_room room = http_server_make_room(l->server, NULL);
    return room != ROOM_MADE || descriptors_move_below(fd, limit) ? room : ROOM_NONE;
}

/* False: nobody has read yet what those say that would have to go; a moment later somebody has. */
static bool take(http_listener *l, int fd)
{
    switch (below_limit(l, &fd)) {
    case ROOM_MADE: http_connection_open(l, fd); return true;
    case ROOM_NONE: refuse(l, fd, "the descriptors left are kept for others"); return true;
    case ROOM_SOON: break;
    }
    l->held = fd;
    stop_for(l, SOON_MS);
    return false;
}

static void on_pause_over(uv_timer_t *timer)
{
    http_listener *l = timer->data;
    const int held = l->held;
    l->held = -1;
    if (held < 0 || take(l, held)) {
        uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    }
}

/* False: the round is over. */
static bool accept_one(http_listener *l)
{
    size_t max = l->options.max_connections;
    bool crowded = max > 0 && l->connections >= max;
    if (crowded && !somebody_comes(l)) {
        return false; /* nobody has to go for nobody */
    }
    http_room room = crowded ? http_server_make_room(l->server, l) : ROOM_MADE;
    if (room == ROOM_SOON) {
        return false;
    }
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int error = errno;
        return is_out_of_something(error) ? find_descriptor(l, error) : error == EINTR || error == ECONNABORTED;
    }
    if (room == ROOM_NONE) {
        refuse(l, fd, "there are as many as are allowed");
        return true;
    }
    return take(l, fd);
}

static void on_acceptable(uv_poll_t *handle, int status, int events)
{
    http_listener *l = handle->data;
    (void)status, (void)events;
    for (size_t i = 0; i < ACCEPTS_MAX && !l->closing && accept_one(l); i++) {
    }
}

/* ---- its life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    http_listener *l = handle->data;
    if (--l->handles == 0) {
        http_server_left(l->server);
    }
}

void http_listener_close(http_listener *l)
{
    if (!l->closing) {
        l->closing = true;
        uv_close((uv_handle_t *)&l->poll, on_handle_closed);
        uv_close((uv_handle_t *)&l->pause, on_handle_closed);
        close(l->fd);
        if (l->held >= 0) {
            close(l->held);
        }
    }
}

static const char no_certificate[] = "a certificate is needed: set tls_cert_key_file";

static loom_status open_tls(http_listener *l, char why[HTTP_ERROR_SIZE])
{
    http_server *s = l->server;
    if ((l->scheme & (URL_TLS | URL_WSS | URL_HTTPS)) == 0) {
        return LOOM_OK;
    }
    if (l->options.tls_cert_key_file == NULL) {
        snprintf(why, HTTP_ERROR_SIZE, "%s", no_certificate);
        return LOOM_EINVAL;
    }
    if (s->plain_buffer == NULL && (s->plain_buffer = malloc(READ_SIZE)) == NULL) {
        snprintf(why, HTTP_ERROR_SIZE, "out of memory");
        return LOOM_ENOMEM;
    }
    loom_status st = tls_context_open(&l->tls, l->options.tls_cert_key_file, why, HTTP_ERROR_SIZE);
    if (st == LOOM_OK && (l->scheme & URL_TLS) == 0) {
        tls_context_offer(l->tls, l->options.http2 != NULL ? "\x2h2\x8http/1.1" : "\x8http/1.1");
    }
    return st;
}

loom_status http_server_check_certificate(const http_server *s, const char *file, char why[HTTP_ERROR_SIZE])
{
    const http_listener *l = s->listeners;
    while (l != NULL && l->tls == NULL) {
        l = l->next;
    }
    if (l == NULL) {
        return LOOM_OK;
    }
    if (file == NULL) {
        snprintf(why, HTTP_ERROR_SIZE, "%s", no_certificate);
        return LOOM_EINVAL;
    }
    tls_context *tried;
    const loom_status st = tls_context_open(&tried, file, why, HTTP_ERROR_SIZE);
    if (st == LOOM_OK) {
        tls_context_close(tried);
    }
    return st;
}

loom_status http_server_use_certificate(http_server *s, const char *file, char why[HTTP_ERROR_SIZE])
{
    loom_status st = http_server_check_certificate(s, file, why);
    for (http_listener *l = s->listeners; l != NULL && st == LOOM_OK; l = l->next) {
        l->options.tls_cert_key_file = file;
        st = l->tls != NULL ? tls_context_reload(l->tls, file, why, HTTP_ERROR_SIZE) : LOOM_OK;
    }
    return st;
}

loom_status http_server_listen(http_server *s, url *u, const http_listen_options *options, char why[HTTP_ERROR_SIZE])
{
    http_listener *l = calloc(1, sizeof *l);
    if (l == NULL) {
        snprintf(why, HTTP_ERROR_SIZE, "out of memory");
        return LOOM_ENOMEM;
    }
    l->server = s;
    l->options = *options;
    l->scheme = u->scheme;
    loom_status st = open_tls(l, why);
    if (st != LOOM_OK) {
        goto free_listener;
    }
    listening at;
    if ((st = listening_open(&at, u, 0, why)) != LOOM_OK) {
        goto close_tls;
    }
    l->fd = at.fd;
    l->held = -1;
    uv_timer_init(s->loop, &l->pause);
    l->poll.data = l->pause.data = l;
    if (uv_poll_init(s->loop, &l->poll, l->fd) != 0) {
        snprintf(why, HTTP_ERROR_SIZE, "the event loop does not take the socket");
        st = LOOM_EIO;
        goto close_socket;
    }
    l->handles = 2;
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    l->next = s->listeners;
    s->listeners = l;
    return LOOM_OK;

close_socket:
    close(l->fd);
close_tls:
    tls_context_close(l->tls);
free_listener:
    free(l);
    return st;
}
