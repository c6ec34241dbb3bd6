/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes of one message, of which each key is there once.
 *
 * Nearly every attribute is a short one with a key that is not there yet. It is checked, hashed and copied in one pass over
 * its words; a filter of 64 bits, one for each hash seen, tells that there is nothing to overwrite. Everything else goes the
 * general way: long ones, arrays, text that is not ASCII, keys that may be there. */
#include "trace/otlp/attr_encode.h"

#include "base/str.h"
#include "base/utf8.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/short_text.h"

#include <string.h>

/* A short attribute is a field below 16 whose lengths are one byte each: its KeyValue is at most SHORT_MAX bytes. */
#define SHORT_OVERHEAD 6u   /* of them tags and lengths: of key, value and string */
#define SHORT_ROOM (2u + SHORT_MAX + ATTR_KEY_ROOM) /* the zeros behind a constant key are copied along */

/* ---- hashes of keys ---- */

static inline uint32_t hash_ends(text_ends ends, size_t len)
{
    uint64_t h = (ends.first ^ len) * 0x9e3779b97f4a7c15u ^ ends.last;
    h *= 0xff51afd7ed558ccdu;
    return (uint32_t)(h >> 32);
}

static uint64_t filter_bit(uint32_t hash)
{
    return (uint64_t)1 << (hash & 63u);
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

/* After constant keys were added: of those no hash is known yet. */
static void hash_rest(attr_index *index, const pb_buf *b)
{
    for (; index->hashed < index->count; index->hashed++) {
        const loom_str key = slot_key(b, index->slots[index->hashed]);
        index->hashes[index->hashed] = hash_ends(ends_of(key), key.len);
    }
    index->filter = 0;
    for (uint32_t i = 0; i < index->count; i++) {
        index->filter |= filter_bit(index->hashes[i]);
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

/* ---- the index ---- */

void attr_index_init(attr_index *index, attr_limits limits)
{
    memset(index->pins, 0, sizeof index->pins);
    index->limits = limits;
    index->short_count = limits.value_length < SHORT_MAX ? 0 : limits.count; /* what is short may have to be shorter still */
    index->count = index->hashed = 0;
    index->filter = 0;
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

static void add_slot(attr_index *index, uint32_t hash, attr_slot slot)
{
    index->slots[index->count] = slot;
    index->hashes[index->count] = hash;
    index->filter |= filter_bit(hash);
    index->hashed = ++index->count;
}

static bool write_slot(pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr, const attr_limits *limits, attr_slot *slot)
{
    const size_t mark = b->len;
    attr_encode(b, field, key, attr, limits->value_length);
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
    const uint32_t hash = hash_ends(ends_of(key), key.len), limit = index->limits.beyond;
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

/* The general way. */
__attribute__((noinline)) static bool put_any(attr_index *index, pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr)
{
    if (key.len == 0 || !utf8_valid(key)) {
        return false;
    }
    if (index->hashed < index->count) {
        hash_rest(index, b);
    }
    const uint32_t hash = hash_ends(ends_of(key), key.len), at = find_key(index, b, hash, key);
    if (at >= index->limits.count) {
        return put_beyond(index, b, field, key, attr);
    }
    attr_slot slot;
    if (!write_slot(b, field, key, attr, &index->limits, &slot)) {
        return false;
    }
    if (at == index->count) {
        add_slot(index, hash, slot);
        return true;
    }
    const attr_slot old = index->slots[at];
    index->slots[at] = slot;
    attr_index_remove(index, b, old); /* the new value is in: the old one can go */
    return true;
}

/* ---- short attributes ---- */

typedef struct short_attr {
    uint8_t *value; /* where the AnyValue goes; NULL: this one is not short, or has to go the general way */
    uint32_t hash;
} short_attr;

/* Writes all but the AnyValue, which takes value_size bytes, behind the buffer's end. */
static inline short_attr begin_short(const attr_index *index, const pb_buf *b, uint32_t field, loom_str key, size_t value_size)
{
    const short_attr none = {NULL, 0};
    const size_t size = SHORT_OVERHEAD - 2 + key.len + value_size;
    if (key.len - 1 >= SHORT_MAX || size > SHORT_MAX || index->count >= index->short_count || !pb_has_room(b, SHORT_ROOM)) {
        return none; /* also without a key */
    }
    uint8_t *to = b->data + b->len;
    text_ends ends;
    if (!copy_ascii(to + 4, key, &ends)) {
        return none;
    }
    const uint32_t hash = hash_ends(ends, key.len);
    if ((index->filter & filter_bit(hash)) != 0) {
        return none;
    }
    (void)pb_put_fixed32(to, (field << 3 | PB_LENGTH) | (uint32_t)size << 8 | (KEYVALUE_KEY << 3 | PB_LENGTH) << 16 |
                                 (uint32_t)key.len << 24);
    to += 4 + key.len;
    to[0] = KEYVALUE_VALUE << 3 | PB_LENGTH;
    to[1] = (uint8_t)value_size;
    return (short_attr){to + 2, hash};
}

/* Its AnyValue ends there. */
static inline bool end_short(attr_index *index, pb_buf *b, const short_attr *a, const uint8_t *end)
{
    const size_t mark = b->len;
    b->len = (size_t)(end - b->data);
    add_slot(index, a->hash, (attr_slot){(uint32_t)mark, (uint32_t)(b->len - mark)});
    return true;
}

bool attr_index_put_str(attr_index *index, pb_buf *b, uint32_t field, loom_str key, loom_str value)
{
    if (value.len <= SHORT_MAX) {
        const short_attr a = begin_short(index, b, field, key, 2 + value.len);
        text_ends ends;
        if (a.value != NULL && copy_ascii(a.value + 2, value, &ends)) {
            a.value[0] = ANY_STRING << 3 | PB_LENGTH;
            a.value[1] = (uint8_t)value.len;
            return end_short(index, b, &a, a.value + 2 + value.len);
        }
    }
    return put_any(index, b, field, key, &(loom_attr){.type = LOOM_ATTR_STRING, .value.string = value});
}

bool attr_index_put_bool(attr_index *index, pb_buf *b, uint32_t field, loom_str key, bool value)
{
    const short_attr a = begin_short(index, b, field, key, 2);
    if (a.value != NULL) {
        a.value[0] = ANY_BOOL << 3 | PB_VARINT;
        a.value[1] = value;
        return end_short(index, b, &a, a.value + 2);
    }
    return put_any(index, b, field, key, &(loom_attr){.type = LOOM_ATTR_BOOL, .value.boolean = value});
}

bool attr_index_put_int(attr_index *index, pb_buf *b, uint32_t field, loom_str key, int64_t value)
{
    const short_attr a = begin_short(index, b, field, key, 1 + pb_varint_size((uint64_t)value));
    if (a.value != NULL) {
        a.value[0] = ANY_INT << 3 | PB_VARINT;
        return end_short(index, b, &a, a.value + 1 + pb_put_varint(a.value + 1, (uint64_t)value));
    }
    return put_any(index, b, field, key, &(loom_attr){.type = LOOM_ATTR_INT, .value.integer = value});
}

bool attr_index_put_double(attr_index *index, pb_buf *b, uint32_t field, loom_str key, double value)
{
    const short_attr a = begin_short(index, b, field, key, 1 + sizeof value);
    if (a.value != NULL) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        a.value[0] = ANY_DOUBLE << 3 | PB_FIXED64;
        return end_short(index, b, &a, a.value + 1 + pb_put_fixed64(a.value + 1, bits));
    }
    return put_any(index, b, field, key, &(loom_attr){.type = LOOM_ATTR_DOUBLE, .value.real = value});
}

bool attr_index_put(attr_index *index, pb_buf *b, uint32_t field, const loom_attr *attr)
{
    const loom_str key = str_of(attr->key);
    switch (attr->type) {
    case LOOM_ATTR_STRING:
        return attr_index_put_str(index, b, field, key, attr->value.string);
    case LOOM_ATTR_BOOL:
        return attr_index_put_bool(index, b, field, key, attr->value.boolean);
    case LOOM_ATTR_INT:
        return attr_index_put_int(index, b, field, key, attr->value.integer);
    case LOOM_ATTR_DOUBLE:
        return attr_index_put_double(index, b, field, key, attr->value.real);
    default:
        return put_any(index, b, field, key, attr);
    }
}

/* ---- constant keys ---- */

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
    if (index->count >= index->short_count) {
        return 0;
    }
    const uint8_t tag = (uint8_t)(field << 3 | PB_LENGTH);
    const size_t places = index->short_count - index->count, most = count < places ? count : places;
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
    loom_attr general = {.type = attr->key->is_int ? LOOM_ATTR_INT : LOOM_ATTR_STRING};
    if (attr->key->is_int) {
        general.value.integer = attr->integer;
    } else {
        general.value.string = attr->string;
    }
    if (index->count >= index->limits.count) {
        return put_beyond(index, b, field, key, &general);
    }
    return write_slot(b, field, key, &general, &index->limits, &index->slots[index->count]) && ++index->count > 0;
}

uint32_t attr_index_add_fixed(attr_index *index, pb_buf *b, uint32_t field, const fixed_attr *attrs, size_t count)
{
    uint32_t dropped = 0;
    index->filter = UINT64_MAX; /* their hashes are made when somebody sets another one */
    size_t i = add_short(index, b, field, attrs, count);
    while (i < count) {
        dropped += add_any(index, b, field, &attrs[i++]) ? 0 : 1;
        i += add_short(index, b, field, attrs + i, count - i);
    }
    return dropped;
}
