/* SPDX-License-Identifier: Apache-2.0 */
/* The usual envelope is not copied, and nothing is allocated for it: it stays where it lies in the read buffer. */
#include "bridge/session/incoming.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { SCRATCH_SIZE = LOOM_ENVELOPE_MAX + LOOM_AGENT_ID_MAX + 2 * ENVELOPE_PREFIX_SIZE };

static uint8_t *scratch(bridge *b, unsigned which)
{
    if (b->scratch[which] == NULL) {
        b->scratch[which] = malloc(SCRATCH_SIZE);
    }
    return b->scratch[which];
}

/* One envelope in another form: the scratch buffer it lies in is its own. NULL: out of memory. */
static uint8_t *form(session *s, unsigned which, envelope_view *view, loom_status *st, const char **reason)
{
    bridge *b = s->bridge;
    const envelope_limits limits = {.any_context = true};
    uint8_t *to = scratch(b, which);
    if (to == NULL) {
        *reason = "the bridge is out of memory";
        *st = LOOM_ENOMEM;
        return NULL;
    }
    uint32_t len;
    if (which == 0) {
        bool invalid;
        len = envelope_normalise(to, view, b->options.ttl, &invalid);
        b->stats.invalid_contexts += invalid;
    } else {
        len = envelope_with_sender(to, view, session_agent(s));
    }
    *st = envelope_scan(view, (loom_bytes){to, len}, &limits, reason);
    return to;
}

/* Rewrites what a foreign client left to the bridge: the form of the hop field, and the sender. Either may make it larger
 * than an envelope may be; view is the original's then. */
__attribute__((noinline)) static loom_status rewrite(session *s, envelope_view *view, uint8_t **wire, const char **reason)
{
    envelope_view formed = *view;
    uint8_t *at = *wire;
    loom_status st = LOOM_OK;
    if (!formed.hop_in_place) {
        at = form(s, 0, &formed, &st, reason);
    }
    if (st == LOOM_OK && formed.field[ENV_SENDER].len == 0) {
        at = form(s, 1, &formed, &st, reason);
    }
    if (st == LOOM_OK) {
        *view = formed;
        *wire = at;
    }
    return st;
}

/* An id half set is no context: it counts as absent, and is counted. */
static void drop_invalid_context(bridge *b, uint8_t *wire)
{
    static const uint8_t zero[LOOM_TRACE_ID_SIZE + LOOM_SPAN_ID_SIZE] = {0};
    if (!hop_has_context(wire) && memcmp(wire + HOP_OFFSET, zero, sizeof zero) != 0) {
        static const loom_trace_context none = {{0}, {0}, 0};
        hop_patch(wire, &none);
        b->stats.invalid_contexts++;
    }
}

/* What no other hop is to find: the tracestate of a context that was dropped, and more of either than an envelope holds. */
__attribute__((noinline)) static loom_status mend_context(uint8_t *wire, envelope_view *view, const envelope_limits *limits, const char **reason)
{
    uint32_t len = envelope_mend_context(wire, view);
    return len == view->len ? LOOM_OK : envelope_scan(view, (loom_bytes){wire, len}, limits, reason);
}

loom_status incoming_take(session *s, uint8_t **wire, size_t len, envelope_view *view, uint32_t *used, const char **reason)
{
    const envelope_limits limits = {.any_context = true};
    loom_status st = envelope_scan(view, (loom_bytes){*wire, len}, &limits, reason);
    if (st != LOOM_OK) {
        return st;
    }
    *used = view->len;
    if (view->field[ENV_PAYLOAD].len > s->bridge->options.payload_max) {
        *reason = "the payload is over max_payload, the limit of this bus";
        return LOOM_ETOOBIG;
    }
    if ((!view->hop_in_place || view->field[ENV_SENDER].len == 0) && (st = rewrite(s, view, wire, reason)) != LOOM_OK) {
        *reason = st == LOOM_ETOOBIG ? "the envelope is too large with the sender and the trace context that it left out" : *reason;
        return st;
    }
    drop_invalid_context(s->bridge, *wire);
    return envelope_context_needs_look(view) ? mend_context(*wire, view, &limits, reason) : LOOM_OK;
}

bool incoming_is_own(const session *s, const envelope_view *view)
{
    loom_str sender = envelope_view_str(view, ENV_SENDER);
    return sender.len == s->agent_len && str_same(sender.data, s->agent, s->agent_len);
}
