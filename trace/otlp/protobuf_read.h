/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the fields of one protobuf message from outside. Lengths are checked against what is there; nothing is copied. */
#ifndef LOOM_TRACE_OTLP_PROTOBUF_READ_H
#define LOOM_TRACE_OTLP_PROTOBUF_READ_H

#include "trace/otlp/protobuf_write.h"

typedef struct pb_cursor {
    const uint8_t *at, *end;
    bool bad; /* the bytes are not a message; the walk has ended */
} pb_cursor;

typedef struct pb_field {
    uint32_t number;
    enum pb_wire wire;
    uint64_t value;   /* of a varint or a fixed one */
    loom_bytes bytes; /* of a length-delimited one */
} pb_field;

static inline pb_cursor pb_cursor_on(loom_bytes message)
{
    return message.len > 0 ? (pb_cursor){.at = message.data, .end = message.data + message.len} : (pb_cursor){0};
}

/* pb_next(), of any field. */
bool pb_next_any(pb_cursor *cursor, pb_field *field);

/* The next field. false: the end, or bad bytes. Groups are bad: OTLP has none. Most fields of OTLP are bytes, with a tag and a
 * length of one byte each: these are read here. */
static inline bool pb_next(pb_cursor *c, pb_field *field)
{
    const size_t left = (size_t)(c->end - c->at);
    if (left == 0) {
        return false;
    }
    if (left >= 2 && (c->at[0] & 0x87u) == PB_LENGTH && c->at[0] > 0x07u && c->at[1] < 0x80u && c->at[1] <= left - 2 && !c->bad) {
        field->number = c->at[0] >> 3;
        field->wire = PB_LENGTH;
        field->value = 0;
        field->bytes = (loom_bytes){c->at + 2, c->at[1]};
        c->at += 2 + field->bytes.len;
        return true;
    }
    return pb_next_any(c, field);
}

static inline bool pb_is(const pb_field *field, uint32_t number, enum pb_wire wire)
{
    return field->number == number && field->wire == wire;
}

#endif
