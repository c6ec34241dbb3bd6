/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes that an agent sends, in a publish or a call: the way in that all of them take. */
#ifndef LOOM_BRIDGE_SESSION_INCOMING_H
#define LOOM_BRIDGE_SESSION_INCOMING_H

#include "bridge/session/session.h"

/* Scans the envelope at the start of *wire and brings it into the form that everybody behind the bridge relies on: the hop
 * field in its place, without an invalid context, tracestate and baggage as envelope_mend_context() leaves them, and a
 * sender. *used: its bytes as they were sent. *wire is where it lies then; it stays there until the next one is taken.
 * LOOM_ENOMEM, and what envelope_scan() says; LOOM_ETOOBIG with *used set: only what the bridge has to add makes it too
 * large, and view is that of what was sent. */
LOOM_MUST_CHECK loom_status incoming_take(session *s, uint8_t **wire, size_t len, envelope_view *view, uint32_t *used,
                                          const char **reason);
/* Whether its sender is the agent of this session. */
bool incoming_is_own(const session *s, const envelope_view *view);

#endif
