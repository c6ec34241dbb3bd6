/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: WebSockets that are open, and connections of bare TLS. What an owner gives to send is borrowed; it leaves in
 * chunks, each a WebSocket message, so that pongs and the close frame need not wait for megabytes. */
#include "host/http/internal.h"

#include <limits.h>

static http_connection *connection_of(http_stream *s)
{
    return (http_connection *)((char *)s - offsetof(http_connection, stream));
}

void http_stream_open(http_connection *c, const http_endpoint *endpoint, bool framed)
{
    c->stream = (http_stream){.endpoint = endpoint, .framed = framed, .reader.message_max = endpoint->message_max};
    c->phase = PHASE_STREAM;
    c->heard = true;
    http_connection_limit_unread(c, UINT_MAX); /* its owner sees to it */
    http_connection_wait(c, false);
    http_connection_deadline(c, c->server->options.ping_ms);
    endpoint->opened(c->listener->options.user, &c->stream, c->peer);
    if (c->stream.events == NULL && c->phase == PHASE_STREAM) {
        http_connection_abort(c);
    }
}

void http_stream_begin(http_connection *c, const http_stream_events *events, void *user)
{
    c->stream = (http_stream){.events = events, .user = user};
    c->phase = PHASE_STREAM;
    c->heard = true;
    http_connection_deadline(c, c->server->options.ping_ms);
    if (c->stash.len > 0) { /* nobody will answer what came behind the request */
        buffer_fini(&c->stash);
        c->stash_at = 0;
        http_connection_read(c, true);
    }
}

void http_stream_attach(http_stream *s, const http_stream_events *events, void *user)
{
    s->events = events;
    s->user = user;
}

/* ---- out ---- */

static bool say_frame(http_connection *c, uint8_t opcode, const void *data, size_t len)
{
    uint8_t head[WS_HEAD_MAX];
    return http_connection_say(c, head, ws_head(head, opcode, len)) && http_connection_say(c, data, len);
}

void http_stream_send(http_stream *s, const uint8_t *data, size_t len)
{
    if (s->http2 != NULL) {
        s->http2->stream_send(s, data, len);
        return;
    }
    http_connection *c = connection_of(s);
    if (c->closing || c->phase != PHASE_STREAM) {
        return; /* closed follows */
    }
    s->payload = data;
    s->payload_len = len;
    http_connection_pump(c);
}

size_t http_stream_unsent(const http_stream *s)
{
    return s->payload_len;
}

size_t http_stream_untaken(const http_stream *s)
{
    return s->payload_len - s->chunk;
}

void http_stream_pause(http_stream *s, bool on)
{
    http_connection *c = connection_of(s);
    if (s->http2 == NULL && c->phase == PHASE_STREAM) { /* a request of HTTP/2 has been read */
        http_connection_read(c, !on);
    }
}

void http_stream_written(http_connection *c)
{
    http_stream *s = &c->stream;
    s->payload += s->chunk;
    s->payload_len -= s->chunk;
    s->chunk = 0;
    if (s->payload_len == 0 && c->phase == PHASE_STREAM && s->events != NULL) {
        s->payload = NULL;
        s->events->sent(s->user);
    }
}

/* Says the last, and ends our side. */
static void end(http_connection *c, uint16_t code)
{
    http_stream *s = &c->stream;
    if (c->closing || c->phase != PHASE_STREAM) {
        return;
    }
    if (s->framed) {
        uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
        s->close_sent = true;
        (void)say_frame(c, WS_CLOSE, payload, code == WS_CODE_NONE ? 0 : sizeof payload);
    }
    http_connection_finish(c);
}

void http_stream_close(http_stream *s, uint16_t code)
{
    if (s->http2 != NULL) {
        s->http2->stream_close(s);
        return;
    }
    http_connection *c = connection_of(s);
    if (s->payload_len > 0) {
        http_connection_abort(c);
    } else {
        end(c, code);
    }
}

void http_stream_refuse(http_stream *s, loom_bytes last)
{
    http_connection *c = connection_of(s);
    c->server->counts.refused++;
    if (s->framed ? say_frame(c, WS_BINARY, last.data, last.len) : http_connection_say(c, last.data, last.len)) {
        end(c, WS_CODE_TRY_LATER);
    }
}

/* False: the peer has said nothing to the last of the pings. */
static bool ping(http_connection *c)
{
    http_stream *s = &c->stream;
    if (s->pings == PINGS_MAX) {
        return false;
    }
    if (c->out.len < CONTROL_QUEUE_MAX && say_frame(c, WS_PING, NULL, 0)) {
        s->pings++;
        http_connection_pump(c);
    }
    return true;
}

void http_stream_late(http_connection *c)
{
    if (c->heard) {
        c->heard = false;
        c->stream.pings = 0;
    } else if (c->stream.framed && !ping(c)) {
        c->server->counts.late++;
        http_connection_abort(c);
        return;
    } else {
        http_connection_shrink(c);
    }
    http_connection_deadline(c, c->server->options.ping_ms);
}

/* ---- in ---- */

static void on_control(http_connection *c)
{
    http_stream *s = &c->stream;
    ws_reader *r = &s->reader;
    uint16_t code;
    switch (r->opcode) {
    case WS_PING:
        if (c->out.len < CONTROL_QUEUE_MAX && say_frame(c, WS_PONG, r->control, r->control_len)) {
            http_connection_pump(c);
        }
        break;
    case WS_CLOSE:
        if (!ws_close_code(r->control, r->control_len, &code)) {
            c->server->counts.invalid++;
            code = WS_CODE_PROTOCOL;
        }
        end(c, code);
        break;
    default: /* a pong: that the peer is heard is all it says */
        break;
    }
}

/* What one read brings is handed over at once, even if it was many messages: their bytes are moved together. */
typedef struct gathered {
    uint8_t *at;
    size_t len;
} gathered;

static void gather(gathered *g, loom_bytes piece)
{
    if (g->len == 0) {
        g->at = (uint8_t *)(uintptr_t)piece.data;
    } else {
        memmove(g->at + g->len, piece.data, piece.len);
    }
    g->len += piece.len;
}

static void hand_over(http_connection *c, gathered *g)
{
    if (g->len > 0 && c->phase == PHASE_STREAM && !c->closing) {
        c->stream.events->received(c->stream.user, g->at, g->len);
    }
    g->len = 0;
}

static void framed_input(http_connection *c, uint8_t *data, size_t len)
{
    gathered g = {0};
    for (size_t used; len > 0 && c->phase == PHASE_STREAM && !c->closing; data += used, len -= used) {
        loom_bytes piece;
        uint16_t code;
        ws_event event = ws_read(&c->stream.reader, data, len, &used, &piece, &code);
        if (event == WS_DATA) {
            gather(&g, piece);
        } else if (event == WS_CONTROL) {
            hand_over(c, &g); /* before it, as it came */
            on_control(c);
        } else if (event == WS_BROKEN) {
            hand_over(c, &g);
            c->server->counts.invalid++;
            end(c, code);
            return;
        }
    }
    hand_over(c, &g);
}

void http_stream_input(http_connection *c, uint8_t *data, size_t len)
{
    c->heard = true;
    if (c->stream.framed) {
        framed_input(c, data, len);
    } else if (c->stream.events->received != NULL) {
        c->stream.events->received(c->stream.user, data, len);
    }
}
