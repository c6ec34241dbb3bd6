/* SPDX-License-Identifier: Apache-2.0 */
/* Credit, and what it sets free. */
#include "broker/eventbus/grant.h"

enum { TURN_MESSAGES = 32 }; /* one subscription's, before the next one of its class has its turn */

static void deliver_oldest(subscription *from, subscription *to)
{
    eventbus *bus = to->subscriber->bus;
    queued_message *message = subscription_dequeue(from);
    envelope_view view;
    queued_message_view(message, &view);
    const loom_str topic = envelope_view_str(&view, ENV_TOPIC);
    topic_entry *entry = topic_table_find(&bus->topics, topic);
    if (entry != NULL) {
        entry->delivered++;
    }
    subscription_deliver(to, subscription_flow_queued(to, entry, topic), &view);
    eventbus_release(bus, message);
}

uint32_t subscription_take_turn(subscription *from, subscription *to)
{
    uint32_t taken = 0;
    for (; taken < TURN_MESSAGES && from->queue.count > 0 && subscriber_has_credit(to->subscriber); taken++) {
        deliver_oldest(from, to);
    }
    if (from->queue.count > 0) {
        from->subscriber->ready[from->qos] = from->next_ready;
    }
    subscription_settle(from);
    return taken;
}

/* All of one class, its own queues and those of its groups in turns. No queue fills meanwhile. */
static void serve(eventbus_subscriber *subscriber, loom_qos qos)
{
    uint32_t empty = 0; /* queues of groups in a row that hold nothing */
    while (subscriber_has_credit(subscriber) && (subscriber->ready[qos] != NULL || empty < subscriber->seat_count[qos])) {
        if (subscriber->ready[qos] != NULL) {
            (void)subscription_take_turn(subscriber->ready[qos], subscriber->ready[qos]);
        }
        if (empty < subscriber->seat_count[qos]) {
            empty = group_take_turn(subscriber, qos) ? 0 : empty + 1;
        }
    }
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
    static const loom_qos order[LOOM_QOS_COUNT] = {LOOM_QOS_REALTIME, LOOM_QOS_BATCHED, LOOM_QOS_BACKGROUND};
    for (size_t i = 0; i < LOOM_QOS_COUNT; i++) {
        serve(subscriber, order[i]);
    }
    groups_note_credit(subscriber);
}

bool eventbus_has_credit(const eventbus_subscriber *subscriber)
{
    return subscriber_has_credit(subscriber);
}

uint64_t eventbus_used_messages(const eventbus_subscriber *subscriber)
{
    return subscriber->used_messages;
}

uint64_t eventbus_used_bytes(const eventbus_subscriber *subscriber)
{
    return subscriber->used_bytes;
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
