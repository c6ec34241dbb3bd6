/* SPDX-License-Identifier: Apache-2.0 */
/* Traces that are to be kept, between this process's flight recorder and the bus. */
#ifndef LOOM_SDK_AGENT_KEEPS_H
#define LOOM_SDK_AGENT_KEEPS_H

#include "sdk-c/agent/session.h"

/* After telemetry_open(), before the loop runs. Nothing, where nothing is recorded. */
void agent_keeps_open(loom_agent *a);
/* The agent closes: what waits in the recorder goes before its goodbye. The first time; no lock held. */
void agent_keeps_flush(loom_agent *a);
/* It says goodbye: what nobody has asked for goes to the bridge, as far as it takes it and there is time; all of the process's when no
 * other agent of it is left, else its own, when that goes with it.
 * Lock not held. */
void agent_keeps_hand_over(loom_agent *a);
/* Before the loop is freed. */
void agent_keeps_close(loom_agent *a);
/* A session has begun: said is what its welcome says of recorders. Lock held. */
void agent_keeps_begun(loom_agent *a, uint64_t said);
/* The session is over. Lock held. */
void agent_keeps_broken(loom_agent *a);
/* The bridge names one. */
void agent_keeps_told(const frame_keep *f);

#endif
