/* SPDX-License-Identifier: Apache-2.0 */
/* Timers, the earliest first: a binary heap. The memory of a timer is its owner's, zeroed before its first use.
 * Guard: the owner's; in an agent the lock of its loop. */
#ifndef LOOM_SDK_AGENT_TIMERS_H
#define LOOM_SDK_AGENT_TIMERS_H

#include <loom/agent.h>

#define MS_NS 1000000ull /* nanoseconds of a millisecond */
#define NEVER UINT64_MAX

typedef struct agent_timer {
    uint64_t at; /* CLOCK_MONOTONIC ns; 0: not set */
    /* Once, on the loop, lock not held; the timer is no longer set by then. */
    void (*fire)(loom_agent *a, struct agent_timer *timer);
    size_t heap_index;
} agent_timer;

typedef struct timer_heap {
    agent_timer **items;
    size_t count, capacity;
} timer_heap;

void timers_fini(timer_heap *heap);
/* Moves it if it is set already, which needs no memory. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status timers_set(timer_heap *heap, agent_timer *timer, uint64_t at_ns);
void timers_clear(timer_heap *heap, agent_timer *timer); /* not set: nothing */
/* NULL: none is set. */
static inline agent_timer *timers_first(const timer_heap *heap)
{
    return heap->count > 0 ? heap->items[0] : NULL;
}

#endif
