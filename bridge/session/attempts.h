/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that an agent works on: the bridge.forward span of each, from the call to its result, its cancel or the end of the
 * session. Only calls that are sampled are in here. */
#ifndef LOOM_BRIDGE_SESSION_ATTEMPTS_H
#define LOOM_BRIDGE_SESSION_ATTEMPTS_H

#include "bridge/session/session.h"

/* Takes the span, and ends it at once when there is no memory to keep it. NULL: does nothing. */
void attempts_add(session *s, loom_bytes call_id, loom_span *span);
/* Of a call that is not in here: does nothing. */
void attempts_end(session *s, loom_bytes call_id, uint64_t outcome, loom_str code, loom_str text);
/* The session is over: its provider is gone. Of many calls a few are ended at once, and the rest in turns. */
void attempts_end_all(session *s);
/* The next turn of those that are left. */
void attempts_take_turn(bridge *b);

#endif
