/* SPDX-License-Identifier: Apache-2.0 */
/* Credit, and what it sets free. */
#include "broker/eventbus_internal.h"

enum { TURN_MESSAGES = 32 }; /* one subscription's, before the next one of its class has its turn */

static void deliver_oldest(subscription *s)
{
    eventbus *bus = s->subscriber->bus;
    queued_message *message = subscription_dequeue(s);
    envelope_view view;
    queued_message_view(message, &view);
    topic_entry *entry = topic_table_find(&bus->topics, envelope_view_str(&view, ENV_TOPIC));
    if (entry != NULL) {
        entry->delivered++;
    }
    subscription_deliver(s, &view, true);
    queued_message_unref(&bus->pool, message);
}

static void take_turn(subscription *s)
{
    eventbus_subscriber *subscriber = s->subscriber;
    for (int i = 0; i < TURN_MESSAGES && s->queue.count > 0 && subscriber_has_credit(subscriber); i++) {
        deliver_oldest(s);
    }
    if (s->queue.count > 0) {
        subscriber->ready[s->qos] = s->next_ready;
    }
    subscription_settle(s);
}

static subscription *whose_turn(const eventbus_subscriber *subscriber)
{
    static const loom_qos order[LOOM_QOS_COUNT] = {LOOM_QOS_REALTIME, LOOM_QOS_BATCHED, LOOM_QOS_BACKGROUND};
    for (size_t i = 0; i < LOOM_QOS_COUNT; i++) {
        if (subscriber->ready[order[i]] != NULL) {
            return subscriber->ready[order[i]];
        }
    }
    return NULL;
}

void eventbus_grant(eventbus_subscriber *subscriber, uint64_t messages, uint64_t bytes)
{
    if (messages > subscriber->granted_messages) {
        subscriber->granted_messages = messages;
    }
    if (bytes > subscriber->granted_bytes) {
        subscriber->granted_bytes = bytes;
    }
    eventbus_enter(subscriber->bus);
    for (subscription *s; subscriber_has_credit(subscriber) && (s = whose_turn(subscriber)) != NULL;) {
        take_turn(s);
    }
    eventbus_leave(subscriber->bus);
}
