/* SPDX-License-Identifier: Apache-2.0 */
/* Both sides of actions together, as the agent and its session see them. */
#ifndef LOOM_SDK_ACTIONS_H
#define LOOM_SDK_ACTIONS_H

#include "sdk-c/actions/capability.h"
#include "sdk-c/actions/on_call.h"
#include "sdk-c/actions/open_calls.h"

/* LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status actions_create(actions **out);
/* Nothing is open any more. NULL is allowed. */
void actions_free(actions *s);

/* A session begins: announces what is provided, and sends the calls that are waiting. Lock held. */
LOOM_MUST_CHECK loom_status actions_announce(loom_agent *a);
/* Whether calls are worked on here, or waited for. Lock held. */
bool actions_busy(const loom_agent *a);
/* The connection has ended. Lock held; actions_tell_broken() then, without. */
void actions_broken(loom_agent *a);
void actions_tell_broken(loom_agent *a);
/* The loop ends: everything open does. On the loop. */
void actions_close(loom_agent *a);

#endif
