/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread keeps between spans, in one place.
 *
 * In a shared library each look-up of a thread's own memory is a call, unless its place is known when the library is loaded
 * ("initial exec"). A library that is loaded by dlopen() then takes all its thread-local storage, not this alone, from what
 * the C library has set aside for that (glibc: 1.6 KiB for all libraries). So all of libloom's has to be small, also
 * what this does not know of; tests/unit/trace/test_loaded.c loads it so. */
#ifndef LOOM_TRACE_SPAN_THREAD_H
#define LOOM_TRACE_SPAN_THREAD_H

#include "base/random.h"
#include "trace/record/write.h"
#include "trace/span/thread_exit.h"

#include <loom/trace.h>

#include <string.h>

/* alloc.c: the span freed last is taken first, since it is in the cache. */
typedef struct span_list {
    loom_span *first; /* linked through their tracestate, which a free span has none of */
    unsigned count;
} span_list;

/* context_stack.c */
typedef struct context_stack {
    struct stack_entry *entries;
    size_t depth, cap;
    uint64_t last_token; /* tokens grow, so entries are sorted by them */
    thread_exit_hook on_exit;
} context_stack;

/* plain.c: a ring, current is any of it. */
typedef struct plain_spans {
    loom_span *last; /* taken, or NULL */
    bool last_free;  /* this says it, and no bit of its slab */
    struct plain_slab *current; /* never NULL; in a thread without slabs an empty one of nobody */
    size_t slabs;
    size_t searched; /* slabs looked through in vain since one was added */
    thread_exit_hook on_exit;
} plain_spans;

typedef struct span_thread {
    context_stack stack;
    plain_spans plain;
    span_list recording;
    const void *next_place;   /* in a processor's queue: processor_prepare() */
    thread_exit_hook on_exit; /* of the list */
    record_hand hand;         /* of the flight recorder */
    thread_exit_hook on_exit_hand;
    random_words *words;      /* of base/random.c; NULL: not looked up yet */
} span_thread;

extern _Thread_local span_thread span_this_thread __attribute__((tls_model("initial-exec")));

static inline span_thread *span_thread_here(void)
{
    return &span_this_thread;
}

static inline random_words *span_thread_words(span_thread *thread)
{
    return thread->words != NULL ? thread->words : (thread->words = random_words_of_thread());
}

static inline void span_draw_id(random_words *words, uint8_t id[LOOM_SPAN_ID_SIZE])
{
    uint64_t drawn;
    do {
        drawn = random_next(words);
    } while (drawn == 0);
    memcpy(id, &drawn, sizeof drawn);
}

/* What the hooks run, each with this thread's part. */
void context_stack_free(void);
void span_list_park(void);
void plain_spans_abandon(void);
void span_hand_give_back(void);
/* From now on the child of a fork() leaves its parent's records alone. */
void span_thread_watch_forks(void);

/* Where this thread records. NULL: nowhere, since it could not give back what it has when it exits. */
static inline record_hand *span_thread_hand(span_thread *thread)
{
    return thread_exit_attach(&thread->on_exit_hand) ? &thread->hand : NULL;
}

#endif
