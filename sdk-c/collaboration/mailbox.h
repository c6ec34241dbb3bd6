/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent's patterns of collaboration share: the mailbox, and who waits for something in it.
 *
 * To ask is to open an exchange: a key that comes back in the correlation_id of each answer, or in its header
 * loom.in_reply_to. One subscription, the mailbox, serves all exchanges, so that opening and closing one is a place in a
 * table and nothing on the bus. Keys hold a random tag of the agent and a growing number: an answer to an exchange that is
 * no longer open is known to be ours without remembering the exchange.
 *
 * Guard: the lock of the agent's loop, for everything that does not say otherwise. */
#ifndef LOOM_SDK_MAILBOX_H
#define LOOM_SDK_MAILBOX_H

#include <loom/collaboration.h>

#include "base/bytes_table.h"
#include "base/list.h"
#include "sdk-c/agent/waiting.h"
#include "sdk-c/events/events.h"

#define HEADER_REQUEST "loom.request"
#define HEADER_IN_REPLY_TO "loom.in_reply_to"
#define WAIT_DEFAULT_MS 30000u

enum {
    EXCHANGE_KEY_SIZE = 16 + 1 + 16 + 1, /* tag, dash, number in hex, NUL */
    TIMED_OUT_KNOWN = 1024
};

/* Waits for mail. The memory is the owner's; zeroed before. */
typedef struct exchange {
    bytes_node by_correlation; /* first; both in the tables while it is open */
    hash_node by_number;
    uint64_t number;          /* 0: not open */
    char key[EXCHANGE_KEY_SIZE];
    const char *correlation;  /* the key, or the caller's own: borrowed while it is open */
    bool keyed;               /* takes only what names its key: others know the correlation, too */
    /* A message for it. On the loop, lock held. */
    void (*take)(loom_agent *a, struct exchange *x, loom_envelope *event);
    /* The broker says how many subscriptions its message matched: none, unless it has asked for any number. NULL: it does not
     * ask. On the loop, lock held. */
    void (*matched)(loom_agent *a, struct exchange *x, uint64_t found);
    /* On the loop, after take, lock not held, if take has closed the exchange; may be NULL. The owner may be gone by then
     * unless the exchange belongs to the loop. */
    void (*after)(loom_agent *a, struct exchange *x);
    /* The agent closes and nobody else uses it any more: ends what belongs to the loop. May be NULL. */
    void (*abandon)(loom_agent *a, struct exchange *x);
} exchange;

typedef struct collaboration {
    char tag[17];
    char mailbox[MAILBOX_SIZE];
    uint64_t mailbox_number;  /* of its subscription */
    bytes_table by_correlation;
    hash_index by_number;     /* the hash is the number */
    uint64_t last_number;
    uint64_t timed_out[TIMED_OUT_KNOWN]; /* numbers, at their remainder */
    loom_collaboration_stats stats;
    linked_list threads;           /* loom_thread */
    linked_list barriers;          /* barrier */
    uint64_t directory_subscription; /* to system.agents, while there are threads; 0: none */
    agent_timer thread_timer;        /* while there are threads: looks whether to join them again */
} collaboration;

/* Made at first use. NULL: out of memory. Lock held. */
collaboration *collaboration_of(loom_agent *a);
/* Closing: the loop has ended, nobody else uses the agent. Ends what is open, with LOOM_ECLOSED. Lock not held. */
void exchanges_close(loom_agent *a);

/* Waits until the mailbox is subscribed. Lock not held. LOOM_ENOTCONN: not connected in time. Others as agent_wait_for(),
 * or the bridge's refusal. */
LOOM_MUST_CHECK loom_status collaboration_wait_ready(loom_agent *a, uint64_t deadline_ns);
/* Waits until the bridge has answered this subscription. */
LOOM_MUST_CHECK loom_status collaboration_wait_subscribed(loom_agent *a, uint64_t subscription, uint64_t deadline_ns);
/* Makes a subscription of ours one that is handled even while a handler waits. Lock held. */
void collaboration_make_immediate(loom_agent *a, uint64_t subscription);

/* Gives x a key and waits for its mail. correlation NULL: the key. LOOM_EFULL, LOOM_ENOMEM, LOOM_ECLOSED. Lock held. */
LOOM_MUST_CHECK loom_status exchange_open(loom_agent *a, exchange *x, const char *correlation);
/* timed_out: what still comes is late. Not open: nothing. Lock held. */
void exchange_close(loom_agent *a, exchange *x, bool timed_out);
/* The broker's answer to an ask. Lock not held. */
void exchanges_on_matched(loom_agent *a, const frame_matched *f);
/* NULL: it is not open any more. Lock held. */
exchange *exchange_find(loom_agent *a, uint64_t number);

/* Publishes for x: reply_to the mailbox, its correlation, its key where the correlation is not that. Lock not held. The key
 * and the correlation are copied before, so that x may be gone while it is sent. options may be NULL; its correlation_id and
 * reply_to are not looked at. */
typedef struct exchange_address {
    char key[EXCHANGE_KEY_SIZE];
    char correlation[LOOM_THREAD_ID_MAX + 1];
    const char *mailbox; /* valid as long as the agent */
    uint64_t ask;        /* the number of an exchange that wants to know if nobody is there; 0: it does not */
} exchange_address;
/* What a request and an event have in common. NULL: the defaults. */
loom_emit_options emit_options_of(const loom_request_options *o);
/* Lock held. */
exchange_address exchange_address_of(loom_agent *a, const exchange *x);
LOOM_MUST_CHECK loom_status exchange_emit(loom_agent *a, const exchange_address *address, const char *topic,
                                          loom_bytes payload, const loom_emit_options *options);

static inline uint64_t deadline_in(uint32_t ms, uint32_t default_ms)
{
    return clock_monotonic_ns() + (ms != 0 ? ms : default_ms) * MS_NS;
}

#endif
