/* SPDX-License-Identifier: Apache-2.0 */
/* A span that was read from a line, written as OTLP under the command's span. */
#ifndef LOOM_TRACE_PROCESS_COLLECT_SPAN_OTLP_H
#define LOOM_TRACE_PROCESS_COLLECT_SPAN_OTLP_H

#include "trace/otlp/attr_encode.h"
#include "trace/process/collect/span_json.h"

#define SPAN_VALUE_DEPTH_MAX 8u /* arrays and objects in one another; what is deeper becomes "…" */
#define SPAN_LIST_MAX 128u      /* events, and links */
#define SPAN_OWN_MAX 8u         /* attributes of the host */

/* What the host sets on the span, whatever the line says. */
typedef struct span_stamp {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    uint8_t parent_id[LOOM_SPAN_ID_SIZE];
    uint32_t flags;             /* SpanFlags of trace.proto */
    loom_attr own[SPAN_OWN_MAX]; /* override the line's */
    size_t own_count;
    attr_limits limits;
} span_stamp;

/* Appends a ScopeSpans.spans field; out->failed: no memory, or over its limit. scratch has room for the whole line.
 * Returns which of the host's attributes the line had another value for, as bits. */
unsigned span_otlp_write(pb_buf *out, const span_json *span, const span_stamp *stamp, char *scratch);

#endif
