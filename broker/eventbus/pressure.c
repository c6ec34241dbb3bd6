/* SPDX-License-Identifier: Apache-2.0 */
/* Publishers, and who of them waits for which subscription.
 *
 * A subscription that is full makes each publisher that hits it wait. At half its limit it lets them all go. When its
 * deadline passes first it lets them go too, and loses what it has no place for until it is down to half. A publisher
 * that closes changes nothing in that: else opening and closing would put the deadline off for ever. */
#include "broker/eventbus/internal.h"

#include <stdlib.h>

static uint64_t press_hash(const subscription *s, const eventbus_publisher *publisher)
{
    uint64_t hash = (uint64_t)(uintptr_t)s * UINT64_C(0x9e3779b97f4a7c15);
    hash = ((hash ^ (hash >> 32)) + (uint64_t)(uintptr_t)publisher) * UINT64_C(0xbf58476d1ce4e5b9);
    return hash ^ (hash >> 32);
}

static press *press_find(const subscription *s, const eventbus_publisher *publisher, uint64_t hash)
{
    for (hash_node *node = hash_index_first(&publisher->bus->presses, hash); node != NULL; node = hash_index_next(node)) {
        press *found = (press *)node;
        if (found->subscription == s && found->publisher == publisher) {
            return found;
        }
    }
    return NULL;
}

static void press_link(press *pressing)
{
    press **of_subscription = &pressing->subscription->presses;
    pressing->next_of_subscription = *of_subscription;
    if (*of_subscription != NULL) {
        (*of_subscription)->prev_of_subscription = pressing;
    }
    *of_subscription = pressing;

    press **of_publisher = &pressing->publisher->presses;
    pressing->next_of_publisher = *of_publisher;
    if (*of_publisher != NULL) {
        (*of_publisher)->prev_of_publisher = pressing;
    }
    *of_publisher = pressing;
}

static void press_free(press *pressing)
{
    if (pressing->prev_of_subscription != NULL) {
        pressing->prev_of_subscription->next_of_subscription = pressing->next_of_subscription;
    } else {
        pressing->subscription->presses = pressing->next_of_subscription;
    }
    if (pressing->next_of_subscription != NULL) {
        pressing->next_of_subscription->prev_of_subscription = pressing->prev_of_subscription;
    }
    if (pressing->prev_of_publisher != NULL) {
        pressing->prev_of_publisher->next_of_publisher = pressing->next_of_publisher;
    } else {
        pressing->publisher->presses = pressing->next_of_publisher;
    }
    if (pressing->next_of_publisher != NULL) {
        pressing->next_of_publisher->prev_of_publisher = pressing->prev_of_publisher;
    }
    hash_index_remove(&pressing->publisher->bus->presses, &pressing->node);
    free(pressing);
}

/* ---- the states of a subscription ---- */

static subscription *subscription_of(deadline_node *node)
{
    return (subscription *)((char *)node - offsetof(subscription, deadline));
}

bool subscription_press(subscription *s, eventbus_publisher *publisher)
{
    eventbus *bus = publisher->bus;
    const uint64_t hash = press_hash(s, publisher);
    if (press_find(s, publisher, hash) != NULL) {
        return true;
    }
    press *pressing = calloc(1, sizeof *pressing);
    if (pressing == NULL) {
        return false;
    }
    const bool waits_already = publisher->presses != NULL;
    pressing->subscription = s;
    pressing->publisher = publisher;
    press_link(pressing);
    hash_index_insert(&bus->presses, &pressing->node, hash);
    if (s->state == PRESSURE_NONE) {
        s->state = PRESSURE_ON;
        const uint64_t longest = UINT64_MAX - 1 - bus->now_ms; /* UINT64_MAX stands for never */
        deadline_heap_add(&bus->deadlines, &s->deadline,
                          bus->now_ms + (s->limits.deadline_ms < longest ? s->limits.deadline_ms : longest));
    }
    if (!waits_already) {
        bus->stats.pressure++;
        publisher->handlers.pressure(publisher->user, true);
    }
    return true;
}

void subscription_let_go(subscription *s)
{
    deadline_heap_remove(&s->subscriber->bus->deadlines, &s->deadline);
    while (s->presses != NULL) {
        eventbus_publisher *publisher = s->presses->publisher; /* NOLINT(clang-analyzer-unix.Malloc): press_free() unlinks it */
        press_free(s->presses);
        if (publisher->presses == NULL) {
            publisher->handlers.pressure(publisher->user, false);
        }
    }
}

void subscription_settle(subscription *s)
{
    if (s->state != PRESSURE_NONE && s->queue.count <= s->limits.messages / 2 && s->queue.bytes <= s->limits.bytes / 2) {
        s->state = PRESSURE_NONE;
        subscription_let_go(s);
    }
}

void subscription_check_deadline(subscription *s)
{
    if (s->state == PRESSURE_ON && s->deadline.at_ms <= s->subscriber->bus->now_ms) {
        s->state = PRESSURE_OVERDUE;
        subscription_let_go(s);
    }
}

uint64_t eventbus_next_deadline_ms(const eventbus *bus)
{
    const deadline_node *first = deadline_heap_first(&bus->deadlines);
    return first != NULL ? first->at_ms : UINT64_MAX;
}

void eventbus_expire(eventbus *bus)
{
    eventbus_enter(bus);
    for (deadline_node *first; (first = deadline_heap_first(&bus->deadlines)) != NULL && first->at_ms <= bus->now_ms;) {
        subscription_check_deadline(subscription_of(first));
    }
    eventbus_leave(bus);
}

/* ---- publishers ---- */

loom_status eventbus_publisher_open(eventbus *bus, eventbus_publisher **out, const eventbus_publisher_handlers *handlers,
                                    void *user)
{
    *out = NULL;
    eventbus_publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher == NULL) {
        return LOOM_ENOMEM;
    }
    publisher->bus = bus;
    publisher->user = user;
    if (handlers != NULL) {
        publisher->handlers = *handlers;
    }
    bus->stats.publishers++;
    *out = publisher;
    return LOOM_OK;
}

void eventbus_publisher_close(eventbus_publisher *publisher)
{
    if (publisher == NULL) {
        return;
    }
    assert(!publisher->bus->running);
    while (publisher->presses != NULL) {
        press_free(publisher->presses); /* NOLINT(clang-analyzer-unix.Malloc): unlinks it */
    }
    publisher->bus->stats.publishers--;
    free(publisher);
}
