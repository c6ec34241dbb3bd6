/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of the EventBus: eventbus.publish of each message, and eventbus.drop of one that was dropped while it waited. */
#include "broker/eventbus/internal.h"

#include "base/str.h"
#include "trace/messaging/message_span.h"

static loom_attr string_attr(const char *key, loom_str value)
{
    return (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = value};
}

static loom_span *start(loom_tracer *tracer, message_hop hop, const envelope_view *view, const loom_trace_context *parent,
                        const loom_trace_context *decided, bool remote)
{
    const message_facts facts = message_facts_of(view, envelope_view_str(view, ENV_SENDER));
    const loom_span_options options = {
        .parent = parent,
        .parent_is_remote = remote,
        .tracestate = envelope_view_str(view, ENV_TRACESTATE),
    };
    loom_span *span = message_span_start(tracer, hop, &facts, &options, decided);
    if (!loom_span_is_recording(span)) {
        loom_span_end(span);
        return NULL;
    }
    return span;
}

void eventbus_span_drop(loom_span *span, eventbus_drop reason, const subscription *s)
{
    if (span == NULL) {
        return;
    }
    const char *name = eventbus_drop_name(reason);
    loom_attr attrs[3] = {string_attr("loom.drop.reason", str_of(name))};
    size_t count = 1;
    if (s != NULL) {
        const eventbus_subscriber *subscriber = s->subscriber;
        attrs[count++] = string_attr("loom.drop.filter", (loom_str){s->text, s->filter_len});
        attrs[count++] = s->group != NULL
                             ? string_attr("messaging.consumer.group.name", group_name(s->group))
                             : string_attr("loom.drop.subscriber", (loom_str){subscriber->name, subscriber->name_len});
    }
    loom_span_add_event(span, "loom.drop", attrs, count);
    loom_span_set_string(span, "error.type", name);
    loom_span_set_status(span, LOOM_SPAN_ERROR, name);
}

void eventbus_span_lost(const subscription *s, const envelope_view *view, eventbus_drop reason)
{
    loom_tracer *tracer = s->subscriber->bus->tracer;
    loom_trace_context hop, decided;
    if (tracer == NULL || !envelope_view_context(view, &hop) ||
        ((hop.trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0 && span_follows_parent(tracer)) ||
        !span_decide(tracer, &message_hops[HOP_EVENTBUS_DROP], &hop, false, &decided)) {
        return;
    }
    loom_span *span = start(tracer, HOP_EVENTBUS_DROP, view, &hop, &decided, false); /* of our own eventbus.publish */
    eventbus_span_drop(span, reason, s);
    loom_span_end(span);
}
