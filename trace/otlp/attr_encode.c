/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/otlp/attr_encode.h"

#include "base/str.h"
#include "base/utf8.h"
#include "trace/otlp/fields.h"

#include <stdlib.h>
#include <string.h>

/* A short attribute is a field below 16 with lengths of one byte: no varint is longer. */
#define SHORT_MAX 0x7fu /* bytes of the KeyValue */
#define SHORT_FIELD_MAX 15u

static void put_element(pb_buf *b, loom_attr_type type, const void *items, size_t i)
{
    size_t value = pb_open(b, ARRAY_VALUES);
    switch (type) {
    case LOOM_ATTR_STRINGS:
        pb_string_field(b, ANY_STRING, ((const loom_str *)items)[i]);
        break;
    case LOOM_ATTR_BOOLS:
        pb_varint_field(b, ANY_BOOL, ((const bool *)items)[i]);
        break;
    case LOOM_ATTR_INTS:
        pb_varint_field(b, ANY_INT, (uint64_t)((const int64_t *)items)[i]);
        break;
    default:
        pb_double_field(b, ANY_DOUBLE, ((const double *)items)[i]);
        break;
    }
    pb_close(b, value);
}

static void put_array(pb_buf *b, const loom_attr *attr)
{
    size_t array = pb_open(b, ANY_ARRAY);
    for (size_t i = 0; attr->value.array.items != NULL && i < attr->value.array.count && !b->failed; i++) {
        put_element(b, attr->type, attr->value.array.items, i);
    }
    pb_close(b, array);
}

/* Of the AnyValue's bytes; 0: not a value in one piece, or not UTF-8. */
static inline size_t flat_size(const loom_attr *attr, size_t max)
{
    switch (attr->type) {
    case LOOM_ATTR_STRING: {
        const loom_str text = attr->value.string;
        return text.len <= max && utf8_valid(text) ? 1 + pb_varint_size(text.len) + text.len : 0;
    }
    case LOOM_ATTR_BOOL:
        return 2;
    case LOOM_ATTR_INT:
        return 1 + pb_varint_size((uint64_t)attr->value.integer);
    case LOOM_ATTR_DOUBLE:
        return 1 + sizeof(double);
    default:
        return 0;
    }
}

static inline uint8_t *put_flat(uint8_t *to, const loom_attr *attr)
{
    uint64_t bits;
    switch (attr->type) {
    case LOOM_ATTR_STRING:
        return to + pb_put_bytes(to, ANY_STRING, attr->value.string.data, attr->value.string.len);
    case LOOM_ATTR_BOOL:
        to += pb_put_tag(to, ANY_BOOL, PB_VARINT);
        *to++ = attr->value.boolean;
        return to;
    case LOOM_ATTR_INT:
        to += pb_put_tag(to, ANY_INT, PB_VARINT);
        return to + pb_put_varint(to, (uint64_t)attr->value.integer);
    default:
        memcpy(&bits, &attr->value.real, sizeof bits);
        to += pb_put_tag(to, ANY_DOUBLE, PB_FIXED64);
        return to + pb_put_fixed64(to, bits);
    }
}

/* Nearly every attribute is one value: with all lengths known at once, one look at the room is enough.
 * false: not such a one, or no room; nothing is written. */
static inline bool put_flat_key_value(pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr)
{
    const size_t any = flat_size(attr, b->max);
    if (any == 0) {
        return false;
    }
    size_t kv = 1 + pb_varint_size(key.len) + key.len + 1 + pb_varint_size(any) + any;
    if (!pb_reserve(b, 2u * PB_VARINT_MAX + kv)) {
        return false;
    }
    uint8_t *to = b->data + b->len;
    if (kv <= SHORT_MAX && field <= SHORT_FIELD_MAX) { /* as nearly all are: no varint is longer than a byte */
        to[0] = (uint8_t)(field << 3 | PB_LENGTH);
        to[1] = (uint8_t)kv;
        to[2] = KEYVALUE_KEY << 3 | PB_LENGTH;
        to[3] = (uint8_t)key.len;
        pb_copy(to + 4, key.data, key.len);
        to += 4 + key.len;
        to[0] = KEYVALUE_VALUE << 3 | PB_LENGTH;
        to[1] = (uint8_t)any;
        to += 2;
    } else {
        to += pb_put_varint(to, field << 3 | PB_LENGTH);
        to += pb_put_varint(to, kv);
        to += pb_put_bytes(to, KEYVALUE_KEY, key.data, key.len);
        *to++ = KEYVALUE_VALUE << 3 | PB_LENGTH;
        to += pb_put_varint(to, any);
    }
    b->len = (size_t)(put_flat(to, attr) - b->data);
    return true;
}

/* Arrays, and what needs repair or more room. The key has been checked. */
__attribute__((noinline)) static void put_any_key_value(pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr)
{
    size_t kv = pb_open(b, field);
    pb_bytes_field(b, KEYVALUE_KEY, key.data, key.len);
    size_t any = pb_open(b, KEYVALUE_VALUE);
    switch (attr->type) {
    case LOOM_ATTR_STRING:
        pb_string_field(b, ANY_STRING, attr->value.string);
        break;
    case LOOM_ATTR_STRINGS:
    case LOOM_ATTR_BOOLS:
    case LOOM_ATTR_INTS:
    case LOOM_ATTR_DOUBLES:
        put_array(b, attr);
        break;
    default:
        b->failed = true;
        break;
    }
    pb_close(b, any);
    pb_close(b, kv);
}

/* The key has been checked. */
static inline void put_key_value(pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr)
{
    if (!put_flat_key_value(b, field, key, attr)) {
        put_any_key_value(b, field, key, attr);
    }
}

/* The first max characters; an ill-formed sequence is one, as it becomes one U+FFFD. */
static loom_str clip(loom_str text, uint32_t max)
{
    size_t len = text.len <= max ? text.len : 0;
    for (uint32_t count = 0; len < text.len && count < max; count++) {
        uint32_t code_point;
        len += utf8_next(str_tail(text, len), &code_point);
    }
    return (loom_str){text.data, len};
}

/* put_key_value(), with strings cut off after so many characters. */
__attribute__((cold, noinline)) static void put_clipped(pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr,
                                                        uint32_t max)
{
    loom_attr clipped = *attr;
    loom_str *strings = NULL;
    if (attr->type == LOOM_ATTR_STRING) {
        clipped.value.string = clip(attr->value.string, max);
    } else if (attr->type == LOOM_ATTR_STRINGS && attr->value.array.count > 0) {
        const loom_str *items = attr->value.array.items;
        if ((strings = calloc(attr->value.array.count, sizeof *strings)) == NULL) {
            b->failed = true;
            return;
        }
        for (size_t i = 0; i < attr->value.array.count; i++) {
            strings[i] = clip(items[i], max);
        }
        clipped.value.array.items = strings;
    }
    put_key_value(b, field, key, &clipped);
    free(strings);
}

void attr_encode(pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr, uint32_t value_length)
{
    if (value_length == UINT32_MAX) { /* nearly nobody limits it */
        put_key_value(b, field, key, attr);
    } else {
        put_clipped(b, field, key, attr, value_length);
    }
}

static bool key_of(const loom_attr *attr, loom_str *key)
{
    if (attr->key == NULL || attr->key[0] == '\0') {
        return false;
    }
    *key = str_of(attr->key);
    return utf8_valid(*key);
}

/* Which attributes of a list are kept, in the order of their keys' first ones. Returns how many are left out for the limit. */
static uint32_t choose(const loom_attr *attrs, size_t count, uint32_t limit, uint32_t *chosen, uint32_t *kept)
{
    uint32_t dropped = 0;
    *kept = 0;
    for (size_t i = 0; i < count; i++) {
        loom_str key;
        uint32_t at = 0;
        if (!key_of(&attrs[i], &key)) {
            dropped++;
            continue;
        }
        while (at < *kept && !(attrs[chosen[at]].key[0] == key.data[0] && strcmp(attrs[chosen[at]].key, key.data) == 0)) {
            at++;
        }
        if (at == limit) {
            dropped++;
            continue;
        }
        chosen[at] = (uint32_t)i;
        *kept += at == *kept;
    }
    return dropped;
}

uint32_t attr_encode_list(pb_buf *b, uint32_t field, const loom_attr *attrs, size_t count, attr_limits limits)
{
    uint32_t chosen[LOOM_SPAN_ATTRIBUTES_MAX], kept;
    const uint32_t limit = limits.count < LOOM_SPAN_ATTRIBUTES_MAX ? limits.count : LOOM_SPAN_ATTRIBUTES_MAX;
    uint32_t dropped = choose(attrs, count < UINT32_MAX ? count : UINT32_MAX, limit, chosen, &kept);
    for (uint32_t i = 0; i < kept; i++) {
        const loom_attr *attr = &attrs[chosen[i]];
        const size_t mark = b->len;
        const bool failed = b->failed;
        if (!failed) {
            attr_encode(b, field, str_of(attr->key), attr, limits.value_length);
        }
        if (b->failed) {
            dropped++;
            if (!failed) {
                pb_rollback(b, mark);
            }
        }
    }
    return dropped;
}
