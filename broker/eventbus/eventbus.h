/* SPDX-License-Identifier: Apache-2.0 */
/* The EventBus: publish/subscribe in process, without I/O, threads, locks or clocks of its own.
 *
 * A publisher publishes envelopes; a subscriber holds subscriptions and a credit. With credit, a message goes straight
 * to the subscriber's sink; without, it waits in the queue of its subscription, under the subscription's QoS.
 * Invariant: a subscriber with credit left has only empty queues.
 * A subscription may name a group: those that name the same one under the same filter share their messages, and count as
 * one subscription. Each message goes to one of them, that with the most credit. What finds no credit waits for all of them.
 * Conservation: matched = delivered + queued + dropped, where a message whose ttl was used up matches nothing and is not
 * in it.
 *
 * Threads: one at a time. Callbacks run inside open, publish, grant, expire, unsubscribe or close, and must not call back,
 * but for grant.
 *
 * Spans, of sampled messages only:
 *   eventbus.publish  INTERNAL, child of the envelope's hop context, and the new hop context. It ends after the sinks
 *                     have run. messaging.system=loom, messaging.operation.type=send, messaging.operation.name=publish,
 *                     messaging.destination.name, messaging.message.id, messaging.message.conversation_id (correlation id),
 *                     messaging.message.body.size (payload, bytes); topic, event_id, thread_id, correlation_id, agent_id
 *                     (sender); loom.matched, loom.delivered, loom.dropped (eventbus_result). When this message is lost
 *                     to somebody: an event loom.drop each (loom.drop.reason; loom.drop.filter and loom.drop.subscriber,
 *                     or messaging.consumer.group.name, unless it was the ttl), error.type and status ERROR.
 *   eventbus.drop     INTERNAL, child of the message's own eventbus.publish, for the loss of a message that was queued:
 *                     the same attributes of the message with messaging.operation.name=drop and no type, the event, and
 *                     status ERROR. */
#ifndef LOOM_BROKER_EVENTBUS_EVENTBUS_H
#define LOOM_BROKER_EVENTBUS_EVENTBUS_H

#include <loom/qos.h>
#include <loom/trace.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log_sink.h"
#include "broker/flow/flow.h"
#include "envelope/view.h"

#define EVENTBUS_TYPES_MAX 256u     /* event types in one subscription */
#define EVENTBUS_GROUPS_MAX 1024u   /* subscriptions of one subscriber that are in groups: a grant looks at each */
#define EVENTBUS_NO_DEADLINE UINT32_MAX
#define EVENTBUS_MESSAGE_UPKEEP 192u /* bytes that a queued message costs besides its own */

typedef struct eventbus eventbus;
typedef struct eventbus_publisher eventbus_publisher;
typedef struct eventbus_subscriber eventbus_subscriber;

typedef enum eventbus_drop {
    EVENTBUS_DROP_TTL,        /* hops used up */
    EVENTBUS_DROP_OLDEST,     /* realtime: the queue was full, its oldest message went */
    EVENTBUS_DROP_DEADLINE,   /* batched, background: still full when the deadline had passed */
    EVENTBUS_DROP_MEMORY,     /* the bus's own bound on queued bytes, or no memory */
    EVENTBUS_DROP_GONE,       /* queued for a subscription that ended */
    EVENTBUS_DROP_REASONS
} eventbus_drop;
const char *eventbus_drop_name(eventbus_drop reason); /* "ttl_expired", "queue_full_oldest", … for metrics and spans */

enum { EVENTBUS_CUTS_SIZE = 160 };

typedef struct eventbus_options {
    loom_tracer *tracer;           /* for eventbus.publish; NULL: no spans */
    uint32_t queue_messages;       /* default of a batched or realtime subscription; 0: 8192. background: four times it */
    uint32_t queue_bytes;          /* the same in bytes; 0: 8 MiB. A realtime queue holds one message whatever its length */
    uint32_t batched_deadline_ms;  /* how long a full queue pushes back while its subscriber takes nothing; 0: 50;
                                      EVENTBUS_NO_DEADLINE: not at all */
    uint32_t patience;             /* and while it takes something, this many times as long; for so long also more than its
                                      limit is kept of a subscriber that nobody waits for any longer; 0: 20 */
    uint32_t hold_percent;         /* share of its time that one subscriber may make publishers wait in vain
                                      (hold_budget.h); 0: 5; 100: no limit */
    uint32_t publish_hold_ms;      /* after its creation publishers wait for so long, so that the subscribers of a bus before
                                      it can be back first; 0: they do not */
    uint64_t total_queue_bytes;    /* of all queued messages, each counted once however many queues hold it, with
                                      EVENTBUS_MESSAGE_UPKEEP; up to 8 MiB of free blocks may be kept on top; 0: 512 MiB */
    uint64_t subscriber_queue_bytes; /* in all queues of one subscriber, which are full from there on; 0: an eighth of that */
    uint32_t max_topics;           /* topics with statistics of their own; the least recently used goes; 0: 65536 */
    uint32_t max_subscriptions;    /* 0: 1000000 */
    uint32_t subscriber_subscriptions; /* of one subscriber; 0: 100000 */
    uint64_t subscriber_filter_bytes;  /* memory for the subscriptions of one subscriber; 0: 64 MiB, or 100,000 short ones */
    uint64_t total_filter_bytes;       /* for those of all; 0: 512 MiB */
    uint32_t flow_edges;               /* of eventbus_flow(); 0: its default */
    log_sink log;                      /* who is slow and who loses messages (loss.h); written inside the bus's calls */
} eventbus_options;

/* clock is borrowed, must outlive the bus, and says when deadlines are. options NULL: the defaults, without spans.
 * LOOM_ENOMEM; LOOM_EIO: the system has no random numbers. */
LOOM_MUST_CHECK loom_status eventbus_create(eventbus **out, const loop_clock *clock, const eventbus_options *options);
/* Other limits, as eventbus_create() takes them: those of a queue for subscriptions from here on, all others at once. */
void eventbus_set_limits(eventbus *bus, const eventbus_options *options);
void eventbus_destroy(eventbus *bus); /* publishers and subscribers must be closed. NULL is allowed */

/* When eventbus_expire() has something to do; UINT64_MAX: never. 0: at once, in the next round of the loop, since a subscriber
 * has gone that had much. */
uint64_t eventbus_next_deadline_ms(const eventbus *bus);
/* Releases publishers whose push-back deadline has passed: of some queues, the others stay due. The queue they waited for is
 * then overdue: while it is at its limit it loses the newest messages (EVENTBUS_DROP_DEADLINE), until it is down to half. Takes
 * down a slice of what is left of subscribers that have gone. */
void eventbus_expire(eventbus *bus);

/* ---- publishing ---- */

typedef struct eventbus_publisher_handlers {
    /* on: stop sending, a subscriber's queue is full. off: go on. What was on its way is still taken.
     * Told once, however many queues it waits for; off comes when the last of them lets go, at half its limit, at its
     * deadline or at its end. In the first publish_hold_ms of the bus, on comes from eventbus_publisher_open() already.
     * NULL: this publisher cannot be pushed back on. */
    void (*pressure)(void *user, bool on);
} eventbus_publisher_handlers;

/* name: the agent's id, under which eventbus_flow() has it; empty: what it publishes counts for the senders it names. */
LOOM_MUST_CHECK loom_status eventbus_publisher_open(eventbus *bus, eventbus_publisher **out,
                                                    const eventbus_publisher_handlers *handlers, void *user, loom_str name);
/* How long publishers that open now have to wait, 0 but in the first moments of the bus. */
uint64_t eventbus_hold_left_ms(const eventbus *bus);
/* What it publishes comes from a span of this process; otherwise the parent of eventbus.publish is remote. */
void eventbus_publisher_set_in_process(eventbus_publisher *publisher);
/* Without a last word to its handlers. NULL is allowed. */
void eventbus_publisher_close(eventbus_publisher *publisher);

typedef struct eventbus_result {
    uint32_t matched;   /* subscriptions that the topic and type match */
    uint32_t delivered; /* handed over or queued */
    uint32_t dropped;   /* messages that did not find a place, this one or an older one */
} eventbus_result;

/* Publishes one scanned envelope whose hop is in place. wire is view->data, the caller's to change: the bus counts the ttl
 * down in it, and, when the envelope is sampled (or has no context and the tracer samples it), patches the hop context to
 * its eventbus.publish span. publisher may be NULL: it cannot be pushed back on, and what
 * finds a batched or background queue full is lost at once (EVENTBUS_DROP_DEADLINE). result may be NULL.
 * LOOM_EINVAL: the topic is not valid; nothing was done. LOOM_ETIMEDOUT: the ttl was used up; counted as a drop. */
loom_status eventbus_publish(eventbus *bus, eventbus_publisher *publisher, const envelope_view *view, uint8_t *wire,
                             eventbus_result *result);

/* ---- subscribing ---- */

typedef struct eventbus_sink {
    /* Takes one message for one subscription. view is borrowed for the call, its bytes shared with other deliveries:
     * copy, then patch the copy. */
    void (*deliver)(void *user, uint64_t subscription, const envelope_view *view);
} eventbus_sink;

LOOM_MUST_CHECK loom_status eventbus_subscriber_open(eventbus *bus, eventbus_subscriber **out, const eventbus_sink *sink,
                                                     void *user, loom_str name /* agent id, copied, for spans of drops */);
/* Ends its subscriptions; what they held is counted as dropped (gone). Nothing is delivered to it any more, and nothing counts
 * as matched by it; but many subscriptions, and what waits in them, count until the turns of eventbus_expire() have come to
 * them. NULL is allowed. */
void eventbus_subscriber_close(eventbus_subscriber *subscriber);

typedef struct eventbus_subscription_options {
    loom_str filter;
    loom_str group;          /* empty: none. Its name is one segment of a topic, up to LOOM_AGENT_ID_MAX bytes */
    const loom_str *types;   /* event types, exact ("": no type), copied; none: every type */
    uint32_t type_count;
    loom_qos qos;
    uint32_t queue_messages; /* these three: 0: the bus's default; larger than the default is cut to it */
    uint32_t queue_bytes;
    uint32_t deadline_ms;
} eventbus_subscription_options;

/* id is the subscriber's own number. A filter that begins with a wildcard does not select reserved topics (reserved.h).
 * Who joins a group with credit left is handed at once what waits for it.
 * LOOM_EINVAL: bad filter, group, qos or types, or the group's members have another qos or other types.  LOOM_EEXIST: the id is taken.
 * LOOM_EFULL: too many subscriptions, or too much memory for them: eventbus_subscribe_limit() says which.  LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status eventbus_subscribe(eventbus_subscriber *subscriber, uint64_t id,
                                               const eventbus_subscription_options *options);
/* After LOOM_EFULL: the limit that was reached, as a sentence. Static storage. */
const char *eventbus_subscribe_limit(const eventbus_subscriber *subscriber, const eventbus_subscription_options *options);
/* After LOOM_OK: what it has asked for and does not get, since the bus has less, in words; "": nothing. */
void eventbus_subscribe_cuts(const eventbus_subscriber *subscriber, const eventbus_subscription_options *options,
                             char out[EVENTBUS_CUTS_SIZE]);
/* What it held is counted as dropped (gone). LOOM_ENOTFOUND. */
loom_status eventbus_unsubscribe(eventbus_subscriber *subscriber, uint64_t id);

/* A message that was handed over for this subscription of a group, and that its agent will never see: another member gets
 * it, or the queue. view is borrowed, hop and all as it is to go on. The subscriber gets no more of this group from then on,
 * and should be closed. LOOM_ENOTFOUND: no such subscription, or of no group. */
loom_status eventbus_give_back(eventbus_subscriber *subscriber, uint64_t id, const envelope_view *view);

/* Credit since the subscriber opened, as totals: a lower total than before is ignored. Drains queues at once,
 * realtime first, then batched, then background; within one of these in turns. A message may overdraw the bytes by its own
 * length. A callback may call this, and nothing else: it then counts when the call under way is done. */
void eventbus_grant(eventbus_subscriber *subscriber, uint64_t messages, uint64_t bytes);

/* Bytes in all queues of the subscriber. */
uint64_t eventbus_queued_for(const eventbus_subscriber *subscriber);
/* More may be delivered: nothing waits for a grant. */
bool eventbus_has_credit(const eventbus_subscriber *subscriber);
/* Of what was granted. A message may take more bytes than are left. */
uint64_t eventbus_used_messages(const eventbus_subscriber *subscriber);
uint64_t eventbus_used_bytes(const eventbus_subscriber *subscriber);

/* ---- statistics ---- */

typedef struct eventbus_stats {
    uint64_t published, matched, delivered, unmatched; /* unmatched: publishes that found no subscription */
    uint64_t published_bytes, delivered_bytes;
    uint64_t dropped[EVENTBUS_DROP_REASONS];
    uint64_t pressure;                                  /* times a publisher was asked to wait */
    uint64_t given_back;                                /* by members of groups: matched once more */
    uint64_t queued, queued_bytes;                      /* now */
    uint32_t publishers, subscribers, subscriptions, groups, topics; /* now */
} eventbus_stats;
eventbus_stats eventbus_get_stats(const eventbus *bus);
/* What there was to do besides taking bytes: subscriptions that messages have matched, of subscribers that have gone, too, what these
 * were found among, and messages that subscriptions left behind at their end. */
uint64_t eventbus_work(const eventbus *bus);
counter_source eventbus_counter_source(const eventbus *bus);

typedef struct eventbus_topic_stats {
    loom_str topic;
    uint64_t published, delivered, dropped, bytes; /* bytes: published */
    uint64_t last_ms; /* when it was last published to */
} eventbus_topic_stats;
/* The most recently used first, until visit returns false. */
void eventbus_visit_topics(const eventbus *bus, bool (*visit)(void *user, const eventbus_topic_stats *stats), void *user);
/* Whose filters select the topic now. Takes the time of one match, however many there are. */
uint32_t eventbus_topic_subscriptions(const eventbus *bus, loom_str topic);

/* Who published to which topic (FLOW_OUT: lost are those whose ttl was used up), and who was handed a copy (FLOW_IN: lost
 * are those that were not). Losses by eventbus_drop. */
const flow_table *eventbus_flow(const eventbus *bus);

/* A group has one of its own besides those of its members: for what waits, and what it has lost. Its subscriber is
 * "group." and its name, which no agent's can be. */
typedef struct eventbus_subscription_stats {
    loom_str subscriber; /* its name */
    loom_str group;      /* empty: none */
    uint32_t members;    /* of the group itself; 0: not a group's */
    uint64_t id;
    loom_str filter;
    loom_qos qos;
    uint64_t delivered, dropped;
    uint32_t queued, queued_bytes;
    uint64_t credit_messages, credit_bytes; /* that its subscriber has left, for all its subscriptions */
    bool pressing; /* publishers wait for it */
    bool overdue;  /* its deadline has passed: it loses messages */
} eventbus_subscription_stats;
/* most: of one subscriber, the newest. */
void eventbus_visit_subscriptions(const eventbus *bus, uint32_t most,
                                  bool (*visit)(void *user, const eventbus_subscription_stats *stats), void *user);
enum { EVENTBUS_UNWELL_MAX = 4096 };
/* Only of subscribers for which messages wait or were lost, among them all subscriptions of which that is true: of the newest
 * EVENTBUS_UNWELL_MAX of each. */
void eventbus_visit_unwell(const eventbus *bus, bool (*visit)(void *user, const eventbus_subscription_stats *stats), void *user);

/* What one subscriber holds of the bus's memory, and how it stands with its credit. */
typedef struct eventbus_subscriber_stats {
    loom_str name;
    uint32_t subscriptions;
    uint64_t queued_bytes, filter_bytes; /* of messages that wait for it, and of its subscriptions */
    uint64_t taken, credit;              /* messages handed to it, and how many more may be */
} eventbus_subscriber_stats;
void eventbus_visit_subscribers(const eventbus *bus, bool (*visit)(void *user, const eventbus_subscriber_stats *stats), void *user);

/* Bytes, by what they are for. */
typedef struct eventbus_memory {
    uint64_t messages; /* queued, each once, with their upkeep */
    uint64_t filters;  /* subscriptions */
    uint64_t spare;    /* blocks kept for the next messages */
} eventbus_memory;
eventbus_memory eventbus_get_memory(const eventbus *bus);

#endif
