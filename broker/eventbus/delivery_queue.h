/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for one subscription: shared messages, first in, first out. Knows no limits; those are its user's.
 *
 * A list of small pages, not a ring: it never moves what it holds, and it holds no more memory than it has use for,
 * however long it once was. Empty, it holds none. */
#ifndef LOOM_BROKER_EVENTBUS_DELIVERY_QUEUE_H
#define LOOM_BROKER_EVENTBUS_DELIVERY_QUEUE_H

#include "broker/eventbus/queued_message.h"

typedef struct delivery_page delivery_page;

/* All zero: empty. */
typedef struct delivery_queue {
    delivery_page *first, *last;
    uint64_t bytes;      /* of the encoded envelopes */
    uint32_t count;
    uint16_t head, tail; /* positions of the oldest in first, and behind the newest in last */
} delivery_queue;

/* Takes a reference of its own. False: out of memory, and nothing has changed. */
bool delivery_queue_push(delivery_queue *queue, block_pool *pool, queued_message *message);
/* The oldest, whose reference is now the caller's. The queue must not be empty. */
queued_message *delivery_queue_pop(delivery_queue *queue, block_pool *pool);

#endif
