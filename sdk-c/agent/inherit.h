/* SPDX-License-Identifier: Apache-2.0 */
/* What a message inherits: from the message being handled, and from the current span. Shared by emit and invoke. */
#ifndef LOOM_SDK_AGENT_INHERIT_H
#define LOOM_SDK_AGENT_INHERIT_H

#include <loom/trace.h>
#include <loom/tracestate.h>

#include "envelope/encode.h"
#include "sdk-c/agent/parts.h"
#include "trace/span/start.h"

/* What is inherited and has no text of its own elsewhere. */
typedef struct inherited_text {
    char thread[LOOM_UUID_TEXT_SIZE], correlation[LOOM_UUID_TEXT_SIZE];
    char tracestate[LOOM_TRACESTATE_MAX];
} inherited_text;

/* LOOM_ETIMEDOUT, with a sentence that tells it from a deadline. */
loom_status hops_used_up(const loom_envelope *event) __attribute__((cold));
/* From the message that this thread handles, if any. LOOM_ETIMEDOUT: it has used up its hops, and so has what it leads
 * to. */
LOOM_MUST_CHECK loom_status inherit_message(loom_envelope_fields *f, inherited_text *text);
/* What is too long for an envelope loses members, as the specification has it (Trace Context, 3.3.1.5). */
void inherit_tracestate(loom_envelope_fields *f, loom_str tracestate, inherited_text *text);
/* Whether the message is to have a span of its own, `what`, in the trace *decided. If not, what is current goes on as it is. */
bool inherit_context(const loom_agent *a, const span_what *what, loom_envelope_fields *f, loom_trace_context *decided,
                     inherited_text *text);

#endif
