/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's tracer: its owner's, or one of its own made from the environment. */
#ifndef LOOM_SDK_AGENT_TELEMETRY_H
#define LOOM_SDK_AGENT_TELEMETRY_H

#include "sdk-c/agent/parts.h"

LOOM_MUST_CHECK loom_status telemetry_open(loom_agent *a);
/* Flushes within timeout_ms. Also after a failed open. */
void telemetry_close(loom_agent *a, uint32_t timeout_ms);

#endif
