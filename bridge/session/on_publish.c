/* SPDX-License-Identifier: Apache-2.0 */
/* publish: a batch of envelopes from the agent to the bus. A large one may take several turns.
 *
 * Each is scanned where it lies in the read buffer, gets the context of its bridge.publish span patched in place when it
 * is sampled, and goes to the bus. */
#include <stdio.h>
#include <string.h>

#include "bridge/session/incoming.h"
#include "trace/messaging/message_span.h"

static void refuse(session *s, const envelope_view *view, loom_status why, const char *text)
{
    s->refused++;
    session_answer(s, &(frame){.type = FRAME_NOTICE,
                               .u.outcome = {.status = (uint64_t)why,
                                             .text = {text, strlen(text)},
                                             .message_id = envelope_view_bytes(view, ENV_ID)}});
}

/* True: the turn is over. */
static bool pay_fan_out(session *s)
{
    const int64_t cost = (int64_t)s->fan_out; /* no more than a slice, and what one message costs */
    s->fan_out = 0;
    s->turn_left -= cost;
    return cost > 0 && s->turn_left <= 0;
}

static void publish(session *s, const envelope_view *view, uint8_t *wire)
{
    bridge *b = s->bridge;
    message_pass pass;
    message_pass_begin(&pass, b->options.tracer, HOP_BRIDGE_PUBLISH, view, session_agent(s), true, wire);
    s->publishing = &pass;
    if (incoming_is_own(s, view)) {
        const uint64_t before = b->options.bus->work;
        b->options.bus->ops->publish(b->options.bus, s->port, view, wire);
        s->fan_out += bus_fan_out(b->options.bus->work - before);
        s->published++;
        b->stats.published++;
        b->stats.published_bytes += view->len;
    } else {
        refuse(s, view, LOOM_EDENIED, "the sender is not the agent of this session");
    }
    s->publishing = NULL;
    message_pass_end(&pass, NULL);
}

/* The block that what is received lies in, unless keeping it would keep more than twice the message. */
static shared_bytes *lent_for(const bridge *b, const envelope_view *view)
{
    return b->lent != NULL && b->lent->size / 2 <= view->len ? b->lent : NULL;
}

/* One envelope at the start of wire. *used: its bytes in the frame. */
static loom_status publish_next(session *s, uint8_t *wire, size_t len, uint32_t *used, const char **reason)
{
    envelope_view view;
    const uint8_t *given = wire;
    loom_status st = incoming_take(s, &wire, len, &view, used, reason);
    const bool outgrown = st == LOOM_ETOOBIG && *used > 0;
    if (st != LOOM_OK && !outgrown) {
        return st;
    }
    s->published_bytes += *used;
    if (s->published_bytes > s->publish_granted + FRAME_MAX) {
        *reason = "published past its credit";
        return LOOM_EPROTO;
    }
    if (outgrown) {
        refuse(s, &view, LOOM_ETOOBIG, *reason);
    } else {
        if (view.len >= SHARED_BYTES_MIN && wire == given) {
            view.shared = lent_for(s->bridge, &view);
        }
        publish(s, &view, wire);
    }
    return LOOM_OK;
}

/* How many of a batch make a slice. */
static uint32_t slice_of(const session *s, const frame_batch *batch)
{
    const uint32_t slice = s->alone < SESSION_BESIDE ? SESSION_SLICE_BESIDE : SESSION_SLICE;
    if (batch->items.len <= 2 * (size_t)slice) {
        return batch->count;
    }
    const uint64_t count = (uint64_t)batch->count * slice / batch->items.len;
    return count > 0 ? (uint32_t)count : 1;
}

/* Those from *done to before end, or as many as make a slice of work; *at: where they begin, in bytes. */
static loom_status publish_each(session *s, const frame_batch *batch, uint32_t *done, size_t *at, uint32_t end,
                                char reason[FRAME_REASON_SIZE])
{
    uint8_t *from = (uint8_t *)(uintptr_t)batch->items.data + *at; /* the read buffer, which session_receive() may change */
    size_t left = batch->items.len - *at;
    uint32_t i = *done;
    for (; i < end && s->state != SESSION_ENDED && s->fan_out < SESSION_SLICE; i++) {
        uint32_t used = 0;
        const char *fault = "";
        loom_status st = publish_next(s, from, left, &used, &fault);
        if (st != LOOM_OK) {
            snprintf(reason, FRAME_REASON_SIZE, "publish frame: envelope %u of %u: %s", i + 1, batch->count, fault);
            return st;
        }
        from += used;
        left -= used;
    }
    *done = i;
    *at = batch->items.len - left;
    return LOOM_OK;
}

static loom_status publish_some(session *s, const frame_batch *batch, uint32_t *done, size_t *at, uint32_t end,
                                char reason[FRAME_REASON_SIZE])
{
    message_batch at_once;
    message_batch_begin(&at_once, s->bridge->options.tracer);
    const loom_status st = publish_each(s, batch, done, at, end, reason);
    message_batch_end(&at_once);
    return st;
}

loom_status on_publish(session *s, const frame_batch *batch, char reason[FRAME_REASON_SIZE])
{
    const uint32_t slice = slice_of(s, batch);
    uint32_t done = s->batch_done;
    size_t at = s->batch_at;
    s->batch_done = 0;
    s->batch_at = 0;
    while (done < batch->count) {
        loom_status st = publish_some(s, batch, &done, &at, batch->count - done > slice ? done + slice : batch->count, reason);
        if (st != LOOM_OK || s->state == SESSION_ENDED) {
            return st;
        }
        const bool over = pay_fan_out(s);
        if (done < batch->count && (over || session_yields(s))) {
            s->batch_done = done;
            s->batch_at = at;
            s->turn_left = 0;
            return LOOM_OK;
        }
    }
    if (at < batch->items.len) {
        snprintf(reason, FRAME_REASON_SIZE, "publish frame: %zu bytes after its %u envelopes", batch->items.len - at,
                 batch->count);
        return LOOM_EMALFORMED;
    }
    session_grant_publish(s);
    return LOOM_OK;
}
