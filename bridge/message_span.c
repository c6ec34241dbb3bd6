/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/message_span.h"

#include "envelope/id.h"

enum { ATTRS_MAX = 16 };

static void put(loom_attr *attrs, size_t *count, const char *key, loom_str value)
{
    if (value.len > 0) {
        attrs[(*count)++] = (loom_attr){key, LOOM_ATTR_STRING, {.string = value}};
    }
}

/* The messaging conventions of OpenTelemetry, and the plain names that users of the bus search for. */
static size_t describe(loom_attr attrs[ATTRS_MAX], const char *operation, const envelope_view *view, loom_str agent,
                       char id[LOOM_UUID_TEXT_SIZE], char thread_buf[LOOM_UUID_TEXT_SIZE])
{
    size_t n = 0;
    loom_uuid_to_text(id, view->data + view->field[ENV_ID].off);
    loom_str topic = envelope_view_str(view, ENV_TOPIC);
    loom_str id_text = {id, LOOM_UUID_TEXT_SIZE - 1};
    loom_str thread = envelope_view_thread_id(view, thread_buf);
    loom_str correlation = envelope_view_str(view, ENV_CORRELATION_ID);
    if (correlation.len == 0) {
        correlation = thread;
    }
    put(attrs, &n, "messaging.system", (loom_str){"loom", 4});
    put(attrs, &n, "messaging.operation.type", (loom_str){operation, __builtin_strlen(operation)});
    put(attrs, &n, "messaging.destination.name", topic);
    put(attrs, &n, "messaging.message.id", id_text);
    put(attrs, &n, "messaging.message.conversation_id", correlation);
    put(attrs, &n, "messaging.client.id", agent);
    put(attrs, &n, "agent_id", agent);
    put(attrs, &n, "topic", topic);
    put(attrs, &n, "event_id", id_text);
    put(attrs, &n, "thread_id", thread);
    put(attrs, &n, "correlation_id", correlation);
    attrs[n++] = (loom_attr){"messaging.message.body.size", LOOM_ATTR_INT,
                             {.integer = (int64_t)view->field[ENV_PAYLOAD].len}};
    return n;
}

loom_span *message_span_start(bridge *b, const char *name, loom_span_kind kind, const envelope_view *view, loom_str agent,
                              loom_trace_context *ctx, bool *patch)
{
    loom_trace_context parent;
    bool has_parent = envelope_view_context(view, &parent);
    *patch = false;
    if (b->options.tracer == NULL || (has_parent && (parent.trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0)) {
        return NULL;
    }
    char id[LOOM_UUID_TEXT_SIZE], thread[LOOM_UUID_TEXT_SIZE];
    loom_attr attrs[ATTRS_MAX];
    const char *operation = kind == LOOM_SPAN_CONSUMER ? "receive" : "send";
    loom_span_options options = {
        .kind = kind,
        .parent = has_parent ? &parent : NULL,
        .parent_is_remote = has_parent,
        .tracestate = has_parent ? envelope_view_str(view, ENV_TRACESTATE) : (loom_str){NULL, 0},
        .root = !has_parent,
        .attrs = attrs,
        .attr_count = describe(attrs, operation, view, agent, id, thread),
    };
    loom_span *span = loom_span_start(b->options.tracer, name, &options);
    *ctx = *loom_span_context(span);
    *patch = loom_trace_context_valid(ctx);
    return span;
}
