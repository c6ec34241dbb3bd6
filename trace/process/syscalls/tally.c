/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/tally.h"

/* One writer: plain additions, which others may read at any time. */
static void add(_Atomic uint64_t *to, uint64_t value)
{
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + value, memory_order_relaxed);
}

/* 0 to 3 ns have a bucket each; above, four to each power of two. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < 4) {
        return (unsigned)ns;
    }
    const unsigned power = 63u - (unsigned)__builtin_clzll(ns);
    const unsigned bucket = (power - 1) * 4 + (unsigned)(ns >> (power - 2) & 3u);
    return bucket < TALLY_BUCKETS ? bucket : TALLY_BUCKETS - 1;
}

static uint64_t lower_bound_of(unsigned bucket)
{
    return bucket < 4 ? bucket : (uint64_t)(4 + bucket % 4) << (bucket / 4 - 1);
}

void tally_add(tally *t, unsigned number, uint64_t duration_ns, bool error)
{
    call_tally *c = &t->by_number[number];
    add(&t->calls, 1);
    add(&c->calls, 1);
    add(&c->errors, error ? 1 : 0);
    add(&c->total_ns, duration_ns);
    if (duration_ns > atomic_load_explicit(&c->longest_ns, memory_order_relaxed)) {
        atomic_store_explicit(&c->longest_ns, duration_ns, memory_order_relaxed);
    }
    _Atomic uint32_t *bucket = &c->buckets[bucket_of(duration_ns)];
    atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + 1, memory_order_relaxed);
}

uint64_t tally_percentile(const call_tally *c, double share)
{
    uint64_t all = 0, seen = 0;
    for (unsigned i = 0; i < TALLY_BUCKETS; i++) {
        all += atomic_load_explicit(&c->buckets[i], memory_order_relaxed);
    }
    const double rank = share * (double)all;
    const uint64_t longest = atomic_load_explicit(&c->longest_ns, memory_order_relaxed);
    for (unsigned i = 0; i < TALLY_BUCKETS && all > 0; i++) {
        const uint64_t here = atomic_load_explicit(&c->buckets[i], memory_order_relaxed);
        if (here > 0 && (double)(seen + here) >= rank) {
            const uint64_t from = lower_bound_of(i), to = lower_bound_of(i + 1);
            const double part = (rank - (double)seen) / (double)here;
            const uint64_t value = from + (uint64_t)((double)(to - from) * (part < 0 ? 0 : part));
            return value < longest ? value : longest;
        }
        seen += here;
    }
    return longest;
}
