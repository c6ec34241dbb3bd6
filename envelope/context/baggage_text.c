/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/context/baggage_text.h"

#include <assert.h>
#include <string.h>

#include "base/hex.h"
#include "base/str.h"
#include "base/utf8.h"

static bool token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* US-ASCII but controls, white space, double quote, comma, semicolon and backslash. */
static bool baggage_octet(char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

bool baggage_key_valid(loom_str key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (!token_char(key.data[i])) {
            return false;
        }
    }
    return key.len > 0;
}

bool baggage_octets_valid(loom_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (!baggage_octet(value.data[i])) {
            return false;
        }
    }
    return true;
}

/* Cuts item at its first '=' and trims both sides; false when it has none: *key is all of it then. */
static bool cut_at_equals(loom_str item, loom_str *key, loom_str *value)
{
    const char *equals = item.len > 0 ? memchr(item.data, '=', item.len) : NULL;
    if (equals == NULL) {
        *key = str_trim(item);
        *value = (loom_str){0};
        return false;
    }
    const size_t key_len = (size_t)(equals - item.data);
    *key = str_trim((loom_str){.data = item.data, .len = key_len});
    *value = str_trim((loom_str){.data = equals + 1, .len = item.len - key_len - 1});
    return true;
}

bool baggage_text_next_property(loom_str *rest, loom_baggage_property *out)
{
    loom_str item;
    while (str_next_item(rest, ';', &item)) {
        out->has_value = cut_at_equals(item, &out->key, &out->value);
        if (baggage_key_valid(out->key) && baggage_octets_valid(out->value)) {
            return true;
        }
    }
    return false;
}

/* Counts the properties of m, and adds their bytes to its size. */
static void measure_properties(baggage_text_member *m)
{
    loom_str rest = m->properties;
    loom_baggage_property property;
    while (baggage_text_next_property(&rest, &property)) {
        m->property_count++;
        m->size += 1 + property.key.len + (property.has_value ? 1 + property.value.len : 0);
    }
}

bool baggage_text_next(loom_str *rest, baggage_text_member *out, bool *valid)
{
    loom_str item;
    do {
        if (!str_next_item(rest, ',', &item)) {
            return false;
        }
        item = str_trim(item);
    } while (item.len == 0);

    loom_str pair = {0};
    loom_str properties = item;
    str_next_item(&properties, ';', &pair);
    *out = (baggage_text_member){.properties = properties};
    *valid = cut_at_equals(pair, &out->key, &out->value) && baggage_key_valid(out->key) &&
             baggage_octets_valid(out->value);
    out->size = out->key.len + 1 + out->value.len;
    measure_properties(out);
    return true;
}

/* ---- percent-encoding ---- */

static bool stands_for_itself(char c)
{
    return baggage_octet(c) && c != '%';
}

size_t baggage_encoded_size(loom_str value)
{
    size_t size = 0;
    for (size_t i = 0; i < value.len; i++) {
        size += stands_for_itself(value.data[i]) ? 1 : 3;
    }
    return size;
}

char *baggage_encode(char *out, loom_str value)
{
    static const char digits[16] = "0123456789ABCDEF"; /* upper case, as RFC 3986, 2.1 asks */
    for (size_t i = 0; i < value.len; i++) {
        const char c = value.data[i];
        if (stands_for_itself(c)) {
            *out++ = c;
        } else {
            *out++ = '%';
            *out++ = digits[(uint8_t)c >> 4];
            *out++ = digits[(uint8_t)c & 0x0f];
        }
    }
    return out;
}

bool baggage_is_encoded(loom_str value)
{
    return value.len > 0 && memchr(value.data, '%', value.len) != NULL;
}

static size_t decode_bytes(char *out, loom_str value)
{
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t byte;
        if (value.data[i] == '%' && value.len - i > 2 && hex_decode_any_case(&byte, value.data + i + 1, 1)) {
            out[len++] = (char)byte;
            i += 2;
        } else {
            out[len++] = value.data[i];
        }
    }
    return len;
}

size_t baggage_decode(char *out, loom_str value)
{
    static const char replacement[3] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD */
    char bytes[LOOM_BAGGAGE_MAX];
    assert(value.len <= sizeof bytes);
    loom_str rest = {.data = bytes, .len = decode_bytes(bytes, value)};
    char *end = out;
    while (rest.len > 0) {
        uint32_t code_point;
        const size_t taken = utf8_next(rest, &code_point);
        /* An ill-formed byte came from three characters, so its replacement never outgrows value. */
        const loom_str put = code_point == UTF8_INVALID ? (loom_str){.data = replacement, .len = sizeof replacement}
                                                        : (loom_str){.data = rest.data, .len = taken};
        memcpy(end, put.data, put.len);
        end += put.len;
        rest.data += taken;
        rest.len -= taken;
    }
    return (size_t)(end - out);
}
