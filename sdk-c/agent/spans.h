/* SPDX-License-Identifier: Apache-2.0 */
/* Spans over the agent's own link, where its processor's exporter is `loom`. One frame of them leaves at a time, behind the
 * messages of a write, and only the loop's own writes take any: nobody who emits pays for them. */
#ifndef LOOM_SDK_AGENT_SPANS_H
#define LOOM_SDK_AGENT_SPANS_H

#include "sdk-c/agent/session.h"

/* After telemetry_open(), before the loop runs. Also says who the spans are of, for hello. Nothing, where the exporter is
 * another. */
void agent_spans_open(loom_agent *a);
/* Says in hello who the spans are of that this agent may send. Before the loop runs; there is a tracer. */
void agent_spans_introduce(loom_agent *a);
/* Before the loop is freed; nothing is running any more. */
void agent_spans_close(loom_agent *a);

/* Lock held: a session has begun, or is over. */
void agent_spans_begun(loom_agent *a, uint64_t credit);
void agent_spans_broken(loom_agent *a);
/* The bridge's answer. Lock not held. */
void agent_spans_answered(loom_agent *a, const frame_span_credit *f);

/* The agent closes: when its messages have left, and before its goodbye, the spans so far leave, too. In the closing thread
 * while another is the loop; where that is the loop itself, around drain(). */
void agent_spans_flush(loom_agent *a);
void agent_spans_flush_aside(loom_agent *a, pthread_t *thread, bool *started);
/* The loop has ended: nobody waits for it any longer. */
void agent_spans_loop_ended(loom_agent *a);

#endif
