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

pb_cursor pb_cursor_on(loom_bytes message);
/* The next field. false: the end, or bad bytes. Groups are bad: OTLP has none. */
bool pb_next(pb_cursor *cursor, pb_field *field);

static inline bool pb_is(const pb_field *field, uint32_t number, enum pb_wire wire)
{
    return field->number == number && field->wire == wire;
}

#endif
