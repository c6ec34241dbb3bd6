/* SPDX-License-Identifier: Apache-2.0 */
/* The items of the highest ranks among many, in room for no more than those: a heap, the lowest rank first. */
#include <stdlib.h>
#include <string.h>

#include "broker/endpoints/control_internal.h"

void control_top_init(control_top *top, uint32_t limit, size_t size)
{
    *top = (control_top){.size = size, .limit = limit, .heap = malloc(limit * sizeof *top->heap), .items = malloc(limit * size)};
    top->failed = top->heap == NULL || top->items == NULL;
}

void control_top_fini(control_top *top)
{
    free(top->heap);
    free(top->items);
}

static int by_rank(const void *a, const void *b)
{
    const uint64_t x = ((const control_ranked *)a)->rank, y = ((const control_ranked *)b)->rank;
    return (x > y) - (x < y);
}

static void sift_down(control_top *top)
{
    control_ranked *heap = top->heap;
    for (uint32_t at = 0, child; (child = 2 * at + 1) < top->count; at = child) {
        child += child + 1 < top->count && heap[child + 1].rank < heap[child].rank;
        if (heap[at].rank <= heap[child].rank) {
            return;
        }
        const control_ranked other = heap[at];
        heap[at] = heap[child];
        heap[child] = other;
    }
}

void control_top_add(control_top *top, uint64_t rank, const void *item)
{
    if (top->failed) {
        return;
    }
    if (top->count < top->limit) {
        control_ranked *place = &top->heap[top->count];
        *place = (control_ranked){rank, top->items + top->count * top->size};
        memcpy(place->item, item, top->size);
        if (++top->count == top->limit) {
            qsort(top->heap, top->count, sizeof *top->heap, by_rank); /* which is a heap */
        }
        return;
    }
    top->more = true;
    if (rank > top->heap[0].rank) {
        top->heap[0].rank = rank;
        memcpy(top->heap[0].item, item, top->size);
        sift_down(top);
    }
}

void control_top_pack(control_top *top, control_list *list, void (*pack)(void *user, msgpack_packer *pk, const void *item),
                      void *user)
{
    list->items.failed = list->items.failed || top->failed;
    if (!top->failed) {
        qsort(top->heap, top->count, sizeof *top->heap, by_rank);
    }
    for (uint32_t i = top->count; i-- > 0 && control_list_room(list);) {
        pack(user, &list->items.pk, top->heap[i].item);
    }
    list->more = list->more || top->more;
}
