/* SPDX-License-Identifier: Apache-2.0 */
/* The spans that a call leaves behind on its way, one a hop, as message_span.h has it for events: names, kinds and
 * attributes are said here and nowhere else. OpenTelemetry's RPC conventions (rpc.system.name=loom, rpc.method the
 * capability; rpc.system for backends that know the older name), GenAI's for declared tools (never on a bridge's span),
 * and the plain names that users of the bus search for. */
#ifndef LOOM_TRACE_CALL_SPAN_H
#define LOOM_TRACE_CALL_SPAN_H

#include "envelope/frame/frame.h"
#include "envelope/view.h"
#include "trace/span/start.h"

typedef enum call_hop {
    HOP_ACTION_INVOKE,   /* CLIENT, sdk */
    HOP_ACTION_DISPATCH, /* SERVER, broker */
    HOP_ACTION_FORWARD,  /* bridge.forward: CLIENT, bridge; one per attempt */
    HOP_AGENT_ON_ACTION  /* SERVER, sdk */
} call_hop;

/* What the spans of the hops are called and of which kind they are, by hop. */
extern const span_what call_hops[];

/* What a capability was declared as. */
typedef enum call_kind { CALL_PLAIN, CALL_TOOL, CALL_AGENT } call_kind;

/* Text that is empty makes no attribute. */
typedef struct call_facts {
    loom_str agent;          /* at this hop: the caller at invoke and dispatch, the provider at forward and on_action */
    loom_str capability, version;
    loom_bytes call_id;      /* as text where it is printable, else hex */
    loom_str thread_id;      /* empty: the message's id */
    loom_str correlation_id; /* empty: the thread's */
    const uint8_t *id;       /* of the envelope, LOOM_UUID_SIZE bytes */
    size_t payload_len;
    call_kind kind;          /* known to the provider: gen_ai.* stands on on_action alone, where the work is done */
} call_facts;

/* agent, capability, version and call_id as given, the rest from the envelope. */
call_facts call_facts_of(const envelope_view *view, loom_str agent, loom_str capability, loom_str version, loom_bytes call_id);

/* A span that span_decide() has found worth starting. Kind and attributes of the options are not looked at. */
loom_span *call_span_start(loom_tracer *tracer, call_hop hop, const call_facts *facts, const loom_span_options *options,
                           const loom_trace_context *decided);
/* As message_span_pass(): the span of a hop that passes the call on, child of the context it came with. The caller ends it
 * when the outcome is known. NULL: nothing is recorded. *patch: ctx is to be written into the message. */
loom_span *call_span_pass(loom_tracer *tracer, call_hop hop, const call_facts *facts, const envelope_view *view,
                          bool remote, loom_trace_context *ctx, bool *patch);
const char *call_outcome_name(uint64_t outcome); /* of frame_call_outcome: "ok", "no_responders", …; "?" */
/* loom.call.outcome; anything but OK: status ERROR and error.type, the code or without one the outcome's name.
 * NULL span is allowed. Does not end it. */
void call_span_outcome(loom_span *span, uint64_t outcome, loom_str code, loom_str text);

#endif
