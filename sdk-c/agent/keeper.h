/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that keeps the session while a handler takes its time. */
#ifndef LOOM_SDK_AGENT_KEEPER_H
#define LOOM_SDK_AGENT_KEEPER_H

#include "sdk-c/agent/parts.h"

/* The caller has blocked every signal, which the thread inherits. */
LOOM_MUST_CHECK loom_status keeper_start(loom_agent *a);
/* The loop is closing. Not started: nothing. */
void keeper_join(loom_agent *a);

#endif
