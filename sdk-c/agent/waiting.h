/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for something that only the agent's own loop can bring: an outcome, a reply, credit.
 *
 * On another thread it sleeps until the loop reports a change. On the loop itself, in a handler, it runs rounds of the loop
 * inside the handler ("nested"): results, reports and credit are processed, calls of own capabilities are handled up to
 * NESTED_MAX deep, deliveries to subscriptions marked `immediate` (the agent's mailbox) are handled, and all other
 * deliveries are kept, in order, until the outermost handler has returned. Their credit is not renewed meanwhile, so it
 * bounds what is kept. In poll mode, outside of handlers, it polls. */
#ifndef LOOM_SDK_AGENT_WAITING_H
#define LOOM_SDK_AGENT_WAITING_H

#include "sdk-c/agent/parts.h"

enum {
    NESTED_MAX = 16,
    /* Calls with a thread_id other than those of the waiting handlers are begun less deep. They might well wait until the
     * handler has returned, and each of them makes calls of its own: many of them, each holding a part of the depth and
     * waiting for more, would wait for one another for ever. What belongs to the waiting handlers has their thread_id, which
     * calls inherit. */
    NESTED_STRANGERS_MAX = 4
};

/* A handler that waits; on its stack. */
typedef struct waiting_handler {
    struct waiting_handler *outer;
    loom_envelope *message; /* that it handles; NULL: none */
} waiting_handler;

/* Waiting inside a handler is recursion: a round calls handlers, and a handler that waits runs rounds. Waiting is below and
 * the round on top, so agent.c sets `rounds`. Both run on the loop, lock not held. */
typedef struct round_ops {
    /* Waits up to timeout_ms for something to do (-1: for ever) and does it. */
    void (*go)(loom_agent *a, int timeout_ms);
    /* Before the first round inside a handler: makes way for what comes, and handles what has been read already. */
    void (*go_inside)(loom_agent *a);
} round_ops;

/* Returns when done(user) is true; it is asked with the loop's lock held, whenever something has changed.
 * LOOM_ETIMEDOUT: deadline_ns (CLOCK_MONOTONIC) has passed.  LOOM_ECLOSED: the agent is closing.  LOOM_EBUSY: nested too
 * deep, or poll mode and another thread polls.  LOOM_ENOMEM. Lock not held. */
LOOM_MUST_CHECK loom_status agent_wait_for(loom_agent *a, bool (*done)(void *user), void *user, uint64_t deadline_ns);

/* Whether waiting can begin at all, LOOM_EBUSY otherwise: a caller that cannot wait sends nothing. Lock not held. */
LOOM_MUST_CHECK loom_status agent_may_wait(loom_agent *a);

#endif
