/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/digest.h"

#include <stdlib.h>
#include <string.h>

enum { BITS_EACH = 12, PROBES = 4, SIZE_MIN = 8, SIZE_MAX_LOG = 20 }; /* sizes in bytes: powers of two */

void digest_init(digest *d)
{
    *d = (digest){0};
}

void digest_fini(digest *d)
{
    free(d->hashes);
    free(d->bits);
    *d = (digest){0};
}

static uint64_t fold(uint64_t hash, loom_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ (uint8_t)text.data[i]) * 0x100000001b3u; /* FNV-1a */
    }
    return (hash ^ 0xff) * 0x100000001b3u; /* no byte of UTF-8: ("ab", "c") is not ("a", "bc") */
}

/* Stored in databases, so it must not change. Keys and values that somebody chose to collide cost a look at the spans. */
static uint64_t hash_of(loom_str key, loom_str value)
{
    uint64_t hash = fold(fold(0xcbf29ce484222325u, key), value);
    hash ^= hash >> 32; /* the high bits of FNV are the better ones */
    hash *= 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* The bit of one probe; size is a power of two. */
static size_t bit_of(uint64_t hash, unsigned probe, size_t size)
{
    uint32_t first = (uint32_t)hash, step = (uint32_t)(hash >> 32) | 1u;
    return (first + probe * step) & (size * 8 - 1);
}

loom_status digest_put(digest *d, loom_str key, loom_str value)
{
    if (d->count == d->capacity) {
        size_t capacity = d->capacity == 0 ? 64 : d->capacity * 2;
        uint64_t *hashes = reallocarray(d->hashes, capacity, sizeof *hashes);
        if (hashes == NULL) {
            return LOOM_ENOMEM;
        }
        d->hashes = hashes;
        d->capacity = capacity;
    }
    uint64_t hash = hash_of(key, value);
    if (d->count == 0 || d->hashes[d->count - 1] != hash) {
        d->hashes[d->count++] = hash;
    }
    return LOOM_OK;
}

loom_status digest_take(digest *d, loom_bytes *filter)
{
    size_t size = SIZE_MIN;
    while (size * 8 < d->count * BITS_EACH && size < (size_t)1 << SIZE_MAX_LOG) {
        size *= 2;
    }
    if (size > d->bits_capacity) {
        uint8_t *bits = realloc(d->bits, size);
        if (bits == NULL) {
            return LOOM_ENOMEM;
        }
        d->bits = bits;
        d->bits_capacity = size;
    }
    memset(d->bits, 0, size);
    for (size_t i = 0; i < d->count; i++) {
        for (unsigned probe = 0; probe < PROBES; probe++) {
            size_t bit = bit_of(d->hashes[i], probe, size);
            d->bits[bit / 8] |= (uint8_t)(1u << bit % 8);
        }
    }
    d->count = 0;
    *filter = (loom_bytes){d->bits, size};
    return LOOM_OK;
}

bool digest_may_hold(loom_bytes filter, loom_str key, loom_str value)
{
    if (filter.len < SIZE_MIN || (filter.len & (filter.len - 1)) != 0) {
        return true;
    }
    uint64_t hash = hash_of(key, value);
    for (unsigned probe = 0; probe < PROBES; probe++) {
        size_t bit = bit_of(hash, probe, filter.len);
        if ((filter.data[bit / 8] & 1u << bit % 8) == 0) {
            return false;
        }
    }
    return true;
}
