/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of this process, its agents' among them, over the connection to the broker: a frame in a round, and only while little
 * else waits. The exporter thread wakes the loop, and that is all it does here. */
#include "bridge/bus/remote/internal.h"

enum { SPANS_BEHIND_MAX = 64 * 1024 }; /* bytes that wait for the broker beside which spans may go */

static bus_remote *of_carrier(span_carrier *c)
{
    return (bus_remote *)((char *)c - offsetof(bus_remote, carrier));
}

/* From the exporter thread. */
static void wake(span_carrier *self)
{
    (void)uv_async_send(&of_carrier(self)->spans_wake);
}

static void on_wake(uv_async_t *async)
{
    ((bus_remote *)async->data)->spans_wait = true;
}

static loom_status put(void *user, uint64_t spans, loom_bytes request)
{
    bus_remote *b = user;
    frame_writer *w = remote_queue_writer(&b->queue, 0);
    return w != NULL ? frame_put_spans(w, &(frame_spans){.spans = spans, .request = request}) : LOOM_ENOMEM;
}

void remote_spans_open(bus_remote *b)
{
    if (b->options.spans == NULL || uv_async_init(b->loop, &b->spans_wake, on_wake) != 0) {
        b->options.spans = NULL;
        return;
    }
    b->spans_wake.data = b;
    b->handles++;
    b->carrier.wake = wake;
    span_link_attach(b->options.spans, &b->carrier);
}

void remote_spans_close(bus_remote *b, uv_close_cb closed)
{
    if (b->options.spans != NULL) {
        span_link_detach(b->options.spans, &b->carrier);
        uv_close((uv_handle_t *)&b->spans_wake, closed);
    }
}

void remote_spans_up(bus_remote *b, uint64_t credit)
{
    if (b->options.spans != NULL) {
        span_link_up(b->options.spans, &b->carrier, credit);
    }
}

void remote_spans_down(bus_remote *b)
{
    b->spans_wait = false;
    if (b->options.spans != NULL) {
        span_link_down(b->options.spans, &b->carrier);
    }
}

void remote_spans_answered(bus_remote *b, const frame_span_credit *f)
{
    if (b->options.spans != NULL) {
        span_link_answered(b->options.spans, &b->carrier, f->bytes, f->spans, f->refused);
        b->spans_wait = true;
    }
}

bool remote_spans_are_due(const bus_remote *b)
{
    return b->spans_wait && remote_waiting(b) <= SPANS_BEHIND_MAX;
}

void remote_spans_send(bus_remote *b)
{
    if (remote_spans_are_due(b)) {
        b->spans_wait = span_link_take(b->options.spans, &b->carrier, put, b); /* the next one in the next round */
    }
}
