/* SPDX-License-Identifier: Apache-2.0 */
/* What the bus tells about itself. */
#include "broker/eventbus/internal.h"
#include "envelope/reserved.h"

const char *eventbus_drop_name(eventbus_drop reason)
{
    static const char *const names[EVENTBUS_DROP_REASONS] = {
        [EVENTBUS_DROP_TTL] = "ttl_expired",
        [EVENTBUS_DROP_OLDEST] = "queue_full_oldest",
        [EVENTBUS_DROP_DEADLINE] = "queue_full_deadline",
        [EVENTBUS_DROP_MEMORY] = "memory_limit",
        [EVENTBUS_DROP_GONE] = "subscription_ended",
    };
    return (unsigned)reason < EVENTBUS_DROP_REASONS ? names[reason] : "?";
}

uint64_t eventbus_work(const eventbus *bus)
{
    return bus->stats.matched + bus->work;
}

eventbus_stats eventbus_get_stats(const eventbus *bus)
{
    eventbus_stats stats = bus->stats;
    stats.topics = (uint32_t)bus->topics.index.count;
    return stats;
}

uint64_t eventbus_queued_for(const eventbus_subscriber *subscriber)
{
    return subscriber->queued_bytes;
}

uint32_t eventbus_topic_subscriptions(const eventbus *bus, loom_str topic)
{
    return (uint32_t)topic_trie_count(bus->trie, topic, broker_name_reserved(topic));
}

void eventbus_visit_topics(const eventbus *bus, bool (*visit)(void *user, const eventbus_topic_stats *stats), void *user)
{
    for (const topic_entry *entry = bus->topics.newest; entry != NULL; entry = entry->older) {
        const eventbus_topic_stats stats = {
            .topic = {entry->topic, entry->len},
            .published = entry->published,
            .delivered = entry->delivered,
            .dropped = entry->dropped,
            .bytes = entry->bytes,
            .last_ms = entry->last_ms,
        };
        if (!visit(user, &stats)) {
            return;
        }
    }
}

static uint64_t left_of(uint64_t granted, uint64_t used)
{
    return granted > used ? granted - used : 0;
}

static eventbus_subscription_stats stats_of(const subscription *s)
{
    const eventbus_subscriber *subscriber = s->subscriber;
    const eventbus_group *group = s->group != NULL ? s->group : s->seat != NULL ? s->seat->group : NULL;
    return (eventbus_subscription_stats){
        .subscriber = {subscriber->name, subscriber->name_len},
        .group = group != NULL ? group_name(group) : (loom_str){NULL, 0},
        .members = s->group != NULL ? s->group->seat_count : 0,
        .id = s->id,
        .filter = {s->text, s->filter_len},
        .qos = (loom_qos)s->qos,
        .delivered = s->delivered,
        .dropped = s->dropped,
        .queued = s->queue.count,
        .queued_bytes = s->queue.bytes < UINT32_MAX ? (uint32_t)s->queue.bytes : UINT32_MAX,
        .credit_messages = left_of(subscriber->granted_messages, subscriber->used_messages),
        .credit_bytes = left_of(subscriber->granted_bytes, subscriber->used_bytes),
        .pressing = s->state == PRESSURE_ON,
        .overdue = s->state == PRESSURE_OVERDUE,
    };
}

/* Newest first; most: of one subscriber. */
static bool visit_some_of(const eventbus_subscriber *subscriber, uint32_t most,
                          bool (*visit)(void *user, const eventbus_subscription_stats *stats), void *user)
{
    for (const subscription *s = subscriber->subscriptions; s != NULL && most > 0; s = s->next, most--) {
        const eventbus_subscription_stats stats = stats_of(s);
        if (!visit(user, &stats)) {
            return false;
        }
    }
    return true;
}

static bool is_unwell(const eventbus_subscriber *subscriber)
{
    return subscriber->queued_bytes > 0 || subscriber->holding.first != NULL || subscriber->dropped > 0;
}

static void visit_subscriptions(const eventbus *bus, bool unwell, uint32_t most,
                                bool (*visit)(void *user, const eventbus_subscription_stats *stats), void *user)
{
    for (const eventbus_group *group = bus->newest_group; group != NULL; group = group->next) {
        const eventbus_subscription_stats stats = stats_of(group->queue);
        if (!visit(user, &stats)) {
            return;
        }
    }
    for (const eventbus_subscriber *subscriber = bus->subscribers; subscriber != NULL; subscriber = subscriber->next) {
        if ((!unwell || is_unwell(subscriber)) && !visit_some_of(subscriber, most, visit, user)) {
            return;
        }
    }
}

void eventbus_visit_subscriptions(const eventbus *bus, uint32_t most,
                                  bool (*visit)(void *user, const eventbus_subscription_stats *stats), void *user)
{
    visit_subscriptions(bus, false, most, visit, user);
}

void eventbus_visit_unwell(const eventbus *bus, bool (*visit)(void *user, const eventbus_subscription_stats *stats), void *user)
{
    visit_subscriptions(bus, true, EVENTBUS_UNWELL_MAX, visit, user);
}

void eventbus_visit_subscribers(const eventbus *bus, bool (*visit)(void *user, const eventbus_subscriber_stats *stats), void *user)
{
    for (const eventbus_subscriber *s = bus->subscribers; s != NULL; s = s->next) {
        const eventbus_subscriber_stats stats = {
            .name = {s->name, s->name_len},
            .subscriptions = s->subscription_count,
            .queued_bytes = s->queued_bytes,
            .filter_bytes = s->filter_bytes,
            .taken = s->used_messages,
            .credit = s->granted_messages - s->used_messages,
        };
        if (!visit(user, &stats)) {
            return;
        }
    }
}

eventbus_memory eventbus_get_memory(const eventbus *bus)
{
    return (eventbus_memory){.messages = bus->held_bytes, .filters = bus->filter_bytes, .spare = bus->pool.kept_bytes};
}
