/* SPDX-License-Identifier: Apache-2.0 */
#include "base/deadline_heap.h"

#include <assert.h>
#include <stdlib.h>

void deadline_heap_fini(deadline_heap *heap)
{
    free(heap->nodes);
    *heap = (deadline_heap){0};
}

bool deadline_heap_reserve(deadline_heap *heap, uint32_t capacity)
{
    assert(capacity > 0 && capacity >= heap->count);
    deadline_node **nodes = realloc(heap->nodes, capacity * sizeof(deadline_node *));
    if (nodes == NULL) {
        return false;
    }
    heap->nodes = nodes;
    heap->capacity = capacity;
    return true;
}

static void place(deadline_heap *heap, uint32_t i, deadline_node *node)
{
    heap->nodes[i] = node;
    node->place = i + 1;
}

static void sift_up(deadline_heap *heap, uint32_t i, deadline_node *node)
{
    while (i > 0 && heap->nodes[(i - 1) / 2]->at_ms > node->at_ms) {
        place(heap, i, heap->nodes[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(heap, i, node);
}

static void sift_down(deadline_heap *heap, uint32_t i, deadline_node *node)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child + 1 < heap->count && heap->nodes[child + 1]->at_ms < heap->nodes[child]->at_ms) {
            child++;
        }
        if (child >= heap->count || heap->nodes[child]->at_ms >= node->at_ms) {
            place(heap, i, node);
            return;
        }
        place(heap, i, heap->nodes[child]);
        i = child;
    }
}

void deadline_heap_add(deadline_heap *heap, deadline_node *node, uint64_t at_ms)
{
    assert(node->place == 0 && heap->count < heap->capacity);
    node->at_ms = at_ms;
    heap->count++;
    sift_up(heap, heap->count - 1, node);
}

void deadline_heap_remove(deadline_heap *heap, deadline_node *node)
{
    if (node->place == 0) {
        return;
    }
    const uint32_t hole = node->place - 1;
    node->place = 0;
    deadline_node *last = heap->nodes[--heap->count];
    if (last == node) {
        return;
    }
    if (hole > 0 && heap->nodes[(hole - 1) / 2]->at_ms > last->at_ms) {
        sift_up(heap, hole, last);
    } else {
        sift_down(heap, hole, last);
    }
}
