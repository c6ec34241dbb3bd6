/* SPDX-License-Identifier: Apache-2.0 */
/* What the ActionBroker is made of. Only actionbroker*.c look inside.
 *
 *   broker ─ registry: who provides what
 *          ─ by_key: (agent, call id) → running call     ─ by_ref: number of the attempt → running call
 *          ─ deadlines: all running calls                ─ cache: results of calls that ended
 *   call   ─ waiters: the invokes that wait for it; the first is the owner, whose stream it is
 *   party  ─ offers, waiters (as a caller), working (calls, as a provider)
 *   leaving ─ parties that have gone, with what they had under way (leave.c)
 *
 * A running call always has a waiter and a provider, except inside the function that takes the last one away.
 * One thread at a time (actionbroker.h), so no field has a guard. */
#ifndef LOOM_BROKER_ACTIONS_INTERNAL_H
#define LOOM_BROKER_ACTIONS_INTERNAL_H

#include <assert.h>
#include <string.h>

#include "broker/actions/cache.h"
#include "broker/actions/registry.h"
#include "broker/actions/actionbroker.h"
#include "base/deadline_heap.h"
#include "base/list.h"

static_assert((int)ACTION_OUTCOMES <= (int)FLOW_REASONS_MAX, "flow_counts has room for each outcome");

typedef struct running_call running_call;
typedef struct action_waiter action_waiter;

struct actionbroker {
    action_registry registry;
    hash_index by_key;
    hash_index by_ref;
    deadline_heap deadlines;
    action_cache cache;
    action_party *parties; /* newest first */
    linked_list leaving;   /* parties that have gone */
    uint32_t leaving_calls; /* theirs, that they wait for or work on */
    loom_tracer *tracer;   /* NULL: no spans */
    const loop_clock *clock;
    uint64_t last_ref;
    uint64_t work;         /* actionbroker_work() */
    bool running;          /* a call is in progress: handlers must not call back */
    uint32_t default_deadline_ms, max_deadline_ms;
    uint32_t max_pending, max_capabilities, payload_max;
    uint64_t max_kept_bytes, max_provider_bytes;
    uint64_t max_capability_bytes, max_total_capability_bytes; /* of one party, and of all */
    flow_table flow;
    action_stats stats;    /* what the parts know themselves is filled in when asked for */
    log_sink log;
    rate_limit refused;
    uint8_t key[crypto_shorthash_KEYBYTES]; /* for by_key and the cache: agents choose their ids */
};

struct action_party {
    actionbroker *broker;
    action_handlers handlers;
    void *user;
    flow_agent *flow;
    flow_memory called;      /* which capability */
    action_party *prev, *next;
    list_node node;          /* of those that leave */
    bool leaving;
    action_offer *offers;    /* newest first */
    action_waiter *waiters;  /* newest first */
    running_call *working, *oldest_working; /* newest first */
    uint32_t offer_count;
    uint64_t offer_bytes;    /* action_capability_size() of all */
    uint32_t pending;        /* waiters */
    uint32_t outstanding;    /* working */
    uint64_t outstanding_bytes; /* of their envelopes */
    uint16_t agent_len;
    char agent[];
};

/* One accepted invoke. */
struct action_waiter {
    running_call *call;
    action_party *party;
    action_waiter *prev, *next;                   /* of the call, the oldest first */
    action_waiter *prev_of_party, *next_of_party;
    uint64_t granted_chunks, granted_bytes;       /* totals; they count while it is the owner */
};

struct running_call {
    hash_node by_ref;       /* first */
    hash_node by_key;
    deadline_node deadline; /* the earlier of ends_ms and the end of the idle time */
    actionbroker *broker;
    action_waiter *waiters, *last_waiter;
    action_waiter own;      /* of the invoke that began it; the others are allocated */
    action_party *provider; /* NULL: has gone, and the call goes on to the next one or ends */
    action_offer *offer;    /* of the provider; it may be withdrawn meanwhile. NULL: that has gone */
    running_call *prev, *next; /* of the provider */
    loom_span *span;        /* NULL: not recorded */
    loom_envelope *envelope; /* to be sent again; NULL: will not be */
    uint64_t ref;           /* of the attempt under way */
    uint64_t ends_ms;
    uint64_t idle_ms;       /* 0: any silence is fine */
    uint64_t credit_chunks, credit_bytes; /* what the provider was told, totals */
    uint64_t used_chunks, used_bytes;
    uint32_t attempts;
    uint32_t size;          /* of the envelope, bytes */
    bool streams;
    action_key key;         /* its strings are in bytes */
    uint8_t bytes[];
};

/* One action_invoke() at work. */
typedef struct invocation {
    action_party *party;
    const action_call *call;
    const envelope_view *view;
    uint8_t *wire;
    action_key key;
    uint64_t hash; /* of the key's agent and id */
} invocation;

static inline loom_str action_party_agent(const action_party *party)
{
    return (loom_str){party->agent, party->agent_len};
}

/* The calls a provider has not answered yet are bounded: on the way to a slow one, somebody has to hold them. */
static inline bool action_party_has_room(const action_party *provider, uint32_t size)
{
    return provider->outstanding == 0 || provider->outstanding_bytes + size <= provider->broker->max_provider_bytes;
}

static inline void actionbroker_enter(actionbroker *broker)
{
    assert(!broker->running && "a handler called back");
    broker->running = true;
}

static inline void actionbroker_leave(actionbroker *broker)
{
    broker->running = false;
}

/* Where calls of this capability count: those that the party makes, or is handed. */
static inline flow_counts *action_party_flow(const action_party *party, flow_direction direction, loom_str capability)
{
    return flow_counts_find(&party->broker->flow, party->flow, direction, capability);
}

/* The result is told once more than somebody has sent it. */
static inline void actionbroker_count_work(actionbroker *broker, const action_result *result)
{
    broker->work += result->payload.len / ACTION_WORK_BYTES;
}

/* A result the broker makes itself. */
static inline action_result action_result_of(frame_call_outcome outcome, const char *code, const char *text)
{
    return (action_result){.outcome = outcome, .code = {code, strlen(code)}, .text = {text, strlen(text)}};
}

/* At most ACTION_TEXT_MAX bytes of it, whole characters. */
static inline loom_str action_text_cut(loom_str text)
{
    if (text.len > ACTION_TEXT_MAX) {
        text.len = ACTION_TEXT_MAX;
        while (text.len > 0 && ((uint8_t)text.data[text.len] & 0xc0u) == 0x80u) {
            text.len--; /* not inside a character */
        }
    }
    return text;
}

/* ---- call.c ---- */

/* Of the agent and the id. */
uint64_t action_key_hash(const actionbroker *broker, const action_key *key);
running_call *running_call_find(const actionbroker *broker, const action_key *key, uint64_t hash);
/* Begins the call that was invoked, at the provider of offer. LOOM_ENOMEM: nothing has happened, but for a span. */
LOOM_MUST_CHECK loom_status running_call_begin(const invocation *in, action_offer *offer);
/* Ends the call: a result for each waiter, the span, and it is gone. */
void running_call_end(running_call *call, const action_result *result);
/* The same with the provider told that it need not go on. */
void running_call_abort(running_call *call, const action_result *result);
/* Its time is up. */
void running_call_expire(running_call *call);
static inline bool running_call_is_overdue(const running_call *call)
{
    return call->deadline.at_ms <= call->broker->clock->now_ms;
}
/* Its provider has gone and has withdrawn everything: on to another one, or ended. */
void running_call_leave_provider(running_call *call);
/* The provider has shown that it is at work. */
void running_call_touch(running_call *call);

/* ---- wait.c ---- */

/* Counts the outcome of an invoke. One that has gone has counted it when it went: CANCELLED. */
void action_party_count(action_party *party, const action_key *key, frame_call_outcome outcome);
/* That, and tells the caller. */
void action_party_tell(action_party *party, const action_key *key, const action_result *result);
void action_waiter_add(action_waiter *waiter, running_call *call, action_party *party);
/* Takes the waiter off its call and its party, and frees it. Who goes on has to see to the owner's credit. */
void action_waiter_remove(action_waiter *waiter);
/* The first waiter of this party; NULL: it does not wait for this call. */
action_waiter *running_call_waiter_of(const running_call *call, const action_party *party);
/* What the owner grants beyond what the provider knows goes to the provider. */
void running_call_pass_credit(running_call *call);

/* ---- caller.c ---- */

/* The party has gone. */
void action_waiter_abandon(action_waiter *waiter);

/* ---- leave.c ---- */

/* The party has withdrawn everything, is in no list, and goes. */
void action_party_leave(action_party *party);
/* The next slice of what they had under way, who have gone; and all of it. */
void action_parties_take_turn(actionbroker *broker);
void action_parties_finish(actionbroker *broker);
/* Waiters at its head that have gone do not wait any more. NULL: nobody is left, and the call is over. */
running_call *running_call_waited_for(running_call *call);

/* ---- span.c ---- */

/* What an action.dispatch is about, besides the call. */
typedef enum action_span_kind { ACTION_SPAN_CALL, ACTION_SPAN_JOINED, ACTION_SPAN_CACHED } action_span_kind;

/* Starts action.dispatch. kind is the capability's ("" when unknown); original that of the call a duplicate is one of, and
 * may be all zero. NULL: not to be recorded. */
loom_span *action_span_start(const invocation *in, action_span_kind what,
                             const loom_trace_context *original);
/* span may be NULL. */
void action_span_attempt(loom_span *span, const action_offer *offer, uint32_t attempts);
void action_span_end(loom_span *span, const action_result *result);

#endif
