/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

void heap_fini(binary_heap *h)
{
    free(h->nodes);
    *h = (binary_heap){0};
}

bool heap_reserve(binary_heap *h, uint32_t capacity)
{
    assert(capacity > 0 && capacity >= h->count);
    heap_node **nodes = realloc(h->nodes, capacity * sizeof(heap_node *));
    if (nodes == NULL) {
        return false;
    }
    h->nodes = nodes;
    h->capacity = capacity;
    return true;
}

static void put(binary_heap *h, uint32_t i, heap_node *node)
{
    h->nodes[i] = node;
    node->place = i + 1;
}

static void sift_up(binary_heap *h, uint32_t i, heap_node *node)
{
    while (i > 0 && h->nodes[(i - 1) / 2]->key > node->key) {
        put(h, i, h->nodes[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(h, i, node);
}

static void sift_down(binary_heap *h, uint32_t i, heap_node *node)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child + 1 < h->count && h->nodes[child + 1]->key < h->nodes[child]->key) {
            child++;
        }
        if (child >= h->count || h->nodes[child]->key >= node->key) {
            put(h, i, node);
            return;
        }
        put(h, i, h->nodes[child]);
        i = child;
    }
}

/* Puts node where it belongs, the place at i being free. */
static void settle(binary_heap *h, uint32_t i, heap_node *node)
{
    if (i > 0 && h->nodes[(i - 1) / 2]->key > node->key) {
        sift_up(h, i, node);
    } else {
        sift_down(h, i, node);
    }
}

void heap_add(binary_heap *h, heap_node *node, uint64_t key)
{
    assert(node->place == 0 && h->count < h->capacity);
    node->key = key;
    h->count++;
    sift_up(h, h->count - 1, node);
}

void heap_move(binary_heap *h, heap_node *node, uint64_t key)
{
    assert(node->place > 0 && h->nodes[node->place - 1] == node);
    node->key = key;
    settle(h, node->place - 1, node);
}

void heap_remove(binary_heap *h, heap_node *node)
{
    if (node->place == 0) {
        return;
    }
    const uint32_t hole = node->place - 1;
    node->place = 0;
    heap_node *last = h->nodes[--h->count];
    if (last != node) {
        settle(h, hole, last);
    }
}
