/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/eventbus/grant.h"

#include <stdlib.h>

#include "base/str.h"

/* No agent can be called so: the group's own subscriber is none. */
#define OWNER_PREFIX "group."

enum { SEATS_MIN = 4 };

loom_str group_name(const eventbus_group *group)
{
    const eventbus_subscriber *owner = group->queue->subscriber;
    return (loom_str){owner->name + sizeof OWNER_PREFIX - 1, owner->name_len - (sizeof OWNER_PREFIX - 1)};
}

/* ---- who is next ---- */

static uint64_t key_of(const group_seat *seat)
{
    return UINT64_MAX - subscriber_credit(seat->member->subscriber);
}

/* The member with the most credit. NULL: none has any. Between two grants credit only shrinks, so the first in the heap is
 * the one if what is noted of it is still true. */
static group_seat *best(eventbus_group *group)
{
    for (group_seat *seat; (seat = (group_seat *)heap_first(&group->members)) != NULL;) {
        const uint64_t key = key_of(seat);
        if (seat->by_credit.key != key) {
            heap_move(&group->members, &seat->by_credit, key);
        }
        if (heap_first(&group->members) == &seat->by_credit) {
            return key != UINT64_MAX ? seat : NULL;
        }
    }
    return NULL;
}

void groups_note_credit(eventbus_subscriber *subscriber)
{
    for (int qos = 0; qos < LOOM_QOS_COUNT; qos++) {
        group_seat *seat = subscriber->seats[qos];
        for (uint32_t i = 0; i < subscriber->seat_count[qos]; i++, seat = seat->next) {
            if (heap_holds(&seat->by_credit)) {
                heap_move(&seat->group->members, &seat->by_credit, key_of(seat));
            }
        }
    }
}

/* Not inlined: eventbus_publish() is quicker without it for subscriptions of no group, and no slower for groups. */
__attribute__((noinline)) bool group_deliver(eventbus_group *group, const envelope_view *view, topic_entry *entry,
                                             eventbus_result *result)
{
    const group_seat *seat = best(group);
    if (seat == NULL) {
        return false;
    }
    if (entry != NULL) {
        entry->delivered++;
    }
    result->delivered++;
    group->queue->delivered++;
    const loom_str topic = envelope_view_str(view, ENV_TOPIC);
    subscription_deliver(seat->member, subscription_flow_queued(seat->member, entry, topic), view);
    return true;
}

/* What waits, to this member. False: nothing did, or it has no credit. */
static bool take(const group_seat *seat)
{
    subscription *queue = seat->group->queue;
    const uint32_t taken = queue->queue.count > 0 ? subscription_take_turn(queue, seat->member) : 0;
    queue->delivered += taken;
    queue->subscriber->used_messages += taken; /* by which pressure.c sees that somebody takes something */
    return taken > 0;
}

bool group_take_turn(eventbus_subscriber *subscriber, loom_qos qos)
{
    const group_seat *seat = subscriber->seats[qos];
    subscriber->seats[qos] = seat->next;
    return heap_holds(&seat->by_credit) && take(seat);
}

/* ---- seats ---- */

/* The oldest member pays for what waits. */
static void charge_oldest(eventbus_group *group)
{
    subscription *queue = group->queue;
    const group_seat *oldest = list_item(group->seats.first, group_seat, by_age);
    eventbus_subscriber *payer = oldest != NULL ? oldest->member->subscriber : queue->subscriber;
    *queue->share -= queue->queue.bytes;
    queue->share = &payer->queued_bytes;
    *queue->share += queue->queue.bytes;
}

static void sit_down(group_seat *seat)
{
    eventbus_group *group = seat->group;
    const subscription *member = seat->member;
    eventbus_subscriber *subscriber = member->subscriber;
    group_seat **turn = &subscriber->seats[member->qos];
    if (*turn == NULL) {
        *turn = seat->prev = seat->next = seat;
    } else {
        seat->next = *turn;
        seat->prev = (*turn)->prev;
        seat->prev->next = seat->next->prev = seat;
    }
    subscriber->seat_count[member->qos]++;
    list_append(&group->seats, &seat->by_age);
    group->seat_count++;
    heap_add(&group->members, &seat->by_credit, key_of(seat));
    charge_oldest(group);
}

static void stand_up(group_seat *seat)
{
    eventbus_group *group = seat->group;
    const subscription *member = seat->member;
    eventbus_subscriber *subscriber = member->subscriber;
    group_seat **turn = &subscriber->seats[member->qos];
    seat->prev->next = seat->next;
    seat->next->prev = seat->prev;
    if (*turn == seat) {
        *turn = seat->next != seat ? seat->next : NULL;
    }
    subscriber->seat_count[member->qos]--;
    subscriber->bus->leaving_seats -= subscriber->leaving;
    list_remove(&group->seats, &seat->by_age);
    group->seat_count--;
    heap_remove(&group->members, &seat->by_credit);
    charge_oldest(group);
}

static bool make_room(eventbus_group *group)
{
    binary_heap *members = &group->members;
    return group->seat_count < members->capacity ||
           heap_reserve(members, members->capacity > 0 ? 2 * members->capacity : SEATS_MIN);
}

/* ---- groups ---- */

static uint64_t group_hash(const eventbus *bus, const eventbus_subscription_options *options)
{
    const uint64_t key[2] = {hash_under_secret(bus->key, options->group.data, options->group.len),
                             hash_under_secret(bus->key, options->filter.data, options->filter.len)};
    return hash_under_secret(bus->key, key, sizeof key);
}

static loom_str filter_of(const subscription *s)
{
    return (loom_str){s->text, s->filter_len};
}

static eventbus_group *find(const eventbus *bus, const eventbus_subscription_options *options, uint64_t hash)
{
    for (hash_node *node = hash_index_first(&bus->groups, hash); node != NULL; node = hash_index_next(node)) {
        eventbus_group *group = (eventbus_group *)node;
        if (str_equal(group_name(group), options->group) && str_equal(filter_of(group->queue), options->filter)) {
            return group;
        }
    }
    return NULL;
}

static eventbus_subscriber *create_owner(eventbus *bus, loom_str name)
{
    char text[sizeof OWNER_PREFIX - 1 + LOOM_AGENT_ID_MAX] = OWNER_PREFIX;
    memcpy(text + sizeof OWNER_PREFIX - 1, name.data, name.len);
    return subscriber_create(bus, (loom_str){text, sizeof OWNER_PREFIX - 1 + name.len});
}

static void link_group(eventbus *bus, eventbus_group *group, uint64_t hash)
{
    hash_index_insert(&bus->groups, &group->node, hash);
    group->next = bus->newest_group;
    if (group->next != NULL) {
        group->next->prev = group;
    }
    bus->newest_group = group;
    bus->generation++;
    bus->stats.groups++;
}

static loom_status create(eventbus *bus, eventbus_group **out, const eventbus_subscription_options *options, uint64_t hash)
{
    eventbus_group *group = calloc(1, sizeof *group);
    eventbus_subscriber *owner = group != NULL ? create_owner(bus, options->group) : NULL;
    if (owner == NULL) {
        free(group);
        return LOOM_ENOMEM;
    }
    loom_status st = LOOM_ENOMEM;
    if ((group->queue = subscription_create(owner, 0, options)) == NULL) {
        goto destroy_owner;
    }
    if ((st = topic_trie_add(bus->trie, options->filter, &group->queue->in_trie)) != LOOM_OK) {
        goto free_queue;
    }
    group->queue->group = group;
    link_group(bus, group, hash);
    *out = group;
    return LOOM_OK;

free_queue:
    free(group->queue);
destroy_owner:
    subscriber_destroy(owner);
    free(group);
    return st;
}

static void destroy(eventbus_group *group)
{
    subscription *queue = group->queue;
    eventbus_subscriber *owner = queue->subscriber;
    eventbus *bus = owner->bus;
    subscription_retire(queue);
    hash_index_remove(&bus->groups, &group->node);
    *(group->prev != NULL ? &group->prev->next : &bus->newest_group) = group->next;
    if (group->next != NULL) {
        group->next->prev = group->prev;
    }
    bus->stats.groups--;
    heap_fini(&group->members);
    owner->subscriptions = queue;
    subscriber_leave(owner);
}

/* As they lie in text. */
static loom_str types_of(const subscription *s)
{
    const char *const types = s->text + s->filter_len, *at = types;
    for (uint32_t i = 0; i < s->type_count; i++) {
        at += 1 + (uint8_t)*at;
    }
    return (loom_str){types, (size_t)(at - types)};
}

/* Members get the same messages in the same way. */
static bool alike(const subscription *a, const subscription *b)
{
    return a->qos == b->qos && a->type_count == b->type_count && str_equal(types_of(a), types_of(b));
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* The queue is as large as the largest that a member has asked for. */
static void widen(queue_limits *limits, const queue_limits *wanted)
{
    limits->messages = larger(limits->messages, wanted->messages);
    limits->bytes = larger(limits->bytes, wanted->bytes);
    limits->deadline_ms = larger(limits->deadline_ms, wanted->deadline_ms);
}

loom_status group_join(subscription *member, const eventbus_subscription_options *options)
{
    eventbus *bus = member->subscriber->bus;
    const uint64_t hash = group_hash(bus, options);
    subscribers_leave_groups(bus); /* else it may find one that is only theirs */
    eventbus_group *group = find(bus, options, hash);
    if (group != NULL && !alike(group->queue, member)) {
        return LOOM_EINVAL;
    }
    group_seat *seat = calloc(1, sizeof *seat);
    loom_status st = seat == NULL ? LOOM_ENOMEM : group == NULL ? create(bus, &group, options, hash) : LOOM_OK;
    if (st == LOOM_OK && !make_room(group)) {
        st = LOOM_ENOMEM;
        if (group->seat_count == 0) {
            destroy(group);
        }
    }
    if (st != LOOM_OK) {
        free(seat);
        return st;
    }
    seat->group = group;
    seat->member = member;
    member->seat = seat;
    widen(&group->queue->limits, &member->limits);
    sit_down(seat);
    while (subscriber_has_credit(member->subscriber) && take(seat)) {
    }
    return LOOM_OK;
}

void group_leave(subscription *member)
{
    group_seat *seat = member->seat;
    if (seat == NULL) {
        return;
    }
    eventbus_group *group = seat->group;
    member->seat = NULL;
    stand_up(seat);
    free(seat);
    if (group->seat_count == 0) {
        destroy(group);
    }
}

/* ---- what comes back ---- */

/* The agent is ending: it gets nothing more of this group, however often it is in it. */
static void retire(group_seat *seat)
{
    if (!heap_holds(&seat->by_credit)) {
        return;
    }
    for (list_node *node = seat->group->seats.first; node != NULL; node = node->next) {
        group_seat *each = list_item(node, group_seat, by_age);
        if (each->member->subscriber == seat->member->subscriber) {
            heap_remove(&seat->group->members, &each->by_credit);
        }
    }
}

static void give_back(group_seat *seat, const envelope_view *view)
{
    eventbus_group *group = seat->group;
    eventbus *bus = group->queue->subscriber->bus;
    eventbus_result result = {0};
    retire(seat);
    bus->stats.given_back++;
    bus->stats.matched++;
    if (!group_deliver(group, view, topic_table_find(&bus->topics, envelope_view_str(view, ENV_TOPIC)), &result)) {
        subscription_put_back(group->queue, view);
    }
}

loom_status eventbus_give_back(eventbus_subscriber *subscriber, uint64_t id, const envelope_view *view)
{
    const subscription *member = subscription_find(subscriber, id);
    if (member == NULL || member->seat == NULL) {
        return LOOM_ENOTFOUND;
    }
    eventbus_enter(subscriber->bus);
    give_back(member->seat, view);
    eventbus_leave(subscriber->bus);
    return LOOM_OK;
}
