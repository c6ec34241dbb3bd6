/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for something that only the agent's own loop can bring: an outcome, a reply, credit.
 *
 * On another thread it sleeps until the loop tells. On the loop itself, in a handler, it runs rounds of the loop inside the
 * handler ("nested"): results, reports and credit are taken, calls of own capabilities are handled up to NESTED_MAX deep,
 * deliveries to subscriptions marked `immediate` (the agent's mailbox) are handled, and all other deliveries are kept, in
 * order, until the outermost handler has returned. Their credit is not renewed meanwhile, so what is kept is bounded by it.
 * In poll mode, outside of handlers, it polls. */
#ifndef LOOM_SDK_AGENT_WAITING_H
#define LOOM_SDK_AGENT_WAITING_H

#include "sdk-c/agent/internal.h"

enum {
    NESTED_MAX = 16,
    /* Calls with another thread_id than those of the handlers that wait are begun less deep. They might well wait until the
     * handler has returned, and each of them makes calls of its own: many of them, each with a part of the depth and waiting
     * for more, would wait for one another for ever. What belongs to the waiting handlers has their thread_id, which calls
     * inherit. */
    NESTED_STRANGERS_MAX = 4
};

/* Returns when done(user) is true, which is asked with the agent's lock held, whenever something has changed.
 * LOOM_ETIMEDOUT: deadline_ns (CLOCK_MONOTONIC) has passed.  LOOM_ECLOSED: the agent is closing.  LOOM_EBUSY: nested too
 * deep, or poll mode and another thread polls. Lock not held. */
LOOM_MUST_CHECK loom_status agent_wait_for(loom_agent *a, bool (*done)(void *user), void *user, uint64_t deadline_ns);

/* Whether waiting can begin at all, LOOM_EBUSY otherwise: nothing is sent for somebody who cannot. Lock not held. */
LOOM_MUST_CHECK loom_status agent_may_wait(loom_agent *a);

/* ---- timers of the loop ---- */

/* fire runs on the loop, no lock held, once. The memory is the owner's; zeroed before its first use. */
typedef struct agent_timer {
    heap_node node; /* first; its key is CLOCK_MONOTONIC ns */
    void (*fire)(loom_agent *a, struct agent_timer *timer);
} agent_timer;

static inline bool agent_timer_is_set(const agent_timer *timer)
{
    return heap_holds(&timer->node);
}

/* Lock held. Setting again moves it. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status agent_timer_set(loom_agent *a, agent_timer *timer, uint64_t at_ns);
void agent_timer_clear(loom_agent *a, agent_timer *timer); /* not set: nothing */

#endif
