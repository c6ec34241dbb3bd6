/* SPDX-License-Identifier: Apache-2.0 */
/* A connection: bytes in and out, TLS between them if need be, deadlines, and the end.
 *
 * Writing is tried at once; only what the kernel does not take waits. What is said while a write waits leaves together
 * after it. A connection is freed when both its handles are closed, so whatever a callback does, it is still there when the
 * callback returns. */
#include "host/http/internal.h"

#include <netinet/in.h>
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
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        s->connections = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    tls_session_close(c->tls);
    buffer_fini(&c->out);
    buffer_fini(&c->flying);
    buffer_fini(&c->stash);
    free(c);
    http_server_left(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    http_connection *c = handle->data;
    if (--c->handles == 0) {
        gone(c);
    }
}

void http_connection_abort(http_connection *c)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    http_connection_wait(c, false);
    http_exchange_leave(c);
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
static void shut(http_connection *c)
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

static void linger(http_connection *c, size_t len)
{
    c->skipped += len;
    if (c->skipped > SKIP_MAX) {
        http_connection_abort(c);
    } else if (c->phase == PHASE_LINGER && !c->server->closing && uv_now(c->server->loop) < c->linger_until_ms) {
        http_connection_deadline(c, c->server->options.close_ms);
    }
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
        c->waiting_prev = s->waiting_last;
        c->waiting_next = NULL;
        *(s->waiting_last != NULL ? &s->waiting_last->waiting_next : &s->waiting_first) = c;
        s->waiting_last = c;
    } else {
        *(c->waiting_prev != NULL ? &c->waiting_prev->waiting_next : &s->waiting_first) = c->waiting_next;
        *(c->waiting_next != NULL ? &c->waiting_next->waiting_prev : &s->waiting_last) = c->waiting_prev;
    }
}

/* A reader that takes a little may take its time. */
static void check_progress(http_connection *c)
{
    size_t unsent = uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
    if (unsent < c->unsent && !c->server->closing && c->stream.events == NULL) {
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

/* ---- writing ---- */

bool http_connection_say(http_connection *c, const void *data, size_t len)
{
    if (!c->closing && !buffer_put(&c->out, data, len)) {
        http_connection_abort(c);
    }
    return !c->closing;
}

static void swap(byte_buffer *a, byte_buffer *b)
{
    byte_buffer was = *a;
    *a = *b;
    *b = was;
}

/* Puts together what is to be written next: what the server says, and a chunk of the stream's. Bytes under TLS are all in
 * flying then, since a session may write while it reads. False: out of memory. */
static bool gather(http_connection *c, uv_buf_t bufs[3], unsigned *count)
{
    http_stream *s = &c->stream;
    s->chunk = c->phase != PHASE_STREAM || s->close_sent ? 0 : s->payload_len < SEND_CHUNK ? s->payload_len : SEND_CHUNK;
    size_t head = s->chunk > 0 && s->framed ? ws_head(c->head_out, WS_BINARY, s->chunk) : 0;
    *count = 0;
    if (c->tls != NULL) {
        /* one piece: a head of a few bytes is not worth a record of its own */
        if (!buffer_put(&c->out, c->head_out, head) || !buffer_put(&c->out, s->payload, s->chunk) ||
            !tls_session_write(c->tls, c->out.data, c->out.len)) {
            return false;
        }
        c->out.len = 0;
        swap(&c->flying, tls_session_output(c->tls));
    } else {
        swap(&c->flying, &c->out);
    }
    if (c->flying.len > 0) {
        bufs[(*count)++] = uv_buf_init((char *)c->flying.data, (unsigned)c->flying.len);
    }
    if (c->tls == NULL && s->chunk > 0) {
        if (head > 0) {
            bufs[(*count)++] = uv_buf_init((char *)c->head_out, (unsigned)head);
        }
        bufs[(*count)++] = uv_buf_init((char *)(uintptr_t)s->payload, (unsigned)s->chunk);
    }
    return true;
}

static void written(http_connection *c)
{
    if (c->flying.cap > KEEP_SIZE) {
        buffer_fini(&c->flying);
    }
    c->flying.len = 0;
    if (c->stream.chunk > 0) {
        http_stream_written(c);
    }
}

static void on_written(uv_write_t *req, int status)
{
    http_connection *c = req->data;
    c->writing = false;
    if (status != 0) {
        http_connection_abort(c);
    } else if (!c->closing) {
        written(c);
        http_connection_pump(c);
    }
}

static void write_some(http_connection *c)
{
    uv_buf_t bufs[3];
    unsigned count, first = 0;
    if (!gather(c, bufs, &count)) {
        http_connection_abort(c);
        return;
    }
    int took = uv_try_write((uv_stream_t *)&c->tcp, bufs, count);
    if (took < 0 && took != UV_EAGAIN) {
        http_connection_abort(c);
        return;
    }
    size_t left = took > 0 ? (size_t)took : 0;
    for (; first < count && left >= bufs[first].len; first++) {
        left -= bufs[first].len;
    }
    if (first == count) {
        written(c);
        return;
    }
    bufs[first].base += left;
    bufs[first].len -= left;
    c->writing = true;
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs + first, count - first, on_written) != 0) {
        c->writing = false;
        http_connection_abort(c);
    } else if (c->phase == PHASE_ANSWER) {
        http_connection_deadline(c, c->server->options.send_ms);
    }
}

static bool has_output(const http_connection *c)
{
    return c->out.len > 0 || (c->phase == PHASE_STREAM && !c->stream.close_sent && c->stream.payload_len > 0) ||
           (c->tls != NULL && tls_session_output(c->tls)->len > 0);
}

/* Nothing is left to write. False: there is nothing to be done, either. */
static bool go_on(http_connection *c)
{
    if (c->phase == PHASE_ANSWER && c->answered) {
        http_exchange_written(c);
        return true;
    }
    if (c->phase == PHASE_CLOSING) {
        if (c->tls != NULL && !c->tls_ended) {
            c->tls_ended = true;
            tls_session_end(c->tls);
            return true;
        }
        shut(c);
    }
    return false;
}

void http_connection_pump(http_connection *c)
{
    if (c->pumping) {
        return; /* a callback of the loop below says more: it goes on with it */
    }
    c->pumping = true;
    while (!c->writing && !c->closing) {
        if (has_output(c)) {
            write_some(c);
        } else if (!go_on(c)) {
            break;
        }
    }
    c->pumping = false;
}

/* ---- reading ---- */

/* Hands bytes to whoever the phase belongs to; returns how many it took. */
static size_t hand_on(http_connection *c, uint8_t *data, size_t len)
{
    size_t used = 0;
    while (used < len && !c->closing) {
        switch (c->phase) {
        case PHASE_HEAD:
        case PHASE_BODY:
            used += http_exchange_input(c, data + used, len - used);
            break;
        case PHASE_STREAM:
            http_stream_input(c, data + used, len - used);
            return len;
        case PHASE_CLOSING:
        case PHASE_LINGER:
            linger(c, len - used);
            return len;
        case PHASE_ANSWER:
        case PHASE_TLS:
            return used;
        }
    }
    return len;
}

static void take(http_connection *c, uint8_t *data, size_t len)
{
    size_t used = c->stash.len > 0 ? 0 : hand_on(c, data, len);
    if (used == len || c->closing) {
        return;
    }
    http_connection_read(c, false); /* what TLS has read already is kept all the same */
    if (!buffer_put(&c->stash, data + used, len - used)) {
        http_connection_abort(c);
    }
}

void http_connection_resume(http_connection *c)
{
    if (c->stash.len > 0) {
        c->stash_at += hand_on(c, c->stash.data + c->stash_at, c->stash.len - c->stash_at);
        if (c->stash_at < c->stash.len) {
            return;
        }
        c->stash_at = 0;
        buffer_fini(&c->stash);
    }
    http_connection_read(c, true);
}

static void tls_take(http_connection *c, const uint8_t *data, size_t len)
{
    tls_session_feed(c->tls, data, len);
    while (!c->closing) {
        size_t got = 0;
        tls_event event = tls_session_read(c->tls, c->server->plain_buffer, READ_SIZE, &got);
        if (c->phase == PHASE_TLS && tls_session_is_up(c->tls)) {
            if (c->listener->options.raw != NULL) {
                http_stream_open(c, c->listener->options.raw, false);
            } else {
                http_exchange_begin(c, false);
            }
        }
        if (event == TLS_DATA) {
            take(c, c->server->plain_buffer, got);
            continue;
        }
        http_connection_pump(c); /* the handshake's answers */
        if (event == TLS_BROKEN) {
            c->server->counts.invalid++;
        }
        if (event != TLS_MORE) {
            http_connection_abort(c);
        }
        return;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    http_connection *c = handle->data;
    *buf = uv_buf_init((char *)c->server->read_buffer, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    http_connection *c = stream->data;
    if (nread < 0) {
        http_connection_abort(c);
    } else if (nread > 0 && c->tls != NULL && c->phase != PHASE_LINGER) {
        tls_take(c, (const uint8_t *)buf->base, (size_t)nread);
    } else if (nread > 0) {
        take(c, (uint8_t *)buf->base, (size_t)nread);
    }
}

void http_connection_read(http_connection *c, bool on)
{
    if (c->closing) {
        return;
    }
    if (!on) {
        uv_read_stop((uv_stream_t *)&c->tcp);
        return;
    }
    int rc = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    if (rc != 0 && rc != UV_EALREADY) {
        http_connection_abort(c);
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
    c->next = s->connections;
    if (c->next != NULL) {
        c->next->prev = c;
    }
    s->connections = c;
    s->counts.connections++;
    s->counts.accepted++;
    l->connections++;
    if (uv_tcp_open(&c->tcp, fd) != 0) {
        close(fd);
        http_connection_abort(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    describe_peer(c);
    http_connection_deadline(c, s->options.handshake_ms);
    c->phase = PHASE_TLS;
    http_connection_wait(c, true);
    if (c->tls == NULL) {
        http_exchange_begin(c, false);
    }
    http_connection_read(c, true);
}
