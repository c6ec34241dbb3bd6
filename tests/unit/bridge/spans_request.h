/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of spans as an agent sends them, and as it should not. */
#ifndef LOOM_TESTS_SPANS_REQUEST_H
#define LOOM_TESTS_SPANS_REQUEST_H

#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_write.h"

typedef struct spans_request {
    const char *service, *instance;  /* of the resource; NULL: no such attribute */
    const char *key, *value;         /* another attribute of it */
    const char *span_key, *span_value; /* an attribute of each span, */
    const char *span_value_too;      /* which may come twice */
    int64_t number;                  /* 0: none, else of the resource's other key as well, once more */
    const char *name;                /* NULL: "work" */
    const char *schema_url;          /* of the scope */
    uint8_t trace;                   /* the last byte of the trace's id */
    size_t spans, trace_id_len, padding; /* 0: one span; an id of 16 bytes; bytes of another attribute */
    uint64_t start_ns, end_ns;       /* 0: 1 s and 2 s after the epoch */
    unsigned depth;                  /* of arrays in one another, in another attribute */
} spans_request;

static inline void put_attr(pb_buf *b, uint32_t field, const char *key, const char *value, size_t len)
{
    const size_t pair = pb_open(b, field);
    pb_bytes_field(b, KEYVALUE_KEY, key, strlen(key));
    const size_t any = pb_open(b, KEYVALUE_VALUE);
    pb_bytes_field(b, ANY_STRING, value, len);
    pb_close(b, any);
    pb_close(b, pair);
}

static inline void put_text(pb_buf *b, uint32_t field, const char *key, const char *value)
{
    if (value != NULL) {
        put_attr(b, field, key, value, strlen(value));
    }
}

static inline void put_number(pb_buf *b, uint32_t field, const char *key, int64_t number)
{
    if (number != 0) {
        const size_t pair = pb_open(b, field);
        pb_bytes_field(b, KEYVALUE_KEY, key, strlen(key));
        const size_t any = pb_open(b, KEYVALUE_VALUE);
        pb_varint_field(b, ANY_INT, (uint64_t)number);
        pb_close(b, any);
        pb_close(b, pair);
    }
}

static inline void put_nested(pb_buf *b, unsigned depth)
{
    if (depth > 0) {
        const size_t array = pb_open(b, ANY_ARRAY), any = pb_open(b, ARRAY_VALUES);
        put_nested(b, depth - 1);
        pb_close(b, any);
        pb_close(b, array);
    }
}

static inline void put_span(pb_buf *b, const spans_request *r, size_t number)
{
    static const char zeros[128 * 1024];
    const uint8_t trace_id[17] = {1, 2, 3, [15] = r->trace}, span_id[8] = {4, (uint8_t)(number >> 8), (uint8_t)number};
    const char *name = r->name != NULL ? r->name : "work";
    const size_t span = pb_open(b, SCOPE_SPANS_SPANS);
    pb_bytes_field(b, SPAN_TRACE_ID, trace_id, r->trace_id_len > 0 ? r->trace_id_len : 16);
    pb_bytes_field(b, SPAN_SPAN_ID, span_id, sizeof span_id);
    pb_bytes_field(b, SPAN_NAME, name, strlen(name));
    pb_fixed64_field(b, SPAN_START_TIME, r->start_ns > 0 ? r->start_ns : 1000000000);
    pb_fixed64_field(b, SPAN_END_TIME, r->end_ns > 0 ? r->end_ns : 2000000000);
    put_text(b, SPAN_ATTRIBUTES, r->span_key, r->span_value);
    put_text(b, SPAN_ATTRIBUTES, r->span_key, r->span_value_too);
    if (r->padding > 0) {
        put_attr(b, SPAN_ATTRIBUTES, "padding", zeros, r->padding);
    }
    if (r->depth > 0) {
        const size_t pair = pb_open(b, SPAN_ATTRIBUTES), any = pb_open(b, KEYVALUE_VALUE);
        put_nested(b, r->depth);
        pb_close(b, any);
        pb_close(b, pair);
    }
    pb_close(b, span);
}

/* Its caller drops the buffer. */
static inline pb_buf spans_request_make(const spans_request *r)
{
    pb_buf b;
    pb_init(&b, NULL, 0, 4 * 1024 * 1024);
    const size_t resource_spans = pb_open(&b, REQUEST_RESOURCE_SPANS), resource = pb_open(&b, RESOURCE_SPANS_RESOURCE);
    put_text(&b, RESOURCE_ATTRIBUTES, "service.name", r->service);
    put_text(&b, RESOURCE_ATTRIBUTES, "service.instance.id", r->instance);
    put_text(&b, RESOURCE_ATTRIBUTES, r->key, r->value);
    put_number(&b, RESOURCE_ATTRIBUTES, r->key, r->number);
    pb_close(&b, resource);
    const size_t scope_spans = pb_open(&b, RESOURCE_SPANS_SCOPE_SPANS), scope = pb_open(&b, SCOPE_SPANS_SCOPE);
    pb_bytes_field(&b, SCOPE_NAME, "tests", 5);
    pb_close(&b, scope);
    if (r->schema_url != NULL) {
        pb_bytes_field(&b, SCOPE_SPANS_SCHEMA_URL, r->schema_url, strlen(r->schema_url));
    }
    for (size_t i = 0; i < (r->spans > 0 ? r->spans : 1); i++) {
        put_span(&b, r, i);
    }
    pb_close(&b, scope_spans);
    pb_close(&b, resource_spans);
    return b;
}

#endif
