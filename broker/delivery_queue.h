/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for one subscription: a ring of shared envelopes, first in, first out. Knows no limits; those are its
 * user's. Empty, it holds no memory. */
#ifndef LOOM_BROKER_DELIVERY_QUEUE_H
#define LOOM_BROKER_DELIVERY_QUEUE_H

#include <loom/envelope.h>

/* All zero: empty. */
typedef struct delivery_queue {
    loom_envelope **ring;
    uint64_t bytes;    /* of the encoded envelopes */
    uint32_t head;     /* position of the oldest */
    uint32_t count;
    uint32_t capacity; /* 0 or a power of two */
} delivery_queue;

/* Takes a reference of its own. False: out of memory, and nothing has changed. */
bool delivery_queue_push(delivery_queue *queue, loom_envelope *env);
/* The oldest, whose reference is now the caller's. The queue must not be empty. */
loom_envelope *delivery_queue_pop(delivery_queue *queue);

#endif
