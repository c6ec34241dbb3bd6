/* SPDX-License-Identifier: Apache-2.0 */
/* A kilobyte of gzip may stand for a megabyte: memory grows with what has come out, never with what a header promises, and
 * stops at the limit. */
#include "trace/collect/gunzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* the largest window, and a gzip header instead of zlib's */
#define FIRST_SIZE 65536u     /* bytes */

typedef struct unpacking {
    z_stream z;
    uint8_t *data;
    size_t cap, max;
} unpacking;

/* One byte more than the limit, to see whether there is more. */
static loom_status grow(unpacking *u, size_t len)
{
    if (len < u->cap) {
        return LOOM_OK;
    }
    if (len > u->max) {
        return LOOM_ETOOBIG;
    }
    size_t cap = u->cap == 0 ? FIRST_SIZE : u->cap * 2;
    cap = cap > u->max + 1 ? u->max + 1 : cap;
    uint8_t *data = realloc(u->data, cap);
    if (data == NULL) {
        return LOOM_ENOMEM;
    }
    u->data = data;
    u->cap = cap;
    return LOOM_OK;
}

static loom_status unpack(unpacking *u, size_t *len)
{
    for (;;) {
        loom_status st = grow(u, *len);
        if (st != LOOM_OK) {
            return st;
        }
        u->z.next_out = u->data + *len;
        u->z.avail_out = (uInt)(u->cap - *len);
        int result = inflate(&u->z, Z_NO_FLUSH);
        *len = u->cap - u->z.avail_out;
        if (result == Z_STREAM_END) {
            if (u->z.avail_in == 0) {
                return *len <= u->max ? LOOM_OK : LOOM_ETOOBIG;
            }
            result = inflateReset(&u->z); /* another member follows */
        }
        if (result == Z_MEM_ERROR) {
            return LOOM_ENOMEM;
        }
        if (result != Z_OK || (u->z.avail_in == 0 && u->z.avail_out > 0)) {
            return LOOM_EMALFORMED;
        }
    }
}

loom_status gunzip(uint8_t **out, size_t *len, loom_bytes packed, size_t max)
{
    unpacking u = {.max = max};
    *out = NULL;
    *len = 0;
    if (packed.len > UINT_MAX || max >= UINT_MAX) {
        return LOOM_ETOOBIG;
    }
    u.z.next_in = (Bytef *)(uintptr_t)packed.data; /* zlib only reads it */
    u.z.avail_in = (uInt)packed.len;
    if (inflateInit2(&u.z, GZIP_WINDOW) != Z_OK) {
        return LOOM_ENOMEM;
    }
    loom_status st = unpack(&u, len);
    (void)inflateEnd(&u.z);
    if (st != LOOM_OK) {
        free(u.data);
        *len = 0;
        return st;
    }
    *out = u.data;
    return LOOM_OK;
}
