/* SPDX-License-Identifier: Apache-2.0 */
/* Credit, and what it sets free. */
#include "broker/eventbus/grant.h"

enum { TURN_MESSAGES = 32 }; /* one subscription's, before the next one of its class has its turn */

static void deliver_oldest(subscription *s)
{
    eventbus *bus = s->subscriber->bus;
    queued_message *message = subscription_dequeue(s);
    envelope_view view;
    queued_message_view(message, &view);
    const loom_str topic = envelope_view_str(&view, ENV_TOPIC);
    topic_entry *entry = topic_table_find(&bus->topics, topic);
    if (entry != NULL) {
        entry->delivered++;
    }
    subscription_deliver(s, subscription_flow_queued(s, entry, topic), &view);
    eventbus_release(bus, message);
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

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A callback grants. If it counted at once, the message under way could overtake those in the queue. */
static void note_for_later(eventbus_subscriber *subscriber, uint64_t messages, uint64_t bytes)
{
    subscriber->later_messages = larger(subscriber->later_messages, messages);
    subscriber->later_bytes = larger(subscriber->later_bytes, bytes);
    if (!subscriber->is_later) {
        subscriber->is_later = true;
        subscriber->next_later = subscriber->bus->later;
        subscriber->bus->later = subscriber;
    }
}

static void grant(eventbus_subscriber *subscriber, uint64_t messages, uint64_t bytes)
{
    subscriber->granted_messages = larger(subscriber->granted_messages, messages);
    subscriber->granted_bytes = larger(subscriber->granted_bytes, bytes);
    for (subscription *s; subscriber_has_credit(subscriber) && (s = whose_turn(subscriber)) != NULL;) {
        take_turn(s);
    }
}

void eventbus_grant_later(eventbus *bus)
{
    bus->running = true;
    for (eventbus_subscriber *subscriber; (subscriber = bus->later) != NULL;) {
        bus->later = subscriber->next_later;
        subscriber->is_later = false;
        grant(subscriber, subscriber->later_messages, subscriber->later_bytes);
    }
    bus->running = false;
}

void eventbus_grant(eventbus_subscriber *subscriber, uint64_t messages, uint64_t bytes)
{
    if (subscriber->bus->running) {
        note_for_later(subscriber, messages, bytes);
        return;
    }
    eventbus_enter(subscriber->bus);
    grant(subscriber, messages, bytes);
    eventbus_leave(subscriber->bus);
}
