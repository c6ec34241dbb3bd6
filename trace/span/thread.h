/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread keeps between spans, in one place: in a shared library each look-up of a thread's own memory is a call,
 * and a span that is not sampled costs little more than one. */
#ifndef LOOM_TRACE_SPAN_THREAD_H
#define LOOM_TRACE_SPAN_THREAD_H

#include "base/random.h"
#include "trace/span/thread_exit.h"

#include <loom/trace.h>

#define SPAN_LIST_SIZE 32u /* spans, a power of two; about 100 KiB a thread */

/* The span freed last is taken first, since it is in the cache; the oldest makes room. */
typedef struct span_list {
    loom_span *spans[SPAN_LIST_SIZE];
    unsigned next, count;
} span_list;

/* alloc.c */
typedef struct span_lists {
    span_list recording, plain;
    thread_exit_hook on_exit;
} span_lists;

/* context_stack.c */
typedef struct context_stack {
    struct stack_entry *entries;
    size_t depth, cap;
    uint64_t last_token; /* tokens grow, so entries are sorted by them */
    thread_exit_hook on_exit;
} context_stack;

typedef struct span_thread {
    context_stack stack;
    span_lists lists;
    random_words *words; /* of base/random.c; NULL: not looked up yet */
} span_thread;

extern _Thread_local span_thread span_this_thread;

static inline random_words *span_thread_words(span_thread *thread)
{
    return thread->words != NULL ? thread->words : (thread->words = random_words_of_thread());
}

/* What the hooks run, each with this thread's part. */
void context_stack_free(void);
void span_lists_park(void);

#endif
