/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about a span while it runs: name, attributes, events, links, status; encoded at once. */
#define LOOM_TRACE_NO_INLINE /* the functions are defined here */
#include "trace/span/internal.h"

#include "base/clock.h"
#include "base/str.h"
#include "trace/otlp/fields.h"
#include "trace/span/provider.h"

#include <loom/span.h>
#include <string.h>

static const loom_span_limits *limits_of(const span_recording *rec)
{
    return &rec->tracer->provider->limits;
}

/* Makes what was written since mark the value of a pinned field, in place of the old one. */
static void pin(span_recording *rec, int which, size_t mark)
{
    pb_buf *b = &rec->buf;
    if (b->failed) {
        pb_rollback(b, mark);
        return;
    }
    attr_slot old = rec->index.pins[which];
    rec->index.pins[which] = (attr_slot){(uint32_t)mark, (uint32_t)(b->len - mark)};
    if (old.len > 0) {
        attr_index_remove(&rec->index, b, old);
    }
}

void span_record_name(span_recording *rec, const char *name)
{
    size_t mark = rec->buf.len;
    pb_string_field(&rec->buf, SPAN_NAME, str_of(name));
    pin(rec, ATTR_PIN_NAME, mark);
}

void span_record_attrs(span_recording *rec, const loom_attr *attrs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!attr_index_put(&rec->index, &rec->buf, SPAN_ATTRIBUTES, &attrs[i])) {
            rec->dropped_attributes++;
        }
    }
}

void span_add_fixed(loom_span *span, const fixed_attr *attrs, size_t attr_count)
{
    span_recording *rec = span_recording_of(span);
    if (rec != NULL) {
        rec->dropped_attributes +=
            attr_index_add_fixed(&rec->index, &rec->buf, SPAN_ATTRIBUTES, attrs, attr_count);
    }
}

/* Without a valid context there may still be something to say (OpenTelemetry, trace API, "Link"). */
static bool says_something(const loom_link *link)
{
    return loom_trace_context_valid(&link->context) || (link->attrs != NULL && link->attr_count > 0) || link->tracestate.len > 0;
}

void span_record_link(span_recording *rec, const loom_link *link)
{
    pb_buf *b = &rec->buf;
    size_t mark = b->len;
    const loom_span_limits *limits = limits_of(rec);
    if (rec->links >= limits->link_count || !says_something(link)) {
        rec->dropped_links++;
        return;
    }
    size_t message = pb_open(b, SPAN_LINKS);
    pb_bytes_field(b, LINK_TRACE_ID, link->context.trace_id, sizeof link->context.trace_id);
    pb_bytes_field(b, LINK_SPAN_ID, link->context.span_id, sizeof link->context.span_id);
    if (link->tracestate.len > 0) {
        pb_string_field(b, LINK_TRACE_STATE, link->tracestate);
    }
    pb_fixed32_field(b, LINK_FLAGS, span_flags(&link->context, link->context_is_remote));
    uint32_t dropped = attr_encode_list(b, LINK_ATTRIBUTES, link->attrs, link->attrs != NULL ? link->attr_count : 0,
                                        (attr_limits){limits->link_attribute_count, limits->attribute_value_length, 0});
    if (dropped > 0) {
        pb_varint_field(b, LINK_DROPPED_ATTRIBUTES, dropped);
    }
    pb_close(b, message);
    if (b->failed) {
        pb_rollback(b, mark);
        rec->dropped_links++;
        return;
    }
    rec->links++;
}

void loom_span_set_name(loom_span *span, const char *name)
{
    span_recording *rec = span_recording_of(span);
    if (rec != NULL && name != NULL) {
        span_record_name(rec, name);
    }
}

void loom_span_set_attr(loom_span *span, const loom_attr *attr)
{
    span_recording *rec = span_recording_of(span);
    if (rec != NULL && attr != NULL) {
        span_record_attrs(rec, attr, 1);
    }
}

void loom_span_set_string(loom_span *span, const char *key, const char *value)
{
    if (span_recording_of(span) != NULL) {
        loom_span_set_str(span, key, str_of(value));
    }
}

void loom_span_set_str(loom_span *span, const char *key, loom_str value)
{
    loom_span_set_attr(span, &(loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = value});
}

void loom_span_set_bool(loom_span *span, const char *key, bool value)
{
    loom_span_set_attr(span, &(loom_attr){.key = key, .type = LOOM_ATTR_BOOL, .value.boolean = value});
}

void loom_span_set_int(loom_span *span, const char *key, int64_t value)
{
    loom_span_set_attr(span, &(loom_attr){.key = key, .type = LOOM_ATTR_INT, .value.integer = value});
}

void loom_span_set_double(loom_span *span, const char *key, double value)
{
    loom_span_set_attr(span, &(loom_attr){.key = key, .type = LOOM_ATTR_DOUBLE, .value.real = value});
}

void loom_span_add_event(loom_span *span, const char *name, const loom_attr *attrs, size_t attr_count)
{
    loom_span_add_event_at(span, name, 0, attrs, attr_count);
}

void loom_span_add_event_at(loom_span *span, const char *name, uint64_t unix_ns, const loom_attr *attrs, size_t attr_count)
{
    span_recording *rec = span_recording_of(span);
    if (rec == NULL) {
        return;
    }
    const loom_span_limits *limits = limits_of(rec);
    if (rec->events >= limits->event_count) {
        rec->dropped_events++;
        return;
    }
    pb_buf *b = &rec->buf;
    size_t mark = b->len;
    size_t message = pb_open(b, SPAN_EVENTS);
    pb_fixed64_field(b, EVENT_TIME, unix_ns != 0 ? unix_ns : clock_unix_ns());
    pb_string_field(b, EVENT_NAME, str_of(name));
    uint32_t dropped = attr_encode_list(b, EVENT_ATTRIBUTES, attrs, attrs != NULL ? attr_count : 0,
                                        (attr_limits){limits->event_attribute_count, limits->attribute_value_length, 0});
    if (dropped > 0) {
        pb_varint_field(b, EVENT_DROPPED_ATTRIBUTES, dropped);
    }
    pb_close(b, message);
    if (b->failed) {
        pb_rollback(b, mark);
        rec->dropped_events++;
        return;
    }
    rec->events++;
}

void loom_span_add_link(loom_span *span, const loom_link *link)
{
    span_recording *rec = span_recording_of(span);
    if (rec != NULL && link != NULL) {
        span_record_link(rec, link);
    }
}

void loom_span_set_status(loom_span *span, loom_span_status status, const char *description)
{
    span_recording *rec = span_recording_of(span);
    if (rec == NULL || (status != LOOM_SPAN_OK && status != LOOM_SPAN_ERROR) || rec->status == LOOM_SPAN_OK) {
        return;
    }
    rec->status = status;
    pb_buf *b = &rec->buf;
    size_t mark = b->len;
    size_t message = pb_open(b, SPAN_STATUS);
    if (status == LOOM_SPAN_ERROR && description != NULL) {
        size_t before = b->len;
        pb_string_field(b, STATUS_MESSAGE, str_of(description));
        if (b->failed) { /* no room for the words: the code matters more */
            pb_rollback(b, before);
        }
    }
    pb_varint_field(b, STATUS_CODE, status);
    pb_close(b, message);
    pin(rec, ATTR_PIN_STATUS, mark);
}
