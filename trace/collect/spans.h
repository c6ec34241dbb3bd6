/* SPDX-License-Identifier: Apache-2.0 */
/* A list of spans read from OTLP, whatever they came from: the store, a file of JSON lines, a test.
 * The list owns the encoded bytes its spans point into. One thread. */
#ifndef LOOM_TRACE_COLLECT_SPANS_H
#define LOOM_TRACE_COLLECT_SPANS_H

#include "trace/otlp/read.h"

typedef struct trace_span {
    otlp_span otlp;   /* slices of bytes the list owns */
    loom_str service; /* service.name of the resource; may be empty */
} trace_span;

typedef struct span_list {
    trace_span *items;
    size_t count, capacity;
    uint8_t **requests; /* one allocation per span_list_add() */
    size_t request_count, request_capacity;
} span_list;

/* The spans of one trace: a run of a sorted list. */
typedef struct span_range {
    const trace_span *spans;
    size_t count;
} span_range;

void span_list_init(span_list *list);
void span_list_fini(span_list *list);
/* Copies an encoded ExportTraceServiceRequest and appends its spans.
 * LOOM_EMALFORMED, LOOM_ENOMEM: the list is as it was. */
LOOM_MUST_CHECK loom_status span_list_add(span_list *list, loom_bytes request);
/* By trace, then start, then span id. Slices handed out before are no longer meaningful. */
void span_list_sort(span_list *list);
/* Walks the traces of a sorted list; *cursor starts at 0. False at the end. */
bool span_list_next_trace(const span_list *list, size_t *cursor, span_range *out);

/* "internal", "server", "client", "producer", "consumer"; "unspecified" for any other number. Static storage. */
const char *span_kind_name(int kind);
bool span_id_is_zero(const uint8_t id[LOOM_SPAN_ID_SIZE]);
bool trace_id_is_zero(const uint8_t id[LOOM_TRACE_ID_SIZE]);
/* end - start, 0 when a clock went backwards. */
uint64_t span_duration_ns(const trace_span *span);
/* The value of an attribute (an encoded AnyValue) as text to search for: a string as it is, otherwise as it prints.
 * Not NUL-terminated. False: no string, bool, int or double, or longer than size bytes. */
bool span_value_text(char *out, size_t size, size_t *len, loom_bytes any_value);

#endif
