/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's subscriptions and its session: they are announced when one begins, and answered in it. */
#ifndef LOOM_SDK_EVENTS_SUBSCRIBE_H
#define LOOM_SDK_EVENTS_SUBSCRIBE_H

#include "sdk-c/events/events.h"

/* A session begins: announces all of them to the bridge. Lock held. */
LOOM_MUST_CHECK loom_status subscriptions_announce(loom_agent *a);
/* The connection has ended. Lock held. */
void subscriptions_broken(loom_agent *a);
/* The bridge has answered one. On the loop, lock not held. */
void subscriptions_on_ack(loom_agent *a, const frame_outcome *ack);

/* The number of the last one. Lock not held. */
uint64_t subscriptions_last(loom_agent *a);
/* subscriptions_answered() of the agent's. Lock held. */
bool subscriptions_answer(const loom_agent *a, uint64_t last_number, loom_status *answer);

/* Its events are handled even while a handler waits. Lock held. */
void subscription_make_immediate(loom_agent *a, subscription *sub);

#endif
