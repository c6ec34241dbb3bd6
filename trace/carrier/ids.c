/* SPDX-License-Identifier: Apache-2.0 */
/* Trace and span ids in fields of their own, as hex or as UUIDs: X-Trace-ID with X-Span-ID, LOOM_TRACE_ID with LOOM_SPAN_ID.
 * A trace id is a UUID without its dashes. A span id is the first sixteen digits of one; written as a UUID it is followed by
 * zeros. The fields say nothing of sampling, so what comes by them is sampled. */
#include <string.h>

#include "base/hex.h"
#include "base/str.h"
#include "envelope/id.h"
#include "trace/carrier/fields.h"

/* Hex, or the front of a UUID. */
static bool read_span_id(uint8_t out[LOOM_SPAN_ID_SIZE], loom_str text)
{
    uint8_t uuid[LOOM_UUID_SIZE];
    bool plain = (text.len == 2 * LOOM_SPAN_ID_SIZE || text.len == 2 * sizeof uuid) &&
                 hex_decode_any_case(uuid, text.data, text.len / 2);
    if (!plain && loom_uuid_from_text(uuid, text) != LOOM_OK) {
        return false;
    }
    memcpy(out, uuid, LOOM_SPAN_ID_SIZE);
    return id_word(out) != 0;
}

bool ids_read(loom_propagation *out, field_source *from, const char *trace_name, const char *span_name, const char *field)
{
    loom_str trace_id, span_id;
    loom_trace_context ctx = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    size_t traces = field_first(from, trace_name, &trace_id), spans = field_first(from, span_name, &span_id);
    if (traces == 0 && spans == 0) {
        return false;
    }
    if (traces == 0) {
        field_report(from, span_name, span_id, "comes without a trace id");
        return false;
    }
    if (traces > 1 || trace_id_from_text(ctx.trace_id, trace_id) != LOOM_OK) {
        field_report(from, trace_name, trace_id,
                     traces > 1 ? "is one of several" : "is neither 32 hex digits nor a UUID, or all zeros");
        return false;
    }
    if (spans > 1 || (spans == 1 && !read_span_id(ctx.span_id, span_id))) {
        field_report(from, span_name, span_id,
                     spans > 1 ? "is one of several" : "is neither 16 hex digits nor a UUID, or all zeros");
        return false;
    }
    out->context = ctx;
    out->sampling = LOOM_SAMPLING_DEFERRED;
    out->answered = LOOM_PROPAGATOR_X_TRACE_ID;
    out->field = field;
    return true;
}

loom_status ids_write_uuids(const loom_carrier *to, const loom_trace_context *ctx)
{
    char trace[LOOM_UUID_TEXT_SIZE], span[LOOM_UUID_TEXT_SIZE];
    uint8_t padded[LOOM_UUID_SIZE] = {0};
    memcpy(padded, ctx->span_id, sizeof ctx->span_id);
    loom_uuid_to_text(trace, ctx->trace_id);
    loom_uuid_to_text(span, padded);
    loom_status first = to->set(to->user, "x-trace-id", str_of(trace));
    loom_status second = to->set(to->user, "x-span-id", str_of(span));
    return first != LOOM_OK ? first : second;
}
