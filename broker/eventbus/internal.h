/* SPDX-License-Identifier: Apache-2.0 */
/* What the EventBus is made of. Only eventbus*.c look inside.
 *
 *   bus ─ topics: what was published, and the subscriptions found for it
 *       ─ trie: filter → subscription
 *       ─ by_id: (subscriber, id) → subscription
 *       ─ presses: (subscription, publisher) → press, one for each publisher that waits for a subscription
 *       ─ groups: (name, filter) → group (group.h), whose queue is a subscription as any other in all but what it is handed to
 *       ─ deadlines: the pressing subscriptions
 *   subscriber ─ subscriptions, all; and by QoS those with something queued ("ready"), in turn
 *   leaving ─ subscribers that have gone, with what is left of them (leave.c)
 *
 * One thread at a time (eventbus.h), so no field has a guard. */
#ifndef LOOM_BROKER_EVENTBUS_INTERNAL_H
#define LOOM_BROKER_EVENTBUS_INTERNAL_H

#include <assert.h>

#include "base/deadline_heap.h"
#include "base/hash_index.h"
#include "broker/eventbus/delivery_queue.h"
#include "broker/eventbus/eventbus.h"
#include "broker/eventbus/group.h"
#include "broker/eventbus/hold_budget.h"
#include "broker/eventbus/loss.h"
#include "broker/eventbus/topic_table.h"
#include "broker/eventbus/topic_trie.h"
#include "trace/messaging/message_span.h"

static_assert((int)EVENTBUS_DROP_REASONS <= (int)FLOW_REASONS_MAX, "flow_counts has room for each reason");

/* Where the next message of the same topic counts. */
typedef struct flow_mark {
    uint64_t ticket; /* the topic_entry's; 0: none yet */
    flow_counts *counts;
} flow_mark;

/* Limits of one class of subscriptions; a subscriber may ask for less. */
typedef struct queue_limits {
    uint32_t messages;
    uint32_t bytes;
    uint32_t deadline_ms;
} queue_limits;

struct eventbus {
    topic_table topics;
    topic_trie *trie;
    uint64_t generation;    /* another one after each change of subscriptions, and after edges of flow have gone */
    topic_match *matches;   /* room for every subscription: finding matches never needs memory */
    uint64_t work;          /* besides matches: nodes of the trie that they were found among, those of subscribers that have gone,
                               messages dropped with their queue */
    uint32_t match_count;
    uint32_t room;          /* of matches and of deadlines */
    bool running;           /* a call is in progress: callbacks must not call back */
    loom_tracer *tracer;    /* NULL: no spans */
    const loop_clock *clock;
    eventbus_stats stats;   /* topics is filled in when asked for */
    flow_table flow;
    flow_mark named;          /* of publishers that only name a sender: of that one */
    const flow_agent *sender; /* whose it is */
    uint64_t last_publisher;  /* number given out */
    hash_index by_id;
    hash_index presses;
    hash_index groups;
    eventbus_group *newest_group;
    deadline_heap deadlines;
    eventbus_subscriber *subscribers; /* newest first */
    eventbus_subscriber *later; /* those that granted from inside a callback */
    linked_list leaving;    /* subscribers that have gone, and groups' own */
    uint32_t leaving_subscriptions, leaving_seats; /* theirs, as far as they count, and in groups */
    queue_limits limits[LOOM_QOS_COUNT];
    uint32_t patience;      /* deadlines that publishers wait for a subscriber that takes something */
    uint32_t hold_percent;
    hold_memory holds;      /* of subscribers that left */
    uint64_t hold_until_ms; /* publishers that open before it wait; 0: none do any more */
    eventbus_publisher *early; /* those that wait for it */
    uint64_t held_bytes;    /* of queued messages, each once, with its upkeep */
    uint64_t total_queue_bytes, subscriber_queue_bytes;
    uint64_t filter_bytes;  /* of all subscriptions, as subscription_cost() has them */
    uint64_t total_filter_bytes, subscriber_filter_bytes;
    uint32_t max_subscriptions, subscriber_subscriptions;
    uint8_t key[crypto_shorthash_KEYBYTES]; /* for by_id: subscribers choose their ids */
    loss_watch losses;
    block_pool pool; /* of queued messages and of the pages of queues */
};

/* "publisher waits for subscription": in the lists of both, and in the bus's index. */
typedef struct press {
    hash_node node; /* first */
    subscription *subscription;
    eventbus_publisher *publisher;
    struct press *prev_of_subscription, *next_of_subscription;
    struct press *prev_of_publisher, *next_of_publisher;
} press;

struct eventbus_publisher {
    eventbus *bus;
    eventbus_publisher_handlers handlers;
    void *user;
    press *presses; /* by the subscriptions it waits for */
    bool early;     /* it waits for the bus's first moments to pass */
    eventbus_publisher *prev_early, *next_early;
    bool in_process;
    flow_agent *flow; /* NULL: whoever the sender is */
    uint64_t number;  /* of all that ever were; NO_NUMBER without flow */
};

struct eventbus_subscriber {
    eventbus *bus;
    eventbus_sink sink;
    void *user;
    flow_agent *flow;
    uint64_t granted_messages, granted_bytes; /* totals */
    uint64_t used_messages, used_bytes;       /* totals; bytes may be over what was granted */
    uint64_t later_messages, later_bytes;     /* granted by a callback, totals */
    eventbus_subscriber *next_later;          /* while it is among those */
    bool is_later;
    subscription *subscriptions;              /* newest first */
    uint32_t subscription_count;
    linked_list holding;                      /* subscriptions that are PRESSURE_ON */
    uint64_t holding_since_ms;                /* and since when, as far as it has not been charged yet */
    hold_budget budget;
    uint64_t filter_bytes;                    /* of its subscriptions */
    uint64_t queued_bytes;                    /* in all its queues */
    uint64_t dropped;                         /* of all its subscriptions, also of those that have ended */
    subscription *ready[LOOM_QOS_COUNT];      /* whose turn it is, in a ring */
    group_seat *seats[LOOM_QOS_COUNT];        /* in groups, in rings: whose turn it is */
    uint32_t seat_count[LOOM_QOS_COUNT];
    eventbus_subscriber *prev, *next;
    list_node node;                           /* of those that leave */
    bool leaving;
    uint16_t name_len;
    char name[];
};

typedef enum pressure_state {
    PRESSURE_NONE,
    PRESSURE_ON,     /* it was full: publishers wait, until half, or until it takes nothing for as long as its deadline */
    PRESSURE_OVERDUE /* they waited in vain, or may not wait: what finds it full has its subscriber's share of the memory
                        for a while, and is lost after that, until half */
} pressure_state;

struct eventbus_subscription {
    hash_node node; /* first; in by_id */
    topic_trie_value in_trie;
    eventbus_subscriber *subscriber;
    uint64_t id;
    uint64_t delivered, dropped;
    flow_mark queued;   /* of the topic that left the queue last */
    uint8_t qos;        /* loom_qos */
    uint8_t state;      /* pressure_state */
    uint16_t filter_len;
    uint16_t type_count;
    uint32_t cost;      /* subscription_cost() */
    queue_limits limits;
    eventbus_group *group;  /* whose queue it is; NULL: it is an agent's own */
    group_seat *seat;       /* NULL: it is of no group */
    uint64_t *share;        /* queued bytes of the subscriber that pays for the queue */
    deadline_node deadline; /* in the bus's heap while PRESSURE_ON: when to look whether it has taken anything */
    uint64_t hold_until_ms; /* ON: however much it takes. OVERDUE: until when more than its limit is kept */
    uint64_t used_before;   /* the subscriber's used_messages at the last look; OVERDUE: when it began */
    delivery_queue queue;
    subscription *prev, *next;             /* of the subscriber */
    subscription *prev_ready, *next_ready; /* while the queue holds something */
    list_node in_holding;                  /* of the subscriber, while PRESSURE_ON */
    press *presses;
    loss_spell *spell; /* NULL: it is well */
    char text[]; /* the filter, then each type as a byte of length and its text */
};

static inline subscription *subscription_at(topic_trie_value *value)
{
    return (subscription *)((char *)value - offsetof(subscription, in_trie));
}

/* One eventbus_publish() at work. */
typedef struct publication {
    eventbus *bus;
    eventbus_publisher *publisher; /* NULL: nobody to push back on */
    const envelope_view *view;
    topic_entry *entry;            /* of its topic; NULL: no memory for one */
    message_pass pass;             /* eventbus.publish */
    queued_message *copy;          /* made when the first subscription has to queue it, shared by all that do */
    eventbus_result *result;       /* counted in place: a copy at the end would wait for the stores to a cold message */
} publication;

static inline bool subscriber_has_credit(const eventbus_subscriber *subscriber)
{
    return subscriber->used_messages < subscriber->granted_messages &&
           subscriber->used_bytes < subscriber->granted_bytes;
}

/* ---- flow.c ---- */

#define NO_NUMBER UINT64_MAX /* no topic_entry has it for its publisher */

/* Makes room among the edges. Not while pointers to them are in use: between two calls of the bus, or before matches are
 * found. */
void eventbus_tidy_flow(eventbus *bus);
/* Where messages of this topic count that reach s; entry may be NULL. */
flow_counts *subscription_flow(const subscription *s, const topic_entry *entry, loom_str topic);
/* The same for one after the other, as they leave a queue. */
flow_counts *subscription_flow_slow(subscription *s, const topic_entry *entry, loom_str topic);
static inline flow_counts *subscription_flow_queued(subscription *s, const topic_entry *entry, loom_str topic)
{
    const bool same = entry != NULL && s->queued.ticket == entry->ticket && entry->generation == s->subscriber->bus->generation;
    return same ? s->queued.counts : subscription_flow_slow(s, entry, topic);
}
/* Where those count that the publisher, which may be NULL, publishes. */
flow_counts *publisher_flow(eventbus *bus, const eventbus_publisher *publisher, topic_entry *entry, const envelope_view *view);

/* What is left of a subscriber's credit, in messages of up to half a KiB: 0 if none. For comparing only. */
static inline uint64_t subscriber_credit(const eventbus_subscriber *subscriber)
{
    enum { BYTES = 512 };
    if (!subscriber_has_credit(subscriber)) {
        return 0;
    }
    const uint64_t messages = subscriber->granted_messages - subscriber->used_messages;
    const uint64_t parts = (subscriber->granted_bytes - subscriber->used_bytes - 1) / BYTES + 1;
    return messages < parts ? messages : parts;
}

/* Hands one message to the sink and counts it, but for its topic. */
static inline void subscription_deliver(subscription *s, flow_counts *flow, const envelope_view *view)
{
    eventbus_subscriber *subscriber = s->subscriber;
    eventbus_stats *stats = &subscriber->bus->stats;
    flow->total++;
    subscriber->used_messages++;
    subscriber->used_bytes += view->len;
    s->delivered++;
    stats->delivered++;
    stats->delivered_bytes += view->len;
    subscriber->sink.deliver(subscriber->user, s->id, view);
}

/* Whether s may have a topic that its filter selects: a reserved one only when the filter names the first segment. */
static inline bool subscription_may_have(const subscription *s, bool reserved)
{
    return !reserved || (s->text[0] != '*' && s->text[0] != '>');
}

/* ---- subscribe.c ---- */

/* A subscriber that is in no list yet. NULL: out of memory. */
eventbus_subscriber *subscriber_create(eventbus *bus, loom_str name);
/* Without subscriptions and in no list any more. */
void subscriber_destroy(eventbus_subscriber *subscriber);
/* It ends: what others have waited for it in vain, its name owes from now on. */
void subscriber_remember_debt(eventbus_subscriber *subscriber);
/* A subscription in no table yet, of options that have been checked. NULL: out of memory. */
subscription *subscription_create(eventbus_subscriber *subscriber, uint64_t id, const eventbus_subscription_options *options);
/* It gets no messages any more, and nobody waits for it. Of one that has been retired: does nothing. */
void subscription_retire(subscription *s);
/* After that, when nothing is queued. Of a group's queue: with the group. */
void subscription_free(subscription *s);
/* NULL: the subscriber has none of this number. */
subscription *subscription_find(const eventbus_subscriber *subscriber, uint64_t id);

/* ---- leave.c ---- */

/* One that is in no list and no handler's any more: a few of its subscriptions end at once, the rest in turns. */
void subscriber_leave(eventbus_subscriber *subscriber);
/* The next slice of what is left of those that have gone; and all of it. */
void subscribers_take_turn(eventbus *bus);
void subscribers_finish(eventbus *bus);
/* They are in no group any more. */
void subscribers_leave_groups(eventbus *bus);

/* ---- grant.c ---- */

/* One turn of a queue: hands some of its messages to a subscription, its own or that of a member. Returns how many. */
uint32_t subscription_take_turn(subscription *from, subscription *to);

/* ---- queue.c ---- */

/* A message that finds no credit: its subscriber has gone, or of a group's queue, a member may have some. Otherwise it is
 * queued, or dropped, or older ones for it: the QoS decides. */
void subscription_enqueue(publication *p, subscription *s);
/* Queues one that a member of s's group had, even if the queue is full. */
void subscription_put_back(subscription *s, const envelope_view *view);
/* Takes the oldest message off the queue. The reference is the caller's, to be given up by eventbus_release(). */
queued_message *subscription_dequeue(subscription *s);
/* Drops a reference; the last one frees the message. NULL is allowed. */
void eventbus_release(eventbus *bus, queued_message *message);
/* Drops the oldest of what is queued, or everything, as gone. */
void subscription_drop_oldest(subscription *s);
void subscription_drop_all(subscription *s);

/* ---- pressure.c ---- */

static inline bool subscription_is_full(const subscription *s)
{
    return s->queue.count >= s->limits.messages || s->queue.bytes >= s->limits.bytes ||
           *s->share >= s->subscriber->bus->subscriber_queue_bytes;
}

/* Whether publishers may be made to wait for it: not while its subscriber owes them time. */
bool subscription_may_hold(const subscription *s);
/* Of one that is PRESSURE_OVERDUE: it had only paused, so publishers may wait for it again. */
bool subscription_takes_again(const subscription *s);

/* Nobody is to wait for it: from NONE to OVERDUE. */
void subscription_overflow(subscription *s);
/* Makes the publisher wait for s; it may be waiting already. False: out of memory, it will not wait. */
bool subscription_press(subscription *s, eventbus_publisher *publisher);
/* The first moments of the bus are over. */
void publishers_release_early(eventbus *bus);
/* After messages left the queue: at half the limit all is well again. */
void subscription_settle(subscription *s);
/* Lets the publishers go when they wait in vain: the subscriber takes nothing, or the deadline has passed. */
void subscription_check_deadline(subscription *s);
/* Lets the publishers go because the subscription ends. */
void subscription_let_go(subscription *s);

/* ---- span.c ---- */

/* Notes on eventbus.publish that its own message is lost; s NULL: for everybody. span NULL: does nothing. */
void eventbus_span_drop(loom_span *span, eventbus_drop reason, const subscription *s);
/* The loss of a message published earlier, as a span of its own in that message's trace, when that is sampled. */
void eventbus_span_lost(const subscription *s, const envelope_view *view, eventbus_drop reason);

#endif
