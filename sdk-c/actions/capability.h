/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent provides, and how the broker answers. Guard: the lock of the agent's loop. */
#ifndef LOOM_SDK_CAPABILITY_H
#define LOOM_SDK_CAPABILITY_H

#include "trace/messaging/call_span.h"
#include "sdk-c/actions/actions_state.h"
#include "sdk-c/actions/schema_check.h"

/* Fixed once made, but for the answer; reference counted. Its strings are in its one block. */
struct capability {
    atomic_uint refs;
    uint64_t number;
    frame_provide about;   /* slices of the block, each ended by a NUL */
    call_kind kind;
    capability_schemas schemas;
    loom_on_action on_action;
    void (*on_cancel)(loom_agent *agent, loom_action *action, void *user);
    void *user;
    bool answered;         /* by the broker, in this session */
    loom_status answer;
};
typedef struct capability capability;

void capability_unref(capability *c);
/* With a reference; NULL: there is none. Lock held. */
capability *capabilities_find(loom_agent *a, loom_str name, loom_str version);
void capabilities_fini(actions *s);
/* A session begins: announces all of them to the broker. Lock held. */
LOOM_MUST_CHECK loom_status capabilities_announce(loom_agent *a);
/* A session has ended. Lock held. */
void capabilities_forget_answers(loom_agent *a);
/* Whether the broker has answered for all of them; *answer is then the first refusal. Lock held. */
bool capabilities_answer(const loom_agent *a, loom_status *answer);
/* Whether an ack is about a capability; it is then dealt with. On the loop, lock not held. */
bool capabilities_on_ack(loom_agent *a, const frame_outcome *ack);

#endif
