/* SPDX-License-Identifier: Apache-2.0 */
/* A connection: its beginning, its deadlines, its end. It is freed when both its handles are closed, so whatever a callback
 * does, it is still there when the callback returns. */
#include "host/http/internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_deadline(uv_timer_t *timer);

/* ---- the end ---- */

static void gone(http_connection *c)
{
    http_server *s = c->server;
    if (c->stream.events != NULL) {
        c->stream.events->closed(c->stream.user);
    }
    list_remove(&s->connections, &c->in_server);
    if (c->h2 != NULL) {
        c->listener->options.http2->fini(c);
    }
    tls_session_close(c->tls);
    buffer_fini(&c->out);
    buffer_fini(&c->flying);
    buffer_fini(&c->stash);
    free(c);
    http_server_left(s);
}

void http_connection_handle_gone(http_connection *c)
{
    if (--c->handles == 0) {
        gone(c);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    http_connection_handle_gone(handle->data);
}

void http_connection_abort(http_connection *c)
{
    if (c->closing) {
        return;
    }
    if (c->writing) {
        http_connection_not_taken(c, uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp));
    }
    c->closing = true;
    http_connection_wait(c, false);
    http_server_not_again(c);
    http_exchange_leave(c);
    http_answer_release(c);
    c->listener->connections--;
    c->server->counts.connections--;
    uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
}

void http_connection_finish(http_connection *c)
{
    if (c->closing || c->phase >= PHASE_CLOSING) {
        return;
    }
    bool brief = c->phase == PHASE_STREAM || c->server->closing;
    c->phase = PHASE_CLOSING;
    http_connection_wait(c, false);
    http_exchange_leave(c);
    http_connection_deadline(c, brief ? c->server->options.close_ms : c->server->options.send_ms);
    http_connection_read(c, true);
    http_connection_pump(c);
}

/* All is written. The peer may still be sending what nobody wants: closing before it has come would reset the connection,
 * and the peer lose the answer. */
void http_connection_shut(http_connection *c)
{
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
        http_connection_abort(c);
        return;
    }
    c->phase = PHASE_LINGER;
    c->linger_until_ms = uv_now(c->server->loop) + c->server->options.body_ms;
    http_connection_deadline(c, c->server->options.close_ms);
}

/* ---- deadlines ---- */

void http_connection_deadline(http_connection *c, uint32_t ms)
{
    if (c->closing) {
        return;
    }
    c->unsent = uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
    if (ms == 0) {
        uv_timer_stop(&c->timer);
    } else {
        uv_timer_start(&c->timer, on_deadline, ms, 0);
    }
}

void http_connection_wait(http_connection *c, bool waiting)
{
    http_server *s = c->server;
    if (c->waiting == waiting) {
        return;
    }
    c->waiting = waiting;
    if (waiting) {
        c->waiting_since_ms = uv_now(s->loop);
        list_append(&s->waiting, &c->in_waiting);
    } else {
        list_remove(&s->waiting, &c->in_waiting);
    }
}

/* A reader may take its time, but not for ever: what waits for it is memory. */
static void check_progress(http_connection *c)
{
    size_t unsent = uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp), taken = unsent < c->unsent ? c->unsent - unsent : 0;
    bool goes_on = taken >= PROGRESS_MIN || (taken > 0 && unsent < PROGRESS_MIN);
    if (goes_on && !c->server->closing && c->stream.events == NULL) {
        http_connection_deadline(c, c->server->options.send_ms);
    } else {
        c->server->counts.late++;
        http_connection_abort(c);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    http_connection *c = timer->data;
    switch (c->phase) {
    case PHASE_HEAD:
    case PHASE_BODY:
        c->server->counts.late++;
        http_exchange_late(c);
        break;
    case PHASE_STREAM:
        http_stream_late(c);
        break;
    case PHASE_H2:
        c->listener->options.http2->late(c);
        break;
    case PHASE_ANSWER:
    case PHASE_CLOSING:
        check_progress(c);
        break;
    case PHASE_TLS:
        c->server->counts.late++;
        http_connection_abort(c);
        break;
    case PHASE_LINGER:
        http_connection_abort(c);
        break;
    }
}

/* ---- the beginning ---- */

static void describe_peer(http_connection *c)
{
    struct sockaddr_storage addr = {0};
    int len = sizeof addr;
    char host[64] = "?";
    (void)uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&addr, &len);
    (void)uv_ip_name((const struct sockaddr *)&addr, host, sizeof host);
    bool six = addr.ss_family == AF_INET6;
    in_port_t port = six ? ((struct sockaddr_in6 *)&addr)->sin6_port : ((struct sockaddr_in *)&addr)->sin_port;
    const char *scheme = c->listener->scheme == URL_TLS ? "tls" : url_scheme_name(c->listener->scheme);
    snprintf(c->peer, sizeof c->peer, six ? "%s:[%s]:%u" : "%s:%s:%u", scheme, host, (unsigned)ntohs(port));
}

/* Who asks and does not read is not answered again and again until megabytes are full. What is under way is not counted, so
 * that a long line costs no throughput. */
void http_connection_limit_unread(http_connection *c, unsigned bytes)
{
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) == 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
    }
}

void http_connection_open(http_listener *l, int fd)
{
    http_server *s = l->server;
    http_connection *c = calloc(1, sizeof *c);
    if (c == NULL || (l->tls != NULL && (c->tls = tls_session_open(l->tls)) == NULL) || uv_tcp_init(s->loop, &c->tcp) != 0) {
        if (c != NULL) {
            tls_session_close(c->tls);
        }
        free(c);
        close(fd);
        s->counts.refused++;
        return;
    }
    c->server = s;
    c->listener = l;
    uv_timer_init(s->loop, &c->timer);
    c->tcp.data = c->timer.data = c;
    c->handles = 2;
    list_append(&s->connections, &c->in_server);
    s->counts.connections++;
    s->counts.accepted++;
    l->connections++;
    if (uv_tcp_open(&c->tcp, fd) != 0) {
        close(fd);
        http_connection_abort(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    http_connection_limit_unread(c, UNREAD_MAX);
    describe_peer(c);
    http_connection_deadline(c, s->options.handshake_ms);
    c->phase = PHASE_TLS;
    http_connection_wait(c, true);
    if (c->tls == NULL) {
        http_exchange_begin(c, false);
    }
    http_connection_read(c, true);
}
