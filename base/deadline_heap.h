/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines in milliseconds, the earliest first: base/heap.h with the unit in the name of its key. */
#ifndef LOOM_BASE_DEADLINE_HEAP_H
#define LOOM_BASE_DEADLINE_HEAP_H

#include "base/heap.h"

typedef union deadline_node {
    heap_node node;
    uint64_t at_ms; /* node.key */
} deadline_node;

typedef binary_heap deadline_heap; /* of deadline_nodes only */

enum { DEADLINES_A_ROUND = 16, DEADLINES_LATE_A_ROUND = 240 };

static inline void deadline_heap_fini(deadline_heap *heap)
{
    heap_fini(heap);
}

static inline bool deadline_heap_reserve(deadline_heap *heap, uint32_t capacity)
{
    return heap_reserve(heap, capacity);
}

static inline void deadline_heap_add(deadline_heap *heap, deadline_node *node, uint64_t at_ms)
{
    heap_add(heap, &node->node, at_ms);
}

static inline void deadline_heap_remove(deadline_heap *heap, deadline_node *node)
{
    heap_remove(heap, &node->node);
}

/* NULL: empty. */
static inline deadline_node *deadline_heap_first(const deadline_heap *heap)
{
    return (deadline_node *)heap_first(heap);
}

/* The first, if its time has come; else NULL. */
static inline deadline_node *deadline_heap_due(const deadline_heap *heap, uint64_t now_ms)
{
    deadline_node *first = deadline_heap_first(heap);
    return first != NULL && first->at_ms <= now_ms ? first : NULL;
}

/* How many that are due may be seen to before others have a turn: some, and one more for each millisecond that the first is
 * late. So a flood of deadlines costs others little at a time, and does not fall behind for long. */
static inline uint64_t deadline_heap_budget(const deadline_heap *heap, uint64_t now_ms)
{
    const deadline_node *first = deadline_heap_due(heap, now_ms);
    const uint64_t late_ms = first != NULL ? now_ms - first->at_ms : 0;
    return DEADLINES_A_ROUND + (late_ms < DEADLINES_LATE_A_ROUND ? late_ms : DEADLINES_LATE_A_ROUND);
}

#endif
