/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of spans that do not record. Most programs start far more of them than of the others, so that neither starting nor
 * ending one may take a locked instruction.
 *
 * They lie in slabs. A slab belongs to a thread, and only that thread gives its spans out: a bit in `free` tells which. The
 * thread ends a span of its own by setting its bit again. Any other thread, which may even do so at the same moment,
 * leaves a mark in the span (`ended`); the owner looks for marks when it has no free span left. So a span that two threads
 * end is free once, whoever was first. The span that was taken last is nearly always the one to end next, and to be taken
 * again: of that one the thread remembers by itself whether it is free, so that no end waits for a bit, and no start for
 * what the end wrote.
 *
 * Slabs are never given back to the heap: a handle that is long stale may be looked at. The slabs of a thread that exits
 * go to the next that needs some.
 *
 * How many were started is counted where they lie: only the thread that a slab belongs to adds to the counts of its spans,
 * without a locked instruction, and they stay when the thread exits. Who wants to know adds up all slabs. */
#ifndef LOOM_TRACE_SPAN_PLAIN_H
#define LOOM_TRACE_SPAN_PLAIN_H

#include "trace/span/internal.h"

#define PLAIN_SLAB_SIZE 4096u /* bytes, and its alignment: the slab of a span is found from the span's address */
#define PLAIN_SLAB_SPANS (PLAIN_SLAB_SIZE / SPAN_ALIGN - 1) /* the first place is the slab's own */

/* Each provider counts its own, by a number it has while it lives; those that got none share the last count, which nobody
 * reads. */
#define PLAIN_COUNTERS 24u
#define PLAIN_COUNTER_NONE PLAIN_COUNTERS

typedef struct plain_span {
    loom_span base;
    atomic_uint_fast64_t started[PLAIN_COUNTERS + 1]; /* in this place: by the counters of their providers */
} plain_span;

typedef struct plain_slab {
    _Atomic(span_thread *) owner; /* NULL: a thread that has exited, or the reserve */
    _Atomic(struct plain_slab *) next; /* in the ring of its owner, or among the abandoned */
    struct plain_slab *older;     /* the one that was allocated before; constant */
    unsigned free;                /* the owner's: bit n is the span n * SPAN_ALIGN bytes behind */
} plain_slab;

extern plain_slab plain_no_slab; /* constant: has no spans */

/* When the last one is in use. NULL: no memory, and the reserve is in use. */
loom_span *plain_take_slowly(span_thread *thread);
/* Whoever ends a span that is not of a slab of its own, is not the last one taken, or is current somewhere. */
void plain_end_slowly(const loom_span *handle);

static inline loom_span *plain_next_generation(loom_span *span)
{
    const unsigned generation = atomic_load_explicit(&span->generation, memory_order_relaxed);
    atomic_store_explicit(&span->generation, generation + SPAN_GENERATION_STEP, memory_order_relaxed);
    return span;
}

/* A span with the next generation, and what it was before: ctx, lacks and tracestate are the caller's to set. */
static inline loom_span *plain_take(span_thread *thread)
{
    if (!thread->plain.last_free) {
        return plain_take_slowly(thread);
    }
    thread->plain.last_free = false;
    return plain_next_generation(thread->plain.last);
}

/* span: of a slab of this thread, whether it is in use or not. */
static inline void plain_count(loom_span *span, unsigned counter)
{
    atomic_uint_fast64_t *started = &((plain_span *)span)->started[counter];
    atomic_store_explicit(started, atomic_load_explicit(started, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* One that has no span: a message that goes on without. Not counted when there is no memory. */
void plain_count_first(span_thread *thread, unsigned counter);
static inline void plain_count_without(span_thread *thread, unsigned counter)
{
    if (thread->plain.last == NULL) {
        plain_count_first(thread, counter);
        return;
    }
    plain_count(thread->plain.last, counter);
}

/* A counter of one's own, or PLAIN_COUNTER_NONE. *before: what it stands at. */
unsigned plain_counter_open(uint64_t *before);
void plain_counter_close(unsigned counter);
/* Any thread. */
uint64_t plain_counter_read(unsigned counter);

static inline void plain_end(const loom_span *handle)
{
    span_thread *const thread = span_thread_here();
    loom_span *span = span_memory(handle);
    if (thread->plain.last != span || span_live(handle) == NULL ||
        atomic_load_explicit(&span->pins, memory_order_acquire) != 0) {
        plain_end_slowly(handle);
        return;
    }
    atomic_store_explicit(&span->ended, atomic_load_explicit(&span->generation, memory_order_relaxed), memory_order_relaxed);
    thread->plain.last_free = true;
}

#endif
