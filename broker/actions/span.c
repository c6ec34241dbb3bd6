/* SPDX-License-Identifier: Apache-2.0 */
/* action.dispatch: its attributes are in actionbroker.h. */
#include "broker/actions/internal.h"

#include "trace/messaging/call_span.h"

/* An unsampled call passes without a span; one without a context may become the root of a trace. */
loom_span *action_span_start(const invocation *in, action_span_kind what,
                             const loom_trace_context *original)
{
    loom_tracer *tracer = in->party->broker->tracer;
    loom_trace_context hop, decided;
    const bool has_parent = envelope_view_context(in->view, &hop);
    if (tracer == NULL || (has_parent && (hop.trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0 && span_follows_parent(tracer))) {
        return NULL;
    }
    if (!span_decide(tracer, &call_hops[HOP_ACTION_DISPATCH], &hop, has_parent, &decided)) {
        if (has_parent) { /* a sampled one: the hops that follow keep to the decision */
            hop_patch(in->wire, &decided);
        }
        return NULL;
    }
    call_facts facts = call_facts_of(in->view, in->key.agent, in->key.capability, in->key.version, in->key.call_id);
    const bool linked = original != NULL && loom_trace_context_valid(original);
    const loom_span_options options = {
        .parent = &hop,
        .parent_is_remote = has_parent,
        .tracestate = has_parent ? envelope_view_str(in->view, ENV_TRACESTATE) : (loom_str){0},
        .links = linked ? &(loom_link){.context = *original} : NULL,
        .link_count = linked ? 1 : 0,
    };
    loom_span *span = call_span_start(tracer, HOP_ACTION_DISPATCH, &facts, &options, &decided);
    if (!loom_span_is_recording(span)) {
        loom_span_end(span);
        return NULL;
    }
    if (what != ACTION_SPAN_CALL) {
        loom_span_set_bool(span, what == ACTION_SPAN_JOINED ? "loom.call.joined" : "loom.call.cached", true);
    }
    return span;
}

void action_span_attempt(loom_span *span, const action_offer *offer, uint32_t attempts)
{
    if (span == NULL) {
        return;
    }
    loom_span_set_str(span, "loom.call.provider", action_party_agent(offer->party));
    loom_span_set_int(span, "loom.call.attempts", attempts);
}

void action_span_end(loom_span *span, const action_result *result)
{
    call_span_outcome(span, (uint64_t)result->outcome, result->code, result->text);
    loom_span_end(span);
}
