/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of the loop: a binary heap under the agent's lock. */
#include "sdk-c/agent/waiting.h"

enum { TIMERS_FIRST = 16 };

uint64_t timers_next(const loom_agent *a)
{
    const heap_node *first = heap_first(&a->timers);
    return first != NULL ? first->key : NEVER;
}

loom_status agent_timer_set(loom_agent *a, agent_timer *timer, uint64_t at_ns)
{
    binary_heap *heap = &a->timers;
    if (agent_timer_is_set(timer)) {
        heap_move(heap, &timer->node, at_ns);
    } else {
        if (heap->count == heap->capacity && !heap_reserve(heap, heap->capacity > 0 ? heap->capacity * 2 : TIMERS_FIRST)) {
            return LOOM_ENOMEM;
        }
        heap_add(heap, &timer->node, at_ns);
    }
    if (at_ns < a->armed && !agent_on_loop(a)) {
        agent_wake(a); /* to be armed; the loop itself does so before it sleeps */
    }
    return LOOM_OK;
}

void agent_timer_clear(loom_agent *a, agent_timer *timer)
{
    heap_remove(&a->timers, &timer->node);
}

void timers_fire(loom_agent *a, uint64_t now)
{
    pthread_mutex_lock(&a->lock);
    /* Not for ever: one that is set again for now has its turn in the next round. */
    for (size_t left = a->timers.count; left > 0 && timers_next(a) <= now; left--) {
        agent_timer *timer = (agent_timer *)heap_first(&a->timers);
        agent_timer_clear(a, timer);
        pthread_mutex_unlock(&a->lock);
        timer->fire(a, timer);
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
}
