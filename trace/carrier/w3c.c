/* SPDX-License-Identifier: Apache-2.0 */
/* traceparent, tracestate and baggage as fields of a carrier; their grammars are in envelope/context. */
#include <loom/baggage.h>
#include <loom/tracestate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/str.h"
#include "trace/carrier/fields.h"

enum { TRACEPARENT_LEN = LOOM_TRACEPARENT_SIZE - 1 };

static bool is_hex(const char *digits, size_t count)
{
    uint8_t bytes[LOOM_TRACE_ID_SIZE];
    return hex_decode(bytes, digits, count / 2);
}

static bool is_zeros(const char *digits, size_t count)
{
    return strspn(digits, "0") >= count;
}

const char *traceparent_fault(loom_str text)
{
    char t[LOOM_TRACEPARENT_SIZE] = ""; /* so that no search runs beyond its end */
    text = str_trim(text);
    if (text.len < TRACEPARENT_LEN) {
        return "is shorter than the 55 characters of a traceparent";
    }
    memcpy(t, text.data, TRACEPARENT_LEN);
    if (!is_hex(t, 2) || memcmp(t, "ff", 2) == 0) {
        return "does not begin with a version from 00 to fe";
    }
    if (t[2] != '-' || t[35] != '-' || t[52] != '-') {
        return "has not the form version-traceid-parentid-flags";
    }
    if (!is_hex(t + 3, 32) || is_zeros(t + 3, 32)) {
        return "has a trace id that is not 32 lower-case hex digits, or all zeros";
    }
    if (!is_hex(t + 36, 16) || is_zeros(t + 36, 16)) {
        return "has a parent id that is not 16 lower-case hex digits, or all zeros";
    }
    if (!is_hex(t + 53, 2)) {
        return "has flags that are not two lower-case hex digits";
    }
    return "is longer than its version allows";
}

bool traceparent_read_as(loom_propagation *out, field_source *from, const char *name, const char *field)
{
    loom_str text;
    size_t count = field_first(from, name, &text);
    if (count == 0) {
        return false;
    }
    /* Two can only contradict each other (W3C tests, test_traceparent_duplicated). */
    if (count > 1 || loom_traceparent_parse(&out->context, text) != LOOM_OK) {
        field_report(from, name, text, count > 1 ? "is one of several" : traceparent_fault(text));
        return false;
    }
    out->sampling = (out->context.trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0 ? LOOM_SAMPLING_ACCEPTED : LOOM_SAMPLING_DENIED;
    out->answered = LOOM_PROPAGATOR_TRACECONTEXT;
    out->field = field;
    return true;
}

bool tracecontext_read(loom_propagation *out, field_source *from)
{
    if (!traceparent_read_as(out, from, "traceparent", from->environment ? "TRACEPARENT" : "traceparent")) {
        return false; /* its tracestate is not even looked at (3.3) */
    }
    out->tracestate = tracestate_read(from, "tracestate");
    return true;
}

loom_str tracestate_read(field_source *from, const char *name)
{
    loom_str text;
    char kept[LOOM_TRACESTATE_BUFFER_SIZE];
    size_t len;
    if (!field_joined(from, name, &text)) {
        return (loom_str){0};
    }
    if (loom_tracestate_truncate(kept, sizeof kept, &len, text, sizeof kept) != LOOM_OK) {
        field_report(from, name, text, "is no tracestate, or has more than 32 members");
    }
    field_drop(&text);
    return field_keep(from, (loom_str){kept, len});
}

loom_str baggage_read(field_source *from, const char *name)
{
    loom_str text;
    loom_baggage *baggage;
    size_t dropped;
    if (!field_joined(from, name, &text)) {
        return (loom_str){0};
    }
    loom_str kept = {0};
    if (loom_baggage_parse(&baggage, text, &dropped) != LOOM_OK) {
        from->no_memory = true;
    } else {
        if (dropped > 0) {
            char fault[96];
            snprintf(fault, sizeof fault, "has %zu invalid or excess member%s (at most 64, in 8192 bytes)", dropped, dropped > 1 ? "s" : "");
            field_tell(from, name, text, fault, "left out");
        }
        kept = field_keep(from, loom_baggage_text(baggage));
        loom_baggage_unref(baggage);
    }
    field_drop(&text);
    return kept;
}

/* ---- writing ---- */

static loom_status tracestate_write(const loom_carrier *to, loom_str text)
{
    char valid[LOOM_TRACESTATE_BUFFER_SIZE];
    size_t len;
    bool write = text.len > 0 && loom_tracestate_truncate(valid, sizeof valid, &len, text, sizeof valid) == LOOM_OK && len > 0;
    return to->set(to->user, "tracestate", write ? (loom_str){valid, len} : (loom_str){0});
}

loom_status tracecontext_write(const loom_carrier *to, const loom_propagation *what)
{
    char text[LOOM_TRACEPARENT_SIZE];
    loom_traceparent_format(text, &what->context);
    loom_status st = to->set(to->user, "traceparent", (loom_str){text, TRACEPARENT_LEN});
    loom_status state = tracestate_write(to, what->tracestate);
    return st != LOOM_OK ? st : state;
}

loom_status baggage_write(const loom_carrier *to, loom_str text)
{
    loom_baggage *baggage;
    if (text.len == 0) {
        return to->set(to->user, "baggage", (loom_str){0});
    }
    loom_status st = loom_baggage_parse(&baggage, text, NULL);
    if (st != LOOM_OK) {
        return st;
    }
    loom_str valid = loom_baggage_text(baggage);
    st = to->set(to->user, "baggage", valid.len > 0 ? valid : (loom_str){0});
    loom_baggage_unref(baggage);
    return st;
}
