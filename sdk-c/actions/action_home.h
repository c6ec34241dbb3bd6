/* SPDX-License-Identifier: Apache-2.0 */
/* How an action finds its agent, or finds that it has been closed.
 *
 * An action may outlive its session, and its agent. An answer, on any thread, enters the agent through the action's
 * home, which knows whether the agent still exists and makes its closing wait meanwhile. Reference counted. */
#ifndef LOOM_SDK_ACTION_HOME_H
#define LOOM_SDK_ACTION_HOME_H

#include <loom/agent.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/fork_mark.h"

typedef struct action_home {
    atomic_uint refs;
    unsigned mark; /* fork_mark.h: whose process this is; fixed */
    pthread_mutex_t lock;
    pthread_cond_t left;
    /* guarded by lock */
    loom_agent *agent; /* NULL: closed */
    unsigned guests;   /* using it; closing waits for them */
} action_home;

LOOM_MUST_CHECK loom_status action_home_create(action_home **out, loom_agent *a);
void action_home_unref(action_home *home);
/* The agent closes: no action finds it any more. Drops the agent's reference; NULL is allowed. */
void action_home_close(action_home *home);

/* The agent, as a guest that has to call action_home_leave(); NULL: it has been closed. */
loom_agent *action_home_enter(action_home *home);
void action_home_leave(action_home *home);

#endif
