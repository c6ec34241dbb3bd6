/* SPDX-License-Identifier: Apache-2.0 */
/* publish: a batch of envelopes from the agent to the bus.
 *
 * Each is scanned where it lies in the read buffer, gets the context of its bridge.publish span patched in place when it
 * is sampled, and goes to the bus. The usual envelope is not copied and nothing is allocated for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/session.h"
#include "trace/messaging/message_span.h"

enum { SCRATCH_SIZE = LOOM_ENVELOPE_MAX + LOOM_AGENT_ID_MAX + 2 * ENVELOPE_PREFIX_SIZE };

static void refuse(session *s, const envelope_view *view, loom_status why, const char *text)
{
    session_bus_handlers.refused(s, view->data + view->field[ENV_ID].off, why, text);
}

static uint8_t *scratch(bridge *b, unsigned which)
{
    if (b->scratch[which] == NULL) {
        b->scratch[which] = malloc(SCRATCH_SIZE);
    }
    return b->scratch[which];
}

/* Rewrites what a foreign client left to the bridge: the form of the hop field, and the sender. */
static loom_status rewrite(session *s, envelope_view *view, uint8_t **wire, const char **reason)
{
    bridge *b = s->bridge;
    const envelope_limits limits = {b->options.payload_max};
    if (!view->hop_in_place) {
        bool invalid;
        uint8_t *to = scratch(b, 0);
        if (to == NULL) {
            *reason = "the bridge is out of memory";
            return LOOM_ENOMEM;
        }
        uint32_t len = envelope_normalise(to, view, b->options.ttl, &invalid);
        b->stats.invalid_contexts += invalid;
        loom_status st = envelope_scan(view, (loom_bytes){to, len}, &limits, reason);
        if (st != LOOM_OK) {
            return st;
        }
        *wire = to;
    }
    if (view->field[ENV_SENDER].len == 0) {
        uint8_t *to = scratch(b, 1);
        if (to == NULL) {
            *reason = "the bridge is out of memory";
            return LOOM_ENOMEM;
        }
        uint32_t len = envelope_with_sender(to, view, session_agent(s));
        loom_status st = envelope_scan(view, (loom_bytes){to, len}, &limits, reason);
        if (st != LOOM_OK) {
            return st;
        }
        *wire = to;
    }
    return LOOM_OK;
}

static bool sent_by(const session *s, const envelope_view *view)
{
    loom_str sender = envelope_view_str(view, ENV_SENDER);
    return sender.len == s->agent_len && memcmp(sender.data, s->agent, s->agent_len) == 0;
}

/* An id half set is no context: it counts as absent, and is counted. */
static void drop_invalid_context(bridge *b, uint8_t *wire)
{
    static const uint8_t zero[LOOM_TRACE_ID_SIZE + LOOM_SPAN_ID_SIZE] = {0};
    loom_trace_context ctx;
    hop_read(wire, &ctx);
    if (!loom_trace_context_valid(&ctx) && memcmp(wire + HOP_OFFSET, zero, sizeof zero) != 0) {
        static const loom_trace_context none = {{0}, {0}, 0};
        hop_patch(wire, &none);
        b->stats.invalid_contexts++;
    }
}

static void publish(session *s, const envelope_view *view, uint8_t *wire)
{
    bridge *b = s->bridge;
    loom_trace_context ctx;
    bool patch;
    drop_invalid_context(b, wire);
    loom_span *span = message_span_pass(b->options.tracer, HOP_BRIDGE_PUBLISH, view, session_agent(s), &ctx, &patch);
    if (patch) {
        hop_patch(wire, &ctx);
    }
    s->publishing = span;
    if (sent_by(s, view)) {
        b->options.bus->ops->publish(b->options.bus, s->port, view, wire);
        s->published++;
        b->stats.published++;
        b->stats.published_bytes += view->len;
    } else {
        refuse(s, view, LOOM_EDENIED, "the sender is not the agent of this session");
    }
    s->publishing = NULL;
    loom_span_end(span);
}

/* One envelope at the start of wire. *used: its bytes in the frame. */
static loom_status take_envelope(session *s, uint8_t *wire, size_t len, uint32_t *used, const char **reason)
{
    bridge *b = s->bridge;
    const envelope_limits limits = {b->options.payload_max};
    envelope_view view;
    loom_status st = envelope_scan(&view, (loom_bytes){wire, len}, &limits, reason);
    if (st != LOOM_OK) {
        return st;
    }
    *used = view.len;
    s->published_bytes += view.len;
    if (s->published_bytes > s->publish_granted + FRAME_MAX) {
        *reason = "published past its credit";
        return LOOM_EPROTO;
    }
    if (!view.hop_in_place || view.field[ENV_SENDER].len == 0) {
        if ((st = rewrite(s, &view, &wire, reason)) != LOOM_OK) {
            return st;
        }
    }
    publish(s, &view, wire);
    return LOOM_OK;
}

loom_status on_publish(session *s, const frame_batch *batch, char reason[FRAME_REASON_SIZE])
{
    uint8_t *at = (uint8_t *)(uintptr_t)batch->items.data; /* the read buffer, which session_receive() may change */
    size_t left = batch->items.len;
    for (uint32_t i = 0; i < batch->count; i++) {
        uint32_t used = 0;
        const char *fault = "";
        loom_status st = take_envelope(s, at, left, &used, &fault);
        if (st != LOOM_OK) {
            snprintf(reason, FRAME_REASON_SIZE, "publish frame: envelope %u of %u: %s", i + 1, batch->count, fault);
            return st;
        }
        if (s->state == SESSION_ENDED) {
            return LOOM_OK;
        }
        at += used;
        left -= used;
    }
    if (left > 0) {
        snprintf(reason, FRAME_REASON_SIZE, "publish frame: %zu bytes after its %u envelopes", left, batch->count);
        return LOOM_EMALFORMED;
    }
    session_grant_publish(s);
    return LOOM_OK;
}
