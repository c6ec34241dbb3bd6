/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent reports to its owner. On the loop, but for what says otherwise. */
#ifndef LOOM_SDK_AGENT_REPORT_H
#define LOOM_SDK_AGENT_REPORT_H

#include "sdk-c/agent/parts.h"

/* One message was refused: on_error, or standard error at most once a second. */
void report_refusal(loom_agent *a, loom_status why, const char *text);
/* The state has changed: on_state, or standard error once per outage. */
void report_state(loom_agent *a, loom_agent_state state, loom_status why, const char *text);
/* Traces are not exported: on_error, or standard error once. From the exporter's thread. */
void report_exporter(loom_agent *a, const char *text);

#endif
