/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/msgpack_bytes.h"

static size_t left(const mp_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* Reads a big-endian length of 1, 2 or 4 bytes after the format byte. */
static bool read_length(mp_reader *r, unsigned width, uint32_t *out)
{
    if (left(r) < 1u + width) {
        return false;
    }
    const uint8_t *p = r->at + 1;
    *out = width == 1 ? *p : width == 2 ? mp_load16(p) : mp_load32(p);
    r->at += 1u + width;
    return true;
}

static bool take(mp_reader *r, uint32_t len, const uint8_t **out)
{
    if (left(r) < len) {
        return false;
    }
    *out = r->at;
    r->at += len;
    return true;
}

bool mp_read_str_sized(mp_reader *r, loom_str *out)
{
    if (left(r) == 0) {
        return false;
    }
    uint32_t len;
    uint8_t b = *r->at;
    if (b < MP_STR8 || b > MP_STR32 || !read_length(r, 1u << (b - MP_STR8), &len)) {
        return false;
    }
    const uint8_t *data;
    if (!take(r, len, &data)) {
        return false;
    }
    *out = (loom_str){(const char *)data, len};
    return true;
}

bool mp_read_bin_sized(mp_reader *r, loom_bytes *out)
{
    if (left(r) == 0) {
        return false;
    }
    uint32_t len;
    uint8_t b = *r->at;
    if (b < MP_BIN8 || b > MP_BIN32 || !read_length(r, 1u << (b - MP_BIN8), &len)) {
        return false;
    }
    const uint8_t *data;
    if (!take(r, len, &data)) {
        return false;
    }
    *out = (loom_bytes){data, len};
    return true;
}

bool mp_read_uint(mp_reader *r, uint64_t *out)
{
    if (left(r) == 0) {
        return false;
    }
    uint8_t b = *r->at;
    if (b < 0x80) {
        *out = b;
        r->at++;
        return true;
    }
    if (b == MP_UINT64 || b == MP_INT64) {
        if (left(r) < 9) {
            return false;
        }
        *out = mp_load64(r->at + 1);
        r->at += 9;
        return b == MP_UINT64 || *out <= INT64_MAX;
    }
    uint32_t v;
    bool is_signed = b >= MP_INT8 && b < MP_INT64;
    if (!is_signed && (b < MP_UINT8 || b > MP_UINT32)) {
        return false;
    }
    unsigned width = 1u << (b - (is_signed ? MP_INT8 : MP_UINT8));
    if (!read_length(r, width, &v)) {
        return false;
    }
    *out = v;
    return !is_signed || v >> (8 * width - 1) == 0;
}

bool mp_read_bool(mp_reader *r, bool *out)
{
    if (r->at == r->end || (*r->at != MP_FALSE && *r->at != MP_TRUE)) {
        return false;
    }
    *out = *r->at++ == MP_TRUE;
    return true;
}

bool mp_read_ext(mp_reader *r, int8_t *type, loom_bytes *out)
{
    mp_reader at = *r;
    if (left(r) == 0) {
        return false;
    }
    uint32_t len;
    uint8_t b = *at.at;
    if (b >= MP_FIXEXT1 && b <= MP_FIXEXT16) {
        len = 1u << (b - MP_FIXEXT1);
        at.at++;
    } else if (b < MP_EXT8 || b > MP_EXT32 || !read_length(&at, 1u << (b - MP_EXT8), &len)) {
        return false;
    }
    const uint8_t *type_byte, *data;
    if (!take(&at, 1, &type_byte) || !take(&at, len, &data)) {
        return false;
    }
    *type = (int8_t)*type_byte;
    *out = (loom_bytes){data, len};
    *r = at;
    return true;
}

bool mp_read_array(mp_reader *r, uint32_t *count)
{
    if (left(r) == 0) {
        return false;
    }
    uint8_t b = *r->at;
    if ((b & 0xf0) == MP_FIXARRAY) {
        *count = b & 0x0f;
        r->at++;
        return true;
    }
    return (b == MP_ARRAY16 && read_length(r, 2, count)) || (b == MP_ARRAY32 && read_length(r, 4, count));
}

bool mp_read_map(mp_reader *r, uint32_t *count)
{
    if (left(r) == 0) {
        return false;
    }
    uint8_t b = *r->at;
    if ((b & 0xf0) == MP_FIXMAP) {
        *count = b & 0x0f;
        r->at++;
        return true;
    }
    return (b == MP_MAP16 && read_length(r, 2, count)) || (b == MP_MAP32 && read_length(r, 4, count));
}

/* Bytes after the format byte of the forms without a length of their own (msgpack specification, "Formats overview"). */
static int fixed_size(uint8_t b)
{
    if (b < 0x80 || b >= 0xe0 || b == MP_NIL || b == MP_FALSE || b == MP_TRUE) {
        return 0;
    }
    switch (b) {
    case 0xca: return 4;              /* float 32 */
    case 0xcb: return 8;              /* float 64 */
    case 0xcc: case 0xd0: return 1;   /* uint 8, int 8 */
    case 0xcd: case 0xd1: return 2;
    case 0xce: case 0xd2: return 4;
    case 0xcf: case 0xd3: return 8;
    default: return -1;
    }
}

/* Steps over a scalar, a string, bytes or an extension. */
static bool skip_flat(mp_reader *r)
{
    uint8_t b = *r->at;
    const uint8_t *ignored;
    loom_str s;
    loom_bytes bytes;
    int8_t type;
    int fixed = fixed_size(b);
    if (fixed >= 0) {
        return take(r, 1u + (uint32_t)fixed, &ignored);
    }
    /* each leaves r alone on a foreign format byte */
    return mp_read_ext(r, &type, &bytes) || mp_read_str(r, &s) || mp_read_bin(r, &bytes);
}

bool mp_skip(mp_reader *r, unsigned depth)
{
    enum { DEPTH_MAX = 32 };
    uint64_t open[DEPTH_MAX + 1]; /* values still to come at each level */
    unsigned level = 0;
    if (depth > DEPTH_MAX) {
        depth = DEPTH_MAX;
    }
    open[0] = 1;
    for (;;) {
        while (open[level] == 0) {
            if (level == 0) {
                return true;
            }
            level--;
        }
        open[level]--;
        if (left(r) == 0) {
            return false;
        }
        uint32_t count;
        uint64_t values;
        if (mp_read_array(r, &count)) {
            values = count;
        } else if (mp_read_map(r, &count)) {
            values = 2ull * count;
        } else if (skip_flat(r)) {
            continue;
        } else {
            return false;
        }
        /* every value takes a byte, so a count larger than what is left is a lie */
        if (values > left(r) || level == depth) {
            return false;
        }
        open[++level] = values;
    }
}
