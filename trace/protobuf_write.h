/* SPDX-License-Identifier: Apache-2.0 */
/* The protobuf wire format, written straight into a byte buffer (https://protobuf.dev/programming-guides/encoding/).
 *
 * A write that finds no memory, or would pass the buffer's limit, sets `failed` and changes nothing; later writes do
 * nothing. A writer of one unit notes len first and calls pb_rollback() when the unit failed. */
#ifndef LOOM_TRACE_PROTOBUF_WRITE_H
#define LOOM_TRACE_PROTOBUF_WRITE_H

#include <loom/api.h>

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
/* Makes room for `extra` more bytes and the slack; false sets failed. */
bool pb_reserve(pb_buf *b, size_t extra);
/* Forgets what was written since len was `mark`, and the failure. */
void pb_rollback(pb_buf *b, size_t mark);

static inline size_t pb_varint_size(uint64_t value)
{
    size_t n = 1;
    while (value >= 0x80) {
        value >>= 7;
        n++;
    }
    return n;
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

void pb_raw(pb_buf *b, const void *data, size_t len);
void pb_varint_field(pb_buf *b, uint32_t field, uint64_t value);
void pb_fixed32_field(pb_buf *b, uint32_t field, uint32_t value);
void pb_fixed64_field(pb_buf *b, uint32_t field, uint64_t value);
void pb_double_field(pb_buf *b, uint32_t field, double value);
void pb_bytes_field(pb_buf *b, uint32_t field, const void *data, size_t len);
/* Ill-formed UTF-8 is replaced by U+FFFD. */
void pb_string_field(pb_buf *b, uint32_t field, loom_str text);

/* A nested message: what is written between open and close. */
size_t pb_open(pb_buf *b, uint32_t field);
void pb_close(pb_buf *b, size_t mark);

#endif
