/* SPDX-License-Identifier: Apache-2.0 */
/* The table of agents: which session speaks for an agent id. One at most. */
#ifndef LOOM_BRIDGE_SESSION_AGENTS_H
#define LOOM_BRIDGE_SESSION_AGENTS_H

#include "bridge/session/session.h"

/* Enters s under its agent id. *older is the session it took the place of, or NULL. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status agents_enter(bridge *b, session *s, session **older);
/* The session of this agent; NULL: it is not connected. */
session *agents_find(const bridge *b, loom_str agent);
/* Takes s out, if it is the one that is in. */
void agents_leave(bridge *b, const session *s);

#endif
