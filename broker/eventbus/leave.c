/* SPDX-License-Identifier: Apache-2.0 */
/* A subscriber that goes. It has no credit from then on, so that nothing reaches it and no group chooses it, and who publishes
 * passes its subscriptions over (subscription_enqueue()). But it may have a hundred thousand of them, or as many messages that
 * wait; those are taken down in slices, the oldest subscriber's first, one in each turn of the bus. What others would notice
 * goes first: publishers that wait for it, and its places in groups. */
#include "broker/eventbus/grant.h"

#include <stdlib.h>

enum {
    MESSAGE_COST = 1, SUBSCRIPTION_COST = 4, /* in some 0.1 µs */
    AT_ONCE = 256,   /* when a subscriber goes, and of what others would notice in any case */
    A_TURN = 256,    /* and one more for each so many subscriptions that are left: what waits here is memory of nobody's */
    LEFT_FOR_ONE = 256
};

/* Those that others would notice. Returns what that cost; 0: there is none. */
static uint32_t end_urgent(eventbus_subscriber *subscriber)
{
    if (subscriber->holding.first != NULL) {
        subscription_let_go(list_item(subscriber->holding.first, subscription, in_holding));
        return SUBSCRIPTION_COST;
    }
    for (int qos = 0; qos < LOOM_QOS_COUNT; qos++) {
        if (subscriber->seats[qos] != NULL) {
            subscription *member = subscriber->seats[qos]->member;
            subscription_retire(member);
            subscription_free(member);
            return SUBSCRIPTION_COST;
        }
    }
    return 0;
}

/* The next step of all that is left. Returns what it cost; 0: nothing is left. */
static uint32_t end_one(eventbus_subscriber *subscriber)
{
    subscription *s = subscriber->subscriptions;
    const uint32_t cost = end_urgent(subscriber);
    if (cost > 0 || s == NULL) {
        return cost;
    }
    subscription_retire(s);
    if (s->queue.count > 0) {
        subscription_drop_oldest(s);
        return MESSAGE_COST;
    }
    subscription_free(s);
    return SUBSCRIPTION_COST;
}

static void work_off(eventbus *bus, uint64_t budget)
{
    for (uint64_t spent = 0; bus->leaving.first != NULL && spent < budget;) {
        eventbus_subscriber *oldest = list_item(bus->leaving.first, eventbus_subscriber, node);
        const uint32_t cost = end_one(oldest);
        spent += cost;
        if (cost == 0) {
            list_remove(&bus->leaving, &oldest->node);
            subscriber_destroy(oldest);
        }
    }
}

void subscriber_leave(eventbus_subscriber *subscriber)
{
    eventbus *bus = subscriber->bus;
    const bool alone = bus->leaving.first == NULL;
    subscriber->leaving = true;
    subscriber->granted_messages = subscriber->granted_bytes = 0;
    bus->leaving_subscriptions += subscriber->subscription_count;
    for (int qos = 0; qos < LOOM_QOS_COUNT; qos++) {
        bus->leaving_seats += subscriber->seat_count[qos];
    }
    list_append(&bus->leaving, &subscriber->node);
    subscriber_remember_debt(subscriber);
    if (alone) {
        work_off(bus, AT_ONCE);
        return;
    }
    for (uint32_t spent = 0, cost; spent < AT_ONCE && (cost = end_urgent(subscriber)) > 0;) {
        spent += cost;
    }
}

void subscribers_take_turn(eventbus *bus)
{
    work_off(bus, A_TURN + bus->leaving_subscriptions / LEFT_FOR_ONE);
}

void subscribers_finish(eventbus *bus)
{
    work_off(bus, UINT64_MAX);
}

void subscribers_leave_groups(eventbus *bus)
{
    for (list_node *node = bus->leaving.first; bus->leaving_seats > 0; node = node->next) {
        while (end_urgent(list_item(node, eventbus_subscriber, node)) > 0) {
        }
    }
}

void eventbus_subscriber_close(eventbus_subscriber *subscriber)
{
    if (subscriber == NULL) {
        return;
    }
    eventbus *bus = subscriber->bus;
    *(subscriber->prev != NULL ? &subscriber->prev->next : &bus->subscribers) = subscriber->next;
    if (subscriber->next != NULL) {
        subscriber->next->prev = subscriber->prev;
    }
    bus->stats.subscribers--;
    eventbus_enter(bus);
    subscriber_leave(subscriber);
    eventbus_leave(bus);
}
