/* SPDX-License-Identifier: Apache-2.0 */
/* What of plain.h is not on the way of every span: looking for marks, new slabs, ends by other threads.
 *
 * When even malloc has nothing, a span comes from a reserve of the process: a message must not lose its context because
 * memory is short. The reserve, the list of all slabs, the slabs that exited threads have left, and which counters are in
 * use are this module's only process-wide state. */
#include "trace/span/plain.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_SLABS 5u /* 75 spans */

static_assert(sizeof(plain_span) <= SPAN_ALIGN, "a plain span and its counts fit their place");
static_assert(sizeof(plain_slab) <= SPAN_ALIGN, "a slab's own fits its place");

plain_slab plain_no_slab;

static alignas(PLAIN_SLAB_SIZE) unsigned char reserve[RESERVE_SLABS * PLAIN_SLAB_SIZE];

static plain_slab *slab_of(const loom_span *span)
{
    return (plain_slab *)((uintptr_t)span & ~(uintptr_t)(PLAIN_SLAB_SIZE - 1));
}

static unsigned bit_of(const loom_span *span)
{
    return 1u << ((uintptr_t)span % PLAIN_SLAB_SIZE / SPAN_ALIGN);
}

static loom_span *span_at(const plain_slab *slab, unsigned at)
{
    return (loom_span *)((uintptr_t)slab + (size_t)at * SPAN_ALIGN);
}

/* Nobody uses it, nor has it on a stack. The first generation of memory that is all zero has ended, too. */
static bool is_free(const loom_span *span)
{
    return atomic_load_explicit(&span->ended, memory_order_acquire) ==
               atomic_load_explicit(&span->generation, memory_order_relaxed) &&
           atomic_load_explicit(&span->pins, memory_order_acquire) == 0;
}

/* ---- slabs ---- */

/* A stack. The pointer has a count in the bits its alignment leaves free, which every push raises: who pops and was
 * overtaken by a pop and a push of the same slab fails. */
static _Atomic(uintptr_t) abandoned;

static plain_slab *slab_of_link(uintptr_t link)
{
    return (plain_slab *)(link & ~(uintptr_t)(PLAIN_SLAB_SIZE - 1));
}

static void push_abandoned(plain_slab *slab)
{
    uintptr_t top = atomic_load_explicit(&abandoned, memory_order_relaxed), link;
    do {
        atomic_store_explicit(&slab->next, slab_of_link(top), memory_order_relaxed);
        link = (uintptr_t)slab | ((top + 1) & (PLAIN_SLAB_SIZE - 1));
    } while (!atomic_compare_exchange_weak_explicit(&abandoned, &top, link, memory_order_release, memory_order_relaxed));
}

static plain_slab *pop_abandoned(void)
{
    uintptr_t top = atomic_load_explicit(&abandoned, memory_order_acquire), link;
    plain_slab *slab;
    do {
        slab = slab_of_link(top);
        if (slab == NULL) {
            return NULL;
        }
        link = (uintptr_t)atomic_load_explicit(&slab->next, memory_order_relaxed) | (top & (PLAIN_SLAB_SIZE - 1));
    } while (!atomic_compare_exchange_weak_explicit(&abandoned, &top, link, memory_order_acquire, memory_order_acquire));
    return slab;
}

void plain_spans_abandon(void)
{
    plain_spans *const plain = &span_thread_here()->plain;
    plain_slab *slab = plain->current;
    if (plain->last_free) {
        slab_of(plain->last)->free |= bit_of(plain->last);
    }
    for (; plain->slabs > 0; plain->slabs--) {
        plain_slab *next = atomic_load_explicit(&slab->next, memory_order_relaxed);
        atomic_store_explicit(&slab->owner, NULL, memory_order_relaxed);
        push_abandoned(slab);
        slab = next;
    }
    plain->current = &plain_no_slab;
    plain->last = NULL;
    plain->last_free = false;
    plain->searched = 0;
}

static _Atomic(plain_slab *) newest; /* and those before it, which are never freed */

static void list_slab(plain_slab *slab)
{
    slab->older = atomic_load_explicit(&newest, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&newest, &slab->older, slab, memory_order_release, memory_order_relaxed)) {
    }
}

/* Spans of the plain kind that have all ended. */
static plain_slab *allocate(size_t slabs)
{
    char *memory = aligned_alloc(PLAIN_SLAB_SIZE, slabs * PLAIN_SLAB_SIZE);
    if (memory == NULL) {
        return NULL;
    }
    memset(memory, 0, slabs * PLAIN_SLAB_SIZE);
    for (size_t i = 0; i < slabs * (PLAIN_SLAB_SPANS + 1); i++) {
        loom_span *span = (loom_span *)(void *)(memory + i * SPAN_ALIGN);
        if (i % (PLAIN_SLAB_SPANS + 1) != 0) {
            atomic_init(&span->generation, SPAN_GENERATION_PLAIN);
            atomic_init(&span->ended, SPAN_GENERATION_PLAIN);
        }
    }
    for (size_t i = 0; i < slabs; i++) {
        list_slab((plain_slab *)(void *)(memory + i * PLAIN_SLAB_SIZE));
    }
    return (plain_slab *)(void *)memory;
}

static void own(span_thread *thread, plain_slab *slab)
{
    plain_spans *const plain = &thread->plain;
    plain_slab *next = plain->slabs > 0 ? atomic_load_explicit(&plain->current->next, memory_order_relaxed) : slab;
    atomic_store_explicit(&slab->next, next, memory_order_relaxed);
    atomic_store_explicit(&slab->owner, thread, memory_order_relaxed);
    if (plain->slabs > 0) {
        atomic_store_explicit(&plain->current->next, slab, memory_order_relaxed);
    }
    plain->current = slab;
    plain->slabs++;
}

/* A quarter more: who has many spans running at once does not look through all of them for each new slab. */
static void add_slabs(span_thread *thread)
{
    if (!thread_exit_attach(&thread->plain.on_exit)) {
        return;
    }
    plain_slab *slab = pop_abandoned();
    if (slab != NULL) {
        own(thread, slab);
        return;
    }
    size_t more = thread->plain.slabs / 4 + 1;
    plain_slab *memory = allocate(more);
    if (memory == NULL && more > 1) {
        memory = allocate(more = 1);
    }
    for (size_t i = 0; memory != NULL && i < more; i++) {
        own(thread, (plain_slab *)(void *)((char *)memory + i * PLAIN_SLAB_SIZE));
    }
}

/* ---- taking ---- */

/* Sets the bits of what other threads have ended, and of what was current somewhere when it was. */
static bool collect(plain_slab *slab)
{
    for (unsigned at = 1; at <= PLAIN_SLAB_SPANS; at++) {
        if (is_free(span_at(slab, at))) {
            slab->free |= 1u << at;
        }
    }
    return slab->free != 0;
}

/* The next slab that has a free span becomes the current one. */
static bool search(plain_spans *plain)
{
    plain_slab *slab = plain->current;
    for (size_t i = 0; i < plain->slabs; i++) {
        slab = atomic_load_explicit(&slab->next, memory_order_relaxed);
        if (slab->free != 0 || collect(slab)) {
            plain->current = slab;
            return true;
        }
        plain->searched++;
    }
    return false;
}

/* Of generations nobody owns: any thread may raise one, so only one can. */
static loom_span *take_reserve(void)
{
    for (unsigned i = 0; i < RESERVE_SLABS; i++) {
        for (unsigned at = 1; at <= PLAIN_SLAB_SPANS; at++) {
            loom_span *span = span_at((plain_slab *)(void *)(reserve + (size_t)i * PLAIN_SLAB_SIZE), at);
            unsigned generation = atomic_load_explicit(&span->generation, memory_order_relaxed);
            const unsigned next = (generation + SPAN_GENERATION_STEP) | SPAN_GENERATION_PLAIN;
            if (is_free(span) && atomic_compare_exchange_strong_explicit(&span->generation, &generation, next,
                                                                         memory_order_acq_rel, memory_order_relaxed)) {
                return span;
            }
        }
    }
    return NULL;
}

/* Of a slab that has one. */
static loom_span *take_from(span_thread *thread, plain_slab *slab)
{
    loom_span *span = span_at(slab, (unsigned)__builtin_ctz(slab->free));
    slab->free &= slab->free - 1;
    thread->plain.last = span;
    return plain_next_generation(span);
}

loom_span *plain_take_slowly(span_thread *thread)
{
    plain_spans *const plain = &thread->plain;
    if (plain->current->free != 0) {
        return take_from(thread, plain->current);
    }
    bool found = search(plain);
    if (!found || plain->searched > 2 * plain->slabs) { /* free ones are rare: each look would be a long one */
        plain->searched = 0;
        add_slabs(thread);
        found = plain->slabs > 0 && (plain->current->free != 0 || collect(plain->current));
    }
    return found ? take_from(thread, plain->current) : take_reserve();
}

/* ---- counting ---- */

static _Atomic uint32_t counters_in_use; /* a bit for each */
static_assert(PLAIN_COUNTERS < 32, "a bit for each counter");

__attribute__((noinline, cold)) void plain_count_first(span_thread *thread, unsigned counter)
{
    plain_spans *const plain = &thread->plain;
    if (plain->slabs == 0) {
        add_slabs(thread);
    }
    if (plain->slabs == 0) {
        return;
    }
    plain_slab *slab = plain->current;
    if (slab->free != 0 || collect(slab)) { /* the one to take next, and to count at from now on */
        plain->last = span_at(slab, (unsigned)__builtin_ctz(slab->free));
        plain->last_free = true;
        slab->free &= slab->free - 1;
    }
    plain_count(span_at(slab, 1), counter);
}

static uint64_t count_slab(const plain_slab *slab, unsigned counter)
{
    uint64_t sum = 0;
    for (unsigned at = 1; at <= PLAIN_SLAB_SPANS; at++) {
        const plain_span *span = (const plain_span *)span_at(slab, at);
        sum += atomic_load_explicit(&span->started[counter], memory_order_relaxed);
    }
    return sum;
}

uint64_t plain_counter_read(unsigned counter)
{
    uint64_t sum = 0;
    const plain_slab *slab = atomic_load_explicit(&newest, memory_order_acquire);
    for (; slab != NULL; slab = slab->older) {
        sum += count_slab(slab, counter);
    }
    for (unsigned i = 0; i < RESERVE_SLABS; i++) {
        sum += count_slab((const plain_slab *)(const void *)(reserve + (size_t)i * PLAIN_SLAB_SIZE), counter);
    }
    return sum;
}

unsigned plain_counter_open(uint64_t *before)
{
    uint32_t used = atomic_load_explicit(&counters_in_use, memory_order_relaxed);
    unsigned counter;
    do {
        counter = (unsigned)__builtin_ctz(~used); /* bits beyond the counters are never set */
        if (counter >= PLAIN_COUNTERS) {
            *before = 0;
            return PLAIN_COUNTER_NONE;
        }
    } while (!atomic_compare_exchange_weak_explicit(&counters_in_use, &used, used | UINT32_C(1) << counter,
                                                    memory_order_acq_rel, memory_order_relaxed));
    *before = plain_counter_read(counter);
    return counter;
}

void plain_counter_close(unsigned counter)
{
    if (counter != PLAIN_COUNTER_NONE) {
        (void)atomic_fetch_and_explicit(&counters_in_use, ~(UINT32_C(1) << counter), memory_order_acq_rel);
    }
}

/* ---- ending ---- */

/* Leaves the mark. false: it has ended. */
static bool end_generation(loom_span *span, const loom_span *handle)
{
    const unsigned generation = atomic_load_explicit(&span->generation, memory_order_relaxed);
    unsigned ended = atomic_load_explicit(&span->ended, memory_order_acquire);
    do { /* a mark that is newer than ours stays */
        if (generation == ended || span_handle_of(span, generation) != handle ||
            atomic_load_explicit(&span->generation, memory_order_relaxed) != generation) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&span->ended, &ended, generation, memory_order_acq_rel,
                                                    memory_order_acquire));
    return true;
}

void plain_end_slowly(const loom_span *handle)
{
    loom_span *span = span_memory(handle);
    if (span == NULL) {
        return;
    }
    span_thread *const thread = span_thread_here();
    plain_slab *slab = slab_of(span);
    const bool own = atomic_load_explicit(&slab->owner, memory_order_relaxed) == thread;
    if (own && span_live(handle) != NULL) {
        const unsigned generation = atomic_load_explicit(&span->generation, memory_order_relaxed);
        atomic_store_explicit(&span->ended, generation, memory_order_relaxed);
    } else if (own || !end_generation(span, handle)) {
        return;
    }
    context_stack_forget(&thread->stack, handle);
    if (own && is_free(span)) {
        slab->free |= bit_of(span);
        thread->plain.current = slab;
    }
}
