/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a connection, with TLS between them and the socket if need be.
 *
 * Writing is tried at once; only what the kernel does not take waits. What is said while a write waits leaves together
 * after it. */
#include "host/http/internal.h"

#include "host/net/write_left.h"

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

static void shrink(byte_buffer *b)
{
    if (b->len == 0 && b->cap > KEEP_SIZE) {
        buffer_fini(b);
    }
}

void http_connection_shrink(http_connection *c)
{
    shrink(&c->out);
    shrink(&c->flying); /* not empty while it is being written */
    if (c->tls != NULL) {
        shrink(tls_session_output(c->tls));
    }
}

static void written(http_connection *c)
{
    c->flying.len = 0;
    if (c->phase != PHASE_STREAM) {
        http_connection_shrink(c);
    }
    if (c->stream.chunk > 0) {
        http_stream_written(c);
    }
}

void http_connection_not_taken(http_connection *c, size_t left)
{
    http_stream *s = &c->stream;
    const bool all = left >= s->chunk || (left > 0 && c->tls != NULL); /* half a record is as good as none */
    s->chunk -= all ? s->chunk : left;
}

static void on_written(uv_write_t *req, int status)
{
    http_connection *c = req->data;
    c->writing = false;
    if (status != 0) {
        if (!c->closing) {
            http_connection_not_taken(c, write_left(req));
        }
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
        c->stream.chunk = 0;
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
        http_connection_not_taken(c, write_left_of(bufs + first, count - first));
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
    if (c->phase == PHASE_H2) {
        return c->listener->options.http2->fill(c);
    }
    if (c->phase == PHASE_CLOSING) {
        if (c->tls != NULL && !c->tls_ended) {
            c->tls_ended = true;
            tls_session_end(c->tls);
            return true;
        }
        http_connection_shut(c);
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

static void linger(http_connection *c, size_t len)
{
    c->skipped += len;
    if (c->skipped > SKIP_MAX) {
        http_connection_abort(c);
    } else if (c->phase == PHASE_LINGER && !c->server->closing && uv_now(c->server->loop) < c->linger_until_ms) {
        http_connection_deadline(c, c->server->options.close_ms);
    }
}

/* Hands bytes to whoever the phase belongs to; returns how many it took. */
static size_t hand_on(http_connection *c, uint8_t *data, size_t len)
{
    size_t used = 0;
    while (used < len && !c->closing) {
        switch (c->phase) {
        case PHASE_HEAD:
            if (c->handled >= REQUESTS_A_TURN) { /* others have their turn first */
                http_server_again(c);
                return used;
            }
            used += http_exchange_input(c, data + used, len - used);
            break;
        case PHASE_BODY:
            used += http_exchange_input(c, data + used, len - used);
            break;
        case PHASE_STREAM:
            http_stream_input(c, data + used, len - used);
            return len;
        case PHASE_H2:
            c->listener->options.http2->input(c, data + used, len - used);
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

void http_connection_turn(http_connection *c)
{
    c->handled = 0;
    c->pumping = true; /* one request after the other: their answers are written by the pump, and not from within */
    http_connection_resume(c);
    c->pumping = false;
    http_connection_pump(c);
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
        if (tls_session_output(c->tls)->len > SEND_CHUNK) { /* it asks for answers and reads none */
            event = TLS_BROKEN;
        }
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
    *buf = uv_buf_init((char *)c->server->read_buffer, (unsigned)http_server_read_size(c));
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    http_connection *c = stream->data;
    c->handled = 0;
    if (nread < 0) {
        http_connection_abort(c);
    } else if (nread > 0 && c->tls != NULL && c->phase != PHASE_LINGER) {
        tls_take(c, (const uint8_t *)buf->base, (size_t)nread);
    } else if (nread > 0) {
        take(c, (uint8_t *)buf->base, (size_t)nread);
    }
    if (nread > 0) {
        http_server_has_read(c, (size_t)nread, (size_t)nread == buf->len);
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
