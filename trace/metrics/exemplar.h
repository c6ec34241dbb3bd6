/* SPDX-License-Identifier: Apache-2.0 */
/* The last measurement of a bucket that was taken in a sampled span. Written and read without a lock: a writer that meets
 * another one leaves the exemplar to it, and a reader that meets a writer does without.
 *
 * A sequence lock of atomics: odd while somebody writes. The words are stored with release, so that whoever sees one of them
 * sees the odd number, too; no fence, which the thread sanitizer would not understand. */
#ifndef LOOM_TRACE_METRICS_EXEMPLAR_H
#define LOOM_TRACE_METRICS_EXEMPLAR_H

#include <loom/context.h>

#include <stdatomic.h>
#include <string.h>

enum { EXEMPLAR_WORDS = 5 };

typedef struct exemplar {
    atomic_uint_fast64_t sequence; /* 0: none yet */
    atomic_uint_fast64_t words[EXEMPLAR_WORDS];
} exemplar;

typedef struct exemplar_value {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE], span_id[LOOM_SPAN_ID_SIZE];
    double value;
    uint64_t time_unix_ns;
} exemplar_value;

_Static_assert(sizeof(exemplar_value) == EXEMPLAR_WORDS * sizeof(uint64_t), "words hold all of it");

static inline void exemplar_put(exemplar *e, const exemplar_value *value)
{
    uint_fast64_t before = atomic_load_explicit(&e->sequence, memory_order_relaxed);
    if (before % 2 != 0 || !atomic_compare_exchange_strong_explicit(&e->sequence, &before, before + 1, memory_order_acquire,
                                                                    memory_order_relaxed)) {
        return;
    }
    uint64_t words[EXEMPLAR_WORDS];
    memcpy(words, value, sizeof words);
    for (size_t i = 0; i < EXEMPLAR_WORDS; i++) {
        atomic_store_explicit(&e->words[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&e->sequence, before + 2, memory_order_release);
}

/* False: there is none, or somebody writes it just now. */
static inline bool exemplar_get(const exemplar *e, exemplar_value *out)
{
    uint64_t words[EXEMPLAR_WORDS];
    const uint_fast64_t before = atomic_load_explicit(&e->sequence, memory_order_acquire);
    for (size_t i = 0; i < EXEMPLAR_WORDS; i++) {
        words[i] = atomic_load_explicit(&e->words[i], memory_order_acquire);
    }
    memcpy(out, words, sizeof words);
    return before != 0 && before % 2 == 0 && atomic_load_explicit(&e->sequence, memory_order_relaxed) == before;
}

#endif
