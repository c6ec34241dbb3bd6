/* SPDX-License-Identifier: Apache-2.0 */
/* A timer of the loop: loop_timer_set(). */
#ifndef LOOM_SDK_AGENT_TIMERS_H
#define LOOM_SDK_AGENT_TIMERS_H

#include <loom/agent.h>

#include "base/heap.h"

#define MS_NS 1000000ull /* nanoseconds of a millisecond */
#define NEVER UINT64_MAX

/* The memory is the owner's; zeroed before its first use. Guard: the loop's lock. */
typedef struct agent_timer {
    heap_node node; /* first; its key is CLOCK_MONOTONIC ns */
    /* Once, on the loop, lock not held; the timer is no longer set by then. */
    void (*fire)(loom_agent *a, struct agent_timer *timer);
} agent_timer;

static inline bool agent_timer_is_set(const agent_timer *timer)
{
    return heap_holds(&timer->node);
}

#endif
