/* SPDX-License-Identifier: Apache-2.0 */
/* Groups: subscriptions that share their messages, each of which goes to one member.
 *
 * A group is known by its name and its filter. To the rest of the bus it is one subscription: it stands in the trie once,
 * and it has one queue, which is no member's. A message goes to the member with the most credit; without any it waits, and
 * goes to the member that grants first. So whoever ends, in whatever way, has nothing that the others would miss but what
 * was handed to its sink; that comes back by eventbus_give_back().
 * The subscription in the trie belongs to a subscriber of the group's own, which never has credit. Its bytes are paid for
 * by the oldest member: a group is no way to more memory than an agent may have.
 *
 * Invariant: while a member has credit left, the queue is empty. */
#ifndef LOOM_BROKER_EVENTBUS_GROUP_H
#define LOOM_BROKER_EVENTBUS_GROUP_H

#include "base/hash_index.h"
#include "base/heap.h"
#include "base/list.h"
#include "broker/eventbus/eventbus.h"

typedef struct eventbus_subscription subscription;
typedef struct eventbus_group eventbus_group;
struct topic_entry;

/* A subscription's place in its group. */
typedef struct group_seat {
    heap_node by_credit; /* first. Key: GROUP_KEY() of the credit when it was looked at last, which may have been more. In no
                            heap once the member has begun to give back */
    list_node by_age;
    eventbus_group *group;
    subscription *member;
    struct group_seat *prev, *next; /* of the same subscriber and class, in a ring */
} group_seat;

struct eventbus_group {
    hash_node node; /* first */
    eventbus_group *prev, *next;
    subscription *queue;       /* in the trie; its subscriber is the group's own */
    binary_heap members;       /* seats, that with the most credit first */
    linked_list seats;         /* all of them, the oldest first */
    uint32_t seat_count;
};

/* The name, as it was given. */
loom_str group_name(const eventbus_group *group);

/* Makes member one of the group that options name, and the group if there is none; it gets at once what waits and its credit
 * allows. LOOM_EINVAL: the group has another qos or other types.  LOOM_ENOMEM: nothing has changed. */
LOOM_MUST_CHECK loom_status group_join(subscription *member, const eventbus_subscription_options *options);
/* The last one ends the group; what waits is then lost (gone). Does nothing for a subscription of no group. */
void group_leave(subscription *member);

/* Hands the message to a member. entry: of its topic; NULL: there is none. False: no member has credit. */
bool group_deliver(eventbus_group *group, const envelope_view *view, struct topic_entry *entry, eventbus_result *result);
/* The next one of the subscriber's groups of this class has its turn. False: nothing waits there. */
bool group_take_turn(eventbus_subscriber *subscriber, loom_qos qos);
/* After the subscriber's credit has grown. */
void groups_note_credit(eventbus_subscriber *subscriber);

#endif
