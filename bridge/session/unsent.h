/* SPDX-License-Identifier: Apache-2.0 */
/* Calls for a provider that wait behind what its socket has not taken. A call that ends before it was sent need not be sent:
 * neither it nor its cancel. What finds no room is refused, in the provider's place; the session goes on. */
#ifndef LOOM_BRIDGE_SESSION_UNSENT_H
#define LOOM_BRIDGE_SESSION_UNSENT_H

#include "bridge/session/session.h"

/* Whether a call of this size fits. */
bool unsent_has_room(session *s, size_t size);
/* The bus may not be called from its handler, so the answer goes up at the start of the next round. */
void unsent_refuse(session *s, loom_bytes call_id);
/* A call frame is about to be committed at this place in out. */
void unsent_add(session *s, loom_bytes call_id, size_t at);
/* True: it was waiting, and will not be sent. */
bool unsent_drop(session *s, loom_bytes call_id);
/* The session ends. */
void unsent_fini(session *s);
/* Answers that were put off. */
void unsent_answer(bridge *b);

#endif
