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
        len += utf8_next((loom_str){text.data + len, text.len - len}, &code_point);
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

/* Nearly nobody limits the length of values. */
static inline void put_within(pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr, const attr_limits *limits)
{
    if (limits->value_length == UINT32_MAX) {
        put_key_value(b, field, key, attr);
    } else {
        put_clipped(b, field, key, attr, limits->value_length);
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

/* Length, first and last eight bytes: tells the keys of a span apart without a loop. Equal hashes are compared in full. */
static uint32_t hash_key(loom_str key)
{
    uint64_t first = 0, last = 0;
    if (key.len >= sizeof first) {
        memcpy(&first, key.data, sizeof first);
        memcpy(&last, key.data + key.len - sizeof last, sizeof last);
    } else {
        memcpy(&first, key.data, key.len);
    }
    uint64_t h = (first ^ key.len) * 0x9e3779b97f4a7c15u ^ last;
    h *= 0xff51afd7ed558ccdu;
    return (uint32_t)(h >> 32);
}

static const uint8_t *take_varint(const uint8_t *p, size_t *value)
{
    *value = 0;
    for (unsigned shift = 0;; shift += 7) {
        *value |= (size_t)(*p & 0x7fu) << shift;
        if ((*p++ & 0x80u) == 0) {
            return p;
        }
    }
}

/* Reads our own bytes: tag, length, key tag, key length, key. */
static loom_str slot_key(const pb_buf *b, attr_slot slot)
{
    size_t value;
    const uint8_t *p = take_varint(b->data + slot.offset, &value);
    p = take_varint(p, &value);
    p = take_varint(p + 1, &value);
    return (loom_str){(const char *)p, value};
}

static void hash_rest(attr_index *index, const pb_buf *b)
{
    for (; index->hashed < index->count; index->hashed++) {
        index->hashes[index->hashed] = hash_key(slot_key(b, index->slots[index->hashed]));
    }
}

static uint32_t find_key(const attr_index *index, const pb_buf *b, uint32_t hash, loom_str key)
{
    for (uint32_t i = 0; i < index->count; i++) {
        if (index->hashes[i] == hash && str_equal(slot_key(b, index->slots[i]), key)) {
            return i;
        }
    }
    return index->count;
}

void attr_index_init(attr_index *index, attr_limits limits)
{
    memset(index->pins, 0, sizeof index->pins);
    index->limits = limits;
    index->count = index->hashed = 0;
    index->beyond = NULL;
}

static void move_slot(attr_slot *slot, attr_slot removed)
{
    if (slot->offset > removed.offset) {
        slot->offset -= removed.len;
    }
}

void attr_index_remove(attr_index *index, pb_buf *b, attr_slot slot)
{
    size_t end = (size_t)slot.offset + slot.len;
    memmove(b->data + slot.offset, b->data + end, b->len - end);
    b->len -= slot.len;
    for (size_t i = 0; i < ATTR_PINS; i++) {
        move_slot(&index->pins[i], slot);
    }
    for (uint32_t i = 0; i < index->count; i++) {
        move_slot(&index->slots[i], slot);
    }
    for (uint32_t i = 0; index->beyond != NULL && i < index->beyond->count; i++) {
        move_slot(&index->beyond->items[i].slot, slot);
    }
}

static bool write_slot(pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr, const attr_limits *limits, attr_slot *slot)
{
    const size_t mark = b->len;
    put_within(b, field, key, attr, limits);
    if (b->failed) {
        pb_rollback(b, mark);
        return false;
    }
    *slot = (attr_slot){(uint32_t)mark, (uint32_t)(b->len - mark)};
    return true;
}

/* When the index is full, and has no attribute of that key in its first part. */
__attribute__((cold, noinline)) static bool put_beyond(attr_index *index, pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr)
{
    const uint32_t hash = hash_key(key), limit = index->limits.beyond;
    if (index->beyond == NULL &&
        (limit == 0 || (index->beyond = calloc(1, sizeof *index->beyond + limit * sizeof index->beyond->items[0])) == NULL)) {
        return false;
    }
    attr_beyond *more = index->beyond;
    uint32_t at = 0;
    while (at < more->count && !(more->items[at].hash == hash && str_equal(slot_key(b, more->items[at].slot), key))) {
        at++;
    }
    attr_slot slot;
    if (at == limit || !write_slot(b, field, key, attr, &index->limits, &slot)) {
        return false;
    }
    const attr_slot old = more->items[at].slot;
    more->items[at].slot = slot;
    more->items[at].hash = hash;
    if (at < more->count) {
        attr_index_remove(index, b, old);
    } else {
        more->count++;
    }
    return true;
}

bool attr_index_put(attr_index *index, pb_buf *b, uint32_t field, const loom_attr *attr)
{
    loom_str key;
    if (!key_of(attr, &key)) {
        return false;
    }
    uint32_t hash = hash_key(key);
    if (index->hashed < index->count) {
        hash_rest(index, b);
    }
    uint32_t at = find_key(index, b, hash, key);
    if (at >= index->limits.count) {
        return put_beyond(index, b, field, key, attr);
    }
    size_t mark = b->len;
    put_within(b, field, key, attr, &index->limits);
    if (b->failed) {
        pb_rollback(b, mark);
        return false;
    }
    attr_slot slot = {(uint32_t)mark, (uint32_t)(b->len - mark)};
    attr_slot old = index->slots[at];
    index->slots[at] = slot;
    if (at < index->count) { /* the new value is in: the old one can go */
        attr_index_remove(index, b, old);
    } else {
        index->hashes[at] = hash;
        index->hashed = ++index->count;
    }
    return true;
}

#define SHORT_OVERHEAD 6u   /* of them tags and lengths: of key, value and string */
#define SHORT_ROOM (2u + SHORT_MAX + ATTR_KEY_ROOM) /* the zeros behind a key are copied along */

/* All but what the value's message says, which takes value_size bytes; returns where that goes. */
static uint8_t *put_short_key(uint8_t *to, uint8_t tag, const attr_key *key, size_t value_size)
{
    const size_t len = key->len;
    to[0] = tag;
    to[1] = (uint8_t)(SHORT_OVERHEAD - 2 + len + value_size);
    to[2] = KEYVALUE_KEY << 3 | PB_LENGTH;
    to[3] = (uint8_t)len;
    memcpy(to + 4, key->text, sizeof key->text);
    to += 4 + len;
    to[0] = KEYVALUE_VALUE << 3 | PB_LENGTH;
    to[1] = (uint8_t)value_size;
    return to + 2;
}

/* There is SHORT_ROOM. Returns the attribute's end; NULL: it is not short, or not UTF-8. */
static uint8_t *put_short(uint8_t *to, uint8_t tag, const fixed_attr *attr)
{
    const attr_key *key = attr->key;
    if (key->is_int) {
        const uint64_t value = (uint64_t)attr->integer;
        to = put_short_key(to, tag, key, 1 + pb_varint_size(value));
        to[0] = ANY_INT << 3 | PB_VARINT;
        return to + 1 + pb_put_varint(to + 1, value);
    }
    const loom_str text = attr->string;
    if (text.len > SHORT_MAX - SHORT_OVERHEAD - key->len || !(attr->is_utf8 || utf8_valid(text))) {
        return NULL;
    }
    to = put_short_key(to, tag, key, 2 + text.len);
    to[0] = ANY_STRING << 3 | PB_LENGTH;
    to[1] = (uint8_t)text.len;
    if (text.len > 0) {
        memcpy(to + 2, text.data, text.len);
    }
    return to + 2 + text.len;
}

/* Nearly every fixed attribute is short. Adds them up to one that is not; returns how many. */
static size_t add_short(attr_index *index, pb_buf *b, uint32_t field, const fixed_attr *attrs, size_t count)
{
    if (index->limits.value_length < SHORT_MAX || index->count >= index->limits.count) {
        return 0; /* what is short may have to be shorter still */
    }
    const uint8_t tag = (uint8_t)(field << 3 | PB_LENGTH);
    const size_t places = index->limits.count - index->count, most = count < places ? count : places;
    attr_slot *slots = index->slots + index->count;
    uint8_t *const data = b->data, *const room_end = data + b->cap - b->slack, *to = data + b->len;
    size_t added = 0;
    for (; added < most && room_end - to >= (ptrdiff_t)SHORT_ROOM; added++) {
        uint8_t *end = put_short(to, tag, &attrs[added]);
        if (end == NULL) {
            break;
        }
        slots[added] = (attr_slot){(uint32_t)(to - data), (uint32_t)(end - to)};
        to = end;
    }
    index->count += (uint32_t)added;
    b->len = (size_t)(to - data);
    return added;
}

/* One that is not short, or needs repair or more room. false: too many attributes, or no room. */
static bool add_any(attr_index *index, pb_buf *b, uint32_t field, const fixed_attr *attr)
{
    const loom_str key = {attr->key->text, attr->key->len};
    attr_slot slot;
    loom_attr general = {.type = attr->key->is_int ? LOOM_ATTR_INT : LOOM_ATTR_STRING};
    if (attr->key->is_int) {
        general.value.integer = attr->integer;
    } else {
        general.value.string = attr->string;
    }
    if (index->count >= index->limits.count) {
        return put_beyond(index, b, field, key, &general);
    }
    if (!write_slot(b, field, key, &general, &index->limits, &slot)) {
        return false;
    }
    index->slots[index->count++] = slot;
    return true;
}

uint32_t attr_index_add_fixed(attr_index *index, pb_buf *b, uint32_t field, const fixed_attr *attrs, size_t count)
{
    uint32_t dropped = 0;
    size_t i = add_short(index, b, field, attrs, count);
    while (i < count) {
        dropped += add_any(index, b, field, &attrs[i++]) ? 0 : 1;
        i += add_short(index, b, field, attrs + i, count - i);
    }
    return dropped;
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
        attr_slot slot;
        dropped += b->failed || !write_slot(b, field, str_of(attr->key), attr, &limits, &slot);
    }
    return dropped;
}
