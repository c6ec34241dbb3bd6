/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's part of a call's trace, read back from what was exported. */
#include <stdlib.h>

#include "tests/unit/broker/action_fixture.h"
#include "tests/unit/trace/recorded.h"
#include "trace/messaging/call_span.h"

typedef struct fixture {
    loop_clock clock;
    recorded spans;
    actionbroker *broker;
    test_party caller, a, b;
} fixture;

static const loom_trace_context sampled = {{1, 2, 3}, {4, 5, 6}, LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM};
static const loom_trace_context unsampled = {{1, 2, 3}, {4, 5, 6}, LOOM_TRACE_FLAG_RANDOM};

static int open_with(void **state, const loom_sampler *sampler)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    recorded_open(&f->spans, sampler);
    assert_status(LOOM_OK, actionbroker_create(&f->broker, &f->clock, &(actionbroker_options){
        .tracer = f->spans.tracer, .max_pending = 3}));
    assert_status(LOOM_OK, test_party_open(&f->caller, f->broker, "caller"));
    assert_status(LOOM_OK, test_party_open(&f->a, f->broker, "a"));
    assert_status(LOOM_OK, test_party_open(&f->b, f->broker, "b"));
    assert_status(LOOM_OK, test_provide(&f->a, "weather.lookup", "1"));
    *state = f;
    return 0;
}

static int open_broker(void **state)
{
    return open_with(state, NULL);
}

static int open_broker_that_is_off(void **state)
{
    return open_with(state, &(loom_sampler){.kind = LOOM_SAMPLER_ALWAYS_OFF});
}

static int open_never_sampling_broker(void **state)
{
    return open_with(state, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF});
}

static int close_broker(void **state)
{
    fixture *f = *state;
    test_party_close(&f->caller);
    test_party_close(&f->a);
    test_party_close(&f->b);
    actionbroker_destroy(f->broker);
    recorded_close(&f->spans);
    free(f);
    return 0;
}

static loom_status invoke_at(fixture *f, const char *id, loom_trace_context hop)
{
    return test_invoke(&f->caller, &(test_call){.capability = "weather.lookup", .id = id, .hop = hop});
}

static size_t span_count(fixture *f)
{
    recorded_read(&f->spans);
    return json_array_size(f->spans.spans);
}

/* In the order of their ends. */
static json_t *span_at(fixture *f, size_t at, size_t of)
{
    assert_int_equal(of, span_count(f));
    json_t *span = json_array_get(f->spans.spans, at);
    assert_string_equal("action.dispatch", recorded_string(span, "name"));
    assert_int_equal(LOOM_SPAN_SERVER, json_integer_value(json_object_get(span, "kind")));
    return span;
}

static void assert_attr(json_t *span, const char *key, const char *kind, const char *value)
{
    json_t *found = NULL;
    assert_int_equal(1, recorded_attr(span, key, &found));
    assert_string_equal(value, recorded_string(found, kind));
}

static void assert_no_attr(json_t *span, const char *key)
{
    json_t *found = NULL;
    assert_int_equal(0, recorded_attr(span, key, &found));
}

static void assert_true_attr(json_t *span, const char *key)
{
    json_t *found = NULL;
    assert_int_equal(1, recorded_attr(span, key, &found));
    assert_true(json_is_true(json_object_get(found, "boolValue")));
}

static int status_of(json_t *span)
{
    return (int)json_integer_value(json_object_get(json_object_get(span, "status"), "code"));
}

static void assert_failed(json_t *span, const char *outcome, const char *type)
{
    recorded_has_string(span, "loom.call.outcome", outcome);
    recorded_has_string(span, "error.type", type);
    assert_int_equal(LOOM_SPAN_ERROR, status_of(span));
}

static void assert_parent(json_t *span, const loom_trace_context *parent)
{
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_id, parent->trace_id);
    loom_span_id_to_hex(span_id, parent->span_id);
    assert_string_equal(trace_id, recorded_string(span, "traceId"));
    assert_string_equal(span_id, recorded_string(span, "parentSpanId"));
}

static void assert_context(json_t *span, const loom_trace_context *ctx)
{
    char span_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_span_id_to_hex(span_id, ctx->span_id);
    assert_string_equal(span_id, recorded_string(span, "spanId"));
}

static void assert_linked(json_t *span, json_t *original)
{
    json_t *links = json_object_get(span, "links");
    assert_int_equal(1, json_array_size(links));
    assert_string_equal(recorded_string(original, "spanId"), recorded_string(json_array_get(links, 0), "spanId"));
    assert_string_equal(recorded_string(original, "traceId"), recorded_string(json_array_get(links, 0), "traceId"));
}

static void a_call_has_a_span_below_the_hop_that_brought_it(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "weather.lookup", .id = "id-1", .hop = sampled, .tracestate = "v=1"}));
    assert_int_equal(0, span_count(f)); /* not before the outcome */
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    json_t *span = span_at(f, 0, 1);
    assert_parent(span, &sampled);
    assert_context(span, &last_request(&f->a)->hop);
    assert_int_equal(sampled.trace_flags, last_request(&f->a)->hop.trace_flags);
    assert_int_equal(0x300, json_integer_value(json_object_get(span, "flags")) & 0x300); /* the parent is remote */
    assert_string_equal("v=1", recorded_string(span, "traceState"));
    assert_int_equal(LOOM_SPAN_UNSET, status_of(span));
}

static void the_span_says_what_was_called_and_how_it_ended(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "weather.lookup", .version = "1", .id = "id-1", .hop = sampled}));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    json_t *span = span_at(f, 0, 1);
    recorded_has_string(span, "rpc.system.name", "loom");
    recorded_has_string(span, "rpc.system", "loom");
    recorded_has_string(span, "rpc.method", "weather.lookup");
    recorded_has_string(span, "capability", "weather.lookup");
    recorded_has_string(span, "agent_id", "caller");
    recorded_has_string(span, "call_id", "id-1");
    recorded_has_string(span, "loom.call.version", "1");
    recorded_has_string(span, "loom.call.provider", "a");
    recorded_has_string(span, "loom.call.outcome", "ok");
    assert_attr(span, "loom.call.attempts", "intValue", "1");
    assert_attr(span, "loom.call.payload.size", "intValue", "14"); /* the capability's name */
    json_t *id = NULL;
    assert_int_equal(1, recorded_attr(span, "event_id", &id));
    const char *text = recorded_string(id, "stringValue");
    assert_int_equal(LOOM_UUID_TEXT_SIZE - 1, strlen(text));
    recorded_has_string(span, "thread_id", text); /* by default the message's own id */
    recorded_has_string(span, "correlation_id", text);
    assert_no_attr(span, "error.type");
    assert_no_attr(span, "gen_ai.operation.name");
}

static void a_tool_is_left_to_its_provider_to_describe(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide_kind(&f->a, "calculator", "tool"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "calculator", .id = "call_7", .hop = sampled}));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    json_t *span = span_at(f, 0, 1);
    assert_no_attr(span, "gen_ai.operation.name");
    assert_no_attr(span, "gen_ai.tool.name");
}

static void an_id_that_is_not_printable_is_shown_in_hex(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, invoke_at(f, "\x01 \xff", sampled));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    recorded_has_string(span_at(f, 0, 1), "call_id", "0120ff");
}

static void an_unsampled_call_passes_without_a_span_or_a_patch(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, invoke_at(f, "1", unsampled));
    assert_memory_equal(&unsampled, &last_request(&f->a)->hop, sizeof unsampled);
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_int_equal(0, span_count(f));
}

static void a_call_without_a_context_becomes_the_root_of_a_trace(void **state)
{
    fixture *f = *state;
    const uint64_t token = loom_context_push(&sampled, (loom_str){0}); /* which is not its parent */
    assert_status(LOOM_OK, invoke_at(f, "1", (loom_trace_context){0}));
    loom_context_pop(token);
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    json_t *span = span_at(f, 0, 1);
    assert_string_equal("", recorded_string(span, "parentSpanId"));
    assert_context(span, &last_request(&f->a)->hop);
}

static void a_call_without_a_context_stays_so_when_the_tracer_does_not_sample_it(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, invoke_at(f, "1", (loom_trace_context){0}));
    assert_false(loom_trace_context_valid(&last_request(&f->a)->hop));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_int_equal(0, span_count(f));
}

static void a_sampled_call_carries_the_decision_against_it(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, invoke_at(f, "1", sampled));
    const loom_trace_context *hop = &last_request(&f->a)->hop;
    assert_memory_equal(sampled.trace_id, hop->trace_id, sizeof hop->trace_id);
    assert_int_equal(0, hop->trace_flags & LOOM_TRACE_FLAG_SAMPLED);
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_int_equal(0, span_count(f));
}

static void every_outcome_but_ok_is_an_error_with_its_type(void **state)
{
    fixture *f = *state;
    for (int outcome = FRAME_CALL_ERROR; outcome < ACTION_OUTCOMES; outcome++) {
        assert_status(LOOM_OK, invoke_at(f, NULL, sampled));
        assert_status(LOOM_OK, test_answer(&f->a, last_request(&f->a)->ref, (frame_call_outcome)outcome, ""));
        const char *name = call_outcome_name((uint64_t)outcome);
        assert_failed(span_at(f, (size_t)outcome - 1, (size_t)outcome), name, name);
    }
}

static void the_code_of_the_provider_is_the_type_of_the_error(void **state)
{
    fixture *f = *state;
    char sentence[] = "this is not a code but something for people, which would make a new type of error each time";
    assert_status(LOOM_OK, invoke_at(f, NULL, sampled));
    assert_status(LOOM_OK, action_answer(f->a.handle, last_request(&f->a)->ref, &(action_result){
        .outcome = FRAME_CALL_ERROR, .code = STR("not_found"), .text = STR("no such city")}));
    json_t *span = span_at(f, 0, 1);
    assert_failed(span, "error", "not_found");
    assert_string_equal("no such city", recorded_string(json_object_get(span, "status"), "message"));
    assert_status(LOOM_OK, invoke_at(f, NULL, sampled));
    assert_status(LOOM_OK, test_answer(&f->a, last_request(&f->a)->ref, FRAME_CALL_ERROR, sentence));
    assert_failed(span_at(f, 1, 2), "error", "error");
}

static void calls_that_reach_nobody_have_a_span_too(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "nothing", .hop = sampled}));
    json_t *span = span_at(f, 0, 1);
    assert_parent(span, &sampled);
    assert_failed(span, "no_responders", "no_provider");
    assert_no_attr(span, "loom.call.attempts");
    for (int i = 0; i < 4; i++) {
        assert_status(LOOM_OK, invoke_at(f, NULL, sampled));
    }
    assert_failed(span_at(f, 1, 2), "denied", "too_many_calls");
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "weather.lookup", .hop = sampled, .used_up = true}));
    assert_failed(span_at(f, 3, 4), "denied", "ttl_exhausted");
}

static void ends_that_the_broker_decides_show_their_reason(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, invoke_at(f, "1", sampled));
    f->clock.now_ms = 30000;
    actionbroker_expire(f->broker);
    assert_failed(span_at(f, 0, 1), "timeout", "deadline_exceeded");
    assert_status(LOOM_OK, invoke_at(f, "2", sampled));
    assert_status(LOOM_OK, action_cancel(f->caller.handle, (loom_bytes){(const uint8_t *)"2", 1}, STR("")));
    assert_failed(span_at(f, 1, 2), "cancelled", "cancelled");
    assert_status(LOOM_OK, invoke_at(f, "3", sampled));
    test_party_close(&f->caller);
    assert_failed(span_at(f, 2, 3), "cancelled", "caller_gone");
    assert_status(LOOM_OK, test_invoke(&f->b, &(test_call){.capability = "weather.lookup", .hop = sampled}));
    test_party_close(&f->a);
    assert_failed(span_at(f, 3, 4), "error", "provider_gone");
}

static void all_attempts_of_a_call_are_below_one_span(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "weather.lookup", .idempotent = true, .hop = sampled}));
    assert_status(LOOM_OK, test_provide(&f->b, "weather.lookup", "1"));
    test_party_close(&f->a);
    assert_status(LOOM_OK, test_answer_ok(&f->b, ""));
    json_t *span = span_at(f, 0, 1);
    assert_context(span, &f->a.request[0].hop);
    assert_context(span, &f->b.request[0].hop);
    assert_attr(span, "loom.call.attempts", "intValue", "2");
    recorded_has_string(span, "loom.call.provider", "b");
    recorded_has_string(span, "loom.call.outcome", "ok");
}

static void a_duplicate_that_joins_has_a_span_that_links_to_the_call(void **state)
{
    fixture *f = *state;
    static const loom_trace_context other = {{9, 9}, {8, 8}, LOOM_TRACE_FLAG_SAMPLED};
    assert_status(LOOM_OK, invoke_at(f, "1", sampled));
    assert_status(LOOM_OK, invoke_at(f, "1", other));
    assert_int_equal(1, span_count(f));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    json_t *joined = span_at(f, 0, 2);
    assert_parent(joined, &other);
    assert_true_attr(joined, "loom.call.joined");
    assert_no_attr(joined, "loom.call.outcome");
    assert_int_equal(LOOM_SPAN_UNSET, status_of(joined));
    json_t *call = json_array_get(f->spans.spans, 1);
    assert_no_attr(call, "loom.call.joined");
    assert_linked(joined, call);
}

static void a_duplicate_answered_from_the_cache_links_to_the_call_that_was(void **state)
{
    fixture *f = *state;
    static const loom_trace_context other = {{9, 9}, {8, 8}, LOOM_TRACE_FLAG_SAMPLED};
    assert_status(LOOM_OK, invoke_at(f, "1", sampled));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_status(LOOM_OK, invoke_at(f, "1", other));
    json_t *cached = span_at(f, 1, 2);
    assert_parent(cached, &other);
    assert_true_attr(cached, "loom.call.cached");
    recorded_has_string(cached, "loom.call.outcome", "ok");
    assert_linked(cached, json_array_get(f->spans.spans, 0));
}

static void duplicates_of_an_unsampled_call_link_to_nothing(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, invoke_at(f, "1", unsampled));
    assert_status(LOOM_OK, invoke_at(f, "1", sampled));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_status(LOOM_OK, invoke_at(f, "1", sampled));
    assert_int_equal(0, json_array_size(json_object_get(span_at(f, 0, 2), "links")));
    assert_int_equal(0, json_array_size(json_object_get(span_at(f, 1, 2), "links")));
}

int main(void)
{
#define BROKER_TEST(name) cmocka_unit_test_setup_teardown(name, open_broker, close_broker)
    const struct CMUnitTest tests[] = {
        BROKER_TEST(a_call_has_a_span_below_the_hop_that_brought_it),
        BROKER_TEST(the_span_says_what_was_called_and_how_it_ended),
        BROKER_TEST(a_tool_is_left_to_its_provider_to_describe),
        BROKER_TEST(an_id_that_is_not_printable_is_shown_in_hex),
        BROKER_TEST(an_unsampled_call_passes_without_a_span_or_a_patch),
        BROKER_TEST(a_call_without_a_context_becomes_the_root_of_a_trace),
        cmocka_unit_test_setup_teardown(a_call_without_a_context_stays_so_when_the_tracer_does_not_sample_it,
                                        open_never_sampling_broker, close_broker),
        cmocka_unit_test_setup_teardown(a_sampled_call_carries_the_decision_against_it, open_broker_that_is_off, close_broker),
        BROKER_TEST(every_outcome_but_ok_is_an_error_with_its_type),
        BROKER_TEST(the_code_of_the_provider_is_the_type_of_the_error),
        BROKER_TEST(calls_that_reach_nobody_have_a_span_too),
        BROKER_TEST(ends_that_the_broker_decides_show_their_reason),
        BROKER_TEST(all_attempts_of_a_call_are_below_one_span),
        BROKER_TEST(a_duplicate_that_joins_has_a_span_that_links_to_the_call),
        BROKER_TEST(a_duplicate_answered_from_the_cache_links_to_the_call_that_was),
        BROKER_TEST(duplicates_of_an_unsampled_call_link_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
