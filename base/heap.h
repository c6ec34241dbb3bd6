/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest key first: a binary heap of nodes that sit inside the things it orders and know their places in it, so that
 * any of them is removed in O(log n). Room is reserved ahead, so that adding never fails. */
#ifndef LOOM_BASE_HEAP_H
#define LOOM_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: not in a heap. */
typedef struct heap_node {
    uint64_t key;
    uint32_t place; /* from 1; 0: not in a heap */
} heap_node;

/* All zero: empty. */
typedef struct binary_heap {
    heap_node **nodes;
    uint32_t count;
    uint32_t capacity;
} binary_heap;

void heap_fini(binary_heap *h); /* the nodes stay their owners' */
/* Room for this many nodes, at least as many as there are; less than before gives memory back. False: out of memory. */
bool heap_reserve(binary_heap *h, uint32_t capacity);
/* node must not be in the heap, and there must be room. */
void heap_add(binary_heap *h, heap_node *node, uint64_t key);
/* node must be in the heap. */
void heap_move(binary_heap *h, heap_node *node, uint64_t key);
/* Does nothing when node is not in the heap. */
void heap_remove(binary_heap *h, heap_node *node);

static inline bool heap_holds(const heap_node *node)
{
    return node->place > 0;
}

/* NULL: empty. */
static inline heap_node *heap_first(const binary_heap *h)
{
    return h->count > 0 ? h->nodes[0] : NULL;
}

#endif
