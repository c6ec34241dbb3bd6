/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/otlp/json_value.h"

#include "base/number.h"
#include "base/str.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16u /* of values within values; deeper ones are written as empty */
#define FORMAT_MAX 256u

static const char attrs_head[] = ",\"attributes\":[";

static void put(pb_buf *out, const char *literal)
{
    pb_raw(out, literal, strlen(literal));
}

/* For numbers and ids: what is written is shorter than FORMAT_MAX. */
void json_put_format(pb_buf *out, const char *format, ...)
{
    char text[FORMAT_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text) {
        out->failed = true;
        return;
    }
    pb_raw(out, text, (size_t)n);
}

static void put_escaped(pb_buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        put(out, "\\\"");
        break;
    case '\\':
        put(out, "\\\\");
        break;
    case '\n':
        put(out, "\\n");
        break;
    case '\t':
        put(out, "\\t");
        break;
    case '\r':
        put(out, "\\r");
        break;
    default:
        json_put_format(out, "\\u%04x", c);
        break;
    }
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

void json_put_string(pb_buf *out, loom_str text)
{
    put(out, "\"");
    while (text.len > 0 && !out->failed) {
        size_t plain = 0;
        while (plain < text.len && is_plain((unsigned char)text.data[plain])) {
            plain++;
        }
        pb_raw(out, text.data, plain);
        text = str_tail(text, plain);
        if (text.len == 0) {
            break;
        }
        uint32_t code_point;
        size_t step = utf8_next(text, &code_point);
        if (code_point == UTF8_INVALID) {
            put(out, "\xef\xbf\xbd");
        } else if (code_point < 0x80 || utf8_is_control(code_point)) { /* nothing that a terminal would act on */
            code_point < 0x80 ? put_escaped(out, (unsigned char)code_point) : json_put_format(out, "\\u%04x", code_point);
        } else {
            pb_raw(out, text.data, step);
        }
        text = str_tail(text, step);
    }
    put(out, "\"");
}

static void put_double(pb_buf *out, double value)
{
    if (isnan(value)) {
        put(out, "\"NaN\"");
        return;
    }
    if (isinf(value)) {
        put(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    char text[NUMBER_SIZE];
    pb_raw(out, text, number_format_shortest(text, value));
}

static void put_base64(pb_buf *out, loom_bytes bytes)
{
    size_t size = sodium_base64_ENCODED_LEN(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    put(out, "\"");
    if (pb_reserve(out, size)) {
        sodium_bin2base64((char *)out->data + out->len, size, bytes.data, bytes.len, sodium_base64_VARIANT_ORIGINAL);
        out->len += size - 1; /* without the NUL */
    }
    put(out, "\"");
}

/* ---- lists: a comma before every item that does not follow its opening bracket ---- */

static void separate(pb_buf *out)
{
    if (!out->failed && out->len > 0 && out->data[out->len - 1] != '[') {
        put(out, ",");
    }
}

void json_put_attrs_open(pb_buf *out)
{
    put(out, attrs_head);
}

void json_put_attrs_close(pb_buf *out)
{
    if (!out->failed && out->data[out->len - 1] == '[') {
        out->len -= sizeof attrs_head - 1;
    } else {
        put(out, "]");
    }
}

/* ---- values ---- */

typedef struct value_walk {
    pb_buf *out;
    unsigned depth;
    bool otlp; /* {"intValue":"1"} rather than 1 */
} value_walk;

static void put_value(value_walk w, loom_bytes any_value);

static bool put_array_item(void *user, loom_bytes any_value)
{
    value_walk *w = user;
    separate(w->out);
    put_value(*w, any_value);
    return !w->out->failed;
}

static bool put_entry(void *user, otlp_attr attr)
{
    value_walk *w = user;
    separate(w->out);
    put(w->out, w->otlp ? "{\"key\":" : "[");
    json_put_string(w->out, attr.key);
    put(w->out, w->otlp ? ",\"value\":" : ",");
    put_value(*w, attr.value);
    put(w->out, w->otlp ? "}" : "]");
    return !w->out->failed;
}

static void put_nested(value_walk w, const otlp_any *any)
{
    value_walk inner = {.out = w.out, .depth = w.depth + 1, .otlp = w.otlp};
    put(w.out, w.otlp ? "{\"values\":[" : "[");
    if (inner.depth < DEPTH_MAX) {
        if (any->type == OTLP_ANY_ARRAY) {
            otlp_read_array(any->bytes, put_array_item, &inner);
        } else {
            otlp_read_kvlist(any->bytes, put_entry, &inner);
        }
    }
    put(w.out, w.otlp ? "]}" : "]");
}

static void put_scalar(value_walk w, const otlp_any *any)
{
    switch (any->type) {
    case OTLP_ANY_NONE:
        put(w.out, w.otlp ? "" : "null");
        break;
    case OTLP_ANY_STRING:
        json_put_string(w.out, (loom_str){(const char *)any->bytes.data, any->bytes.len});
        break;
    case OTLP_ANY_BOOL:
        put(w.out, any->boolean ? "true" : "false");
        break;
    case OTLP_ANY_INT:
        json_put_format(w.out, w.otlp ? "\"%" PRId64 "\"" : "%" PRId64, any->integer);
        break;
    case OTLP_ANY_DOUBLE:
        put_double(w.out, any->real);
        break;
    case OTLP_ANY_BYTES:
        put_base64(w.out, any->bytes);
        break;
    case OTLP_ANY_ARRAY:
    case OTLP_ANY_KVLIST:
        put_nested(w, any);
        break;
    }
}

static void put_value(value_walk w, loom_bytes any_value)
{
    static const char *const names[] = {
        [OTLP_ANY_NONE] = "",
        [OTLP_ANY_STRING] = "\"stringValue\":",
        [OTLP_ANY_BOOL] = "\"boolValue\":",
        [OTLP_ANY_INT] = "\"intValue\":",
        [OTLP_ANY_DOUBLE] = "\"doubleValue\":",
        [OTLP_ANY_ARRAY] = "\"arrayValue\":",
        [OTLP_ANY_KVLIST] = "\"kvlistValue\":",
        [OTLP_ANY_BYTES] = "\"bytesValue\":",
    };
    otlp_any any = otlp_read_any(any_value);
    if (w.otlp) {
        put(w.out, "{");
        put(w.out, names[any.type]);
    }
    put_scalar(w, &any);
    if (w.otlp) {
        put(w.out, "}");
    }
}

bool json_put_attr(void *out, otlp_attr attr)
{
    value_walk w = {.out = out, .otlp = true};
    return put_entry(&w, attr);
}

void json_put_plain_value(pb_buf *out, loom_bytes any_value)
{
    put_value((value_walk){.out = out}, any_value);
}
