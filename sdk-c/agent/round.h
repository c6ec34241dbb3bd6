/* SPDX-License-Identifier: Apache-2.0 */
/* One round of an agent's loop: everything the agent does, once. */
#ifndef LOOM_SDK_AGENT_ROUND_H
#define LOOM_SDK_AGENT_ROUND_H

#include "sdk-c/agent/waiting.h"

extern const round_ops agent_rounds;

/* Waits up to timeout_ms for something to do (-1: for ever) and does it. The calling thread is the loop. */
void agent_round(loom_agent *a, int timeout_ms);

#endif
