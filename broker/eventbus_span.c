/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of the EventBus: their names and attributes are in eventbus.h.
 *
 * The OpenTelemetry conventions know "send" as the type of what a producer does with a message; "publish", which they
 * once had, is deprecated as a type and stays as the name. */
#include "broker/eventbus_internal.h"

#include "envelope/id.h"

/* The attributes of a message, and the buffers its ids are written to. */
typedef struct message_attrs {
    loom_attr attrs[13];
    size_t count;
    char id[LOOM_UUID_TEXT_SIZE], thread[LOOM_UUID_TEXT_SIZE], correlation[LOOM_UUID_TEXT_SIZE];
} message_attrs;

static loom_attr string_attr(const char *key, loom_str value)
{
    return (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = value};
}

static loom_str str(const char *text)
{
    return (loom_str){text, strlen(text)};
}

static void message_attrs_fill(message_attrs *m, const envelope_view *view, bool publishes)
{
    loom_uuid_to_text(m->id, view->data + view->field[ENV_ID].off);
    const loom_str id = {m->id, LOOM_UUID_TEXT_SIZE - 1};
    const loom_str topic = envelope_view_str(view, ENV_TOPIC);
    const loom_str sender = envelope_view_str(view, ENV_SENDER);
    const loom_str correlation = envelope_view_correlation_id(view, m->correlation);
    m->count = 0;
    m->attrs[m->count++] = string_attr("messaging.system", str("loom"));
    m->attrs[m->count++] = string_attr("messaging.operation.name", str(publishes ? "publish" : "drop"));
    if (publishes) {
        m->attrs[m->count++] = string_attr("messaging.operation.type", str("send"));
    }
    m->attrs[m->count++] = string_attr("messaging.destination.name", topic);
    m->attrs[m->count++] = string_attr("messaging.message.id", id);
    m->attrs[m->count++] = string_attr("messaging.message.conversation_id", correlation);
    m->attrs[m->count++] = (loom_attr){.key = "messaging.message.body.size", .type = LOOM_ATTR_INT,
                                       .value.integer = view->field[ENV_PAYLOAD].len};
    m->attrs[m->count++] = string_attr("topic", topic);
    m->attrs[m->count++] = string_attr("event_id", id);
    m->attrs[m->count++] = string_attr("thread_id", envelope_view_thread_id(view, m->thread));
    m->attrs[m->count++] = string_attr("correlation_id", correlation);
    if (sender.len > 0) {
        m->attrs[m->count++] = string_attr("agent_id", sender);
    }
    assert(m->count <= sizeof m->attrs / sizeof m->attrs[0]);
}

/* publishes: eventbus.publish, of a message that came from elsewhere; otherwise eventbus.drop, of one of our own.
 * NULL when it would not be recorded. */
static loom_span *start(loom_tracer *tracer, bool publishes, const envelope_view *view, const loom_trace_context *parent)
{
    message_attrs message;
    message_attrs_fill(&message, view, publishes);
    const loom_span_options options = {
        .kind = LOOM_SPAN_INTERNAL,
        .parent = parent,
        .parent_is_remote = publishes,
        .tracestate = envelope_view_str(view, ENV_TRACESTATE),
        .attrs = message.attrs,
        .attr_count = message.count,
    };
    loom_span *span = loom_span_start(tracer, publishes ? "eventbus.publish" : "eventbus.drop", &options);
    if (!loom_span_is_recording(span)) {
        loom_span_end(span);
        return NULL;
    }
    return span;
}

loom_span *eventbus_span_start(eventbus *bus, const envelope_view *view, uint8_t *wire, const loom_trace_context *parent)
{
    loom_span *span = start(bus->tracer, true, view, parent);
    if (span != NULL) {
        hop_patch(wire, loom_span_context(span));
    }
    return span;
}

void eventbus_span_end(loom_span *span, const eventbus_result *result)
{
    if (span == NULL) {
        return;
    }
    loom_span_set_int(span, "loom.matched", result->matched);
    loom_span_set_int(span, "loom.delivered", result->delivered);
    loom_span_set_int(span, "loom.dropped", result->dropped);
    loom_span_end(span);
}

void eventbus_span_drop(loom_span *span, eventbus_drop reason, const subscription *s)
{
    if (span == NULL) {
        return;
    }
    const char *name = eventbus_drop_name(reason);
    loom_attr attrs[3] = {string_attr("loom.drop.reason", str(name))};
    size_t count = 1;
    if (s != NULL) {
        const eventbus_subscriber *subscriber = s->subscriber;
        attrs[count++] = string_attr("loom.drop.filter", (loom_str){s->text, s->filter_len});
        attrs[count++] = string_attr("loom.drop.subscriber", (loom_str){subscriber->name, subscriber->name_len});
    }
    loom_span_add_event(span, "loom.drop", attrs, count);
    loom_span_set_string(span, "error.type", name);
    loom_span_set_status(span, LOOM_SPAN_ERROR, name);
}

void eventbus_span_lost(const subscription *s, const envelope_view *view, eventbus_drop reason)
{
    loom_tracer *tracer = s->subscriber->bus->tracer;
    loom_trace_context hop;
    if (tracer == NULL || !envelope_view_context(view, &hop) || (hop.trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0) {
        return;
    }
    loom_span *span = start(tracer, false, view, &hop);
    eventbus_span_drop(span, reason, s);
    loom_span_end(span);
}
