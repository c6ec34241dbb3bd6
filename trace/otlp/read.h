/* SPDX-License-Identifier: Apache-2.0 */
/* Reads OTLP ExportTraceServiceRequest protobuf (opentelemetry-proto, trace/v1) without building an object tree.
 * Used by the console and file exporters, by the trace store of `loom trace collect`, and by tests. */
#ifndef LOOM_TRACE_OTLP_READ_H
#define LOOM_TRACE_OTLP_READ_H

#include <loom/context.h>

/* Text is as the sender made it: it need not be UTF-8. One KeyValue; value is the encoded AnyValue message. */
typedef struct otlp_attr {
    loom_str key;
    loom_bytes value;
} otlp_attr;

typedef enum otlp_any_type { OTLP_ANY_NONE, OTLP_ANY_STRING, OTLP_ANY_BOOL, OTLP_ANY_INT, OTLP_ANY_DOUBLE, OTLP_ANY_ARRAY,
                             OTLP_ANY_KVLIST, OTLP_ANY_BYTES } otlp_any_type;
typedef struct otlp_any {
    otlp_any_type type;
    bool boolean;
    int64_t integer;
    double real;
    loom_bytes bytes; /* string, bytes, or the encoded ArrayValue or KeyValueList */
} otlp_any;

/* A span as borrowed slices of the request. Attributes, events and links are walked with the functions below. */
typedef struct otlp_span {
    uint8_t trace_id[16], span_id[8], parent_span_id[8]; /* zero: absent */
    loom_str name, tracestate, status_message;
    int kind, status; /* OTLP's numbers */
    uint32_t flags;
    uint64_t start_unix_ns, end_unix_ns;
    uint32_t dropped_attributes, dropped_events, dropped_links;
    loom_bytes resource; /* encoded Resource message */
    loom_bytes scope;    /* encoded InstrumentationScope message */
    loom_str resource_schema_url, scope_schema_url; /* empty: absent */
    loom_bytes span;     /* the encoded Span message itself */
    const uint8_t *resource_spans, *scope_spans; /* where the messages around it begin: tells which spans are together */
} otlp_span;

/* Calls visit for each span; a false return stops the walk (and is not an error).
 * LOOM_EMALFORMED: not a well-formed request, or an id of the wrong length; spans before the fault have been visited. */
LOOM_MUST_CHECK loom_status otlp_read_request(loom_bytes request, bool (*visit)(void *user, const otlp_span *span), void *user);

/* Each walks one repeated field: visit returns false to stop. Bounded recursion; bad bytes end the walk. */
void otlp_read_span_attrs(loom_bytes span, bool (*visit)(void *user, otlp_attr attr), void *user);
void otlp_read_resource_attrs(loom_bytes resource, bool (*visit)(void *user, otlp_attr attr), void *user);
typedef struct otlp_event { uint64_t time_unix_ns; loom_str name; uint32_t dropped_attributes; loom_bytes event; } otlp_event;
void otlp_read_span_events(loom_bytes span, bool (*visit)(void *user, const otlp_event *event), void *user);
void otlp_read_event_attrs(loom_bytes event, bool (*visit)(void *user, otlp_attr attr), void *user);
typedef struct otlp_link { uint8_t trace_id[16], span_id[8]; loom_str tracestate; uint32_t dropped_attributes, flags; loom_bytes link; } otlp_link;
void otlp_read_span_links(loom_bytes span, bool (*visit)(void *user, const otlp_link *link), void *user);
void otlp_read_link_attrs(loom_bytes link, bool (*visit)(void *user, otlp_attr attr), void *user);

otlp_any otlp_read_any(loom_bytes any_value);
/* Walks the elements of an OTLP_ANY_ARRAY (each an encoded AnyValue). */
void otlp_read_array(loom_bytes array, bool (*visit)(void *user, loom_bytes any_value), void *user);
/* Walks the entries of an OTLP_ANY_KVLIST. */
void otlp_read_kvlist(loom_bytes kvlist, bool (*visit)(void *user, otlp_attr attr), void *user);
/* The name and version of an encoded InstrumentationScope; empty when absent. */
void otlp_read_scope(loom_bytes scope, loom_str *name, loom_str *version);
void otlp_read_scope_attrs(loom_bytes scope, bool (*visit)(void *user, otlp_attr attr), void *user);

/* The string value of a resource or span attribute; empty when it is absent or not a string. */
loom_str otlp_resource_string(loom_bytes resource, const char *key);
loom_str otlp_span_string(loom_bytes span, const char *key);

#endif
