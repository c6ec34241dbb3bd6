/* SPDX-License-Identifier: Apache-2.0 */
/* A call at its provider: action.c, and its answer: action_answer.c. */
#ifndef LOOM_SDK_ACTION_H
#define LOOM_SDK_ACTION_H

#include "envelope/view.h"
#include "sdk-c/actions/action_home.h"
#include "sdk-c/actions/actions_state.h"
#include "sdk-c/actions/call_end.h"
#include "sdk-c/actions/capability.h"

struct loom_action {
    call_id id;              /* first; in the agent's table while listed */
    atomic_uint refs;        /* the table has none: who finds an action in it takes one only when there is one */
    action_home *home;
    capability *cap;
    loom_envelope *envelope;
    loom_trace_context context;
    uint64_t deadline_ns;    /* CLOCK_MONOTONIC */
    uint64_t connection;     /* of the session, as the call came */
    bool streams;
    atomic_bool cancelled;

    /* guarded by the loop's lock */
    bool listed, answered;
    uint64_t reports, chunks, chunk_bytes;
    uint64_t credit_chunks, credit_bytes;

    /* guarded by home's lock. A span is one thread's at a time: while the handler runs it is the loop's */
    loom_span *span;
    bool running, over;      /* over: how is in the next ones, for when the handler has returned */
    uint64_t over_at;        /* Unix ns */
    loom_outcome outcome;
    char code[64], text[160];

    /* the loop's. Lists have a reference */
    bool started;            /* the handler has been called */
    list_node waiting_node, ended_node;
};

/* f and view are of a call frame. Consumes cap in every outcome. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status action_create(loom_agent *a, loom_action **out, capability *cap, const frame_call *f,
                                          const envelope_view *view);
/* NULL: it is being given up. */
loom_action *action_try_ref(loom_action *act);
/* It has been answered, or given up, and nobody holds it any more. */
void action_free(loom_action *act);
/* Lock held. Nobody finds it any more. */
void action_delist(loom_agent *a, loom_action *act);
/* The outcome, but for a status ERROR that the handler has set itself. */
void action_say_outcome(loom_span *span, uint64_t outcome, loom_str code, loom_str text);
/* Ends agent.on_action, once; later ones do nothing. At once, or when the handler has returned. */
void action_end_span(loom_action *act, loom_outcome outcome, loom_str code, loom_str text);

/* ---- action_answer.c ---- */

/* The one answer; too long a code or text is cut. Statuses as loom_action_reply(). */
LOOM_MUST_CHECK loom_status action_answer(loom_action *act, loom_outcome outcome, loom_str code, loom_str text,
                                          loom_bytes payload);

#endif
