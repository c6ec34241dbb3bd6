/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/histogram.h"

enum { SUB = 1 << HISTOGRAM_SUB_BITS };

/* Values below SUB have a bucket each; above, every power of two is divided into SUB buckets. */
static size_t bucket_of(uint64_t value)
{
    if (value < SUB) {
        return (size_t)value;
    }
    const unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((size_t)(shift + 1) << HISTOGRAM_SUB_BITS) + (size_t)((value >> shift) - SUB);
}

/* The middle of a bucket. */
static uint64_t value_of(size_t bucket)
{
    if (bucket < SUB) {
        return bucket;
    }
    const unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    return (((uint64_t)(bucket & (SUB - 1)) + SUB) << shift) + (((uint64_t)1 << shift) >> 1);
}

void histogram_add(histogram *h, uint64_t value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
}

void histogram_merge(histogram *h, const histogram *more)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        h->buckets[i] += more->buckets[i];
    }
    h->count += more->count;
}

uint64_t histogram_quantile(const histogram *h, double share)
{
    const double wanted = share * (double)h->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (h->buckets[i] > 0 && (double)seen >= wanted) {
            return value_of(i);
        }
    }
    return 0;
}
