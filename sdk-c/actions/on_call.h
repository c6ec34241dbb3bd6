/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker asks an agent to work on. On the loop, lock not held unless it says so. */
#ifndef LOOM_SDK_ON_CALL_H
#define LOOM_SDK_ON_CALL_H

#include "sdk-c/actions/actions_state.h"

LOOM_MUST_CHECK loom_status actions_on_call(loom_agent *a, const frame_call *f);
void actions_on_cancel(loom_agent *a, loom_bytes id);
void actions_on_credit(loom_agent *a, loom_bytes id, uint64_t chunks, uint64_t bytes);
/* Calls that came while handlers waited in each other too deep. */
void actions_run_waiting(loom_agent *a);
void actions_drop_waiting(loom_agent *a);
/* Their session has ended. Lock held; actions_tell_worked_on() then, without. */
void actions_end_worked_on(loom_agent *a);
void actions_tell_worked_on(loom_agent *a);

#endif
