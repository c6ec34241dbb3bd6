/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/delivery_queue.h"

enum { PAGE_MESSAGES = 15 }; /* with the pointer two steps of the pool */

struct delivery_page {
    delivery_page *next; /* towards the newest */
    queued_message *messages[PAGE_MESSAGES];
};

static bool add_page(delivery_queue *queue, block_pool *pool)
{
    delivery_page *page = block_pool_take(pool, sizeof *page);
    if (page == NULL) {
        return false;
    }
    page->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = page;
    } else {
        queue->first = page;
    }
    queue->last = page;
    queue->tail = 0;
    return true;
}

bool delivery_queue_push(delivery_queue *queue, block_pool *pool, queued_message *message)
{
    if ((queue->last == NULL || queue->tail == PAGE_MESSAGES) && !add_page(queue, pool)) {
        return false;
    }
    queue->last->messages[queue->tail++] = message;
    message->refs++;
    queue->count++;
    queue->bytes += message->len;
    return true;
}

static void drop_first_page(delivery_queue *queue, block_pool *pool)
{
    delivery_page *page = queue->first;
    queue->first = page->next;
    queue->head = 0;
    if (queue->first == NULL) {
        queue->last = NULL;
        queue->tail = 0;
    }
    block_pool_give(pool, page, sizeof *page);
}

/* The message after next, which has come from memory by the time it is asked for; or the next page. */
static inline void fetch_ahead(const delivery_queue *queue)
{
    const unsigned ahead = queue->head + 1u;
    if (ahead >= PAGE_MESSAGES) {
        __builtin_prefetch(queue->first->next);
    } else if (queue->count > 1) {
        __builtin_prefetch(queue->first->messages[ahead]);
        __builtin_prefetch(queue->first->messages[ahead]->wire);
    }
}

queued_message *delivery_queue_pop(delivery_queue *queue, block_pool *pool)
{
    assert(queue->count > 0);
    queued_message *message = queue->first->messages[queue->head++];
    queue->count--;
    queue->bytes -= message->len;
    fetch_ahead(queue);
    if (queue->head == PAGE_MESSAGES || queue->count == 0) {
        drop_first_page(queue, pool);
    }
    return message;
}
