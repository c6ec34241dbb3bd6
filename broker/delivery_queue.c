/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/delivery_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { RING_MIN = 8 };

/* Unrolls the ring into one of twice the size. */
static bool grow(delivery_queue *queue)
{
    if (queue->capacity > UINT32_MAX / 2) {
        return false;
    }
    const uint32_t capacity = queue->capacity == 0 ? RING_MIN : queue->capacity * 2;
    loom_envelope **ring = malloc(capacity * sizeof(loom_envelope *));
    if (ring == NULL) {
        return false;
    }
    if (queue->count > 0) {
        const uint32_t upper = queue->capacity - queue->head; /* from the head to the end of the old ring */
        memcpy(ring, queue->ring + queue->head, upper * sizeof *ring);
        memcpy(ring + upper, queue->ring, queue->head * sizeof *ring);
    }
    free(queue->ring);
    queue->ring = ring;
    queue->head = 0;
    queue->capacity = capacity;
    return true;
}

bool delivery_queue_push(delivery_queue *queue, loom_envelope *env)
{
    if (queue->count == queue->capacity && !grow(queue)) {
        return false;
    }
    queue->ring[(queue->head + queue->count) & (queue->capacity - 1)] = loom_envelope_ref(env);
    queue->count++;
    queue->bytes += loom_envelope_wire(env).len;
    return true;
}

loom_envelope *delivery_queue_pop(delivery_queue *queue)
{
    assert(queue->count > 0);
    loom_envelope *env = queue->ring[queue->head];
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
    queue->bytes -= loom_envelope_wire(env).len;
    if (queue->count == 0) {
        free(queue->ring);
        *queue = (delivery_queue){0};
    }
    return env;
}
