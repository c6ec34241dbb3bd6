/* SPDX-License-Identifier: Apache-2.0 */
/* Calls for a provider that found no room, at either end of the way to it. They are answered in the provider's place, but the
 * bus may not be called from its handler: so they wait in a list for the next round. */
#ifndef LOOM_BRIDGE_BUS_REFUSED_CALLS_H
#define LOOM_BRIDGE_BUS_REFUSED_CALLS_H

#include "base/list.h"
#include "envelope/frame/frame.h"

/* owner: the session, for refused_calls_answer(). False: no memory, or no call id. */
bool refused_calls_add(linked_list *calls, void *owner, loom_bytes call_id);
/* Hands out a result for each that waits, provider_busy with this text. Those that come meanwhile wait. */
void refused_calls_answer(linked_list *calls, loom_str text, void (*say)(void *owner, const frame *result));
/* The owner ends. */
void refused_calls_drop(linked_list *calls, const void *owner);

#endif
