/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines, the earliest first: a binary heap of nodes that sit inside the things that have them. Room is reserved
 * ahead, so that adding never fails. */
#ifndef LOOM_BASE_DEADLINE_HEAP_H
#define LOOM_BASE_DEADLINE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct deadline_node {
    uint64_t at_ms;
    uint32_t place; /* in the heap, from 1; 0: not in it */
} deadline_node;

/* All zero: empty. */
typedef struct deadline_heap {
    deadline_node **nodes;
    uint32_t count;
    uint32_t capacity;
} deadline_heap;

void deadline_heap_fini(deadline_heap *heap);
/* Room for this many nodes; a smaller number than before gives memory back. False: out of memory. */
bool deadline_heap_reserve(deadline_heap *heap, uint32_t capacity);
/* node must not be in the heap, and there must be room. */
void deadline_heap_add(deadline_heap *heap, deadline_node *node, uint64_t at_ms);
/* Does nothing when node is not in the heap. */
void deadline_heap_remove(deadline_heap *heap, deadline_node *node);
/* NULL: empty. */
static inline deadline_node *deadline_heap_first(const deadline_heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}

#endif
