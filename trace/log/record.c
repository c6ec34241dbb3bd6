/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/log/record.h"

#include "base/hex.h"
#include "base/rfc3339.h"
#include "base/str.h"
#include "base/utf8.h"
#include "trace/otlp/json.h"
#include "trace/otlp/json_attr.h"

#include <inttypes.h>
#include <string.h>

#define TAIL_SIZE 16u     /* bytes: }, ,"cut":true, } and the newline */
#define FIELD_MAX (LOOM_LOG_LINE_MAX / 4u) /* bytes of a text of ours, so that the others find room */
#define CONTEXT_SIZE 120u /* bytes: the ids and flags behind the message of a text line */

static void put(pb_buf *b, const char *literal)
{
    pb_raw(b, literal, strlen(literal));
}

static bool is_json(const record *r)
{
    return r->head.format == LOOM_LOG_JSON;
}

static size_t room(const pb_buf *b)
{
    return b->cap - b->len > b->slack ? b->cap - b->len - b->slack : 0;
}

/* ---- text ---- */

/* Stands bare in a line of key=value without doubt about where it ends; spaces: in a message. */
static bool is_plain(loom_str text, bool spaces)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if ((c == ' ' && !spaces) || c < ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f) {
            return false;
        }
    }
    return text.len > 0;
}

static void put_text(record *r, loom_str text, bool spaces)
{
    if (!is_json(r) && is_plain(text, spaces)) {
        pb_raw(&r->b, text.data, text.len);
    } else {
        json_put_string(&r->b, text);
    }
}

/* Drops an eighth, and never half of a character. */
static loom_str shorten(loom_str text)
{
    return utf8_cut(text, text.len - text.len / 8 - 1);
}

/* As much of text as `most` bytes hold. False, and nothing written: not even a character fits. */
static bool put_cut(record *r, loom_str text, size_t most, bool spaces)
{
    pb_buf *b = &r->b;
    const size_t mark = b->len, slack = b->slack;
    if (b->failed) {
        return false; /* what stands before it did not fit */
    }
    if (room(b) > most) {
        b->slack += room(b) - most;
    }
    if (text.len > LOOM_LOG_LINE_MAX) { /* what is written is never shorter than what it says */
        text = shorten((loom_str){text.data, LOOM_LOG_LINE_MAX});
        r->cut = true;
    }
    put_text(r, text, spaces);
    while (b->failed && text.len > 0) {
        r->cut = true;
        pb_rollback(b, mark);
        text = shorten(text);
        put_text(r, text, spaces);
    }
    b->slack = slack;
    return !b->failed;
}

/* ---- head and message ---- */

/* Without printf(), which would be half the cost of a record. */
static void put_id(record *r, const char *name, const uint8_t *bytes, size_t len)
{
    char hex[2 * LOOM_TRACE_ID_SIZE];
    hex_encode(hex, bytes, len);
    put(&r->b, is_json(r) ? ",\"" : " ");
    put(&r->b, name);
    put(&r->b, is_json(r) ? "\":\"" : "=");
    pb_raw(&r->b, hex, 2 * len);
    put(&r->b, is_json(r) ? "\"" : "");
}

static void put_context(record *r)
{
    const loom_trace_context *context = r->head.context;
    if (context == NULL || !loom_trace_context_valid(context)) {
        return;
    }
    put_id(r, "trace_id", context->trace_id, sizeof context->trace_id);
    put_id(r, "span_id", context->span_id, sizeof context->span_id);
    put_id(r, "trace_flags", &context->trace_flags, 1);
}

static void put_json_head(record *r, const char *time, const char *level)
{
    const unsigned number = (unsigned)r->head.severity; /* 1 to 24 */
    const char digits[] = {(char)('0' + number / 10 % 10), (char)('0' + number % 10)};
    put(&r->b, "{\"time\":\"");
    put(&r->b, time);
    put(&r->b, "\",\"level\":\"");
    put(&r->b, level);
    put(&r->b, "\",\"severity_number\":");
    pb_raw(&r->b, number < 10 ? digits + 1 : digits, number < 10 ? 1 : 2);
    if (r->head.service.len > 0) {
        put(&r->b, ",\"service\":");
        (void)put_cut(r, r->head.service, LOOM_LOG_LINE_MAX / 8, false);
    }
    put_context(r);
}

static void put_text_head(record *r, const char *time, const char *level)
{
    char upper[8] = "     ";
    for (size_t i = 0; i < sizeof upper - 1 && level[i] != '\0'; i++) {
        upper[i] = level[i] >= 'a' ? (char)(level[i] - 'a' + 'A') : level[i];
    }
    put(&r->b, time);
    put(&r->b, " ");
    put(&r->b, upper);
    put(&r->b, " ");
    if (r->head.service.len > 0) {
        (void)put_cut(r, r->head.service, LOOM_LOG_LINE_MAX / 8, false);
        put(&r->b, ": ");
    }
}

void record_begin(record *r, const record_head *head)
{
    char time[RFC3339_SIZE];
    r->head = *head;
    r->attributes = r->cut = false;
    pb_init(&r->b, r->storage, sizeof r->storage, sizeof r->storage);
    r->b.len = 1;
    r->b.slack = TAIL_SIZE;
    (void)rfc3339_put(time, head->time_unix_ns, head->nanoseconds ? 9 : 6);
    (is_json(r) ? put_json_head : put_text_head)(r, time, loom_severity_name(head->severity));
}

void record_message(record *r, loom_str message, bool more)
{
    size_t most = more ? LOOM_LOG_LINE_MAX / 2 : room(&r->b);
    if (is_json(r)) {
        put(&r->b, ",\"message\":");
        (void)put_cut(r, message, most, true);
    } else {
        r->b.slack += CONTEXT_SIZE;
        (void)put_cut(r, message, most, true);
        r->b.slack -= CONTEXT_SIZE;
        put_context(r);
    }
}

/* ---- fields ---- */

/* Opens a field, key included; the caller writes the value and calls close_field() with what this returns. */
static size_t open_field(record *r, loom_str key, bool ours)
{
    pb_buf *b = &r->b;
    const size_t mark = b->len;
    if (!is_json(r)) {
        put(b, ours ? " " : " attributes.");
        put_text(r, key, false);
        put(b, "=");
        return mark;
    }
    if (ours || b->data[b->len - 1] != '{') {
        put(b, ",");
    }
    json_put_string(b, key);
    put(b, ":");
    return mark;
}

static void close_field(record *r, size_t mark)
{
    if (r->b.failed) {
        pb_rollback(&r->b, mark);
        r->cut = true;
    }
}

void record_string(record *r, const char *name, loom_str value)
{
    size_t mark = open_field(r, str_of(name), true);
    (void)put_cut(r, value, FIELD_MAX, false);
    close_field(r, mark);
}

void record_duration_ms(record *r, const char *name, uint64_t ns)
{
    size_t mark = open_field(r, str_of(name), true);
    json_put_format(&r->b, "%" PRIu64 ".%06u", ns / 1000000u, (unsigned)(ns % 1000000u));
    close_field(r, mark);
}

/* ---- the user's attributes ---- */

/* What a text line calls its own: an attribute of that name is not to be taken for it. */
static bool is_reserved(loom_str key)
{
    static const char *const names[] = {"time",        "level",     "severity_number", "service",     "trace_id",
                                        "span_id",     "message",   "trace_flags",     "operation",   "parent_id",
                                        "duration_ms", "kind",      "status_code",     "status_message", "cut"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_is(key, names[i])) {
            return true;
        }
    }
    return false;
}

static size_t open_attr(record *r, loom_str key)
{
    if (is_json(r) && !r->attributes) {
        size_t mark = r->b.len;
        put(&r->b, ",\"attributes\":{");
        r->attributes = !r->b.failed;
        if (r->b.failed) {
            return mark;
        }
    }
    return open_field(r, key, !is_json(r) && !is_reserved(key));
}

void record_attr(record *r, const loom_attr *attr)
{
    if (attr->key == NULL || attr->key[0] == '\0' || (unsigned)attr->type > LOOM_ATTR_DOUBLES) {
        return;
    }
    size_t mark = open_attr(r, str_of(attr->key));
    if (attr->type == LOOM_ATTR_STRING) {
        (void)put_cut(r, attr->value.string, room(&r->b), false);
    } else {
        json_put_attr_value(&r->b, attr);
    }
    close_field(r, mark);
}

void record_encoded_attr(record *r, otlp_attr attr)
{
    if (attr.key.len == 0) {
        return;
    }
    size_t mark = open_attr(r, attr.key);
    otlp_any any = otlp_read_any(attr.value);
    if (any.type == OTLP_ANY_STRING) {
        (void)put_cut(r, (loom_str){(const char *)any.bytes.data, any.bytes.len}, room(&r->b), false);
    } else if (any.type == OTLP_ANY_DOUBLE) {
        json_put_double(&r->b, any.real);
    } else {
        json_put_plain_value(&r->b, attr.value);
    }
    close_field(r, mark);
}

loom_bytes record_end(record *r)
{
    pb_buf *b = &r->b;
    b->slack = 0;
    b->failed = false;
    if (is_json(r)) {
        if (r->attributes) {
            put(b, "}");
        }
        put(b, r->cut ? ",\"cut\":true}\n" : "}\n");
    } else {
        put(b, r->cut ? " cut=true\n" : "\n");
    }
    return (loom_bytes){b->data + 1, b->len - 1};
}
