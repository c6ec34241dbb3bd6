/* SPDX-License-Identifier: Apache-2.0 */
/* The fixed prefix of an encoded envelope (WIRE.md section 2): what a hop reads and patches in place.
 *
 *   0   dc nn nn      array16
 *   3   01            version
 *   4   c7 1a 01      ext8, 26 bytes, type 1
 *   7   trace_id[16]  23 span_id[8]  31 trace_flags  32 ttl
 *   33  topic …
 */
#ifndef LOOM_ENVELOPE_HOP_H
#define LOOM_ENVELOPE_HOP_H

#include <string.h>

#include <loom/context.h>

#include "envelope/id.h"
#include "envelope/msgpack_bytes.h"

enum {
    ENVELOPE_VERSION = 1,
    ENVELOPE_FIELDS = 16,
    HOP_EXT_TYPE = 1,
    HOP_SIZE = 26,
    HOP_OFFSET = 7,
    HOP_SPAN_ID_OFFSET = HOP_OFFSET + LOOM_TRACE_ID_SIZE,
    HOP_FLAGS_OFFSET = HOP_SPAN_ID_OFFSET + LOOM_SPAN_ID_SIZE,
    HOP_TTL_OFFSET = HOP_FLAGS_OFFSET + 1,
    ENVELOPE_PREFIX_SIZE = HOP_TTL_OFFSET + 1
};

/* How our own encoder begins every envelope. */
static const uint8_t hop_usual_prefix[HOP_OFFSET] = {MP_ARRAY16, 0,        ENVELOPE_FIELDS, ENVELOPE_VERSION,
                                                     MP_EXT8,    HOP_SIZE, HOP_EXT_TYPE};

/* Part by part, as it was written: a copy of the whole reads across the parts, and so waits until they have left the
 * processor's store buffer, which costs more than everything else that is done with a context. */
static inline void trace_context_copy(loom_trace_context *to, const loom_trace_context *from)
{
    memcpy(to->trace_id, from->trace_id, LOOM_TRACE_ID_SIZE);
    memcpy(to->span_id, from->span_id, LOOM_SPAN_ID_SIZE);
    to->trace_flags = from->trace_flags;
}

static inline void hop_read(const uint8_t *wire, loom_trace_context *out)
{
    memcpy(out->trace_id, wire + HOP_OFFSET, LOOM_TRACE_ID_SIZE);
    memcpy(out->span_id, wire + HOP_SPAN_ID_OFFSET, LOOM_SPAN_ID_SIZE);
    out->trace_flags = wire[HOP_FLAGS_OFFSET] & (LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM);
}

static inline void hop_patch(uint8_t *wire, const loom_trace_context *ctx)
{
    memcpy(wire + HOP_OFFSET, ctx->trace_id, LOOM_TRACE_ID_SIZE);
    memcpy(wire + HOP_SPAN_ID_OFFSET, ctx->span_id, LOOM_SPAN_ID_SIZE);
    wire[HOP_FLAGS_OFFSET] = ctx->trace_flags & (LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM);
}

/* The same context, of another span. */
static inline void hop_patch_span_id(uint8_t *wire, const uint8_t span_id[LOOM_SPAN_ID_SIZE])
{
    memcpy(wire + HOP_SPAN_ID_OFFSET, span_id, LOOM_SPAN_ID_SIZE);
}

/* Whether it has a context, trace id and span id. */
static inline bool hop_has_context(const uint8_t *wire)
{
    return (id_word(wire + HOP_OFFSET) | id_word(wire + HOP_OFFSET + 8)) != 0 && id_word(wire + HOP_SPAN_ID_OFFSET) != 0;
}

/* Whether its context says that nobody records it: most messages pass so, and this is all that is read of it. */
static inline bool hop_is_unsampled(const uint8_t *wire)
{
    return (wire[HOP_FLAGS_OFFSET] & LOOM_TRACE_FLAG_SAMPLED) == 0 && hop_has_context(wire);
}

static inline uint8_t hop_ttl(const uint8_t *wire)
{
    return wire[HOP_TTL_OFFSET];
}

static inline void hop_set_ttl(uint8_t *wire, uint8_t ttl)
{
    wire[HOP_TTL_OFFSET] = ttl;
}

#endif
