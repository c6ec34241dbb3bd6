/* SPDX-License-Identifier: Apache-2.0 */
/* Publishers, and who of them waits for which subscription.
 *
 * A subscription that is full makes each publisher that hits it wait. At half its limit it lets them all go. It lets them
 * go too when its subscriber has taken nothing for as long as the deadline, or not enough in some deadlines; the time waited
 * in vain is its subscriber's debt (hold_budget.h). What then finds it full is kept all the same while the subscriber's share
 * of the memory lasts, but no longer than publishers would have waited for one that takes something; if it takes something by
 * then, it had only paused, and publishers wait for it again. After that it is lost, until the queue is down to half. A publisher that closes changes nothing in that: else opening and closing would put the
 * deadline off for ever. */
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

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Now and a span of time; UINT64_MAX stands for never. */
static uint64_t in_ms(const eventbus *bus, uint64_t ms)
{
    const uint64_t now = bus->clock->now_ms;
    return now + earlier(ms, UINT64_MAX - 1 - now);
}

bool subscription_may_hold(const subscription *s)
{
    const eventbus *bus = s->subscriber->bus;
    return s->limits.deadline_ms > 0 &&
           (bus->hold_percent >= 100 ||
            hold_debt_ms(&s->subscriber->budget, bus->clock->now_ms, bus->hold_percent) < s->limits.deadline_ms);
}

static void look_again(subscription *s)
{
    eventbus *bus = s->subscriber->bus;
    s->used_before = s->subscriber->used_messages;
    deadline_heap_add(&bus->deadlines, &s->deadline, earlier(s->hold_until_ms, in_ms(bus, s->limits.deadline_ms)));
}

static uint64_t out_of_patience_ms(const subscription *s)
{
    const eventbus *bus = s->subscriber->bus;
    return in_ms(bus, (uint64_t)s->limits.deadline_ms * bus->patience);
}

void subscription_overflow(subscription *s)
{
    s->state = PRESSURE_OVERDUE;
    s->used_before = s->subscriber->used_messages;
    s->hold_until_ms = out_of_patience_ms(s);
    loss_slow(s);
}

bool subscription_takes_again(const subscription *s)
{
    return s->subscriber->bus->clock->now_ms < s->hold_until_ms && s->subscriber->used_messages != s->used_before &&
           subscription_may_hold(s);
}

static void start_holding(subscription *s)
{
    eventbus_subscriber *subscriber = s->subscriber;
    s->state = PRESSURE_ON;
    s->hold_until_ms = out_of_patience_ms(s);
    if (subscriber->holding.first == NULL) {
        subscriber->holding_since_ms = subscriber->bus->clock->now_ms;
    }
    list_append(&subscriber->holding, &s->in_holding);
    look_again(s);
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
    const bool waits_already = publisher->presses != NULL || publisher->early;
    pressing->subscription = s;
    pressing->publisher = publisher;
    press_link(pressing);
    hash_index_insert(&bus->presses, &pressing->node, hash);
    if (s->state != PRESSURE_ON) {
        start_holding(s);
    }
    if (!waits_already) {
        bus->stats.pressure++;
        publisher->handlers.pressure(publisher->user, true);
    }
    return true;
}

static void release_publishers(subscription *s)
{
    deadline_heap_remove(&s->subscriber->bus->deadlines, &s->deadline);
    while (s->presses != NULL) {
        eventbus_publisher *publisher = s->presses->publisher; /* NOLINT(clang-analyzer-unix.Malloc): press_free() unlinks it */
        press_free(s->presses);
        if (publisher->presses == NULL && !publisher->early) {
            publisher->handlers.pressure(publisher->user, false);
        }
    }
}

static void charge_holding(eventbus_subscriber *subscriber)
{
    const uint64_t now = subscriber->bus->clock->now_ms;
    hold_spend(&subscriber->budget, now, now - subscriber->holding_since_ms, subscriber->bus->hold_percent);
    subscriber->holding_since_ms = now; /* what others of it hold from now on is charged when they stop */
}

/* Of a subscription that is PRESSURE_ON. */
static void stop_holding(subscription *s, bool in_vain)
{
    list_remove(&s->subscriber->holding, &s->in_holding);
    if (in_vain) {
        charge_holding(s->subscriber);
    }
    release_publishers(s);
}

void subscriber_remember_debt(eventbus_subscriber *subscriber)
{
    eventbus *bus = subscriber->bus;
    if (subscriber->holding.first != NULL) {
        charge_holding(subscriber);
    }
    hold_remember(&bus->holds, hash_under_secret(bus->key, subscriber->name, subscriber->name_len), &subscriber->budget);
}

void subscription_let_go(subscription *s)
{
    if (s->state == PRESSURE_ON) {
        stop_holding(s, true);
        s->state = PRESSURE_NONE;
    }
}

void subscription_settle(subscription *s)
{
    const eventbus_subscriber *subscriber = s->subscriber;
    if (s->state == PRESSURE_NONE || s->queue.count > s->limits.messages / 2 || s->queue.bytes > s->limits.bytes / 2 ||
        (s->queue.count > 0 && *s->share > subscriber->bus->subscriber_queue_bytes / 2)) {
        return;
    }
    if (s->state == PRESSURE_ON) {
        stop_holding(s, false);
    }
    s->state = PRESSURE_NONE;
}

void subscription_check_deadline(subscription *s)
{
    eventbus *bus = s->subscriber->bus;
    const uint64_t now = bus->clock->now_ms;
    if (s->state != PRESSURE_ON || s->deadline.at_ms > now) {
        return;
    }
    if (now < s->hold_until_ms && s->subscriber->used_messages != s->used_before) {
        deadline_heap_remove(&bus->deadlines, &s->deadline);
        look_again(s);
        return;
    }
    s->state = PRESSURE_OVERDUE;
    s->used_before = s->subscriber->used_messages;
    stop_holding(s, true);
    loss_slow(s);
}

/* ---- publishers in the first moments of the bus ---- */

static void wait_early(eventbus_publisher *publisher)
{
    eventbus *bus = publisher->bus;
    publisher->early = true;
    publisher->next_early = bus->early;
    if (bus->early != NULL) {
        bus->early->prev_early = publisher;
    }
    bus->early = publisher;
    publisher->handlers.pressure(publisher->user, true);
}

uint64_t eventbus_hold_left_ms(const eventbus *bus)
{
    return bus->hold_until_ms > bus->clock->now_ms ? bus->hold_until_ms - bus->clock->now_ms : 0;
}

static void leave_early(eventbus_publisher *publisher)
{
    *(publisher->prev_early != NULL ? &publisher->prev_early->next_early : &publisher->bus->early) = publisher->next_early;
    if (publisher->next_early != NULL) {
        publisher->next_early->prev_early = publisher->prev_early;
    }
    publisher->early = false;
}

void publishers_release_early(eventbus *bus)
{
    bus->hold_until_ms = 0; /* with some of them left, that is still due */
    for (int left = DEADLINES_A_ROUND; left > 0 && bus->early != NULL; left--) {
        eventbus_publisher *publisher = bus->early;
        leave_early(publisher);
        if (publisher->presses == NULL) {
            publisher->handlers.pressure(publisher->user, false);
        }
    }
}

/* ---- publishers ---- */

loom_status eventbus_publisher_open(eventbus *bus, eventbus_publisher **out, const eventbus_publisher_handlers *handlers,
                                    void *user, loom_str name)
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
    eventbus_tidy_flow(bus);
    if (name.len > 0 && (publisher->flow = flow_agent_enter(&bus->flow, name)) == NULL) {
        free(publisher);
        return LOOM_ENOMEM;
    }
    publisher->number = publisher->flow != NULL ? ++bus->last_publisher : NO_NUMBER;
    bus->stats.publishers++;
    *out = publisher;
    if (bus->clock->now_ms < bus->hold_until_ms && publisher->handlers.pressure != NULL) {
        wait_early(publisher);
    }
    return LOOM_OK;
}

void eventbus_publisher_set_in_process(eventbus_publisher *publisher)
{
    publisher->in_process = true;
}

void eventbus_publisher_close(eventbus_publisher *publisher)
{
    if (publisher == NULL) {
        return;
    }
    assert(!publisher->bus->running);
    if (publisher->early) {
        leave_early(publisher);
    }
    while (publisher->presses != NULL) {
        press_free(publisher->presses); /* NOLINT(clang-analyzer-unix.Malloc): unlinks it */
    }
    publisher->bus->stats.publishers--;
    flow_agent_leave(&publisher->bus->flow, publisher->flow);
    free(publisher);
}
