/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of the loop: a binary heap under the agent's lock. */
#include <stdlib.h>

#include "sdk-c/agent/waiting.h"

static void place(timer_heap *heap, size_t at, agent_timer *timer)
{
    heap->items[at] = timer;
    timer->heap_index = at;
}

static void sift_up(timer_heap *heap, size_t at, agent_timer *timer)
{
    while (at > 0 && heap->items[(at - 1) / 2]->at > timer->at) {
        place(heap, at, heap->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(heap, at, timer);
}

static void sift_down(timer_heap *heap, size_t at, agent_timer *timer)
{
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && heap->items[child + 1]->at < heap->items[child]->at) {
            child++;
        }
        if (heap->items[child]->at >= timer->at) {
            break;
        }
        place(heap, at, heap->items[child]);
    }
    place(heap, at, timer);
}

static void settle(timer_heap *heap, size_t at, agent_timer *timer)
{
    if (at > 0 && heap->items[(at - 1) / 2]->at > timer->at) {
        sift_up(heap, at, timer);
    } else {
        sift_down(heap, at, timer);
    }
}

uint64_t timers_next(const loom_agent *a)
{
    return a->timers.count > 0 ? a->timers.items[0]->at : NEVER;
}

loom_status agent_timer_set(loom_agent *a, agent_timer *timer, uint64_t at_ns)
{
    timer_heap *heap = &a->timers;
    if (timer->at == 0) {
        if (heap->count == heap->capacity) {
            size_t capacity = heap->capacity > 0 ? heap->capacity * 2 : 16;
            agent_timer **items = realloc(heap->items, capacity * sizeof(agent_timer *));
            if (items == NULL) {
                return LOOM_ENOMEM;
            }
            heap->items = items;
            heap->capacity = capacity;
        }
        timer->heap_index = heap->count++;
    }
    timer->at = at_ns > 0 ? at_ns : 1;
    heap->items[timer->heap_index] = timer;
    settle(heap, timer->heap_index, timer);
    if (timer->at < a->armed && !agent_on_loop(a)) {
        agent_wake(a); /* to be armed; the loop itself does so before it sleeps */
    }
    return LOOM_OK;
}

void agent_timer_clear(loom_agent *a, agent_timer *timer)
{
    timer_heap *heap = &a->timers;
    if (timer->at == 0) {
        return;
    }
    size_t at = timer->heap_index;
    agent_timer *last = heap->items[--heap->count];
    timer->at = 0;
    if (last != timer) {
        settle(heap, at, last);
    }
}

void timers_fire(loom_agent *a, uint64_t now)
{
    pthread_mutex_lock(&a->lock);
    /* Not for ever: one that is set again for now has its turn in the next round. */
    for (size_t left = a->timers.count; left > 0 && timers_next(a) <= now; left--) {
        agent_timer *timer = a->timers.items[0];
        agent_timer_clear(a, timer);
        pthread_mutex_unlock(&a->lock);
        timer->fire(a, timer);
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
}
