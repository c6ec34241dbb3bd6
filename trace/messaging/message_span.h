/* SPDX-License-Identifier: Apache-2.0 */
/* The spans that a message leaves behind on its way, one a hop. What they are called, of which kind they are and which
 * attributes they carry is said here and nowhere else: OpenTelemetry's messaging conventions (semconv 1.27, "Messaging
 * attributes"), and the plain names that users of the bus search for. */
#ifndef LOOM_TRACE_MESSAGE_SPAN_H
#define LOOM_TRACE_MESSAGE_SPAN_H

#include "envelope/view.h"
#include "trace/span/start.h"

typedef enum message_hop {
    HOP_AGENT_EMIT,
    HOP_BRIDGE_PUBLISH,
    HOP_EVENTBUS_PUBLISH,
    HOP_EVENTBUS_DROP, /* of a message that waited */
    HOP_BRIDGE_FORWARD,
    HOP_AGENT_ON_EVENT
} message_hop;

/* What the spans of the hops are called and of which kind they are, by hop. */
extern const span_what message_hops[];

/* What is known of the message. Text that is empty makes no attribute. */
typedef struct message_facts {
    loom_str agent;          /* at the end of this hop, or its sender */
    loom_str topic;
    loom_str thread_id;      /* empty: the message's id */
    loom_str correlation_id; /* empty: the thread's */
    const uint8_t *id;       /* LOOM_UUID_SIZE bytes */
    size_t payload_len;
} message_facts;

message_facts message_facts_of(const envelope_view *view, loom_str agent);

/* For a tracer whose spans of messages are all started by one thread: it remembers how their attributes were encoded, so that
 * the next message of the same agent and topic costs less. Takes 90 KB, of which what is used is there. */
void message_span_remember(loom_tracer *tracer);

/* A span that span_decide() has found worth starting. Kind and attributes of the options are not looked at. */
loom_span *message_span_start(loom_tracer *tracer, message_hop hop, const message_facts *facts,
                              const loom_span_options *options, const loom_trace_context *decided);

/* The group that the subscription is in which the message is for. Empty: none. */
void message_span_set_group(loom_span *span, loom_str group);

/* message_span_pass() of a message that came sampled, without a context, or unsampled to a sampler that may record it. */
loom_span *message_span_pass_traced(loom_tracer *tracer, message_hop hop, const envelope_view *view, loom_str agent,
                                    bool remote, loom_trace_context *ctx, bool *patch);

/* The span of a hop of a message that is passed on, child of the context it came with. NULL: nothing is recorded.
 * remote: that context is of another process.
 * *patch: ctx is to be written into the message; that of the span, or a new one that is not sampled, for a message that
 * came without. Inline, since most messages come unsampled and pass with a look at their flags. */
static inline loom_span *message_span_pass(loom_tracer *tracer, message_hop hop, const envelope_view *view, loom_str agent,
                                           bool remote, loom_trace_context *ctx, bool *patch)
{
    if (hop_is_unsampled(view->data) && span_follows_parent(tracer)) {
        *patch = false;
        return NULL;
    }
    return message_span_pass_traced(tracer, hop, view, agent, remote, ctx, patch);
}

#endif
