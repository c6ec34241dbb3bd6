/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that is written, and events in it. A payload is "payload" if it is JSON, "payload_text" if it is text, and
 * "payload_base64" otherwise; message.c reads the same. */
#include <jansson.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/rfc3339.h"
#include "base/utf8.h"
#include "bridge/gateway/answers.h"
#include "envelope/id.h"
#include "host/config/units.h"

void text_put(text_buffer *b, const void *data, size_t len)
{
    b->failed = b->failed || !buffer_put(&b->bytes, data, len);
}

void text_puts(text_buffer *b, const char *text)
{
    text_put(b, text, strlen(text));
}

void text_printf(text_buffer *b, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    text_put(b, text, len < (int)sizeof text ? (size_t)len : sizeof text - 1);
}

/* What may stand in a string of JSON as it is, in ASCII. */
static bool is_plain(char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

void text_put_quoted(text_buffer *b, loom_str text)
{
    text_put(b, "\"", 1);
    for (size_t i = 0; i < text.len;) {
        size_t plain = i;
        while (plain < text.len && is_plain(text.data[plain])) {
            plain++;
        }
        text_put(b, text.data + i, plain - i);
        i = plain;
        if (i < text.len) {
            char one[CONFIG_QUOTED_CHAR_SIZE];
            i += config_quote_char(one, text.data + i, text.len - i);
            text_puts(b, one);
        }
    }
    text_put(b, "\"", 1);
}

void text_fini(text_buffer *b)
{
    buffer_fini(&b->bytes);
    b->failed = false;
}

/* ---- payloads ---- */

json_t *gateway_read_json(loom_bytes text, size_t flags, json_error_t *error)
{
    const char *data = text.len > 0 ? (const char *)text.data : "";
    json_t *value = json_loadb(data, text.len, flags, error);
    if (value == NULL && json_error_code(error) == json_error_numeric_overflow) {
        value = json_loadb(data, text.len, flags | JSON_DECODE_INT_AS_REAL, error);
    }
    return value;
}

bool payload_is_json(loom_bytes payload)
{
    json_error_t error;
    json_t *value = gateway_read_json(payload, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    json_decref(value);
    return value != NULL;
}

const char *payload_type(loom_bytes payload)
{
    const uint8_t first = payload.len > 0 ? payload.data[0] : 0;
    if (first == '\0' && payload.len == 0) {
        return "application/octet-stream";
    }
    if (strchr("{[\"-0123456789tfn \t\r\n", first) != NULL && payload_is_json(payload)) {
        return "application/json";
    }
    return utf8_valid((loom_str){(const char *)payload.data, payload.len}) ? "text/plain; charset=utf-8" : "application/octet-stream";
}

static bool says_json(loom_str type)
{
    const char *end = type.len > 0 ? memchr(type.data, ';', type.len) : NULL;
    const loom_str bare = str_trim((loom_str){type.data, end != NULL ? (size_t)(end - type.data) : type.len});
    return str_is_any_case(bare, "application/json") ||
           (bare.len > 5 && str_is_any_case((loom_str){bare.data + bare.len - 5, 5}, "+json"));
}

static void put_base64(text_buffer *b, loom_bytes payload)
{
    const size_t size = sodium_base64_ENCODED_LEN(payload.len, sodium_base64_VARIANT_ORIGINAL);
    text_puts(b, "\"payload_base64\":\"");
    b->failed = b->failed || !buffer_reserve(&b->bytes, size);
    if (!b->failed) {
        sodium_bin2base64((char *)b->bytes.data + b->bytes.len, size, payload.data, payload.len, sodium_base64_VARIANT_ORIGINAL);
        b->bytes.len += size - 1;
    }
    text_puts(b, "\"");
}

/* JSON as it stands, but on one line: a line break between its tokens is white space. */
static void put_json(text_buffer *b, loom_bytes payload)
{
    text_puts(b, "\"payload\":");
    const size_t at = b->bytes.len;
    text_put(b, payload.data, payload.len);
    for (size_t i = at; !b->failed && i < b->bytes.len; i++) {
        if (b->bytes.data[i] == '\n' || b->bytes.data[i] == '\r') {
            b->bytes.data[i] = ' ';
        }
    }
}

void text_put_payload(text_buffer *b, loom_bytes payload, loom_str type)
{
    const loom_str text = {(const char *)payload.data, payload.len};
    const bool json = payload.len > 0 && (says_json(type) || type.len == 0) &&
                      (type.len > 0 || strchr("{[", payload.data[0]) != NULL) && payload_is_json(payload);
    if (json) {
        put_json(b, payload);
    } else if (utf8_valid(text)) {
        text_puts(b, "\"payload_text\":");
        text_put_quoted(b, text);
    } else {
        put_base64(b, payload);
    }
}

/* ---- events ---- */

static void put_member(text_buffer *b, const char *key, loom_str value)
{
    if (value.len > 0) {
        text_printf(b, "\"%s\":", key);
        text_put_quoted(b, value);
        text_puts(b, ",");
    }
}

static void put_headers(text_buffer *b, const envelope_view *view)
{
    const loom_bytes map = envelope_view_bytes(view, ENV_HEADERS);
    mp_reader r = {map.data, map.data + map.len};
    uint32_t count;
    if (map.len == 0 || !mp_read_map(&r, &count)) {
        return;
    }
    text_puts(b, "\"headers\":{");
    for (uint32_t i = 0; i < count; i++) {
        loom_str key, value;
        if (!mp_read_str(&r, &key) || !mp_read_str(&r, &value)) {
            break; /* it was scanned */
        }
        text_puts(b, i > 0 ? "," : "");
        text_put_quoted(b, key);
        text_puts(b, ":");
        text_put_quoted(b, value);
    }
    text_puts(b, "},");
}

void text_put_event(text_buffer *b, const envelope_view *view, const loom_trace_context *context)
{
    char id[LOOM_UUID_TEXT_SIZE], thread[LOOM_UUID_TEXT_SIZE], correlation[LOOM_UUID_TEXT_SIZE];
    char time[RFC3339_SIZE], parent[LOOM_TRACEPARENT_SIZE];
    const loom_str type = envelope_view_str(view, ENV_CONTENT_TYPE);
    loom_uuid_to_text(id, envelope_view_bytes(view, ENV_ID).data);
    rfc3339_put(time, envelope_view_timestamp(view), 9);
    text_puts(b, "{");
    put_member(b, "id", str_of(id));
    put_member(b, "topic", envelope_view_str(view, ENV_TOPIC));
    put_member(b, "type", envelope_view_str(view, ENV_TYPE));
    put_member(b, "sender", envelope_view_str(view, ENV_SENDER));
    put_member(b, "timestamp", str_of(time));
    put_member(b, "thread_id", envelope_view_thread_id(view, thread));
    put_member(b, "correlation_id", envelope_view_correlation_id(view, correlation));
    put_member(b, "reply_to", envelope_view_str(view, ENV_REPLY_TO));
    put_member(b, "content_type", type);
    if (loom_trace_context_valid(context)) {
        loom_traceparent_format(parent, context);
        put_member(b, "traceparent", str_of(parent));
    }
    put_headers(b, view);
    text_put_payload(b, envelope_view_bytes(view, ENV_PAYLOAD), type);
    text_puts(b, "}");
}
