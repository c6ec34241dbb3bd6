/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/eventbus/delivery_queue.h"

enum { PAGE_MESSAGES = 15 }; /* with the link two steps of the pool */

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

/* The message some deliveries from its turn. NULL: there is none. */
static const queued_message *look_ahead(const delivery_queue *queue)
{
    enum { AHEAD = 3 };
    const unsigned at = queue->head + AHEAD;
    if (queue->count <= AHEAD) {
        return NULL;
    }
    return at < PAGE_MESSAGES ? queue->first->messages[at] : queue->first->next->messages[at - PAGE_MESSAGES];
}

queued_message *delivery_queue_pop(delivery_queue *queue, block_pool *pool)
{
    assert(queue->count > 0);
    queued_message *message = queue->first->messages[queue->head++];
    queue->count--;
    queue->bytes -= message->len;
    /* A long queue is larger than the caches, and waiting for each message would cost more than handing it on. (Here and
     * not in a function: GCC takes one that does nothing else for one that does nothing.) */
    const queued_message *ahead = look_ahead(queue);
    if (ahead != NULL) {
        __builtin_prefetch(ahead);
        __builtin_prefetch(&ahead->at);
    }
    if (queue->head == PAGE_MESSAGES / 2) {
        __builtin_prefetch(queue->first->next);
    }
    if (queue->head == PAGE_MESSAGES || queue->count == 0) {
        drop_first_page(queue, pool);
    }
    return message;
}
