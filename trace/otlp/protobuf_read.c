/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/otlp/protobuf_read.h"

#define FIELD_NUMBER_MAX 0x1fffffffu

static bool fail(pb_cursor *c)
{
    c->bad = true;
    return false;
}

static bool read_varint(pb_cursor *c, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < PB_VARINT_MAX; i++) {
        if (c->at == c->end) {
            return fail(c);
        }
        uint8_t byte = *c->at++;
        if (i == PB_VARINT_MAX - 1 && byte > 1) {
            return fail(c); /* more than 64 bits */
        }
        value |= (uint64_t)(byte & 0x7fu) << (7 * i);
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return fail(c);
}

static bool read_fixed(pb_cursor *c, unsigned size, uint64_t *out)
{
    if ((size_t)(c->end - c->at) < size) {
        return fail(c);
    }
    *out = 0;
    for (unsigned i = 0; i < size; i++) {
        *out |= (uint64_t)c->at[i] << (8 * i);
    }
    c->at += size;
    return true;
}

static bool read_bytes(pb_cursor *c, loom_bytes *out)
{
    uint64_t len;
    if (!read_varint(c, &len)) {
        return false;
    }
    if (len > (uint64_t)(c->end - c->at)) {
        return fail(c);
    }
    *out = (loom_bytes){c->at, (size_t)len};
    c->at += len;
    return true;
}

bool pb_next_any(pb_cursor *c, pb_field *field)
{
    uint64_t tag;
    if (c->bad || c->at == c->end || !read_varint(c, &tag)) {
        return false;
    }
    if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX) {
        return fail(c);
    }
    *field = (pb_field){.number = (uint32_t)(tag >> 3), .wire = (enum pb_wire)(tag & 7u)};
    switch (field->wire) {
    case PB_VARINT:
        return read_varint(c, &field->value);
    case PB_FIXED64:
        return read_fixed(c, 8, &field->value);
    case PB_LENGTH:
        return read_bytes(c, &field->bytes);
    case PB_FIXED32:
        return read_fixed(c, 4, &field->value);
    }
    return fail(c);
}
