/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/timers.h"

#include <stdlib.h>

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

void timers_fini(timer_heap *heap)
{
    free(heap->items);
    *heap = (timer_heap){0};
}

loom_status timers_set(timer_heap *heap, agent_timer *timer, uint64_t at_ns)
{
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
    return LOOM_OK;
}

void timers_clear(timer_heap *heap, agent_timer *timer)
{
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
