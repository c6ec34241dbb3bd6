/* SPDX-License-Identifier: Apache-2.0 */
/* B3 propagation (github.com/openzipkin/b3-propagation, README.md), one header and several.
 *
 * A span of OpenTelemetry never shares its id with the caller's, so the span id is the parent, and ParentSpanId is neither used
 * nor written (OpenTelemetry, "B3 Requirements"). The debug flag has to go on; the tracestate carries it through spans,
 * messages and W3C headers to the next b3 header. */
#include <loom/tracestate.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/str.h"
#include "trace/carrier/fields.h"

#define DEBUG_KEY "loom"
#define DEBUG_VALUE "b3:debug"

static const char bad_trace_id[] = "has a trace id that is not 16 or 32 lower-case hex digits, or all zeros";
static const char bad_span_id[] = "has a span id that is not 16 lower-case hex digits, or all zeros";
static const char bad_form[] = "has not the form traceid-spanid-sampling-parentspanid";

typedef struct b3_state {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    uint8_t span_id[LOOM_SPAN_ID_SIZE];
    bool has_ids;
    loom_sampling sampling;
} b3_state;

/* 64 bits are the right half of 128 ("TraceId"; OpenTelemetry pads with zeros). */
static bool read_trace_id(b3_state *out, loom_str hex)
{
    if (hex.len == 16) {
        memset(out->trace_id, 0, 8);
        return loom_span_id_from_hex(out->trace_id + 8, hex) == LOOM_OK;
    }
    return loom_trace_id_from_hex(out->trace_id, hex) == LOOM_OK;
}

/* One character of the single header. */
static bool read_state(loom_sampling *out, loom_str text)
{
    switch (text.len == 1 ? text.data[0] : '\0') {
    case '0': *out = LOOM_SAMPLING_DENIED; return true;
    case '1': *out = LOOM_SAMPLING_ACCEPTED; return true;
    case 'd': *out = LOOM_SAMPLING_DEBUG; return true;
    default: return false;
    }
}

static bool is_parent(loom_str text)
{
    uint8_t id[LOOM_SPAN_ID_SIZE];
    return text.len == 16 && hex_decode(id, text.data, sizeof id);
}

/* What follows the ids: "", "-STATE", "-STATE-PARENT", or "-PARENT" when the decision is deferred ("Defer is absence of the
 * sampling field"). */
static bool read_tail(b3_state *out, loom_str rest)
{
    loom_str item;
    if (!str_next_item(&rest, '-', &item)) {
        return true;
    }
    if (read_state(&out->sampling, item)) {
        if (!str_next_item(&rest, '-', &item)) {
            return true;
        }
    }
    return is_parent(item) && rest.data == NULL;
}

/* NULL, or what is wrong. */
static const char *read_single(b3_state *out, loom_str text)
{
    loom_str rest = text, trace_id, span_id;
    if (read_state(&out->sampling, text)) {
        return NULL;
    }
    if (!str_next_item(&rest, '-', &trace_id) || !str_next_item(&rest, '-', &span_id)) {
        return bad_form;
    }
    if (!read_trace_id(out, trace_id)) {
        return bad_trace_id;
    }
    if (loom_span_id_from_hex(out->span_id, span_id) != LOOM_OK) {
        return bad_span_id;
    }
    out->has_ids = true;
    return read_tail(out, rest) ? NULL : bad_form;
}

/* "Absent or any other value can be ignored" of the flags; true and false are what tracers wrote before there was a
 * specification. */
static bool read_decision(b3_state *out, const field_source *from)
{
    loom_str text;
    if (field_first(from, "x-b3-flags", &text) > 0 && str_is(text, "1")) {
        out->sampling = LOOM_SAMPLING_DEBUG;
        return true;
    }
    if (field_first(from, "x-b3-sampled", &text) == 0) {
        return false;
    }
    if (str_is(text, "1") || str_is_any_case(text, "true")) {
        out->sampling = LOOM_SAMPLING_ACCEPTED;
    } else if (str_is(text, "0") || str_is_any_case(text, "false")) {
        out->sampling = LOOM_SAMPLING_DENIED;
    } else {
        field_report(from, "x-b3-sampled", text, "is neither 1 nor 0");
        return false;
    }
    return true;
}

/* false: there is nothing, or it is not valid. */
static bool read_multi(b3_state *out, const field_source *from)
{
    loom_str trace_id, span_id;
    bool has_trace_id = field_first(from, "x-b3-traceid", &trace_id) > 0;
    bool has_span_id = field_first(from, "x-b3-spanid", &span_id) > 0;
    bool decided = read_decision(out, from), denied = decided && out->sampling == LOOM_SAMPLING_DENIED;
    if (!has_trace_id && !has_span_id) {
        return decided;
    }
    if (!has_trace_id || !has_span_id) {
        field_report(from, has_trace_id ? "x-b3-traceid" : "x-b3-spanid", has_trace_id ? trace_id : span_id,
                     has_trace_id ? "comes without a span id" : "comes without a trace id");
        return denied;
    }
    if (!read_trace_id(out, trace_id)) {
        field_report(from, "x-b3-traceid", trace_id, "is not 16 or 32 lower-case hex digits, or all zeros");
        return denied;
    }
    if (loom_span_id_from_hex(out->span_id, span_id) != LOOM_OK) {
        field_report(from, "x-b3-spanid", span_id, "is not 16 lower-case hex digits, or all zeros");
        return denied;
    }
    out->has_ids = true;
    return true;
}

static void answer(loom_propagation *out, field_source *from, const b3_state *state)
{
    out->sampling = state->sampling;
    if (state->has_ids) {
        memcpy(out->context.trace_id, state->trace_id, sizeof state->trace_id);
        memcpy(out->context.span_id, state->span_id, sizeof state->span_id);
        out->context.trace_flags = (uint8_t)(state->sampling == LOOM_SAMPLING_DENIED ? 0 : LOOM_TRACE_FLAG_SAMPLED);
        if (state->sampling == LOOM_SAMPLING_DEBUG) {
            out->tracestate = field_keep(from, str_of(DEBUG_KEY "=" DEBUG_VALUE));
        }
    } else if (state->sampling == LOOM_SAMPLING_DENIED) {
        loom_trace_id_generate(out->context.trace_id);
        loom_span_id_generate(out->context.span_id);
        out->context.trace_flags = LOOM_TRACE_FLAG_RANDOM;
    }
}

bool b3_read(loom_propagation *out, field_source *from)
{
    loom_str text;
    b3_state state = {.has_ids = false};
    if (field_first(from, "b3", &text) > 0) {
        const char *fault = read_single(&state, text);
        if (fault == NULL) {
            answer(out, from, &state);
            out->answered = LOOM_PROPAGATOR_B3;
            out->field = from->environment ? "B3" : "b3";
            return true;
        }
        field_report(from, "b3", text, fault);
        state = (b3_state){.has_ids = false};
    }
    if (!read_multi(&state, from)) {
        return false;
    }
    answer(out, from, &state);
    out->answered = LOOM_PROPAGATOR_B3MULTI;
    out->field = from->environment ? "X_B3_TRACEID" : "x-b3-traceid";
    if (!state.has_ids) {
        out->field = from->environment ? "X_B3_SAMPLED" : "x-b3-sampled";
    }
    return true;
}

/* ---- writing ---- */

static char state_of(const loom_propagation *what)
{
    loom_str value;
    if ((what->context.trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0) {
        return '0';
    }
    bool debug = loom_tracestate_get(&value, what->tracestate, str_of(DEBUG_KEY)) == LOOM_OK && str_is(value, DEBUG_VALUE);
    return debug ? 'd' : '1';
}

loom_status b3_write_single(const loom_carrier *to, const loom_propagation *what)
{
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE], text[LOOM_TRACE_ID_HEX_SIZE + LOOM_SPAN_ID_HEX_SIZE + 2];
    loom_trace_id_to_hex(trace_id, what->context.trace_id);
    loom_span_id_to_hex(span_id, what->context.span_id);
    snprintf(text, sizeof text, "%s-%s-%c", trace_id, span_id, state_of(what));
    return to->set(to->user, "b3", str_of(text));
}

/* "Debug implies an accept decision, so don't also send the X-B3-Sampled header." */
loom_status b3_write_multi(const loom_carrier *to, const loom_propagation *what)
{
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE], state = state_of(what);
    loom_trace_id_to_hex(trace_id, what->context.trace_id);
    loom_span_id_to_hex(span_id, what->context.span_id);
    const struct {
        const char *name, *value;
    } fields[] = {
        {"x-b3-traceid", trace_id},
        {"x-b3-spanid", span_id},
        {"x-b3-parentspanid", NULL},
        {"x-b3-sampled", state == 'd' ? NULL : state == '1' ? "1" : "0"},
        {"x-b3-flags", state == 'd' ? "1" : NULL},
    };
    loom_status first = LOOM_OK;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        loom_status st = to->set(to->user, fields[i].name, str_of(fields[i].value));
        first = first != LOOM_OK ? first : st;
    }
    return first;
}
