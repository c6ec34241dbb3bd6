/* SPDX-License-Identifier: Apache-2.0 */
/* The traceparent field: version "-" trace-id "-" parent-id "-" trace-flags (Trace Context level 2, 3.2.2). */
#include <loom/context.h>
#include <string.h>

#include "base/hex.h"
#include "base/last_error.h"
#include "base/str.h"

enum {
    VERSION_AT = 0,
    TRACE_ID_AT = 3,
    SPAN_ID_AT = 36,
    FLAGS_AT = 53,
    TRACEPARENT_LEN = LOOM_TRACEPARENT_SIZE - 1,
    VERSION_FORBIDDEN = 0xff,
};

/* Fields after the flags belong to versions to come: they are skipped, never read (4.3, "Versioning of traceparent"). */
static bool length_fits(loom_str text, uint8_t version)
{
    return text.len == TRACEPARENT_LEN ||
           (version > 0 && text.len > TRACEPARENT_LEN && text.data[TRACEPARENT_LEN] == '-');
}

static bool parse(loom_trace_context *out, loom_str text)
{
    uint8_t version;
    uint8_t flags;
    if (text.len < TRACEPARENT_LEN || !hex_decode(&version, text.data + VERSION_AT, 1) ||
        version == VERSION_FORBIDDEN || !length_fits(text, version)) {
        return false;
    }
    if (text.data[TRACE_ID_AT - 1] != '-' || text.data[SPAN_ID_AT - 1] != '-' || text.data[FLAGS_AT - 1] != '-') {
        return false;
    }
    if (!hex_decode(out->trace_id, text.data + TRACE_ID_AT, LOOM_TRACE_ID_SIZE) ||
        !hex_decode(out->span_id, text.data + SPAN_ID_AT, LOOM_SPAN_ID_SIZE) ||
        !hex_decode(&flags, text.data + FLAGS_AT, 1)) {
        return false;
    }
    /* The other bits are reserved and must go out as zero (3.2.2.5.3). */
    out->trace_flags = flags & (LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM);
    return loom_trace_context_valid(out);
}

loom_status loom_traceparent_parse(loom_trace_context *out, loom_str text)
{
    if (out == NULL) {
        return last_error_null("the place for the context");
    }
    if (!parse(out, str_trim(text))) {
        memset(out, 0, sizeof *out);
        return LOOM_EMALFORMED;
    }
    return LOOM_OK;
}

void loom_traceparent_format(char out[LOOM_TRACEPARENT_SIZE], const loom_trace_context *ctx)
{
    if (out == NULL) {
        return;
    }
    if (ctx == NULL) {
        out[0] = '\0';
        return;
    }
    memcpy(out, "00-", 3);
    hex_encode(out + TRACE_ID_AT, ctx->trace_id, LOOM_TRACE_ID_SIZE);
    out[SPAN_ID_AT - 1] = '-';
    hex_encode(out + SPAN_ID_AT, ctx->span_id, LOOM_SPAN_ID_SIZE);
    out[FLAGS_AT - 1] = '-';
    /* the other bits are reserved and go out as zero (3.2.2.5.3) */
    const uint8_t flags = ctx->trace_flags & (LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM);
    hex_encode(out + FLAGS_AT, &flags, 1);
    out[TRACEPARENT_LEN] = '\0';
}
