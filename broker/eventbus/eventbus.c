/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/eventbus/grant.h"

#include <stdlib.h>

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

static uint64_t or_default_bytes(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

static uint32_t four_times(uint32_t value)
{
    return value > UINT32_MAX / 4 ? UINT32_MAX : value * 4;
}

void eventbus_set_limits(eventbus *bus, const eventbus_options *options)
{
    const queue_limits base = {
        .messages = or_default(options->queue_messages, 8192),
        .bytes = or_default(options->queue_bytes, 8u << 20),
        .deadline_ms = options->batched_deadline_ms != EVENTBUS_NO_DEADLINE ? or_default(options->batched_deadline_ms, 50) : 0,
    };
    bus->limits[LOOM_QOS_BATCHED] = base;
    bus->limits[LOOM_QOS_REALTIME] = base;
    bus->limits[LOOM_QOS_BACKGROUND] = (queue_limits){
        .messages = four_times(base.messages),
        .bytes = four_times(base.bytes),
        .deadline_ms = base.deadline_ms,
    };
    bus->patience = or_default(options->patience, 20);
    bus->hold_percent = or_default(options->hold_percent, 5);
    bus->total_queue_bytes = or_default_bytes(options->total_queue_bytes, UINT64_C(512) << 20);
    bus->subscriber_queue_bytes = or_default_bytes(options->subscriber_queue_bytes, bus->total_queue_bytes / 8);
    bus->total_filter_bytes = or_default_bytes(options->total_filter_bytes, UINT64_C(512) << 20);
    bus->subscriber_filter_bytes = or_default_bytes(options->subscriber_filter_bytes, UINT64_C(64) << 20);
    bus->max_subscriptions = or_default(options->max_subscriptions, 1000000);
    bus->subscriber_subscriptions = or_default(options->subscriber_subscriptions, 100000);
}

loom_status eventbus_create(eventbus **out, const loop_clock *clock, const eventbus_options *options)
{
    *out = NULL;
    eventbus *bus = calloc(1, sizeof *bus);
    if (bus == NULL) {
        return LOOM_ENOMEM;
    }
    const loom_status st = topic_trie_create(&bus->trie); /* initialises libsodium, too */
    if (st != LOOM_OK) {
        free(bus);
        return st;
    }
    static const eventbus_options defaults;
    if (options == NULL) {
        options = &defaults;
    }
    bus->generation = 1;
    bus->clock = clock;
    bus->tracer = options->tracer;
    bus->losses.log = options->log;
    eventbus_set_limits(bus, options);
    bus->hold_until_ms = options->publish_hold_ms > 0 ? clock->now_ms + options->publish_hold_ms : 0;
    topic_table_init(&bus->topics, or_default(options->max_topics, 65536));
    flow_table_init(&bus->flow, options->flow_edges);
    hash_index_init(&bus->by_id);
    hash_index_init(&bus->presses);
    hash_index_init(&bus->groups);
    crypto_shorthash_keygen(bus->key);
    *out = bus;
    return LOOM_OK;
}

void eventbus_destroy(eventbus *bus)
{
    if (bus == NULL) {
        return;
    }
    assert(bus->stats.publishers == 0 && bus->stats.subscribers == 0);
    subscribers_finish(bus);
    topic_trie_destroy(bus->trie);
    topic_table_fini(&bus->topics);
    flow_table_fini(&bus->flow);
    hash_index_fini(&bus->by_id);
    hash_index_fini(&bus->presses);
    hash_index_fini(&bus->groups);
    deadline_heap_fini(&bus->deadlines);
    block_pool_fini(&bus->pool);
    free(bus->matches);
    free(bus);
}

/* ---- time ---- */

uint64_t eventbus_next_deadline_ms(const eventbus *bus)
{
    if (bus->leaving.first != NULL) {
        return 0;
    }
    const deadline_node *first = deadline_heap_first(&bus->deadlines);
    const uint64_t at_ms = first != NULL ? first->at_ms : UINT64_MAX;
    const uint64_t look_ms = loss_next_ms(&bus->losses), next_ms = at_ms < look_ms ? at_ms : look_ms;
    return bus->early != NULL && bus->hold_until_ms < next_ms ? bus->hold_until_ms : next_ms;
}

static subscription *subscription_of(deadline_node *node)
{
    return (subscription *)((char *)node - offsetof(subscription, deadline));
}

void eventbus_expire(eventbus *bus)
{
    eventbus_enter(bus);
    subscribers_take_turn(bus);
    if (bus->early != NULL && bus->hold_until_ms <= bus->clock->now_ms) {
        publishers_release_early(bus);
    }
    const uint64_t now_ms = bus->clock->now_ms;
    deadline_node *due;
    for (uint64_t left = deadline_heap_budget(&bus->deadlines, now_ms);
         left > 0 && (due = deadline_heap_due(&bus->deadlines, now_ms)) != NULL; left--) {
        subscription_check_deadline(subscription_of(due));
    }
    loss_look(&bus->losses, bus->clock->now_ms);
    eventbus_leave(bus);
}
