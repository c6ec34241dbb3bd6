/* SPDX-License-Identifier: Apache-2.0 */
/* Context that a client sent and no hop may pass on as it is. Rare: the messages of our own SDK have none. */
#include <string.h>

#include <loom/baggage.h>
#include <loom/tracestate.h>

#include "envelope/msgpack_bytes.h"
#include "envelope/view.h"

/* Empty when there is no context for it, or when it is too long and off the grammar. */
static loom_str mended_tracestate(const envelope_view *view, char buffer[LOOM_TRACESTATE_MAX])
{
    loom_trace_context ctx;
    loom_str text = envelope_view_str(view, ENV_TRACESTATE);
    if (text.len == 0 || !envelope_view_context(view, &ctx)) {
        return (loom_str){0};
    }
    if (text.len <= LOOM_TRACESTATE_MAX) {
        return text;
    }
    size_t len;
    loom_status st = loom_tracestate_truncate(buffer, LOOM_TRACESTATE_MAX, &len, text, LOOM_TRACESTATE_MAX);
    return (loom_str){buffer, st == LOOM_OK ? len : 0};
}

/* A cut copy in *owner, which the caller drops; without memory for it nothing is left. */
static loom_str mended_baggage(const envelope_view *view, loom_baggage **owner)
{
    loom_str text = envelope_view_str(view, ENV_BAGGAGE);
    *owner = NULL;
    if (text.len <= LOOM_BAGGAGE_MAX) {
        return text;
    }
    return loom_baggage_parse(owner, text, NULL) == LOOM_OK ? loom_baggage_text(*owner) : (loom_str){0};
}

/* The field r is at, as it is or as text, which is shorter and lies elsewhere. */
static uint8_t *put_field(uint8_t *to, mp_reader *r, bool changed, loom_str text)
{
    const uint8_t *from = r->at;
    (void)mp_skip(r, 0);
    if (changed) {
        return mp_put_str_or_nil(to, text);
    }
    const size_t size = (size_t)(r->at - from);
    memmove(to, from, size);
    return to + size;
}

uint32_t envelope_mend_context(uint8_t *wire, const envelope_view *view)
{
    char buffer[LOOM_TRACESTATE_MAX];
    loom_baggage *owner;
    loom_str tracestate = mended_tracestate(view, buffer), baggage = mended_baggage(view, &owner);
    const bool cut_tracestate = tracestate.len != view->field[ENV_TRACESTATE].len;
    const bool cut_baggage = baggage.len != view->field[ENV_BAGGAGE].len;
    if (!cut_tracestate && !cut_baggage) {
        return view->len;
    }
    mp_reader r = {wire, wire + view->len};
    uint32_t count;
    (void)mp_read_array(&r, &count); /* the scan has shown all of this to be well-formed */
    for (unsigned f = 0; f < ENV_TRACESTATE; f++) {
        (void)mp_skip(&r, 0);
    }
    uint8_t *to = wire + (r.at - wire);
    to = put_field(to, &r, cut_tracestate, tracestate);
    to = put_field(to, &r, cut_baggage, baggage);
    const size_t rest = (size_t)(r.end - r.at);
    memmove(to, r.at, rest);
    loom_baggage_unref(owner);
    return (uint32_t)(to - wire) + (uint32_t)rest;
}
