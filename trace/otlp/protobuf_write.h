/* SPDX-License-Identifier: Apache-2.0 */
/* The protobuf wire format, written straight into a byte buffer (https://protobuf.dev/programming-guides/encoding/).
 *
 * A write that finds no memory, or would pass the buffer's limit, sets `failed` and changes nothing; later writes do
 * nothing. A writer of one unit notes len first and calls pb_rollback() when the unit failed. */
#ifndef LOOM_TRACE_OTLP_PROTOBUF_WRITE_H
#define LOOM_TRACE_OTLP_PROTOBUF_WRITE_H

#include <loom/api.h>

#include <endian.h>
#include <string.h>

#define PB_VARINT_MAX 10 /* bytes of the longest varint */

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_LENGTH = 2, PB_FIXED32 = 5 };

typedef struct pb_buf {
    uint8_t *data;
    size_t len, cap;
    size_t max;   /* bytes; growing beyond fails */
    size_t slack; /* bytes kept free behind what is written, so that the last fields of a unit cannot fail */
    bool on_heap; /* data is ours to free; else it is storage inside the owner */
    bool failed;
} pb_buf;

/* storage may be NULL (cap 0): the buffer then starts on the heap with the first write. */
void pb_init(pb_buf *b, void *storage, size_t cap, size_t max);
void pb_fini(pb_buf *b);
/* pb_reserve() when the room is not there yet. */
bool pb_make_room(pb_buf *b, size_t extra);
/* Whether there is room for `extra` more bytes and the slack, and nothing has failed. No sum is too large: all of these are
 * bytes of things in memory. */
static inline bool pb_has_room(const pb_buf *b, size_t extra)
{
    return b->len + extra + b->slack <= b->cap && !b->failed;
}
/* Makes it; false sets failed. */
static inline bool pb_reserve(pb_buf *b, size_t extra)
{
    return pb_has_room(b, extra) ? true : pb_make_room(b, extra);
}
/* Forgets what was written since len was `mark`, and the failure. */
void pb_rollback(pb_buf *b, size_t mark);

static inline size_t pb_varint_size(uint64_t value)
{
    const unsigned last_bit = 63u - (unsigned)__builtin_clzll(value | 1);
    return (last_bit * 9 + 73) / 64; /* last_bit / 7 + 1 */
}

/* Writes a varint at `to`, which has room; returns its size. */
static inline size_t pb_put_varint(uint8_t *to, uint64_t value)
{
    size_t n = 0;
    while (value >= 0x80) {
        to[n++] = (uint8_t)(value | 0x80u);
        value >>= 7;
    }
    to[n++] = (uint8_t)value;
    return n;
}

/* Little endian, as protobuf's fixed types are; returns the bytes written. */
static inline size_t pb_put_fixed64(uint8_t *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof value);
    return sizeof value;
}

static inline size_t pb_put_fixed32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof value);
    return sizeof value;
}

static inline size_t pb_put_tag(uint8_t *to, uint32_t field, enum pb_wire wire)
{
    return pb_put_varint(to, (uint64_t)field << 3 | (uint64_t)wire);
}

/* Keys, ids and most values are short: first and last bytes, which meet in the middle, and no call. */
static inline void pb_copy(uint8_t *to, const void *from, size_t len)
{
    uint64_t first[2], last[2];
    if (len > 16 && len <= 32) {
        memcpy(first, from, 16);
        memcpy(last, (const uint8_t *)from + len - 16, 16);
        memcpy(to, first, 16);
        memcpy(to + len - 16, last, 16);
    } else if (len >= 8 && len <= 16) {
        memcpy(first, from, 8);
        memcpy(last, (const uint8_t *)from + len - 8, 8);
        memcpy(to, first, 8);
        memcpy(to + len - 8, last, 8);
    } else if (len > 0) {
        memcpy(to, from, len);
    }
}

/* Writes a field of bytes at `to`, which has room; returns its size. */
static inline size_t pb_put_bytes(uint8_t *to, uint32_t field, const void *data, size_t len)
{
    size_t n = pb_put_tag(to, field, PB_LENGTH);
    n += pb_put_varint(to + n, len);
    pb_copy(to + n, data, len);
    return n + len;
}

void pb_raw(pb_buf *b, const void *data, size_t len);

/* Inline: nearly every field is a constant, and then its tag is one too. */
static inline void pb_varint_field(pb_buf *b, uint32_t field, uint64_t value)
{
    if (pb_reserve(b, 2u * PB_VARINT_MAX)) {
        uint8_t *to = b->data + b->len;
        to += pb_put_tag(to, field, PB_VARINT);
        to += pb_put_varint(to, value);
        b->len = (size_t)(to - b->data);
    }
}

static inline void pb_fixed32_field(pb_buf *b, uint32_t field, uint32_t value)
{
    if (pb_reserve(b, PB_VARINT_MAX + sizeof value)) {
        b->len += pb_put_tag(b->data + b->len, field, PB_FIXED32);
        b->len += pb_put_fixed32(b->data + b->len, value);
    }
}

static inline void pb_fixed64_field(pb_buf *b, uint32_t field, uint64_t value)
{
    if (pb_reserve(b, PB_VARINT_MAX + sizeof value)) {
        b->len += pb_put_tag(b->data + b->len, field, PB_FIXED64);
        b->len += pb_put_fixed64(b->data + b->len, value);
    }
}

static inline void pb_bytes_field(pb_buf *b, uint32_t field, const void *data, size_t len)
{
    if (len > b->max || !pb_reserve(b, 2u * PB_VARINT_MAX + len)) {
        b->failed = true;
        return;
    }
    b->len += pb_put_bytes(b->data + b->len, field, data, len);
}

void pb_double_field(pb_buf *b, uint32_t field, double value);
/* Ill-formed UTF-8 is replaced by U+FFFD. */
void pb_string_field(pb_buf *b, uint32_t field, loom_str text);

/* A nested message: what is written between open and close. */
size_t pb_open(pb_buf *b, uint32_t field);
void pb_close(pb_buf *b, size_t mark);

#endif
