/* SPDX-License-Identifier: Apache-2.0 */
/* How much a session has said that a broker in another process has not come to yet. The frames of all agents of a bridge are
 * in one queue to it, so none of them may have much in it: a session that is far ahead waits for the broker.
 *
 * The bus gives marks (bridge/bus.h). One is on its way at a time, so two counts are enough: of what goes with the present
 * mark, and of what went with the one before. */
#ifndef LOOM_BRIDGE_SESSION_AHEAD_H
#define LOOM_BRIDGE_SESSION_AHEAD_H

#include "bridge/bus.h"

/* All zero: not at all. */
typedef struct session_ahead {
    uint64_t older, newer;           /* work, as it is counted for a turn */
    uint64_t older_mark, newer_mark;
} session_ahead;

/* What the broker has not come to. */
uint64_t session_ahead_of(const session_ahead *a, const bus *b);
/* Counts work that went up just now, and returns what there is in all. */
uint64_t session_ahead_add(session_ahead *a, const bus *b, uint64_t work);

#endif
