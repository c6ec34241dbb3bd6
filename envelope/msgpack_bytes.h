/* SPDX-License-Identifier: Apache-2.0 */
/* The few msgpack forms the hot path writes and reads itself (msgpack specification, "Formats").
 * Everything else (frames with maps, tests) goes through msgpack-c. Measured: encoding an envelope through
 * msgpack_packer's callback costs about three times these inline writes. */
#ifndef LOOM_ENVELOPE_MSGPACK_BYTES_H
#define LOOM_ENVELOPE_MSGPACK_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include <loom/api.h>

enum {
    MP_FIXMAP = 0x80,
    MP_FIXARRAY = 0x90,
    MP_FIXSTR = 0xa0,
    MP_NIL = 0xc0,
    MP_FALSE = 0xc2,
    MP_TRUE = 0xc3,
    MP_BIN8 = 0xc4,
    MP_BIN16 = 0xc5,
    MP_BIN32 = 0xc6,
    MP_EXT8 = 0xc7,
    MP_EXT32 = 0xc9,
    MP_UINT8 = 0xcc,
    MP_UINT16 = 0xcd,
    MP_UINT32 = 0xce,
    MP_UINT64 = 0xcf,
    MP_INT8 = 0xd0,
    MP_INT64 = 0xd3,
    MP_FIXEXT1 = 0xd4,
    MP_FIXEXT16 = 0xd8,
    MP_STR8 = 0xd9,
    MP_STR16 = 0xda,
    MP_STR32 = 0xdb,
    MP_ARRAY16 = 0xdc,
    MP_ARRAY32 = 0xdd,
    MP_MAP16 = 0xde,
    MP_MAP32 = 0xdf
};

/* Whole words: written byte by byte they become a dozen shifts each, and several are merged into something worse. */
static inline uint16_t mp_load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return be16toh(v);
}

static inline uint32_t mp_load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static inline uint64_t mp_load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

static inline void mp_store32(uint8_t *p, uint32_t v)
{
    const uint32_t big = htobe32(v);
    memcpy(p, &big, sizeof big);
}

static inline void mp_store64(uint8_t *p, uint64_t v)
{
    const uint64_t big = htobe64(v);
    memcpy(p, &big, sizeof big);
}

static inline uint8_t *mp_put_uint(uint8_t *p, uint64_t v)
{
    if (v < 0x80) {
        *p++ = (uint8_t)v;
    } else if (v <= UINT8_MAX) {
        *p++ = MP_UINT8;
        *p++ = (uint8_t)v;
    } else if (v <= UINT16_MAX) {
        *p++ = MP_UINT16;
        *p++ = (uint8_t)(v >> 8);
        *p++ = (uint8_t)v;
    } else if (v <= UINT32_MAX) {
        *p++ = MP_UINT32;
        mp_store32(p, (uint32_t)v);
        p += 4;
    } else {
        *p++ = MP_UINT64;
        mp_store64(p, v);
        p += 8;
    }
    return p;
}

static inline uint8_t *mp_put_raw(uint8_t *p, const void *data, size_t len)
{
    if (len > 0) {
        memcpy(p, data, len);
    }
    return p + len;
}

static inline uint8_t *mp_put_str(uint8_t *p, loom_str s)
{
    if (s.len < 32) {
        *p++ = (uint8_t)(MP_FIXSTR | s.len);
    } else if (s.len <= UINT8_MAX) {
        *p++ = MP_STR8;
        *p++ = (uint8_t)s.len;
    } else {
        *p++ = MP_STR16; /* every text field is limited to 16 bits */
        *p++ = (uint8_t)(s.len >> 8);
        *p++ = (uint8_t)s.len;
    }
    return mp_put_raw(p, s.data, s.len);
}

/* Empty text is nil: absent. */
static inline uint8_t *mp_put_str_or_nil(uint8_t *p, loom_str s)
{
    if (s.len == 0) {
        *p++ = MP_NIL;
        return p;
    }
    return mp_put_str(p, s);
}

static inline uint8_t *mp_put_bin(uint8_t *p, const void *data, size_t len)
{
    if (len <= UINT8_MAX) {
        *p++ = MP_BIN8;
        *p++ = (uint8_t)len;
    } else if (len <= UINT16_MAX) {
        *p++ = MP_BIN16;
        *p++ = (uint8_t)(len >> 8);
        *p++ = (uint8_t)len;
    } else {
        *p++ = MP_BIN32;
        mp_store32(p, (uint32_t)len);
        p += 4;
    }
    return mp_put_raw(p, data, len);
}

/* A position in bytes that are being read. */
typedef struct mp_reader {
    const uint8_t *at;
    const uint8_t *end;
} mp_reader;

/* Each reads one value of its kind, and answers false (position unspecified) when there is none. */
bool mp_read_str_sized(mp_reader *r, loom_str *out); /* the forms with a length of their own: str 8, 16, 32 */
static inline bool mp_read_str(mp_reader *r, loom_str *out)
{
    size_t left = (size_t)(r->end - r->at);
    if (left == 0 || (*r->at & 0xe0) != MP_FIXSTR) {
        return mp_read_str_sized(r, out);
    }
    size_t len = *r->at & 0x1f;
    if (len >= left) {
        return false;
    }
    *out = (loom_str){(const char *)r->at + 1, len};
    r->at += 1 + len;
    return true;
}
bool mp_read_bin_sized(mp_reader *r, loom_bytes *out); /* of any size */
static inline bool mp_read_bin(mp_reader *r, loom_bytes *out)
{
    size_t left = (size_t)(r->end - r->at);
    if (left < 2 || r->at[0] != MP_BIN8) {
        return mp_read_bin_sized(r, out);
    }
    size_t len = r->at[1];
    if (len > left - 2) {
        return false;
    }
    *out = (loom_bytes){r->at + 2, len};
    r->at += 2 + len;
    return true;
}
/* In a signed form too, when it is not negative: several languages know no other. */
bool mp_read_uint(mp_reader *r, uint64_t *out);
bool mp_read_bool(mp_reader *r, bool *out);
/* Any extension, of whichever size form. Leaves the position alone when there is none. */
bool mp_read_ext(mp_reader *r, int8_t *type, loom_bytes *out);
bool mp_read_array(mp_reader *r, uint32_t *count);
bool mp_read_map(mp_reader *r, uint32_t *count);
/* Steps over one value of any kind, nested at most depth deep, with every length checked against the end. */
bool mp_skip(mp_reader *r, unsigned depth);

#endif
