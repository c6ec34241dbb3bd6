/* SPDX-License-Identifier: Apache-2.0 */
/* Traces that are to be kept, between this process's flight recorder and the bus. */
#ifndef LOOM_SDK_AGENT_KEEPS_H
#define LOOM_SDK_AGENT_KEEPS_H

#include "sdk-c/agent/session.h"

/* After telemetry_open(), before the loop runs. Nothing, where nothing is recorded. */
void agent_keeps_open(loom_agent *a);
/* The agent closes: what waits in the recorder goes before its goodbye. The first time; no lock held. */
void agent_keeps_flush(loom_agent *a);
/* Before the loop is freed. */
void agent_keeps_close(loom_agent *a);
/* A session has begun: whether its bridge wants to know. Lock held. */
void agent_keeps_begun(loom_agent *a, bool wanted);
/* The session is over. Lock held. */
void agent_keeps_broken(loom_agent *a);
/* The bridge names one. */
void agent_keeps_told(const frame_keep *f);

#endif
