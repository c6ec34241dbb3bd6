/* SPDX-License-Identifier: Apache-2.0 */
/* Both sides of actions in one agent: what it provides and is working on, and what it has invoked.
 *
 * Guard: the agent's lock, for everything that does not say otherwise. Handlers and callbacks run on the loop. Only the loop
 * takes an open call out of its tables; whoever else wants it ended sets its timer. */
#ifndef LOOM_SDK_ACTIONS_H
#define LOOM_SDK_ACTIONS_H

#include <loom/action.h>

#include "base/str.h"
#include "sdk-c/agent/waiting.h"

enum { OPEN_CALLS_MAX = 10000, OWN_CALL_ID_SIZE = 16 };

/* ---- provided: capability.c ---- */

/* Fixed once made, but for the answer; reference counted. Its strings are in its one block. */
struct capability {
    atomic_uint refs;
    uint64_t number;
    frame_provide about;   /* slices of the block, each ended by a NUL */
    bool tool;
    loom_on_action on_action;
    void (*on_cancel)(loom_agent *agent, loom_action *action, void *user);
    void *user;
    bool answered;         /* by the broker, in this session */
    loom_status answer;
};
typedef struct capability capability;

void capability_unref(capability *c);
/* With a reference; NULL: there is none. Lock held. */
capability *capabilities_find(loom_agent *a, loom_str name, loom_str version);
void capabilities_fini(loom_agent *a);
/* A session begins: the broker is told of all of them. Lock held. */
LOOM_MUST_CHECK loom_status capabilities_announce(loom_agent *a);
/* A session has ended. Lock held. */
void capabilities_forget_answers(loom_agent *a);
/* LOOM_EBUSY: not all are answered; else the first refusal. Lock held. */
loom_status capabilities_answer(const loom_agent *a);
/* Whether an ack is about a capability; it is then dealt with. On the loop. */
bool capabilities_on_ack(loom_agent *a, const frame_outcome *ack, loom_status answer);

/* ---- worked on: action.c, action_answer.c, on_call.c ---- */

/* How an action finds its agent, or finds that it has been closed. Reference counted. */
typedef struct action_home {
    atomic_uint refs;
    pthread_mutex_t lock;
    pthread_cond_t left;
    loom_agent *agent; /* NULL: closed. guarded by lock, as guests */
    unsigned guests;   /* using it; closing waits for them */
} action_home;

LOOM_MUST_CHECK loom_status action_home_create(action_home **out, loom_agent *a);
/* The agent closes: no action finds it any more. */
void action_home_close(action_home *home);

struct loom_action {
    call_id id;              /* first; in the agent's table while listed */
    atomic_uint refs;        /* the table has none: who finds an action in it takes one only when there is one */
    action_home *home;
    capability *cap;
    loom_envelope *envelope;
    loom_trace_context context;
    uint64_t deadline_ns;    /* CLOCK_MONOTONIC */
    uint64_t links;          /* of the agent, as the call came */
    bool streams;
    atomic_bool cancelled;

    /* the agent's lock */
    bool listed, answered;
    uint64_t reports, chunks, chunk_bytes;
    uint64_t credit_chunks, credit_bytes;

    /* home's lock. A span is one thread's at a time: while the handler runs it is the loop's */
    loom_span *span;
    bool running, over;      /* over: how is in the next ones, for when the handler has returned */
    uint64_t over_at;        /* Unix ns */
    loom_outcome outcome;
    char code[64], text[160];

    /* the loop's. Lists have a reference */
    bool started;            /* the handler has been called */
    loom_action *next_waiting, *next_ended;
};

/* f and view are of a call frame. Consumes cap in every outcome. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status action_create(loom_agent *a, loom_action **out, capability *cap, const frame_call *f,
                                          const envelope_view *view);
/* NULL: it is being given up. */
loom_action *action_try_ref(loom_action *act);
/* Lock held. Nobody finds it any more. */
void action_delist(loom_agent *a, loom_action *act);
/* Ends agent.on_action, once; later ones do nothing. At once, or when the handler has returned. */
void action_end_span(loom_action *act, loom_outcome outcome, loom_str code, loom_str text);
/* The one answer; too long a code or text is cut. Statuses as loom_action_reply(). */
LOOM_MUST_CHECK loom_status action_answer(loom_action *act, loom_outcome outcome, loom_str code, loom_str text,
                                          loom_bytes payload);
/* Its agent, as a guest of which action_leave() is to be called; NULL: it has been closed. */
loom_agent *action_enter(loom_action *act);
void action_leave(loom_action *act);

LOOM_MUST_CHECK loom_status actions_on_call(loom_agent *a, const frame_call *f);
void actions_on_cancel(loom_agent *a, loom_bytes id);
void actions_on_credit(loom_agent *a, loom_bytes id, uint64_t chunks, uint64_t bytes);
/* Calls that came while handlers waited in each other too deep. */
void actions_run_waiting(loom_agent *a);
void actions_drop_waiting(loom_agent *a);
/* Their session has ended. Lock held; actions_tell_worked_on() then, without. */
void actions_end_worked_on(loom_agent *a);
void actions_tell_worked_on(loom_agent *a);

/* ---- invoked: invoke.c, open_calls.c, result.c ---- */

struct loom_result {
    loom_outcome outcome;
    const char *code, *text;
    loom_bytes payload;
    void *block; /* where they lie; NULL: they are constants */
};

/* Without memory for it, the result says so. */
void result_set(loom_result *result, loom_outcome outcome, loom_str code, loom_str text, loom_bytes payload);
loom_status outcome_status(loom_outcome outcome);

/* A caller that waits; on its stack. Guarded by the agent's lock. */
typedef struct call_waiter {
    bool done, never_sent;
    loom_result *result;
} call_waiter;

typedef struct open_call {
    call_id by_id;                 /* first */
    hash_node by_number;
    struct open_call *prev, *next; /* of all open ones, oldest first; or of the ended ones */
    uint64_t number, *number_out;  /* told before anybody else can know the call; NULL: not asked for */
    agent_timer timer;
    uint64_t deadline_ns;
    char *capability, *version;    /* in this block */
    uint32_t idle_ms;
    bool idempotent, sent, ever_sent, cancelled;
    const char *end_code;          /* of one that ended without an answer */
    uint64_t links;                /* of the agent, as it was sent */
    uint8_t *envelope;             /* NULL: it need not be sent again */
    size_t envelope_len;
    loom_span *span;               /* the caller's until the call is open, then the loop's */

    call_waiter *waiter;           /* NULL: nobody waits (any more) */
    loom_on_result on_result;
    void *user;
    loom_on_part on_progress, on_chunk;
    void *part_user;
    uint64_t window, window_bytes;
    uint64_t chunks, chunk_bytes;  /* handed over */
    uint64_t granted, granted_bytes;

    loom_envelope *message;        /* handled by who invoked */
    loom_trace_context context;    /* of who invoked; invalid: none */
    char *tracestate;              /* that goes with it; NULL: none */
    loom_result *result;           /* made before it is needed */
} open_call;

open_call *open_call_create(const char *name, const loom_invoke_options *options);
void open_call_free(open_call *call);
/* Sends it, or keeps it until a session stands. fields have been checked; size: envelope_encode_check().
 * LOOM_ECLOSED, LOOM_EFULL, LOOM_ETOOBIG, LOOM_ENOMEM: it is the caller's as before. Lock not held. */
LOOM_MUST_CHECK loom_status open_calls_add(loom_agent *a, open_call *call, const loom_envelope_fields *fields, size_t size,
                                           loom_bytes id);
/* A session begins: what waits is sent. Lock held. */
LOOM_MUST_CHECK loom_status open_calls_send(loom_agent *a);
void open_calls_on_result(loom_agent *a, const frame_result *f);
LOOM_MUST_CHECK loom_status open_calls_on_report(loom_agent *a, const frame_report *f);
/* Lock held. LOOM_ENOTFOUND, LOOM_ENOMEM. */
loom_status open_calls_cancel(loom_agent *a, uint64_t number, loom_str reason);
/* The connection has ended (closing: the agent does). Lock held; open_calls_tell_ended() then, without. */
void open_calls_end(loom_agent *a, bool closing);
void open_calls_tell_ended(loom_agent *a);

/* ---- both ---- */

/* The connection has ended. Lock held. Whom it concerns is told by actions_tell_ended(), without. */
static inline void actions_broken(loom_agent *a)
{
    capabilities_forget_answers(a);
    actions_end_worked_on(a);
    open_calls_end(a, false);
    agent_changed(a);
}

static inline void actions_tell_ended(loom_agent *a)
{
    actions_tell_worked_on(a);
    open_calls_tell_ended(a);
}

/* The loop ends: everything open does. */
static inline void actions_close(loom_agent *a)
{
    pthread_mutex_lock(&a->lock);
    actions_end_worked_on(a);
    open_calls_end(a, true);
    agent_changed(a);
    pthread_mutex_unlock(&a->lock);
    actions_drop_waiting(a);
    actions_tell_ended(a);
}

static inline void actions_init(loom_agent *a)
{
    bytes_table_init(&a->actions.worked_on);
    bytes_table_init(&a->actions.by_id);
    hash_index_init(&a->actions.by_number);
}

/* Nothing is open any more. */
static inline void actions_fini(loom_agent *a)
{
    capabilities_fini(a);
    bytes_table_fini(&a->actions.worked_on);
    bytes_table_fini(&a->actions.by_id);
    hash_index_fini(&a->actions.by_number);
}

#endif
