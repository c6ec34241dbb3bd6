/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of events to a client (HTML, "Server-sent events"). What is put is sent at the end of the round, in one write. */
#include <string.h>

#include "bridge/gateway/internal.h"

enum { KEEP_SIZE = 64 * 1024 };

static void send_more(gateway_job *job)
{
    sse *s = (sse *)job;
    if (s->stream == NULL || http_stream_unsent(s->stream) > 0) {
        return;
    }
    if (s->out.failed) { /* an event is missing: the client has to know, and comes again */
        http_stream_close(s->stream, HTTP_CLOSE_NORMAL);
        return;
    }
    if (s->out.bytes.len == 0) {
        if (s->ending) {
            http_stream_close(s->stream, HTTP_CLOSE_NORMAL);
        }
        return;
    }
    const text_buffer was = s->flying;
    s->flying = s->out;
    s->out = was;
    s->out.bytes.len = 0;
    s->said_ms = s->stuck_ms = uv_now(s->gateway->loop);
    http_stream_send(s->stream, s->flying.bytes.data, s->flying.bytes.len);
}

static void on_sent(void *user)
{
    sse *s = user;
    if (s->flying.bytes.cap > KEEP_SIZE) {
        text_fini(&s->flying);
    }
    s->taken(s);
    if (s->out.bytes.len > 0 || s->ending) {
        gateway_soon(s->gateway, &s->job);
    }
}

static void on_closed(void *user)
{
    sse *s = user;
    s->stream = NULL;
    gateway_not_soon(s->gateway, &s->job);
    text_fini(&s->out);
    text_fini(&s->flying);
    s->closed(s);
}

void sse_init(sse *s, gateway *g, void (*taken)(sse *s), void (*closed)(sse *s))
{
    s->gateway = g;
    s->job.run = send_more;
    s->said_ms = uv_now(g->loop);
    s->taken = taken;
    s->closed = closed;
}

bool sse_begin(sse *s, exchange *x)
{
    static const http_stream_events events = {.sent = on_sent, .closed = on_closed};
    s->stream = exchange_stream(x, &events, s);
    return s->stream != NULL;
}

/* Each line of data is a field of its own; a lone CR ends a line, too (HTML, 9.2.6). */
static void put_data(text_buffer *b, const char *data, size_t len)
{
    size_t at = 0;
    do {
        size_t end = at;
        while (end < len && data[end] != '\n' && data[end] != '\r') {
            end++;
        }
        text_puts(b, "data: ");
        text_put(b, data + at, end - at);
        text_puts(b, "\n");
        at = end + (end + 1 < len && data[end] == '\r' && data[end + 1] == '\n' ? 2 : 1);
    } while (at <= len);
}

void sse_put(sse *s, const char *id, const char *name, const char *data, size_t len)
{
    text_buffer *b = &s->out;
    if (id != NULL) {
        text_printf(b, "id: %s\n", id);
    }
    if (name != NULL) {
        text_printf(b, "event: %s\n", name);
    }
    put_data(b, data, len);
    text_puts(b, "\n");
    gateway_soon(s->gateway, &s->job);
}

void sse_tick(sse *s, uint64_t now_ms)
{
    if (s->stream == NULL) {
        return;
    }
    const size_t unsent = http_stream_unsent(s->stream), before = s->unsent;
    s->unsent = unsent;
    if (unsent > 0 && unsent < before) {
        s->stuck_ms = now_ms; /* it takes its time, but it takes */
    } else if (unsent > 0 && now_ms - s->stuck_ms > GATEWAY_STUCK_MS) {
        http_stream_close(s->stream, HTTP_CLOSE_NORMAL);
    } else if (unsent == 0 && s->out.bytes.len == 0 && now_ms - s->said_ms >= GATEWAY_KEEPALIVE_MS) {
        text_puts(&s->out, ":\n\n"); /* a comment: proxies and clients see that it lives */
        gateway_soon(s->gateway, &s->job);
    }
}

void sse_end(sse *s)
{
    s->ending = true;
    if (s->stream != NULL) {
        gateway_soon(s->gateway, &s->job);
    }
}
