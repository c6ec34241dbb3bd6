/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about a span while it runs: name, attributes, events, links, status; encoded at once. */
#define LOOM_TRACE_NO_INLINE /* the functions are defined here */
#include "trace/span/internal.h"

#include "base/clock.h"
#include "base/str.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/short_text.h"
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

static void write_name(span_recording *rec, loom_str name)
{
    size_t mark = rec->buf.len;
    pb_string_field(&rec->buf, SPAN_NAME, name);
    pin(rec, ATTR_PIN_NAME, mark);
}

void span_record_first_name(span_recording *rec, const char *name)
{
    pb_buf *b = &rec->buf;
    const loom_str text = str_of(name);
    uint8_t *to = b->data + b->len;
    text_ends ends;
    if (text.len > SHORT_MAX || !pb_has_room(b, 2 + SHORT_MAX) || !copy_ascii(to + 2, text, &ends)) {
        write_name(rec, text);
        return;
    }
    to[0] = SPAN_NAME << 3 | PB_LENGTH;
    to[1] = (uint8_t)text.len;
    rec->index.pins[ATTR_PIN_NAME] = (attr_slot){(uint32_t)b->len, (uint32_t)(2 + text.len)};
    b->len += 2 + text.len;
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
        write_name(rec, str_of(name));
    }
}

void loom_span_set_attr(loom_span *span, const loom_attr *attr)
{
    span_recording *rec = span_recording_of(span);
    if (rec != NULL && attr != NULL) {
        span_record_attrs(rec, attr, 1);
    }
}

void loom_span_put_str(loom_span *span, loom_str key, loom_str value)
{
    span_recording *rec = span_recording_of(span);
    if (rec != NULL && !attr_index_put_str(&rec->index, &rec->buf, SPAN_ATTRIBUTES, key, value)) {
        rec->dropped_attributes++;
    }
}

void loom_span_put_bool(loom_span *span, loom_str key, bool value)
{
    span_recording *rec = span_recording_of(span);
    if (rec != NULL && !attr_index_put_bool(&rec->index, &rec->buf, SPAN_ATTRIBUTES, key, value)) {
        rec->dropped_attributes++;
    }
}

void loom_span_put_int(loom_span *span, loom_str key, int64_t value)
{
    span_recording *rec = span_recording_of(span);
    if (rec != NULL && !attr_index_put_int(&rec->index, &rec->buf, SPAN_ATTRIBUTES, key, value)) {
        rec->dropped_attributes++;
    }
}

void loom_span_put_double(loom_span *span, loom_str key, double value)
{
    span_recording *rec = span_recording_of(span);
    if (rec != NULL && !attr_index_put_double(&rec->index, &rec->buf, SPAN_ATTRIBUTES, key, value)) {
        rec->dropped_attributes++;
    }
}

void loom_span_set_string(loom_span *span, const char *key, const char *value)
{
    if (span_recording_of(span) != NULL) {
        loom_span_put_str(span, str_of(key), str_of(value));
    }
}

void loom_span_set_str(loom_span *span, const char *key, loom_str value)
{
    if (span_recording_of(span) != NULL) {
        loom_span_put_str(span, str_of(key), value);
    }
}

void loom_span_set_bool(loom_span *span, const char *key, bool value)
{
    if (span_recording_of(span) != NULL) {
        loom_span_put_bool(span, str_of(key), value);
    }
}

void loom_span_set_int(loom_span *span, const char *key, int64_t value)
{
    if (span_recording_of(span) != NULL) {
        loom_span_put_int(span, str_of(key), value);
    }
}

void loom_span_set_double(loom_span *span, const char *key, double value)
{
    if (span_recording_of(span) != NULL) {
        loom_span_put_double(span, str_of(key), value);
    }
}

void span_put_event(pb_buf *b, const char *name, uint64_t unix_ns, const loom_attr *attrs, size_t attr_count,
                    const loom_span_limits *limits)
{
    size_t message = pb_open(b, SPAN_EVENTS);
    pb_fixed64_field(b, EVENT_TIME, unix_ns);
    pb_string_field(b, EVENT_NAME, str_of(name));
    uint32_t dropped = attr_encode_list(b, EVENT_ATTRIBUTES, attrs, attr_count,
                                        (attr_limits){limits->event_attribute_count, limits->attribute_value_length, 0});
    if (dropped > 0) {
        pb_varint_field(b, EVENT_DROPPED_ATTRIBUTES, dropped);
    }
    pb_close(b, message);
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
    span_put_event(b, name, unix_ns != 0 ? unix_ns : clock_unix_ns(), attrs, attrs != NULL ? attr_count : 0, limits);
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

void span_put_status(pb_buf *b, loom_span_status status, const char *description)
{
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
}

void loom_span_set_status(loom_span *span, loom_span_status status, const char *description)
{
    span_recording *rec = span_recording_of(span);
    if (rec == NULL || (status != LOOM_SPAN_OK && status != LOOM_SPAN_ERROR) || rec->status_stays) {
        return;
    }
    rec->status = status;
    rec->status_stays = status == LOOM_SPAN_OK; /* OpenTelemetry, trace API, "Set Status" */
    pb_buf *b = &rec->buf;
    size_t mark = b->len;
    span_put_status(b, status, description);
    pin(rec, ATTR_PIN_STATUS, mark);
}
