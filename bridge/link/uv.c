/* SPDX-License-Identifier: Apache-2.0 */
/* The carriers ipc and tcp: libuv streams. A write is tried at once; only what the kernel does not take waits. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/url.h"
#include "bridge/link/link.h"
#include "host/net/listen.h"
#include "host/net/write_left.h"

enum { BACKLOG = 511, SOCKET_BUFFER = 1024 * 1024, SOCKET_MODE = 0600 };

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
    uv_any_stream handle;
    bool is_pipe;
    listening at;
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

static int init_stream(uv_loop_t *loop, uv_any_stream *s, bool is_pipe)
{
    return is_pipe ? uv_pipe_init(loop, &s->pipe, 0) : uv_tcp_init(loop, &s->tcp);
}

static void describe_peer(const uv_link *u, bool is_pipe, char *out, size_t size)
{
    uv_os_fd_t fd;
    struct sockaddr_storage addr;
    int len = sizeof addr;
    char host[64];
    struct ucred cred;
    socklen_t cred_len = sizeof cred;
    snprintf(out, size, "?");
    if (is_pipe) {
        if (uv_fileno((const uv_handle_t *)&u->handle.pipe, &fd) == 0 &&
            getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) == 0) {
            snprintf(out, size, "ipc:pid=%d,uid=%u", (int)cred.pid, (unsigned)cred.uid);
        }
    } else if (uv_tcp_getpeername(&u->handle.tcp, (struct sockaddr *)&addr, &len) == 0 &&
               uv_ip_name((const struct sockaddr *)&addr, host, sizeof host) == 0) {
        in_port_t port = addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                                    : ((struct sockaddr_in *)&addr)->sin_port;
        bool v6 = strchr(host, ':') != NULL;
        snprintf(out, size, v6 ? "tcp:[%s]:%u" : "tcp:%s:%u", host, (unsigned)ntohs(port));
    }
}

static void on_refused_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Out of descriptors libuv would try to accept again and again, within one round: the last ones are not for agents. */
static bool may_stay(const uv_link *u, const link_server *server)
{
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)&u->handle.stream, &fd) != 0) {
        return false;
    }
    const int spare = server->descriptor_max - server->descriptor_limit;
    return fd < server->descriptor_limit ||
           (fd < server->descriptor_limit + spare / 2 && bridge_make_room(server->bridge)); /* that one closes in this round */
}

/* Says why, if the socket takes it at once, and closes. */
static void turn_away(uv_link *u, loom_status why)
{
    frame_writer w;
    frame_writer_init(&w);
    link_put_refusal(&w, why);
    if (w.len > 0) {
        uv_buf_t buf = uv_buf_init((char *)w.data, (unsigned)w.len);
        (void)uv_try_write(&u->handle.stream, &buf, 1);
    }
    frame_writer_fini(&w);
    uv_close((uv_handle_t *)&u->handle.stream, on_refused_closed);
}

static void on_connection(uv_stream_t *stream, int status)
{
    uv_listener *ls = stream->data;
    link_server *server = ls->listener.server;
    if (status < 0) {
        server->stats.connections_refused++;
        bridge_log_refusal(server->bridge, "?", uv_strerror(status));
        return; /* this one connection failed; the listener goes on */
    }
    uv_link *u = calloc(1, sizeof *u);
    if (u == NULL || init_stream(server->loop, &u->handle, ls->is_pipe) != 0) {
        free(u);
        ls->listener.stuck = true; /* libuv keeps the connection, and takes no other before this one is accepted */
        return;
    }
    u->handle.stream.data = u;
    char peer[128];
    if (uv_accept(stream, &u->handle.stream) != 0) {
        uv_close((uv_handle_t *)&u->handle.stream, on_refused_closed);
        return;
    }
    describe_peer(u, ls->is_pipe, peer, sizeof peer);
    loom_status st = LOOM_EFULL;
    if (!may_stay(u, server)) {
        bridge_log_refusal(server->bridge, peer, "no descriptor left for another agent");
    } else if ((st = link_init(&u->link, server, &link_uv_carrier, peer)) != LOOM_OK) {
        link_log_refusal(server, peer, st);
    }
    if (st != LOOM_OK) {
        server->stats.connections_refused++;
        turn_away(u, st);
        return;
    }
    (void)uv_fileno((uv_handle_t *)&u->handle.stream, &u->link.fd);
    int size = SOCKET_BUFFER; /* a batch fits; what the system allows is enough */
    (void)uv_send_buffer_size((uv_handle_t *)&u->handle.stream, &size);
    if (!ls->is_pipe) {
        (void)uv_tcp_nodelay(&u->handle.tcp, 1);
    }
    if (uv_read_start(&u->handle.stream, on_alloc, on_read) != 0) {
        link_broken(&u->link);
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
    listening_unlink(&ls->at);
    uv_close((uv_handle_t *)&ls->handle.stream, on_listener_closed);
}

static void uv_listener_retry(listener *base)
{
    on_connection(&((uv_listener *)base)->handle.stream, 0);
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
    int rc = init_stream(server->loop, &ls->handle, ls->is_pipe);
    if (rc != 0) {
        snprintf(why, LINK_ERROR_SIZE, "%s", uv_strerror(rc));
        free(ls);
        return LOOM_EIO;
    }
    ls->handle.stream.data = ls;
    loom_status st = listening_open(&ls->at, &u, SOCKET_MODE, why);
    if (st == LOOM_EBUSY) {
        snprintf(why, LINK_ERROR_SIZE, "%s", LISTENING_TWICE);
    }
    listener_init(&ls->listener, server, &ops);
    if (st == LOOM_OK) {
        rc = ls->is_pipe ? uv_pipe_open(&ls->handle.pipe, ls->at.fd) : uv_tcp_open(&ls->handle.tcp, ls->at.fd);
        if (rc != 0) {
            close(ls->at.fd);
        } else {
            rc = uv_listen(&ls->handle.stream, BACKLOG, on_connection);
        }
        if (rc != 0) {
            snprintf(why, LINK_ERROR_SIZE, "%s", uv_strerror(rc));
            st = LOOM_EIO;
        }
    }
    if (st != LOOM_OK) {
        listener_close(&ls->listener);
        return st;
    }
    return url_format(bound, bound_size, &u);
}

const link_carrier link_uv_carrier = {
    .schemes = URL_IPC | URL_TCP,
    .listen = uv_carrier_listen,
    .send = uv_link_send,
    .pause = uv_link_pause,
    .close = uv_link_close,
};
