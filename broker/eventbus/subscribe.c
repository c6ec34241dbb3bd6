/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribers and their subscriptions. */
#include "broker/eventbus/grant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "envelope/topic.h"

enum { ROOM_MIN = 16 };

/* ---- subscribers ---- */

static uint64_t name_hash(const eventbus *bus, loom_str name)
{
    return hash_under_secret(bus->key, name.data, name.len);
}

eventbus_subscriber *subscriber_create(eventbus *bus, loom_str name)
{
    eventbus_subscriber *subscriber = calloc(1, sizeof *subscriber + name.len);
    if (subscriber == NULL) {
        return NULL;
    }
    eventbus_tidy_flow(bus);
    if ((subscriber->flow = flow_agent_enter(&bus->flow, name)) == NULL) {
        free(subscriber);
        return NULL;
    }
    subscriber->bus = bus;
    subscriber->name_len = (uint16_t)name.len;
    if (name.len > 0) {
        memcpy(subscriber->name, name.data, name.len);
    }
    subscriber->budget = hold_recall(&bus->holds, name_hash(bus, name));
    return subscriber;
}

void subscriber_destroy(eventbus_subscriber *subscriber)
{
    flow_agent_leave(&subscriber->bus->flow, subscriber->flow);
    free(subscriber);
}

loom_status eventbus_subscriber_open(eventbus *bus, eventbus_subscriber **out, const eventbus_sink *sink, void *user,
                                     loom_str name)
{
    *out = NULL;
    if (sink == NULL || sink->deliver == NULL || name.len > UINT16_MAX) {
        return LOOM_EINVAL;
    }
    eventbus_subscriber *subscriber = subscriber_create(bus, name);
    if (subscriber == NULL) {
        return LOOM_ENOMEM;
    }
    subscriber->sink = *sink;
    subscriber->user = user;
    subscriber->next = bus->subscribers;
    if (subscriber->next != NULL) {
        subscriber->next->prev = subscriber;
    }
    bus->subscribers = subscriber;
    bus->stats.subscribers++;
    *out = subscriber;
    return LOOM_OK;
}

/* ---- finding one by its number ---- */

static uint64_t id_hash(const eventbus_subscriber *subscriber, uint64_t id)
{
    const uint64_t key[2] = {(uint64_t)(uintptr_t)subscriber, id};
    return hash_under_secret(subscriber->bus->key, key, sizeof key);
}

static subscription *find_by_id(const eventbus_subscriber *subscriber, uint64_t id, uint64_t hash)
{
    for (hash_node *node = hash_index_first(&subscriber->bus->by_id, hash); node != NULL; node = hash_index_next(node)) {
        subscription *s = (subscription *)node;
        if (s->subscriber == subscriber && s->id == id) {
            return s;
        }
    }
    return NULL;
}

subscription *subscription_find(const eventbus_subscriber *subscriber, uint64_t id)
{
    return find_by_id(subscriber, id, id_hash(subscriber, id));
}

/* ---- room for what a publish may need ---- */

static bool set_room(eventbus *bus, uint32_t room)
{
    if (!deadline_heap_reserve(&bus->deadlines, room)) {
        return false;
    }
    topic_match *matches = realloc(bus->matches, room * sizeof *matches);
    if (matches == NULL) {
        return false;
    }
    bus->matches = matches;
    bus->room = room;
    return true;
}

static bool reserve_room(eventbus *bus)
{
    if (bus->stats.subscriptions < bus->room) {
        return true;
    }
    return set_room(bus, bus->room == 0 ? ROOM_MIN : bus->room * 2);
}

static void give_room_back(eventbus *bus)
{
    if (bus->room > ROOM_MIN && bus->stats.subscriptions < bus->room / 4) {
        (void)set_room(bus, bus->room / 2); /* without the memory to move it just stays */
    }
}

/* ---- one subscription ---- */

static uint32_t at_most(uint32_t wanted, uint32_t limit)
{
    return wanted == 0 || wanted > limit ? limit : wanted;
}

void eventbus_subscribe_cuts(const eventbus_subscriber *subscriber, const eventbus_subscription_options *options,
                             char out[EVENTBUS_CUTS_SIZE])
{
    const queue_limits *most = &subscriber->bus->limits[options->qos];
    const struct {
        const char *name;
        uint32_t wanted, most;
    } limits[] = {{"queue_messages", options->queue_messages, most->messages},
                  {"queue_bytes", options->queue_bytes, most->bytes},
                  {"deadline_ms", options->deadline_ms, most->deadline_ms}};
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (limits[i].wanted > limits[i].most) {
            len += (size_t)snprintf(out + len, EVENTBUS_CUTS_SIZE - len, "%s%s is %" PRIu32 ", the broker's", len > 0 ? ", " : "", limits[i].name,
                                    limits[i].most);
        }
    }
}

static bool options_valid(const eventbus_subscription_options *options)
{
    if ((unsigned)options->qos >= LOOM_QOS_COUNT || options->type_count > EVENTBUS_TYPES_MAX ||
        !loom_filter_valid(options->filter) ||
        (options->group.len > 0 && topic_name_check(options->group, NULL) != LOOM_OK)) {
        return false;
    }
    for (uint32_t i = 0; i < options->type_count; i++) {
        if (options->types[i].len > LOOM_TYPE_MAX) {
            return false;
        }
    }
    return true;
}

static size_t types_size(const eventbus_subscription_options *options)
{
    size_t size = 0;
    for (uint32_t i = 0; i < options->type_count; i++) {
        size += 1 + options->types[i].len;
    }
    return size;
}

/* Bytes, about: what a hostile subscriber makes of few is counted in full, and shared nodes of the trie once for each. */
static uint64_t subscription_cost(const eventbus_subscription_options *options)
{
    enum { UPKEEP = 16 /* malloc's */ + 2 * sizeof(void *) /* matches, heap */ + 2 * sizeof(void *) /* by_id */ };
    const uint64_t own = sizeof(subscription) + options->filter.len + types_size(options) + UPKEEP;
    if (options->group.len == 0) {
        return own + topic_trie_cost(options->filter);
    }
    return 2 * own + topic_trie_cost(options->filter) + sizeof(group_seat) + sizeof(eventbus_group) +
           sizeof(eventbus_subscriber) + options->group.len + 4 * UPKEEP;
}

static uint32_t seats_of(const eventbus_subscriber *subscriber)
{
    uint32_t count = 0;
    for (int qos = 0; qos < LOOM_QOS_COUNT; qos++) {
        count += subscriber->seat_count[qos];
    }
    return count;
}

static const char *limit_reached(const eventbus_subscriber *subscriber, const eventbus_subscription_options *options,
                                 uint64_t cost)
{
    const eventbus *bus = subscriber->bus;
    if (options->group.len > 0 && seats_of(subscriber) >= EVENTBUS_GROUPS_MAX) {
        return "the agent is in as many groups as one agent may be in";
    }
    if (subscriber->subscription_count >= bus->subscriber_subscriptions) {
        return "the agent has as many subscriptions as one agent may have";
    }
    if (subscriber->filter_bytes + cost > bus->subscriber_filter_bytes) {
        return "the agent's subscriptions take as much memory as one agent's may take";
    }
    if (bus->stats.subscriptions >= bus->max_subscriptions) {
        return "the broker has as many subscriptions as it may have";
    }
    return bus->filter_bytes + cost > bus->total_filter_bytes ? "the broker's subscriptions take as much memory as they may take"
                                                              : NULL;
}

const char *eventbus_subscribe_limit(const eventbus_subscriber *subscriber, const eventbus_subscription_options *options)
{
    const char *limit = limit_reached(subscriber, options, subscription_cost(options));
    return limit != NULL ? limit : loom_status_text(LOOM_EFULL);
}

static void count_subscription(subscription *s, uint64_t cost)
{
    eventbus_subscriber *subscriber = s->subscriber;
    s->cost = (uint32_t)cost;
    subscriber->filter_bytes += cost;
    subscriber->bus->filter_bytes += cost;
    subscriber->subscription_count++;
    subscriber->bus->stats.subscriptions++;
}

static void uncount_subscription(const subscription *s)
{
    eventbus_subscriber *subscriber = s->subscriber;
    subscriber->filter_bytes -= s->cost;
    subscriber->bus->filter_bytes -= s->cost;
    subscriber->subscription_count--;
    subscriber->bus->stats.subscriptions--;
    subscriber->bus->leaving_subscriptions -= subscriber->leaving;
}

static void write_text(subscription *s, const eventbus_subscription_options *options)
{
    char *at = s->text;
    memcpy(at, options->filter.data, options->filter.len);
    at += options->filter.len;
    for (uint32_t i = 0; i < options->type_count; i++) {
        const loom_str type = options->types[i];
        *at++ = (char)(uint8_t)type.len;
        if (type.len > 0) {
            memcpy(at, type.data, type.len);
        }
        at += type.len;
    }
}

subscription *subscription_create(eventbus_subscriber *subscriber, uint64_t id, const eventbus_subscription_options *options)
{
    subscription *s = calloc(1, sizeof *s + options->filter.len + types_size(options));
    if (s == NULL) {
        return NULL;
    }
    const queue_limits *most = &subscriber->bus->limits[options->qos];
    s->subscriber = subscriber;
    s->share = &subscriber->queued_bytes;
    s->id = id;
    s->qos = (uint8_t)options->qos;
    s->filter_len = (uint16_t)options->filter.len;
    s->type_count = (uint16_t)options->type_count;
    s->limits = (queue_limits){
        .messages = at_most(options->queue_messages, most->messages),
        .bytes = at_most(options->queue_bytes, most->bytes),
        .deadline_ms = at_most(options->deadline_ms, most->deadline_ms),
    };
    write_text(s, options);
    return s;
}

/* Hands out at once what waits for a member with credit. */
static loom_status join_group(subscription *s, const eventbus_subscription_options *options)
{
    eventbus_enter(s->subscriber->bus);
    const loom_status st = group_join(s, options);
    eventbus_leave(s->subscriber->bus);
    return st;
}

loom_status eventbus_subscribe(eventbus_subscriber *subscriber, uint64_t id, const eventbus_subscription_options *options)
{
    eventbus *bus = subscriber->bus;
    assert(!bus->running);
    if (!options_valid(options)) {
        return LOOM_EINVAL;
    }
    const uint64_t hash = id_hash(subscriber, id);
    if (find_by_id(subscriber, id, hash) != NULL) {
        return LOOM_EEXIST;
    }
    const uint64_t cost = subscription_cost(options);
    const char *limit = limit_reached(subscriber, options, cost);
    if (limit != NULL) {
        loss_refused(subscriber, options->filter, limit);
        return LOOM_EFULL;
    }
    if (!reserve_room(bus)) {
        return LOOM_ENOMEM;
    }
    subscription *s = subscription_create(subscriber, id, options);
    if (s == NULL) {
        return LOOM_ENOMEM;
    }
    const loom_status st = options->group.len > 0 ? join_group(s, options) : topic_trie_add(bus->trie, options->filter, &s->in_trie);
    if (st != LOOM_OK) {
        free(s);
        return st;
    }
    bus->generation += s->seat == NULL;
    hash_index_insert(&bus->by_id, &s->node, hash);
    s->next = subscriber->subscriptions;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    subscriber->subscriptions = s;
    count_subscription(s, cost);
    return LOOM_OK;
}

void subscription_retire(subscription *s)
{
    eventbus *bus = s->subscriber->bus;
    if (s->in_trie.node != NULL) {
        topic_trie_remove(bus->trie, &s->in_trie);
        bus->generation++;
    } else if (s->seat != NULL) {
        group_leave(s);
    } else {
        return;
    }
    loss_ended(s);
    subscription_let_go(s);
}

/* A group's queue is in no table, and counts as no subscription. */
static void unlist(subscription *s)
{
    eventbus_subscriber *subscriber = s->subscriber;
    hash_index_remove(&subscriber->bus->by_id, &s->node);
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        subscriber->subscriptions = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    uncount_subscription(s);
}

void subscription_free(subscription *s)
{
    eventbus *bus = s->subscriber->bus;
    if (s->group != NULL) {
        s->subscriber->subscriptions = NULL;
        free(s->group);
    } else {
        unlist(s);
    }
    free(s);
    give_room_back(bus);
}

loom_status eventbus_unsubscribe(eventbus_subscriber *subscriber, uint64_t id)
{
    subscription *s = find_by_id(subscriber, id, id_hash(subscriber, id));
    if (s == NULL) {
        return LOOM_ENOTFOUND;
    }
    eventbus_enter(subscriber->bus);
    subscription_retire(s);
    subscriber->bus->work += s->queue.count;
    subscription_drop_all(s);
    subscription_free(s);
    eventbus_leave(subscriber->bus);
    return LOOM_OK;
}
