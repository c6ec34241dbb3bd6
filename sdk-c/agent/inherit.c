/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/inherit.h"

#include "base/last_error.h"
#include "sdk-c/agent/current.h"
#include "trace/span/start.h"

loom_status hops_used_up(const loom_envelope *event)
{
    const loom_str topic = loom_envelope_topic(event);
    return last_error(LOOM_ETIMEDOUT,
                      "the message on \"%.*s\" has no hops left for what comes of it; set ttl to send it all the same",
                      (int)(topic.len < 100 ? topic.len : 100), topic.data);
}

loom_status inherit_message(loom_envelope_fields *f, inherited_text *text)
{
    const loom_envelope *event = current_get().envelope;
    if (event == NULL) {
        return LOOM_OK;
    }
    if (f->correlation_id.len == 0) {
        /* of another thread: its own default is better than this event's */
        f->correlation_id = f->thread_id.len == 0 ? loom_envelope_correlation_id(event, text->correlation) : f->thread_id;
    }
    if (f->thread_id.len == 0) {
        f->thread_id = loom_envelope_thread_id(event, text->thread);
    }
    if (f->baggage.data == NULL) {
        f->baggage = loom_envelope_baggage(event);
    }
    if (f->ttl == 0) {
        f->ttl = loom_envelope_ttl(event);
        return f->ttl > 0 ? LOOM_OK : hops_used_up(event);
    }
    return LOOM_OK;
}

void inherit_tracestate(loom_envelope_fields *f, loom_str tracestate, inherited_text *text)
{
    size_t len;
    f->tracestate = tracestate;
    if (tracestate.len > LOOM_TRACESTATE_MAX) {
        loom_status st = loom_tracestate_truncate(text->tracestate, sizeof text->tracestate, &len, tracestate,
                                                  LOOM_TRACESTATE_MAX);
        f->tracestate = (loom_str){text->tracestate, st == LOOM_OK ? len : 0};
    }
}

bool inherit_context(const loom_agent *a, const span_what *what, loom_envelope_fields *f, loom_trace_context *decided,
                     inherited_text *text)
{
    const loom_trace_context *current = loom_context_current();
    if (span_decide(a->tracer, what, current, false, decided)) {
        return true;
    }
    loom_envelope_inject(f, decided);
    if (current != NULL && loom_trace_context_valid(current)) {
        inherit_tracestate(f, loom_context_current_tracestate(), text);
    }
    return false;
}
