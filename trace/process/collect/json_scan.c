/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/collect/json_scan.h"

#include <string.h>

#define REPLACEMENT 0xfffdu

static void skip_space(json_cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) {
        c->at++;
    }
}

static bool take(json_cursor *c, char byte)
{
    if (c->at == c->end || *c->at != byte) {
        return false;
    }
    c->at++;
    return true;
}

/* ---- strings ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four digits; -1: something else. */
static int32_t code_unit(const char *at, const char *end)
{
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = at + i < end ? hex_digit(at[i]) : -1;
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Behind the backslash. */
static bool skip_escape(json_cursor *c)
{
    if (c->at == c->end) {
        return false;
    }
    const char kind = *c->at++;
    if (kind != 'u') {
        return kind != '\0' && strchr("\"\\/bfnrt", kind) != NULL;
    }
    if (code_unit(c->at, c->end) < 0) {
        return false;
    }
    c->at += 4;
    return true;
}

/* Behind the first quote. */
static bool scan_string(json_cursor *c, json_value *out)
{
    const char *const from = c->at;
    *out = (json_value){.type = SCAN_STRING};
    while (c->at < c->end) {
        const unsigned char byte = (unsigned char)*c->at++;
        if (byte == '"') {
            out->text = (loom_str){from, (size_t)(c->at - from) - 1};
            return true;
        }
        if (byte == '\\') {
            out->escaped = true;
            if (!skip_escape(c)) {
                return false;
            }
        } else if (byte < 0x20) {
            return false;
        }
    }
    return false;
}

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* At the digits of an escape; takes the second half of a surrogate pair along. */
static uint32_t take_code_point(json_cursor *c)
{
    const uint32_t unit = (uint32_t)code_unit(c->at, c->end);
    c->at += 4;
    if (unit < 0xd800 || unit > 0xdfff) {
        return unit;
    }
    if (unit > 0xdbff || c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u') {
        return REPLACEMENT;
    }
    const int32_t low = code_unit(c->at + 2, c->end);
    if (low < 0xdc00 || low > 0xdfff) {
        return REPLACEMENT;
    }
    c->at += 6;
    return 0x10000 + ((unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
}

size_t json_unescape(const json_value *string, char *out)
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    json_cursor c = {string->text.data, string->text.data + string->text.len};
    char *to = out;
    while (c.at < c.end) {
        if (*c.at != '\\') {
            *to++ = *c.at++;
            continue;
        }
        const char kind = c.at[1];
        const char *letter = strchr(letters, kind);
        c.at += 2;
        if (kind == 'u') {
            to += put_utf8(to, take_code_point(&c));
        } else {
            *to++ = letter != NULL ? meant[letter - letters] : kind;
        }
    }
    return (size_t)(to - out);
}

/* ---- numbers and words ---- */

static bool skip_digits(json_cursor *c)
{
    const char *const from = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        c->at++;
    }
    return c->at > from;
}

static bool scan_number(json_cursor *c, json_value *out)
{
    const char *const from = c->at;
    scan_type type = SCAN_INTEGER;
    (void)take(c, '-');
    if (!take(c, '0') && !skip_digits(c)) {
        return false;
    }
    if (take(c, '.')) {
        type = SCAN_FRACTION;
        if (!skip_digits(c)) {
            return false;
        }
    }
    if (take(c, 'e') || take(c, 'E')) {
        type = SCAN_FRACTION;
        if (!take(c, '+')) {
            (void)take(c, '-');
        }
        if (!skip_digits(c)) {
            return false;
        }
    }
    *out = (json_value){.type = type, .text = {from, (size_t)(c->at - from)}};
    return true;
}

static bool scan_word(json_cursor *c, json_value *out, const char *word, scan_type type)
{
    const size_t len = strlen(word);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0) {
        return false;
    }
    *out = (json_value){.type = type, .text = {c->at, len}};
    c->at += len;
    return true;
}

/* ---- arrays and objects ---- */

static bool scan_value(json_cursor *c, json_value *out, unsigned depth);

/* Behind the bracket. */
static bool scan_inside(json_cursor *c, bool object, unsigned depth)
{
    json_value ignored;
    const char close = object ? '}' : ']';
    skip_space(c);
    if (take(c, close)) {
        return true;
    }
    do {
        skip_space(c);
        if (object) {
            if (!take(c, '"') || !scan_string(c, &ignored)) {
                return false;
            }
            skip_space(c);
            if (!take(c, ':')) {
                return false;
            }
        }
        if (!scan_value(c, &ignored, depth)) {
            return false;
        }
        skip_space(c);
    } while (take(c, ','));
    return take(c, close);
}

static bool scan_value(json_cursor *c, json_value *out, unsigned depth)
{
    skip_space(c);
    if (c->at == c->end) {
        return false;
    }
    const char *const from = c->at;
    switch (*from) {
    case '"':
        c->at++;
        return scan_string(c, out);
    case '{':
    case '[':
        c->at++;
        if (depth == 0 || !scan_inside(c, *from == '{', depth - 1)) {
            return false;
        }
        *out = (json_value){.type = *from == '{' ? SCAN_OBJECT : SCAN_ARRAY, .text = {from, (size_t)(c->at - from)}};
        return true;
    case 't':
        return scan_word(c, out, "true", SCAN_TRUE);
    case 'f':
        return scan_word(c, out, "false", SCAN_FALSE);
    case 'n':
        return scan_word(c, out, "null", SCAN_NULL);
    default:
        return scan_number(c, out);
    }
}

bool json_read(loom_str text, json_value *out)
{
    json_cursor c = {text.data, text.data + text.len};
    if (!scan_value(&c, out, JSON_DEPTH_MAX)) {
        return false;
    }
    skip_space(&c);
    return c.at == c.end;
}

json_cursor json_members(const json_value *array_or_object)
{
    const loom_str text = array_or_object->text;
    return (json_cursor){text.data + 1, text.data + text.len - 1};
}

bool json_next_item(json_cursor *c, json_value *out)
{
    skip_space(c);
    (void)take(c, ',');
    skip_space(c);
    return c->at < c->end && scan_value(c, out, JSON_DEPTH_MAX);
}

bool json_next_member(json_cursor *c, json_value *key, json_value *out)
{
    skip_space(c);
    (void)take(c, ',');
    skip_space(c);
    if (!take(c, '"') || !scan_string(c, key)) {
        return false;
    }
    skip_space(c);
    (void)take(c, ':');
    return scan_value(c, out, JSON_DEPTH_MAX);
}
