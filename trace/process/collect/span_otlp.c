/* SPDX-License-Identifier: Apache-2.0 */
/* Strings with escapes are unescaped into the scratch memory, one at a time but for an attribute's key and value. */
#include "trace/process/collect/span_otlp.h"

#include "base/number.h"
#include "base/rfc3339.h"
#include "base/str.h"
#include "trace/otlp/fields.h"

#include <errno.h>
#include <inttypes.h>
#include <loom/tracestate.h>
#include <stdlib.h>
#include <string.h>

typedef struct writer {
    pb_buf *out;
    const span_stamp *stamp;
    char *scratch;
    unsigned differs; /* bits of the host's attributes */
} writer;

/* The text of a string; what has escapes is put at `to`. */
static loom_str text_of(const json_value *string, char *to)
{
    return string->escaped ? (loom_str){to, json_unescape(string, to)} : string->text;
}

/* ---- values ---- */

/* false: it needs more than 64 bits. */
static bool read_integer(loom_str text, int64_t *out)
{
    char digits[24];
    if (text.len >= sizeof digits) {
        return false;
    }
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    errno = 0;
    *out = strtoll(digits, NULL, 10);
    return errno == 0;
}

static void write_number(pb_buf *b, const json_value *value)
{
    int64_t integer;
    double fraction;
    if (value->type == SCAN_INTEGER && read_integer(value->text, &integer)) {
        pb_varint_field(b, ANY_INT, (uint64_t)integer);
    } else if (number_parse(value->text, &fraction)) {
        pb_double_field(b, ANY_DOUBLE, fraction);
    } else {
        pb_string_field(b, ANY_STRING, value->text);
    }
}

static void write_any(writer *w, const json_value *value, unsigned depth);

static void write_nested(writer *w, const json_value *value, unsigned depth)
{
    pb_buf *b = w->out;
    const bool object = value->type == SCAN_OBJECT;
    const size_t list = pb_open(b, object ? ANY_KVLIST : ANY_ARRAY);
    json_cursor c = json_members(value);
    json_value key, item;
    while (!b->failed && (object ? json_next_member(&c, &key, &item) : json_next_item(&c, &item))) {
        const size_t entry = pb_open(b, object ? KVLIST_VALUES : ARRAY_VALUES);
        if (object) {
            pb_string_field(b, KEYVALUE_KEY, text_of(&key, w->scratch));
            const size_t any = pb_open(b, KEYVALUE_VALUE);
            write_any(w, &item, depth - 1);
            pb_close(b, any);
        } else {
            write_any(w, &item, depth - 1);
        }
        pb_close(b, entry);
    }
    pb_close(b, list);
}

/* The fields of an AnyValue; of null there are none. */
static void write_any(writer *w, const json_value *value, unsigned depth)
{
    switch (value->type) {
    case SCAN_STRING:
        pb_string_field(w->out, ANY_STRING, text_of(value, w->scratch));
        return;
    case SCAN_TRUE:
    case SCAN_FALSE:
        pb_varint_field(w->out, ANY_BOOL, value->type == SCAN_TRUE);
        return;
    case SCAN_INTEGER:
    case SCAN_FRACTION:
        write_number(w->out, value);
        return;
    case SCAN_NULL:
        return;
    case SCAN_ARRAY:
    case SCAN_OBJECT:
        if (depth == 0) {
            pb_string_field(w->out, ANY_STRING, str_of("…"));
        } else {
            write_nested(w, value, depth);
        }
        return;
    }
}

/* ---- attributes ---- */

static bool same_as(const loom_attr *own, const json_value *value, char *scratch)
{
    if (own->type == LOOM_ATTR_STRING) {
        return value->type == SCAN_STRING && str_equal(own->value.string, text_of(value, scratch));
    }
    return own->type == LOOM_ATTR_BOOL && value->type == (own->value.boolean ? SCAN_TRUE : SCAN_FALSE);
}

/* Whether the host has an attribute of that key. */
static bool is_own(writer *w, loom_str key, const json_value *value, char *scratch)
{
    for (size_t i = 0; i < w->stamp->own_count; i++) {
        if (str_is(key, w->stamp->own[i].key)) {
            w->differs |= same_as(&w->stamp->own[i], value, scratch) ? 0 : 1u << i;
            return true;
        }
    }
    return false;
}

/* A string is cut to the limit by attr_encode_list(), which wants a key that ends with a NUL. */
static bool write_string(writer *w, uint32_t field, loom_str key, loom_str value, char *to)
{
    if (w->stamp->limits.value_length == UINT32_MAX || memchr(key.data, '\0', key.len) != NULL) {
        return false;
    }
    memmove(to, key.data, key.len);
    to[key.len] = '\0';
    const loom_attr attr = {.key = to, .type = LOOM_ATTR_STRING, .value.string = value};
    (void)attr_encode_list(w->out, field, &attr, 1, w->stamp->limits);
    return true;
}

static void write_attribute(writer *w, uint32_t field, loom_str key, const json_value *value, char *scratch)
{
    pb_buf *b = w->out;
    if (value->type == SCAN_STRING) {
        const loom_str text = text_of(value, scratch);
        if (write_string(w, field, key, text, scratch + (text.data == scratch ? text.len : 0))) {
            return;
        }
    }
    const size_t pair = pb_open(b, field);
    pb_string_field(b, KEYVALUE_KEY, key);
    const size_t any = pb_open(b, KEYVALUE_VALUE);
    char *const before = w->scratch;
    w->scratch = scratch;
    write_any(w, value, SPAN_VALUE_DEPTH_MAX);
    w->scratch = before;
    pb_close(b, any);
    pb_close(b, pair);
}

/* Returns how many were left out. */
static uint64_t write_attributes(writer *w, uint32_t field, const json_value *attributes, bool of_span)
{
    if (attributes->type != SCAN_OBJECT) {
        return 0;
    }
    json_cursor c = json_members(attributes);
    json_value key, value;
    uint64_t dropped = 0;
    uint32_t count = of_span ? (uint32_t)w->stamp->own_count : 0;
    while (!w->out->failed && json_next_member(&c, &key, &value)) {
        const loom_str name = text_of(&key, w->scratch);
        char *const rest = w->scratch + (key.escaped ? name.len : 0);
        if (name.len == 0 || value.type == SCAN_NULL || (of_span && is_own(w, name, &value, rest))) {
            continue;
        }
        if (count >= w->stamp->limits.count) {
            dropped++;
            continue;
        }
        write_attribute(w, field, name, &value, rest);
        count++;
    }
    return dropped;
}

/* ---- events and links ---- */

typedef struct member_place {
    const char *name;
    json_value *value;
} member_place;

static void read_members(const json_value *object, const member_place *places, size_t count)
{
    json_cursor c = json_members(object);
    json_value key, value;
    for (size_t i = 0; i < count; i++) {
        *places[i].value = (json_value){.type = SCAN_NULL};
    }
    while (json_next_member(&c, &key, &value)) {
        for (size_t i = 0; i < count; i++) {
            if (str_is(key.text, places[i].name)) {
                *places[i].value = value;
            }
        }
    }
}

/* false: it is no event. */
static bool write_event(writer *w, const span_json *span, const json_value *item)
{
    json_value name, time, attributes;
    const member_place places[] = {{"name", &name}, {"time", &time}, {"attributes", &attributes}};
    uint64_t at = span->start_ns;
    if (item->type != SCAN_OBJECT) {
        return false;
    }
    read_members(item, places, 3);
    if (name.type != SCAN_STRING || (time.type == SCAN_STRING && !rfc3339_parse(time.text, &at))) {
        return false;
    }
    pb_buf *b = w->out;
    const size_t event = pb_open(b, SPAN_EVENTS);
    pb_fixed64_field(b, EVENT_TIME, at);
    pb_string_field(b, EVENT_NAME, text_of(&name, w->scratch));
    const uint64_t dropped = write_attributes(w, EVENT_ATTRIBUTES, &attributes, false);
    if (dropped > 0) {
        pb_varint_field(b, EVENT_DROPPED_ATTRIBUTES, dropped);
    }
    pb_close(b, event);
    return true;
}

static void write_tracestate(writer *w, uint32_t field, const json_value *value)
{
    if (value->type == SCAN_STRING) {
        const loom_str text = text_of(value, w->scratch);
        if (text.len > 0 && loom_tracestate_check(text) == LOOM_OK) {
            pb_string_field(w->out, field, text);
        }
    }
}

/* false: it is no link. */
static bool write_link(writer *w, const span_json *span, const json_value *item)
{
    (void)span;
    json_value trace_id, span_id, trace_state, attributes;
    const member_place places[] = {
        {"trace_id", &trace_id}, {"span_id", &span_id}, {"trace_state", &trace_state}, {"attributes", &attributes}};
    uint8_t trace[LOOM_TRACE_ID_SIZE], id[LOOM_SPAN_ID_SIZE];
    if (item->type != SCAN_OBJECT) {
        return false;
    }
    read_members(item, places, 4);
    if (!span_json_trace_id(trace, &trace_id) || !span_json_span_id(id, &span_id)) {
        return false;
    }
    pb_buf *b = w->out;
    const size_t link = pb_open(b, SPAN_LINKS);
    pb_bytes_field(b, LINK_TRACE_ID, trace, sizeof trace);
    pb_bytes_field(b, LINK_SPAN_ID, id, sizeof id);
    write_tracestate(w, LINK_TRACE_STATE, &trace_state);
    (void)write_attributes(w, LINK_ATTRIBUTES, &attributes, false);
    pb_close(b, link);
    return true;
}

/* Returns how many were left out. */
static uint64_t write_list(writer *w, const span_json *span, const json_value *list,
                           bool (*write)(writer *w, const span_json *span, const json_value *item))
{
    if (list->type != SCAN_ARRAY) {
        return 0;
    }
    json_cursor c = json_members(list);
    json_value item;
    uint64_t dropped = 0;
    unsigned count = 0;
    while (!w->out->failed && json_next_item(&c, &item)) {
        if (count < SPAN_LIST_MAX && write(w, span, &item)) {
            count++;
        } else {
            dropped++;
        }
    }
    return dropped;
}

/* ---- the span ---- */

static void write_status(writer *w, const span_json *span)
{
    if (span->status == LOOM_SPAN_UNSET) {
        return;
    }
    const size_t status = pb_open(w->out, SPAN_STATUS);
    if (span->status == LOOM_SPAN_ERROR && span->status_message.type == SCAN_STRING) {
        pb_string_field(w->out, STATUS_MESSAGE, text_of(&span->status_message, w->scratch));
    }
    pb_varint_field(w->out, STATUS_CODE, span->status);
    pb_close(w->out, status);
}

static void write_dropped(writer *w, uint32_t field, uint64_t count)
{
    if (count > 0) {
        pb_varint_field(w->out, field, count < UINT32_MAX ? count : UINT32_MAX);
    }
}

unsigned span_otlp_write(pb_buf *out, const span_json *span, const span_stamp *stamp, char *scratch)
{
    writer w = {.out = out, .stamp = stamp, .scratch = scratch};
    const size_t message = pb_open(out, SCOPE_SPANS_SPANS);
    pb_bytes_field(out, SPAN_TRACE_ID, stamp->trace_id, sizeof stamp->trace_id);
    pb_bytes_field(out, SPAN_SPAN_ID, span->span_id, sizeof span->span_id);
    pb_bytes_field(out, SPAN_PARENT_SPAN_ID, stamp->parent_id, sizeof stamp->parent_id);
    write_tracestate(&w, SPAN_TRACE_STATE, &span->trace_state);
    pb_string_field(out, SPAN_NAME, text_of(&span->name, scratch));
    pb_varint_field(out, SPAN_KIND, span->kind);
    pb_fixed32_field(out, SPAN_FLAGS, stamp->flags);
    pb_fixed64_field(out, SPAN_START_TIME, span->start_ns);
    pb_fixed64_field(out, SPAN_END_TIME, span->end_ns);
    (void)attr_encode_list(out, SPAN_ATTRIBUTES, stamp->own, stamp->own_count, stamp->limits);
    const uint64_t attributes = write_attributes(&w, SPAN_ATTRIBUTES, &span->attributes, true);
    const uint64_t events = write_list(&w, span, &span->events, write_event);
    const uint64_t links = write_list(&w, span, &span->links, write_link);
    write_dropped(&w, SPAN_DROPPED_ATTRIBUTES, span->dropped[SPAN_DROPPED_ATTRS] + attributes);
    write_dropped(&w, SPAN_DROPPED_EVENTS, span->dropped[SPAN_DROPPED_EVTS] + events);
    write_dropped(&w, SPAN_DROPPED_LINKS, span->dropped[SPAN_DROPPED_LNKS] + links);
    write_status(&w, span);
    pb_close(out, message);
    return w.differs;
}
