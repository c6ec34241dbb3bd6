/* SPDX-License-Identifier: Apache-2.0 */
/* The span of a call's hop: what it is called, every attribute in its order, and how its outcome shows. */
#include "tests/unit/trace/recorded.h"

#include "envelope/encode.h"
#include "trace/messaging/call_span.h"

typedef struct fixture {
    recorded spans;
    uint8_t wire[512];
    envelope_view view;
    call_facts facts;
} fixture;

static const uint8_t ID[LOOM_UUID_SIZE] = {0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b,
                                           0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57};
#define ID_TEXT "01890a5d-ac96-774b-bcce-b302099a8057"
#define CALL_ID ((loom_bytes){(const uint8_t *)"call_7", 6})

static const loom_trace_context SAMPLED = {{0xaa, 1}, {0xbb, 2}, LOOM_TRACE_FLAG_SAMPLED};
static const loom_trace_context UNSAMPLED = {{0xaa, 1}, {0xbb, 2}, 0};

static void make_call(fixture *f, const loom_trace_context *context, loom_str correlation)
{
    loom_envelope_fields fields = {.topic = STR("weather.lookup"), .sender = STR("planner"), .payload = {ID, 5},
                                   .correlation_id = correlation, .tracestate = STR("k=v")};
    uint8_t id[LOOM_UUID_SIZE];
    size_t size;
    const char *reason;
    memcpy(fields.id, ID, sizeof ID);
    loom_envelope_inject(&fields, context);
    assert_status(LOOM_OK, envelope_encode_check(&fields, &size));
    assert_in_range(size, 1, sizeof f->wire);
    size = envelope_encode(f->wire, &fields, id);
    assert_status(LOOM_OK, envelope_scan(&f->view, (loom_bytes){f->wire, size}, NULL, &reason));
    f->facts = call_facts_of(&f->view, STR("agent"), STR("weather.lookup"), STR("2.1"), CALL_ID);
}

static int set_up(void **state)
{
    static fixture f;
    recorded_open(&f.spans, NULL);
    make_call(&f, &SAMPLED, (loom_str){0});
    *state = &f;
    return 0;
}

static int set_up_never(void **state)
{
    static fixture f;
    recorded_open(&f.spans, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF});
    *state = &f;
    return 0;
}

static int set_up_off(void **state)
{
    static fixture f;
    recorded_open(&f.spans, &(loom_sampler){.kind = LOOM_SAMPLER_ALWAYS_OFF});
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    recorded_close(&f->spans);
    return 0;
}

static loom_span *pass(fixture *f, call_hop hop, loom_trace_context *ctx, bool *patch)
{
    return call_span_pass(f->spans.tracer, hop, &f->facts, &f->view, true, ctx, patch);
}

/* A whole span of that hop, read back. */
static json_t *span_of(fixture *f, call_hop hop, const char *name)
{
    loom_trace_context ctx;
    bool patch;
    loom_span_end(pass(f, hop, &ctx, &patch));
    recorded_read(&f->spans);
    return recorded_span(&f->spans, name);
}

static json_t *span_with_outcome(fixture *f, uint64_t outcome, loom_str code, loom_str text)
{
    loom_trace_context ctx;
    bool patch;
    loom_span *span = pass(f, HOP_ACTION_FORWARD, &ctx, &patch);
    call_span_outcome(span, outcome, code, text);
    loom_span_end(span);
    recorded_read(&f->spans);
    return json_array_get(f->spans.spans, json_array_size(f->spans.spans) - 1);
}

static size_t attr_count(json_t *span, const char *key)
{
    json_t *value = NULL;
    return recorded_attr(span, key, &value);
}

static void every_attribute_is_there_in_its_order(void **state)
{
    fixture *f = *state;
    static const char *const expected[][2] = {
        {"rpc.system.name", "loom"},
        {"rpc.system", "loom"},
        {"rpc.method", "weather.lookup"},
        {"capability", "weather.lookup"},
        {"agent_id", "agent"},
        {"call_id", "call_7"},
        {"event_id", ID_TEXT},
        {"thread_id", ID_TEXT},
        {"correlation_id", "order-7"},
        {"loom.call.version", "2.1"},
        {"loom.call.payload.size", NULL},
        {"gen_ai.operation.name", "execute_tool"},
        {"gen_ai.tool.name", "weather.lookup"},
        {"gen_ai.tool.call.id", "call_7"},
        {"gen_ai.conversation.id", ID_TEXT},
    };
    make_call(f, &SAMPLED, STR("order-7"));
    f->facts.kind = CALL_TOOL;
    json_t *span = span_of(f, HOP_AGENT_ON_ACTION, "agent.on_action"), *size = NULL;
    json_t *attributes = json_object_get(span, "attributes");
    assert_int_equal(sizeof expected / sizeof *expected, json_array_size(attributes));
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_string_equal(expected[i][0], recorded_string(json_array_get(attributes, i), "key"));
        if (expected[i][1] != NULL) {
            recorded_has_string(span, expected[i][0], expected[i][1]);
        }
    }
    assert_int_equal(1, recorded_attr(span, "loom.call.payload.size", &size));
    assert_string_equal("5", recorded_string(size, "intValue"));
}

static void each_hop_has_its_name_and_kind_and_only_one_tells_of_a_tool(void **state)
{
    fixture *f = *state;
    static const struct {
        call_hop hop;
        const char *name;
        loom_span_kind kind;
        size_t gen_ai;
    } hops[] = {
        {HOP_ACTION_INVOKE, "action.invoke", LOOM_SPAN_CLIENT, 0},
        {HOP_ACTION_DISPATCH, "action.dispatch", LOOM_SPAN_SERVER, 0},
        {HOP_ACTION_FORWARD, "bridge.forward", LOOM_SPAN_CLIENT, 0},
        {HOP_AGENT_ON_ACTION, "agent.on_action", LOOM_SPAN_SERVER, 1},
    };
    f->facts.kind = CALL_TOOL;
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++) {
        json_t *span = span_of(f, hops[i].hop, hops[i].name);
        assert_int_equal(hops[i].kind, json_integer_value(json_object_get(span, "kind")));
        assert_int_equal(hops[i].gen_ai, attr_count(span, "gen_ai.operation.name"));
        recorded_has_string(span, "correlation_id", ID_TEXT);
    }
}

static void a_capability_that_is_no_tool_is_not_described_as_one(void **state)
{
    fixture *f = *state;
    json_t *span = span_of(f, HOP_AGENT_ON_ACTION, "agent.on_action");
    assert_int_equal(0, attr_count(span, "gen_ai.operation.name"));
    assert_int_equal(0, attr_count(span, "gen_ai.conversation.id"));
    assert_int_equal(0, attr_count(span, "gen_ai.tool.name"));
    assert_int_equal(0, attr_count(span, "gen_ai.tool.call.id"));
}

static void a_capability_that_is_an_agent_has_its_name_and_the_conversation(void **state)
{
    fixture *f = *state;
    f->facts.kind = CALL_AGENT;
    json_t *span = span_of(f, HOP_AGENT_ON_ACTION, "agent.on_action");
    recorded_has_string(span, "gen_ai.operation.name", "invoke_agent");
    recorded_has_string(span, "gen_ai.agent.name", "weather.lookup");
    recorded_has_string(span, "gen_ai.conversation.id", ID_TEXT);
    assert_int_equal(0, attr_count(span, "gen_ai.tool.name"));
}

static void what_is_empty_makes_no_attribute(void **state)
{
    fixture *f = *state;
    f->facts.version = (loom_str){0};
    f->facts.call_id = (loom_bytes){0};
    f->facts.kind = CALL_TOOL;
    json_t *span = span_of(f, HOP_ACTION_DISPATCH, "action.dispatch");
    assert_int_equal(0, attr_count(span, "loom.call.version"));
    assert_int_equal(0, attr_count(span, "call_id"));
    assert_int_equal(0, attr_count(span, "gen_ai.tool.call.id"));
}

static void a_call_id_that_is_not_printable_is_shown_in_hex(void **state)
{
    fixture *f = *state;
    f->facts.call_id = (loom_bytes){(const uint8_t *)"\x01 \xff", 3};
    recorded_has_string(span_of(f, HOP_ACTION_INVOKE, "action.invoke"), "call_id", "0120ff");
}

/* Whoever hands such facts over has checked less than a frame's reader does. */
static void names_over_their_limits_are_cut(void **state)
{
    fixture *f = *state;
    char longer[2 * FRAME_CAPABILITY_MAX];
    json_t *value = NULL;
    memset(longer, 'x', sizeof longer);
    f->facts.capability = f->facts.version = (loom_str){longer, sizeof longer};
    f->facts.call_id = (loom_bytes){(const uint8_t *)longer, sizeof longer};
    json_t *span = span_of(f, HOP_ACTION_FORWARD, "bridge.forward");
    assert_int_equal(1, recorded_attr(span, "capability", &value));
    assert_int_equal(FRAME_CAPABILITY_MAX, strlen(recorded_string(value, "stringValue")));
    assert_int_equal(1, recorded_attr(span, "loom.call.version", &value));
    assert_int_equal(FRAME_VERSION_MAX, strlen(recorded_string(value, "stringValue")));
    assert_int_equal(1, recorded_attr(span, "call_id", &value));
    assert_int_equal(FRAME_CALL_ID_MAX, strlen(recorded_string(value, "stringValue")));
}

static void a_sampled_call_is_to_carry_the_context_of_its_span(void **state)
{
    fixture *f = *state;
    loom_trace_context ctx;
    bool patch;
    loom_span *span = pass(f, HOP_ACTION_FORWARD, &ctx, &patch);
    assert_true(patch);
    assert_memory_equal(loom_span_context(span), &ctx, sizeof ctx);
    assert_memory_equal(SAMPLED.trace_id, ctx.trace_id, sizeof ctx.trace_id);
    assert_memory_not_equal(SAMPLED.span_id, ctx.span_id, sizeof ctx.span_id);
    loom_span_end(span);
    recorded_read(&f->spans);
    json_t *read = recorded_span(&f->spans, "bridge.forward");
    assert_string_equal("bb02000000000000", recorded_string(read, "parentSpanId"));
    assert_string_equal("k=v", recorded_string(read, "traceState"));
    assert_int_equal(0x300, json_integer_value(json_object_get(read, "flags")) & 0x300); /* the parent is remote */
}

static void an_unsampled_call_is_left_alone(void **state)
{
    fixture *f = *state;
    loom_trace_context ctx;
    bool patch = true;
    make_call(f, &UNSAMPLED, (loom_str){0});
    assert_null(pass(f, HOP_ACTION_FORWARD, &ctx, &patch));
    assert_false(patch);
}

static void a_call_without_context_becomes_a_root(void **state)
{
    fixture *f = *state;
    make_call(f, NULL, (loom_str){0});
    json_t *span = span_of(f, HOP_ACTION_DISPATCH, "action.dispatch");
    assert_string_equal("", recorded_string(span, "parentSpanId"));
    assert_string_equal("", recorded_string(span, "traceState"));
}

static void a_call_without_context_is_to_carry_the_decision_against_it(void **state)
{
    fixture *f = *state;
    loom_trace_context ctx;
    bool patch = false;
    make_call(f, NULL, (loom_str){0});
    assert_null(pass(f, HOP_ACTION_DISPATCH, &ctx, &patch));
    assert_true(patch);
    assert_true(loom_trace_context_valid(&ctx));
    assert_int_equal(0, ctx.trace_flags & LOOM_TRACE_FLAG_SAMPLED);
}

static void a_sampled_call_is_to_carry_the_decision_against_it(void **state)
{
    fixture *f = *state;
    loom_trace_context ctx;
    bool patch = false;
    make_call(f, &SAMPLED, (loom_str){0});
    assert_null(pass(f, HOP_ACTION_FORWARD, &ctx, &patch));
    assert_true(patch);
    assert_memory_equal(SAMPLED.trace_id, ctx.trace_id, sizeof ctx.trace_id);
    assert_memory_not_equal(SAMPLED.span_id, ctx.span_id, sizeof ctx.span_id);
    assert_int_equal(0, ctx.trace_flags & LOOM_TRACE_FLAG_SAMPLED);
}

static void without_a_tracer_no_call_is_touched(void **state)
{
    fixture *f = *state;
    const loom_trace_context *contexts[] = {NULL, &SAMPLED, &UNSAMPLED};
    for (size_t i = 0; i < 3; i++) {
        loom_trace_context ctx;
        bool patch = true;
        make_call(f, contexts[i], (loom_str){0});
        assert_null(call_span_pass(NULL, HOP_ACTION_FORWARD, &f->facts, &f->view, true, &ctx, &patch));
        assert_false(patch);
    }
}

/* ---- outcomes ---- */

static json_t *status_of(json_t *span)
{
    return json_object_get(span, "status");
}

static void ok_is_no_error(void **state)
{
    fixture *f = *state;
    json_t *span = span_with_outcome(f, FRAME_CALL_OK, STR("ignored"), STR("ignored"));
    recorded_has_string(span, "loom.call.outcome", "ok");
    assert_int_equal(0, attr_count(span, "error.type"));
    assert_int_equal(LOOM_SPAN_UNSET, json_integer_value(json_object_get(status_of(span), "code")));
}

static void every_other_outcome_is_an_error_of_its_name(void **state)
{
    fixture *f = *state;
    for (uint64_t outcome = FRAME_CALL_ERROR; outcome <= FRAME_CALL_TOO_LARGE; outcome++) {
        json_t *span = span_with_outcome(f, outcome, (loom_str){0}, (loom_str){0});
        recorded_has_string(span, "loom.call.outcome", call_outcome_name(outcome));
        recorded_has_string(span, "error.type", call_outcome_name(outcome));
        assert_int_equal(LOOM_SPAN_ERROR, json_integer_value(json_object_get(status_of(span), "code")));
        assert_string_equal(call_outcome_name(outcome), recorded_string(status_of(span), "message"));
    }
}

static void a_code_is_the_type_of_the_error_and_the_text_its_description(void **state)
{
    fixture *f = *state;
    json_t *span = span_with_outcome(f, FRAME_CALL_ERROR, STR("not_found"), STR("no such city"));
    recorded_has_string(span, "loom.call.outcome", "error");
    recorded_has_string(span, "error.type", "not_found");
    assert_string_equal("no such city", recorded_string(status_of(span), "message"));
}

static void a_sentence_is_no_type_of_error(void **state)
{
    fixture *f = *state;
    static const char sentence[] = "this is not a code but something for people, which would make a new type of error each time";
    json_t *span = span_with_outcome(f, FRAME_CALL_DENIED, STR(""), str_of(sentence));
    recorded_has_string(span, "error.type", "denied");
    span = span_with_outcome(f, FRAME_CALL_DENIED, str_of(sentence), STR(""));
    recorded_has_string(span, "error.type", "denied");
}

static void an_outcome_nobody_knows_is_an_error(void **state)
{
    fixture *f = *state;
    json_t *span = span_with_outcome(f, UINT64_MAX, (loom_str){0}, (loom_str){0});
    recorded_has_string(span, "loom.call.outcome", "error");
    recorded_has_string(span, "error.type", "error");
    assert_string_equal("?", call_outcome_name(UINT64_MAX));
}

static void a_text_over_its_limit_is_cut(void **state)
{
    fixture *f = *state;
    char longer[2 * FRAME_TEXT_MAX];
    memset(longer, 'x', sizeof longer);
    json_t *span = span_with_outcome(f, FRAME_CALL_ERROR, (loom_str){0}, (loom_str){longer, sizeof longer});
    assert_int_equal(FRAME_TEXT_MAX, strlen(recorded_string(status_of(span), "message")));
}

static void no_span_has_no_outcome(void **state)
{
    (void)state;
    call_span_outcome(NULL, FRAME_CALL_ERROR, STR("x"), STR("y"));
}

int main(void)
{
#define RECORDED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        RECORDED(every_attribute_is_there_in_its_order),
        RECORDED(each_hop_has_its_name_and_kind_and_only_one_tells_of_a_tool),
        RECORDED(a_capability_that_is_no_tool_is_not_described_as_one),
        RECORDED(a_capability_that_is_an_agent_has_its_name_and_the_conversation),
        RECORDED(what_is_empty_makes_no_attribute),
        RECORDED(a_call_id_that_is_not_printable_is_shown_in_hex),
        RECORDED(names_over_their_limits_are_cut),
        RECORDED(a_sampled_call_is_to_carry_the_context_of_its_span),
        RECORDED(an_unsampled_call_is_left_alone),
        RECORDED(a_call_without_context_becomes_a_root),
        cmocka_unit_test_setup_teardown(a_call_without_context_is_to_carry_the_decision_against_it, set_up_never, tear_down),
        cmocka_unit_test_setup_teardown(a_sampled_call_is_to_carry_the_decision_against_it, set_up_off, tear_down),
        RECORDED(without_a_tracer_no_call_is_touched),
        RECORDED(ok_is_no_error),
        RECORDED(every_other_outcome_is_an_error_of_its_name),
        RECORDED(a_code_is_the_type_of_the_error_and_the_text_its_description),
        RECORDED(a_sentence_is_no_type_of_error),
        RECORDED(an_outcome_nobody_knows_is_an_error),
        RECORDED(a_text_over_its_limit_is_cut),
        RECORDED(no_span_has_no_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
