/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/messaging/call_span.h"

#include "base/hex.h"
#include "base/str.h"
#include "envelope/id.h"

#include <assert.h>
#include <stdio.h>

#define TEXT(s) {.data = s, .len = sizeof(s) - 1}

enum { ERROR_TYPE_MAX = 64 }; /* a longer code would not be a word but a sentence */

const span_what call_hops[] = {
    [HOP_ACTION_INVOKE] = {"action.invoke", LOOM_SPAN_CLIENT},
    [HOP_ACTION_DISPATCH] = {"action.dispatch", LOOM_SPAN_SERVER},
    [HOP_ACTION_FORWARD] = {"bridge.forward", LOOM_SPAN_CLIENT},
    [HOP_AGENT_ON_ACTION] = {"agent.on_action", LOOM_SPAN_SERVER},
};

enum {
    KEY_SYSTEM_NAME,
    KEY_SYSTEM,
    KEY_METHOD,
    KEY_CAPABILITY,
    KEY_AGENT_ID,
    KEY_CALL_ID,
    KEY_EVENT_ID,
    KEY_THREAD_ID,
    KEY_CORRELATION_ID,
    KEY_VERSION,
    KEY_PAYLOAD_SIZE,
    KEY_GEN_AI_OPERATION,
    KEY_GEN_AI_TOOL,
    KEY_GEN_AI_CALL_ID,
    KEY_GEN_AI_AGENT,
    KEY_GEN_AI_CONVERSATION,
    KEYS
};

static const attr_key keys[KEYS] = {
    [KEY_SYSTEM_NAME] = ATTR_STRING_KEY("rpc.system.name"),
    [KEY_SYSTEM] = ATTR_STRING_KEY("rpc.system"),
    [KEY_METHOD] = ATTR_STRING_KEY("rpc.method"),
    [KEY_CAPABILITY] = ATTR_STRING_KEY("capability"),
    [KEY_AGENT_ID] = ATTR_STRING_KEY("agent_id"),
    [KEY_CALL_ID] = ATTR_STRING_KEY("call_id"),
    [KEY_EVENT_ID] = ATTR_STRING_KEY("event_id"),
    [KEY_THREAD_ID] = ATTR_STRING_KEY("thread_id"),
    [KEY_CORRELATION_ID] = ATTR_STRING_KEY("correlation_id"),
    [KEY_VERSION] = ATTR_STRING_KEY("loom.call.version"),
    [KEY_PAYLOAD_SIZE] = ATTR_INT_KEY("loom.call.payload.size"),
    [KEY_GEN_AI_OPERATION] = ATTR_STRING_KEY("gen_ai.operation.name"),
    [KEY_GEN_AI_TOOL] = ATTR_STRING_KEY("gen_ai.tool.name"),
    [KEY_GEN_AI_CALL_ID] = ATTR_STRING_KEY("gen_ai.tool.call.id"),
    [KEY_GEN_AI_AGENT] = ATTR_STRING_KEY("gen_ai.agent.name"),
    [KEY_GEN_AI_CONVERSATION] = ATTR_STRING_KEY("gen_ai.conversation.id"),
};

/* The attributes, and the buffers that ids are written to. */
typedef struct attr_list {
    fixed_attr items[KEYS];
    size_t count;
    char id[LOOM_UUID_TEXT_SIZE];
    char call_id[2 * FRAME_CALL_ID_MAX];
} attr_list;

static void add_text(attr_list *list, unsigned key, loom_str text)
{
    if (text.len > 0) {
        list->items[list->count++] = (fixed_attr){.key = &keys[key], .string = text};
    }
}

static loom_str at_most(loom_str text, size_t max)
{
    return (loom_str){text.data, text.len < max ? text.len : max};
}

static loom_str printable(loom_bytes id, char out[2 * FRAME_CALL_ID_MAX])
{
    size_t len = id.len < FRAME_CALL_ID_MAX ? id.len : FRAME_CALL_ID_MAX;
    for (size_t i = 0; i < len; i++) {
        if (id.data[i] <= ' ' || id.data[i] > '~') {
            hex_encode(out, id.data, len);
            return (loom_str){out, 2 * len};
        }
    }
    return (loom_str){(const char *)id.data, len};
}

static void describe(attr_list *list, call_hop hop, const call_facts *facts)
{
    const loom_str capability = at_most(facts->capability, FRAME_CAPABILITY_MAX);
    const loom_str call_id = printable(facts->call_id, list->call_id);
    loom_uuid_to_text(list->id, facts->id);
    loom_str id = {list->id, LOOM_UUID_TEXT_SIZE - 1};
    loom_str thread = facts->thread_id.len > 0 ? facts->thread_id : id;
    loom_str correlation = facts->correlation_id.len > 0 ? facts->correlation_id : thread;
    list->count = 0;
    add_text(list, KEY_SYSTEM_NAME, (loom_str)TEXT("loom"));
    add_text(list, KEY_SYSTEM, (loom_str)TEXT("loom"));
    add_text(list, KEY_METHOD, capability);
    add_text(list, KEY_CAPABILITY, capability);
    add_text(list, KEY_AGENT_ID, facts->agent);
    add_text(list, KEY_CALL_ID, call_id);
    add_text(list, KEY_EVENT_ID, id);
    add_text(list, KEY_THREAD_ID, thread);
    add_text(list, KEY_CORRELATION_ID, correlation);
    add_text(list, KEY_VERSION, at_most(facts->version, FRAME_VERSION_MAX));
    list->items[list->count++] = (fixed_attr){.key = &keys[KEY_PAYLOAD_SIZE], .integer = (int64_t)facts->payload_len};
    if (hop == HOP_AGENT_ON_ACTION && facts->kind == CALL_TOOL) {
        add_text(list, KEY_GEN_AI_OPERATION, (loom_str)TEXT("execute_tool"));
        add_text(list, KEY_GEN_AI_TOOL, capability);
        add_text(list, KEY_GEN_AI_CALL_ID, call_id);
        add_text(list, KEY_GEN_AI_CONVERSATION, thread);
    } else if (hop == HOP_AGENT_ON_ACTION && facts->kind == CALL_AGENT) {
        add_text(list, KEY_GEN_AI_OPERATION, (loom_str)TEXT("invoke_agent"));
        add_text(list, KEY_GEN_AI_AGENT, capability);
        add_text(list, KEY_GEN_AI_CONVERSATION, thread);
    }
    assert(list->count <= KEYS);
}

call_facts call_facts_of(const envelope_view *view, loom_str agent, loom_str capability, loom_str version, loom_bytes call_id)
{
    return (call_facts){.agent = agent,
                        .capability = capability,
                        .version = version,
                        .call_id = call_id,
                        .thread_id = envelope_view_str(view, ENV_THREAD_ID),
                        .correlation_id = envelope_view_str(view, ENV_CORRELATION_ID),
                        .id = view->data + view->field[ENV_ID].off,
                        .payload_len = view->field[ENV_PAYLOAD].len};
}

loom_span *call_span_start(loom_tracer *tracer, call_hop hop, const call_facts *facts, const loom_span_options *options,
                           const loom_trace_context *decided)
{
    attr_list list;
    loom_span_options of_hop = *options;
    describe(&list, hop, facts);
    of_hop.kind = call_hops[hop].kind;
    return span_start_decided(tracer, call_hops[hop].name, &of_hop, decided, list.items, list.count);
}

loom_span *call_span_pass(loom_tracer *tracer, call_hop hop, const call_facts *facts, const envelope_view *view,
                          bool remote, loom_trace_context *ctx, bool *patch)
{
    loom_trace_context parent;
    bool has_parent = envelope_view_context(view, &parent);
    if (!span_decide(tracer, &call_hops[hop], &parent, remote, ctx)) {
        *patch = tracer != NULL && (!has_parent || (parent.trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0);
        return NULL;
    }
    loom_span_options options = {.parent = &parent, /* not valid: none */
                                 .parent_is_remote = remote,
                                 .tracestate = has_parent ? envelope_view_str(view, ENV_TRACESTATE) : (loom_str){0}};
    loom_span *span = call_span_start(tracer, hop, facts, &options, ctx);
    *ctx = *loom_span_context(span);
    *patch = loom_trace_context_valid(ctx);
    return span;
}

const char *call_outcome_name(uint64_t outcome)
{
    static const char *const names[] = {
        [FRAME_CALL_OK] = "ok",
        [FRAME_CALL_ERROR] = "error",
        [FRAME_CALL_TIMEOUT] = "timeout",
        [FRAME_CALL_NO_RESPONDERS] = "no_responders",
        [FRAME_CALL_DENIED] = "denied",
        [FRAME_CALL_CANCELLED] = "cancelled",
        [FRAME_CALL_TOO_LARGE] = "too_large",
    };
    return outcome < sizeof names / sizeof names[0] ? names[outcome] : "?";
}

/* An outcome that this version does not know is an error whatever it was to say. */
void call_span_outcome(loom_span *span, uint64_t outcome, loom_str code, loom_str text)
{
    if (!loom_span_is_recording(span)) {
        return;
    }
    const char *name = outcome <= FRAME_CALL_TOO_LARGE ? call_outcome_name(outcome) : "error";
    loom_span_set_string(span, "loom.call.outcome", name);
    if (outcome == FRAME_CALL_OK) {
        return;
    }
    char description[FRAME_TEXT_MAX + 1];
    const loom_str what = text.len > 0 ? at_most(text, FRAME_TEXT_MAX) : str_of(name);
    (void)snprintf(description, sizeof description, "%.*s", (int)what.len, what.data);
    bool code_serves = code.len > 0 && code.len <= ERROR_TYPE_MAX;
    loom_span_set_str(span, "error.type", code_serves ? code : str_of(name));
    loom_span_set_status(span, LOOM_SPAN_ERROR, description);
}
