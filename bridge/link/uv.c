/* SPDX-License-Identifier: Apache-2.0 */
/* The carriers ipc and tcp: libuv streams. A write is tried at once; only what the kernel does not take waits.
 * Sockets are accepted here, and not by libuv, which without a descriptor would close whoever waits. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/url.h"
#include "bridge/link/link.h"
#include "host/net/listen.h"
#include "host/net/write_left.h"

enum { ACCEPTS_MAX = 64 /* in one round */, SOCKET_BUFFER = 1024 * 1024, SOCKET_MODE = 0600 };

typedef union uv_any_stream {
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
} uv_any_stream;

typedef struct uv_link {
    link_t link;
    uv_any_stream handle;
    uv_write_t write;
} uv_link;

typedef struct uv_listener {
    listener listener;
    uv_poll_t poll;
    bool is_pipe;
    listening at;
    int held; /* has connected, and waits for a place; -1: nobody */
} uv_listener;

static uv_link *of(link_t *l)
{
    return (uv_link *)l;
}

/* ---- a connection ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    size_t room;
    uint8_t *at = link_room(handle->data, &room);
    *buf = uv_buf_init((char *)at, (unsigned)room);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    (void)buf;
    link_t *l = stream->data;
    if (nread > 0) {
        link_received(l, (size_t)nread);
    } else if (nread < 0 && nread != UV_ENOBUFS) { /* that one says that there is no room in this round */
        link_broken(l);
    }
}

static void on_written(uv_write_t *req, int status)
{
    link_t *l = req->data;
    if (status != 0 && !l->closing) {
        l->piece -= write_left(req);
    }
    link_sent(l, status == 0);
}

static void uv_link_send(link_t *l, const uint8_t *data, size_t len)
{
    uv_link *u = of(l);
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
    int written = uv_try_write(&u->handle.stream, &buf, 1);
    if (written == (int)len) {
        link_sent(l, true);
        return;
    }
    if (written > 0) {
        buf.base += written;
        buf.len -= (size_t)written;
    }
    u->write.data = l;
    if ((written < 0 && written != UV_EAGAIN) || uv_write(&u->write, &u->handle.stream, &buf, 1, on_written) != 0) {
        l->piece -= buf.len; /* that was not taken */
        link_sent(l, false);
    }
}

static void uv_link_pause(link_t *l, bool on)
{
    uv_stream_t *stream = &of(l)->handle.stream;
    if (on) {
        uv_read_stop(stream);
    } else if (uv_read_start(stream, on_alloc, on_read) != 0) {
        link_broken(l);
    }
}

static void on_link_closed(uv_handle_t *handle)
{
    link_t *l = handle->data;
    link_gone(l);
    free(of(l));
}

static void uv_link_close(link_t *l)
{
    l->unsent = link_flight_left(l) + uv_stream_get_write_queue_size(&of(l)->handle.stream);
    uv_close((uv_handle_t *)&of(l)->handle.stream, on_link_closed);
}

/* ---- a listener ---- */

static void describe_peer(int fd, bool is_pipe, char *out, size_t size)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } addr = {.in6 = {.sin6_family = AF_UNSPEC}};
    socklen_t len = sizeof addr;
    char host[64];
    struct ucred cred;
    socklen_t cred_len = sizeof cred;
    snprintf(out, size, "?");
    if (is_pipe) {
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) == 0) {
            snprintf(out, size, "ipc:pid=%d,uid=%u", (int)cred.pid, (unsigned)cred.uid);
        }
    } else if (getpeername(fd, &addr.any, &len) == 0 && uv_ip_name(&addr.any, host, sizeof host) == 0) {
        in_port_t port = addr.any.sa_family == AF_INET6 ? addr.in6.sin6_port : addr.in.sin_port;
        bool v6 = strchr(host, ':') != NULL;
        snprintf(out, size, v6 ? "tcp:[%s]:%u" : "tcp:%s:%u", host, (unsigned)ntohs(port));
    }
}

/* The descriptors from the limit on are not for agents: *fd is exchanged for one below, or somebody is asked to go, whose
 * place is there in the next round (LOOM_EBUSY). LOOM_EFULL: nobody is there to go. */
static loom_status below_limit(link_server *server, int *fd)
{
    if (*fd < server->descriptor_limit || descriptors_move_below(fd, server->descriptor_limit)) {
        return LOOM_OK;
    }
    const loom_status st = bridge_make_room(server->bridge);
    return st == LOOM_OK ? LOOM_EBUSY : st;
}

/* Says why, if the socket takes it at once, and closes. */
static void turn_away(link_server *server, int fd, loom_status why)
{
    frame_writer w;
    frame_writer_init(&w);
    link_put_refusal(&w, why);
    if (w.len > 0) {
        (void)send(fd, w.data, w.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    frame_writer_fini(&w);
    close(fd);
    server->stats.connections_refused++;
}

static int open_stream(uv_loop_t *loop, uv_any_stream *s, bool is_pipe, int fd)
{
    int rc = is_pipe ? uv_pipe_init(loop, &s->pipe, 0) : uv_tcp_init(loop, &s->tcp);
    if (rc == 0 && (rc = is_pipe ? uv_pipe_open(&s->pipe, fd) : uv_tcp_open(&s->tcp, fd)) != 0) {
        close(fd);
    }
    return rc;
}

static void start(uv_link *u, bool is_pipe, int fd)
{
    u->link.fd = fd;
    u->handle.stream.data = u;
    int size = SOCKET_BUFFER; /* a batch fits; what the system allows is enough */
    if (open_stream(u->link.server->loop, &u->handle, is_pipe, fd) != 0 || uv_read_start(&u->handle.stream, on_alloc, on_read) != 0) {
        link_broken(&u->link);
        return;
    }
    (void)uv_send_buffer_size((uv_handle_t *)&u->handle.stream, &size);
    if (!is_pipe) {
        (void)uv_tcp_nodelay(&u->handle.tcp, 1);
    }
}

/* Takes on who has connected, or turns them away. False: the listener holds them until the next round. */
static bool welcome(uv_listener *ls, int fd)
{
    link_server *server = ls->listener.server;
    char peer[128];
    describe_peer(fd, ls->is_pipe, peer, sizeof peer);
    uv_link *u = calloc(1, sizeof *u);
    loom_status st = u != NULL ? below_limit(server, &fd) : LOOM_ENOMEM;
    const bool below = st == LOOM_OK;
    if (below && (st = link_init(&u->link, server, &link_uv_carrier, peer)) == LOOM_OK) {
        start(u, ls->is_pipe, fd);
        return true;
    }
    free(u);
    if (st == LOOM_EBUSY) {
        ls->held = fd;
        listener_delay(&ls->listener, LISTENER_WAITS_A_ROUND);
        return false;
    }
    if (st == LOOM_EFULL && !below) {
        bridge_log_refusal(server->bridge, peer, "no descriptor left for another agent");
    } else {
        link_log_refusal(server, peer, st);
    }
    turn_away(server, fd, st);
    return true;
}

/* False: nobody else is to be accepted in this round. */
static bool accept_one(uv_listener *ls)
{
    const int fd = accept4(ls->at.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        return welcome(ls, fd);
    }
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) {
        return errno != EAGAIN;
    }
    char why[128];
    snprintf(why, sizeof why, "%s: whoever comes waits", strerror(errno));
    bridge_log_refusal(ls->listener.server->bridge, "?", why);
    listener_delay(&ls->listener, LISTENER_WAITS_A_TICK);
    return false;
}

static void on_acceptable(uv_poll_t *handle, int status, int events)
{
    uv_listener *ls = handle->data;
    (void)status, (void)events;
    for (size_t i = 0; i < ACCEPTS_MAX && accept_one(ls); i++) {
    }
    if (ls->listener.waits != LISTENER_ACCEPTS) {
        uv_poll_stop(&ls->poll);
    }
}

static void uv_listener_retry(listener *base)
{
    uv_listener *ls = (uv_listener *)base;
    const int held = ls->held;
    ls->held = -1;
    if (held < 0 || welcome(ls, held)) {
        uv_poll_start(&ls->poll, UV_READABLE, on_acceptable);
    }
}

static void on_listener_closed(uv_handle_t *handle)
{
    uv_listener *ls = handle->data;
    listener_gone(&ls->listener);
    free(ls);
}

static void uv_listener_close(listener *base)
{
    uv_listener *ls = (uv_listener *)base;
    uv_close((uv_handle_t *)&ls->poll, on_listener_closed);
    listening_unlink(&ls->at);
    close(ls->at.fd);
    if (ls->held >= 0) {
        close(ls->held);
    }
}

static const listener_ops ops = {uv_listener_close, uv_listener_retry};

static loom_status uv_carrier_listen(link_server *server, const url *asked, char *bound, size_t bound_size,
                                     char why[LINK_ERROR_SIZE])
{
    url u = *asked;
    uv_listener *ls = calloc(1, sizeof *ls);
    if (ls == NULL) {
        snprintf(why, LINK_ERROR_SIZE, "out of memory");
        return LOOM_ENOMEM;
    }
    ls->is_pipe = u.scheme == URL_IPC;
    ls->held = -1;
    ls->poll.data = ls;
    loom_status st = listening_open(&ls->at, &u, SOCKET_MODE, why);
    if (st != LOOM_OK) {
        if (st == LOOM_EBUSY) {
            snprintf(why, LINK_ERROR_SIZE, "%s", LISTENING_TWICE);
        }
        free(ls);
        return st;
    }
    const int rc = uv_poll_init(server->loop, &ls->poll, ls->at.fd);
    if (rc != 0) {
        snprintf(why, LINK_ERROR_SIZE, "%s", uv_strerror(rc));
        listening_unlink(&ls->at);
        close(ls->at.fd);
        free(ls);
        return LOOM_EIO;
    }
    listener_init(&ls->listener, server, &ops);
    uv_poll_start(&ls->poll, UV_READABLE, on_acceptable);
    return url_format(bound, bound_size, &u);
}

const link_carrier link_uv_carrier = {
    .schemes = URL_IPC | URL_TCP,
    .listen = uv_carrier_listen,
    .send = uv_link_send,
    .pause = uv_link_pause,
    .close = uv_link_close,
};
