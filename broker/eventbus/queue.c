/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that wait for credit, and those that find no place. Every loss passes through count_drop(). */
#include "broker/eventbus/internal.h"

static void count_drop(subscription *s, eventbus_drop reason, loom_str topic)
{
    eventbus *bus = s->subscriber->bus;
    loss_dropped(s, reason);
    bus->stats.dropped[reason]++;
    s->dropped++;
    s->subscriber->dropped++;
    topic_entry *entry = topic_table_find(&bus->topics, topic);
    if (entry != NULL) {
        entry->dropped++;
    }
    subscription_flow_queued(s, entry, topic)->lost[reason]++;
}

static void drop_current(publication *p, subscription *s, eventbus_drop reason)
{
    p->result->dropped++;
    count_drop(s, reason, envelope_view_str(p->view, ENV_TOPIC));
    eventbus_span_drop(message_pass_span(&p->pass), reason, s);
}

static void drop_oldest(subscription *s, eventbus_drop reason)
{
    queued_message *message = subscription_dequeue(s);
    envelope_view view;
    queued_message_view(message, &view);
    count_drop(s, reason, envelope_view_str(&view, ENV_TOPIC));
    eventbus_span_lost(s, &view, reason);
    eventbus_release(s->subscriber->bus, message);
}

/* ---- the list of subscriptions that have something for their subscriber ---- */

static void ready_add(subscription *s)
{
    subscription **turn = &s->subscriber->ready[s->qos];
    if (*turn == NULL) {
        *turn = s->prev_ready = s->next_ready = s;
        return;
    }
    /* Behind the one whose turn it is, seen round the ring: its turn comes last. */
    s->next_ready = *turn;
    s->prev_ready = (*turn)->prev_ready;
    s->prev_ready->next_ready = s;
    s->next_ready->prev_ready = s;
}

static void ready_remove(subscription *s)
{
    subscription **turn = &s->subscriber->ready[s->qos];
    if (s->next_ready == s) {
        *turn = NULL;
    } else {
        s->prev_ready->next_ready = s->next_ready;
        s->next_ready->prev_ready = s->prev_ready;
        if (*turn == s) {
            *turn = s->next_ready;
        }
    }
    s->prev_ready = s->next_ready = NULL;
}

/* ---- in and out ---- */

static bool push(subscription *s, queued_message *message)
{
    eventbus *bus = s->subscriber->bus;
    if (!delivery_queue_push(&s->queue, &bus->pool, message)) {
        return false;
    }
    if (s->queue.count == 1) {
        ready_add(s);
    }
    bus->stats.queued++;
    bus->stats.queued_bytes += message->len;
    *s->share += message->len;
    return true;
}

queued_message *subscription_dequeue(subscription *s)
{
    eventbus *bus = s->subscriber->bus;
    queued_message *message = delivery_queue_pop(&s->queue, &bus->pool);
    if (s->queue.count == 0) {
        ready_remove(s);
    }
    bus->stats.queued--;
    bus->stats.queued_bytes -= message->len;
    *s->share -= message->len;
    return message;
}

void subscription_drop_oldest(subscription *s)
{
    drop_oldest(s, EVENTBUS_DROP_GONE);
}

void subscription_drop_all(subscription *s)
{
    while (s->queue.count > 0) {
        subscription_drop_oldest(s);
    }
}

/* ---- the policies ---- */

static uint64_t cost(uint32_t len)
{
    return (uint64_t)len + EVENTBUS_MESSAGE_UPKEEP;
}

/* A message that some queue holds already is paid for, but for its entry in another. */
static bool bus_has_room(const publication *p)
{
    const eventbus *bus = p->bus;
    const uint64_t entries = (bus->stats.queued + 1) * sizeof(queued_message *);
    return bus->held_bytes + (p->copy == NULL ? cost(p->view->len) : 0) + entries <= bus->total_queue_bytes;
}

static bool make_copy(publication *p)
{
    if (p->copy == NULL && (p->copy = queued_message_create(&p->bus->pool, p->view)) != NULL) {
        p->bus->held_bytes += cost(p->copy->len);
    }
    return p->copy != NULL;
}

void eventbus_release(eventbus *bus, queued_message *message)
{
    if (message != NULL && message->refs == 1) {
        bus->held_bytes -= cost(message->len);
    }
    queued_message_unref(&bus->pool, message);
}

static bool subscriber_has_room(const subscription *s, uint32_t bytes)
{
    return *s->share + bytes <= s->subscriber->bus->subscriber_queue_bytes;
}

/* Realtime: the oldest go until the new one fits. One message always does, however long. */
static void make_room(publication *p, subscription *s)
{
    const uint32_t bytes = p->view->len;
    while (s->queue.count > 0 &&
           (s->queue.count >= s->limits.messages || s->queue.bytes + bytes > s->limits.bytes)) {
        drop_oldest(s, EVENTBUS_DROP_OLDEST);
        p->result->dropped++;
    }
    while (s->queue.count > 0 && (!bus_has_room(p) || !subscriber_has_room(s, bytes))) {
        drop_oldest(s, EVENTBUS_DROP_MEMORY);
        p->result->dropped++;
    }
}

/* Batched and background, full: taken all the same if its publisher can be made to wait, or if it has waited long enough and
 * the subscriber's share of the memory is not used up. */
static bool may_exceed(publication *p, subscription *s, eventbus_drop *reason)
{
    *reason = EVENTBUS_DROP_DEADLINE;
    if (p->publisher == NULL) {
        return false;
    }
    subscription_check_deadline(s);
    if (s->state == PRESSURE_NONE && !subscription_may_hold(s)) {
        subscription_overflow(s);
    }
    if (s->state == PRESSURE_OVERDUE && !subscription_takes_again(s)) {
        return p->bus->clock->now_ms < s->hold_until_ms && subscriber_has_room(s, p->view->len);
    }
    *reason = EVENTBUS_DROP_MEMORY;
    return subscription_press(s, p->publisher);
}

/* Whether the message has, or has been made, a place in memory. */
static bool find_room(publication *p, subscription *s)
{
    if (s->qos == LOOM_QOS_REALTIME) {
        make_room(p, s);
        if (!subscriber_has_room(s, p->view->len)) {
            return false;
        }
    }
    return bus_has_room(p) && make_copy(p) && push(s, p->copy);
}

void subscription_put_back(subscription *s, const envelope_view *view)
{
    eventbus *bus = s->subscriber->bus;
    eventbus_result result = {0};
    publication p = {.bus = bus, .view = view, .result = &result};
    if (!bus_has_room(&p) || !make_copy(&p) || !push(s, p.copy)) {
        drop_current(&p, s, EVENTBUS_DROP_MEMORY);
    }
    eventbus_release(bus, p.copy);
}

void subscription_enqueue(publication *p, subscription *s)
{
    eventbus_drop reason;
    if (s->subscriber->leaving) {
        p->result->matched--;
        p->bus->work++;
        return;
    }
    if (s->group != NULL && group_deliver(s->group, p->view, p->entry, p->result)) {
        return;
    }
    if (s->qos != LOOM_QOS_REALTIME && subscription_is_full(s) && !may_exceed(p, s, &reason)) {
        drop_current(p, s, reason);
        return;
    }
    if (!find_room(p, s)) {
        drop_current(p, s, EVENTBUS_DROP_MEMORY);
        return;
    }
    p->result->delivered++;
    if (s->qos != LOOM_QOS_REALTIME && p->publisher != NULL && subscription_is_full(s) &&
        (s->state == PRESSURE_ON || (s->state == PRESSURE_NONE && subscription_may_hold(s)))) {
        (void)subscription_press(s, p->publisher); /* without the memory for it, its next message is refused */
    }
}
