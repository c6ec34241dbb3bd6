/* SPDX-License-Identifier: Apache-2.0 */
/* action.dispatch: its attributes are in actionbroker.h. */
#include "broker/actionbroker_internal.h"

#include "envelope/hex.h"
#include "envelope/id.h"

enum { ERROR_TYPE_MAX = 64 }; /* a longer code would not be a word but a sentence */

/* The attributes of a call, and the buffers that ids are written to. */
typedef struct call_attrs {
    loom_attr attrs[16];
    size_t count;
    char event[LOOM_UUID_TEXT_SIZE], thread[LOOM_UUID_TEXT_SIZE], correlation[LOOM_UUID_TEXT_SIZE];
    char call_id[2 * ACTION_CALL_ID_MAX];
} call_attrs;

static loom_str str(const char *text)
{
    return (loom_str){text, strlen(text)};
}

static loom_str at_most(loom_str text, size_t max)
{
    return (loom_str){text.data, text.len < max ? text.len : max};
}

static void add(call_attrs *c, const char *key, loom_str value)
{
    assert(c->count < sizeof c->attrs / sizeof c->attrs[0]);
    c->attrs[c->count++] = (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = value};
}

static void add_true(call_attrs *c, const char *key)
{
    assert(c->count < sizeof c->attrs / sizeof c->attrs[0]);
    c->attrs[c->count++] = (loom_attr){.key = key, .type = LOOM_ATTR_BOOL, .value.boolean = true};
}

static loom_str printable(loom_bytes id, char out[2 * ACTION_CALL_ID_MAX])
{
    for (size_t i = 0; i < id.len; i++) {
        if (id.data[i] <= ' ' || id.data[i] > '~') {
            hex_encode(out, id.data, id.len);
            return (loom_str){out, 2 * id.len};
        }
    }
    return (loom_str){(const char *)id.data, id.len};
}

static void fill(call_attrs *c, const invocation *in, action_span_kind what, loom_str kind)
{
    const envelope_view *view = in->view;
    const loom_str capability = at_most(in->key.capability, ACTION_CAPABILITY_MAX);
    const loom_str call_id = printable(in->key.call_id, c->call_id);
    loom_uuid_to_text(c->event, view->data + view->field[ENV_ID].off);
    c->count = 0;
    add(c, "rpc.system.name", str("loom"));
    add(c, "rpc.system", str("loom"));
    add(c, "rpc.method", capability);
    add(c, "capability", capability);
    add(c, "agent_id", in->key.agent);
    add(c, "call_id", call_id);
    add(c, "event_id", (loom_str){c->event, LOOM_UUID_TEXT_SIZE - 1});
    add(c, "thread_id", envelope_view_thread_id(view, c->thread));
    add(c, "correlation_id", envelope_view_correlation_id(view, c->correlation));
    if (in->key.version.len > 0) {
        add(c, "loom.call.version", at_most(in->key.version, ACTION_VERSION_MAX));
    }
    if (kind.len == 4 && memcmp(kind.data, "tool", 4) == 0) {
        add(c, "gen_ai.operation.name", str("execute_tool"));
        add(c, "gen_ai.tool.name", capability);
        add(c, "gen_ai.tool.call.id", call_id);
    }
    if (what != ACTION_SPAN_CALL) {
        add_true(c, what == ACTION_SPAN_JOINED ? "loom.call.joined" : "loom.call.cached");
    }
}

/* An unsampled call passes without a span; one without a context may become the root of a trace. */
loom_span *action_span_start(const invocation *in, action_span_kind what, loom_str kind,
                             const loom_trace_context *original)
{
    loom_tracer *tracer = in->party->broker->tracer;
    loom_trace_context hop;
    if (tracer == NULL ||
        (envelope_view_context(in->view, &hop) && (hop.trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0)) {
        return NULL;
    }
    call_attrs call;
    fill(&call, in, what, kind);
    const bool linked = original != NULL && loom_trace_context_valid(original);
    const loom_span_options options = {
        .kind = LOOM_SPAN_SERVER,
        .parent = &hop,
        .parent_is_remote = true,
        .tracestate = envelope_view_str(in->view, ENV_TRACESTATE),
        .attrs = call.attrs,
        .attr_count = call.count,
        .links = linked ? &(loom_link){.context = *original} : NULL,
        .link_count = linked ? 1 : 0,
    };
    loom_span *span = loom_span_start(tracer, "action.dispatch", &options);
    if (!loom_span_is_recording(span)) {
        loom_span_end(span);
        return NULL;
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

static void set_error(loom_span *span, const action_result *result, const char *outcome)
{
    char text[ACTION_TEXT_MAX + 1];
    const loom_str what = result->text.len > 0 ? result->text : str(outcome);
    memcpy(text, what.data, what.len);
    text[what.len] = '\0';
    const bool code_serves = result->code.len > 0 && result->code.len <= ERROR_TYPE_MAX;
    loom_span_set_str(span, "error.type", code_serves ? result->code : str(outcome));
    loom_span_set_status(span, LOOM_SPAN_ERROR, text);
}

void action_span_end(loom_span *span, const action_result *result)
{
    if (span == NULL) {
        return;
    }
    const char *outcome = action_outcome_name(result->outcome);
    loom_span_set_string(span, "loom.call.outcome", outcome);
    if (result->outcome != FRAME_CALL_OK) {
        set_error(span, result, outcome);
    }
    loom_span_end(span);
}
