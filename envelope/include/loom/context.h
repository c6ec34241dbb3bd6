/* SPDX-License-Identifier: Apache-2.0 */
/* W3C trace context: ids, flags, and their text forms (https://www.w3.org/TR/trace-context-2/). */
#ifndef LOOM_CONTEXT_H
#define LOOM_CONTEXT_H

#include <loom/status.h>

LOOM_BEGIN_DECLS

#define LOOM_TRACE_ID_SIZE 16         /* bytes */
#define LOOM_SPAN_ID_SIZE 8           /* bytes */
#define LOOM_TRACE_ID_HEX_SIZE 33     /* 32 lower-case hex digits and NUL */
#define LOOM_SPAN_ID_HEX_SIZE 17      /* 16 lower-case hex digits and NUL */
#define LOOM_TRACEPARENT_SIZE 56      /* 55 characters of version 00 and NUL */
#define LOOM_TRACE_FLAG_SAMPLED 0x01u /* Trace Context level 2, 3.2.2.5.1 */
#define LOOM_TRACE_FLAG_RANDOM 0x02u  /* Trace Context level 2, 3.2.2.5.2 */

/* Who the parent is: a value, copied freely. All-zero ids mean "no context". */
typedef struct loom_trace_context {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    uint8_t span_id[LOOM_SPAN_ID_SIZE];
    uint8_t trace_flags; /* LOOM_TRACE_FLAG_* */
} loom_trace_context;

/* Both ids are non-zero (Trace Context 3.2.2.3, 3.2.2.4). */
LOOM_API bool loom_trace_context_valid(const loom_trace_context *ctx);

/* Fresh random ids, never all-zero. Any thread; a few nanoseconds. Distinct, but no secrets: who has seen
 * several of one thread can foretell the next. */
LOOM_API void loom_trace_id_generate(uint8_t out[LOOM_TRACE_ID_SIZE]);
LOOM_API void loom_span_id_generate(uint8_t out[LOOM_SPAN_ID_SIZE]);

/* Binary to lower-case hex with NUL. */
LOOM_API void loom_trace_id_to_hex(char out[LOOM_TRACE_ID_HEX_SIZE], const uint8_t id[LOOM_TRACE_ID_SIZE]);
LOOM_API void loom_span_id_to_hex(char out[LOOM_SPAN_ID_HEX_SIZE], const uint8_t id[LOOM_SPAN_ID_SIZE]);
/* Exactly 32 or 16 lower-case hex digits, not all zero; anything else is LOOM_EMALFORMED and out is zeroed. */
LOOM_API LOOM_MUST_CHECK loom_status loom_trace_id_from_hex(uint8_t out[LOOM_TRACE_ID_SIZE], loom_str hex);
LOOM_API LOOM_MUST_CHECK loom_status loom_span_id_from_hex(uint8_t out[LOOM_SPAN_ID_SIZE], loom_str hex);

/* Parses a traceparent header field, surrounding white space trimmed.
 * Version 00 is exactly 55 characters; ff is refused; a higher version is read leniently (3.2.2.1, 4.3).
 * LOOM_EMALFORMED otherwise, and *out is zeroed. */
LOOM_API LOOM_MUST_CHECK loom_status loom_traceparent_parse(loom_trace_context *out, loom_str text);
/* Always version 00; writes 55 characters and NUL. ctx must be valid. */
LOOM_API void loom_traceparent_format(char out[LOOM_TRACEPARENT_SIZE], const loom_trace_context *ctx);

LOOM_END_DECLS
#endif
