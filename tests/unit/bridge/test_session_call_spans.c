/* SPDX-License-Identifier: Apache-2.0 */
/* bridge.forward of a call: from the call to its result, its cancel or the end of the provider's session. */
#include <stdlib.h>

#include "tests/unit/bridge/fake_bus.h"
#include "tests/unit/trace/recorded.h"

static const loom_trace_context dispatch = {{0x11, 1}, {0x22, 2}, LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM};
static const loom_trace_context unsampled = {{0x11, 1}, {0x22, 2}, LOOM_TRACE_FLAG_RANDOM};

typedef struct fixture {
    loop_clock clock;
    recorded recorded;
    fake_bus bus;
    bridge *bridge;
    fake_agent a, b;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    recorded_open(&f->recorded, NULL);
    fake_bus_init(&f->bus);
    bridge_options options = {.id = "bridge-1", .software = "test", .bus = &f->bus.base, .tracer = f->recorded.tracer};
    assert_status(LOOM_OK, bridge_create(&f->bridge, &f->clock, &options));
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    fake_agent_close(&f->a);
    fake_agent_close(&f->b);
    bridge_destroy(f->bridge);
    recorded_close(&f->recorded);
    free(f);
    return 0;
}

static loom_envelope *message(const char *sender, const loom_trace_context *ctx)
{
    loom_envelope_fields fields = {.topic = STR("weather.lookup"), .sender = str_of(sender), .thread_id = STR("thread-1"),
                                   .correlation_id = STR("corr-1"), .tracestate = STR("k=v"), .payload = BYTES("12345")};
    loom_envelope_inject(&fields, ctx);
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    return env;
}

static void bring_call(fixture *f, const char *id, const loom_trace_context *ctx)
{
    loom_envelope *env = message("planner", ctx);
    const frame_call call = {.call_id = bytes_of(id), .capability = STR("weather.lookup"), .version = STR("2.1")};
    fake_bus_call(&f->bus, "a", &call, loom_envelope_wire(env));
    loom_envelope_unref(env);
}

static void answer(fixture *f, const char *id, frame_call_outcome outcome, const char *code)
{
    assert_status(LOOM_OK, frame_put_result(&f->a.say, &(frame_result){bytes_of(id), outcome, str_of(code), STR("no such city"),
                                                                       (loom_bytes){0}}));
    fake_agent_send(&f->a);
}

static void cancel(fixture *f, const char *id, const char *reason)
{
    fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_CANCEL, .u.cancel = {bytes_of(id), str_of(reason)}});
}

static size_t span_count(fixture *f)
{
    recorded_read(&f->recorded);
    return json_array_size(f->recorded.spans);
}

static json_t *span_at(fixture *f, size_t at, size_t of)
{
    assert_int_equal(of, span_count(f));
    json_t *span = json_array_get(f->recorded.spans, at);
    assert_string_equal("bridge.forward", recorded_string(span, "name"));
    assert_int_equal(LOOM_SPAN_CLIENT, json_integer_value(json_object_get(span, "kind")));
    return span;
}

static void assert_failed(json_t *span, const char *outcome, const char *type, const char *text)
{
    json_t *status = json_object_get(span, "status");
    recorded_has_string(span, "loom.call.outcome", outcome);
    recorded_has_string(span, "error.type", type);
    assert_int_equal(LOOM_SPAN_ERROR, json_integer_value(json_object_get(status, "code")));
    assert_string_equal(text, recorded_string(status, "message"));
}

static void a_call_on_its_way_up_has_no_span_here_and_is_not_touched(void **state)
{
    fixture *f = *state;
    loom_envelope *env = message("a", &dispatch);
    loom_bytes wire = loom_envelope_wire(env);
    assert_status(LOOM_OK, frame_put_call(&f->a.say, &(frame_call){.capability = STR("weather.lookup"), .envelope = wire}));
    fake_agent_send(&f->a);
    assert_int_equal(1, f->bus.called);
    assert_memory_equal(wire.data, f->bus.wire, wire.len);
    assert_int_equal(0, span_count(f));
    loom_envelope_unref(env);
}

static void a_forwarded_call_has_a_span_below_the_dispatch_until_its_result(void **state)
{
    fixture *f = *state;
    char text[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_context forwarded;
    bring_call(f, "at-1", &dispatch);
    fake_agent_hear(&f->a);
    hop_read(fake_agent_frame(&f->a, FRAME_CALL)->u.call.envelope.data, &forwarded);
    assert_int_equal(0, span_count(f));
    answer(f, "at-1", FRAME_CALL_OK, "");
    json_t *span = span_at(f, 0, 1);
    loom_trace_id_to_hex(text, dispatch.trace_id);
    assert_string_equal(text, recorded_string(span, "traceId"));
    loom_span_id_to_hex(text, dispatch.span_id);
    assert_string_equal(text, recorded_string(span, "parentSpanId"));
    loom_span_id_to_hex(text, forwarded.span_id);
    assert_string_equal(text, recorded_string(span, "spanId"));
    assert_memory_equal(dispatch.trace_id, forwarded.trace_id, LOOM_TRACE_ID_SIZE);
    assert_int_equal(dispatch.trace_flags, forwarded.trace_flags);
    assert_string_equal("k=v", recorded_string(span, "traceState"));
    recorded_has_string(span, "loom.call.outcome", "ok");
    assert_int_equal(LOOM_SPAN_UNSET, json_integer_value(json_object_get(json_object_get(span, "status"), "code")));
}

static void the_span_says_whose_call_it_was_and_who_worked_on_it(void **state)
{
    fixture *f = *state;
    json_t *value = NULL;
    bring_call(f, "at-1", &dispatch);
    answer(f, "at-1", FRAME_CALL_OK, "");
    json_t *span = span_at(f, 0, 1);
    recorded_has_string(span, "agent_id", "a");
    recorded_has_string(span, "capability", "weather.lookup");
    recorded_has_string(span, "rpc.method", "weather.lookup");
    recorded_has_string(span, "loom.call.version", "2.1");
    recorded_has_string(span, "call_id", "at-1");
    recorded_has_string(span, "thread_id", "thread-1");
    recorded_has_string(span, "correlation_id", "corr-1");
    assert_int_equal(0, recorded_attr(span, "gen_ai.operation.name", &value));
    assert_int_equal(0, recorded_attr(span, "messaging.system", &value));
}

static void an_unsampled_call_passes_byte_for_byte_and_makes_no_span(void **state)
{
    fixture *f = *state;
    loom_envelope *env = message("planner", &unsampled);
    loom_bytes wire = loom_envelope_wire(env);
    fake_bus_call(&f->bus, "a", &(frame_call){.call_id = bytes_of("1"), .capability = STR("c")}, wire);
    fake_agent_hear(&f->a);
    assert_memory_equal(wire.data, fake_agent_frame(&f->a, FRAME_CALL)->u.call.envelope.data, wire.len);
    answer(f, "1", FRAME_CALL_OK, "");
    assert_int_equal(0, span_count(f));
    loom_envelope_unref(env);
}

static void the_span_shows_how_the_provider_failed(void **state)
{
    fixture *f = *state;
    bring_call(f, "at-1", &dispatch);
    answer(f, "at-1", FRAME_CALL_ERROR, "not_found");
    assert_failed(span_at(f, 0, 1), "error", "not_found", "no such city");
}

static void an_outcome_there_is_not_is_an_error(void **state)
{
    fixture *f = *state;
    bring_call(f, "at-1", &dispatch);
    answer(f, "at-1", (frame_call_outcome)99, "");
    assert_failed(span_at(f, 0, 1), "error", "error", "no such city");
}

static void a_cancelled_call_shows_the_code_of_the_reason(void **state)
{
    fixture *f = *state;
    bring_call(f, "1", &dispatch);
    cancel(f, "1", "deadline_exceeded");
    assert_failed(span_at(f, 0, 1), "cancelled", "deadline_exceeded", "deadline_exceeded");
    bring_call(f, "2", &dispatch);
    cancel(f, "2", "");
    assert_failed(span_at(f, 1, 2), "cancelled", "cancelled", "cancelled");
}

static void a_reason_for_people_is_no_type_of_error(void **state)
{
    fixture *f = *state;
    bring_call(f, "1", &dispatch);
    cancel(f, "1", "the user closed window 4711");
    assert_failed(span_at(f, 0, 1), "cancelled", "cancelled", "the user closed window 4711");
}

static void only_the_first_word_of_a_call_counts(void **state)
{
    fixture *f = *state;
    bring_call(f, "1", &dispatch);
    answer(f, "2", FRAME_CALL_ERROR, "of_another");
    assert_int_equal(0, span_count(f));
    answer(f, "1", FRAME_CALL_OK, "");
    answer(f, "1", FRAME_CALL_ERROR, "too_late");
    cancel(f, "1", "idle");
    recorded_has_string(span_at(f, 0, 1), "loom.call.outcome", "ok");
}

static void each_attempt_has_a_span_of_its_own(void **state)
{
    fixture *f = *state;
    char id[16];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "at-%u", i);
        bring_call(f, id, &dispatch);
    }
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "at-%u", (i * 7) % 1000);
        answer(f, id, FRAME_CALL_OK, "");
    }
    assert_int_equal(1000, span_count(f));
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "at-%u", (i * 7) % 1000);
        json_t *span = json_array_get(f->recorded.spans, i);
        recorded_has_string(span, "call_id", id);
        recorded_has_string(span, "loom.call.outcome", "ok");
    }
}

static void an_id_used_again_before_its_end_speaks_of_the_newer_call(void **state)
{
    fixture *f = *state;
    json_t *value = NULL;
    bring_call(f, "1", &dispatch);
    bring_call(f, "1", &dispatch);
    assert_int_equal(0, recorded_attr(span_at(f, 0, 1), "loom.call.outcome", &value));
    answer(f, "1", FRAME_CALL_OK, "");
    recorded_has_string(span_at(f, 1, 2), "loom.call.outcome", "ok");
}

/* ---- the end of a session with calls under way ---- */

static void all_are_gone(fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_failed(span_at(f, i, count), "error", "provider_gone", "the session of the provider ended");
    }
}

static void a_connection_that_breaks_leaves_its_calls_without_a_provider(void **state)
{
    fixture *f = *state;
    bring_call(f, "1", &dispatch);
    bring_call(f, "2", &dispatch);
    bring_call(f, "3", &dispatch);
    fake_agent_close(&f->a);
    all_are_gone(f, 3);
}

static void a_goodbye_leaves_calls_without_a_provider(void **state)
{
    fixture *f = *state;
    bring_call(f, "1", &dispatch);
    assert_status(LOOM_OK, frame_put_outcome(&f->a.say, FRAME_BYE, &(frame_outcome){0}));
    fake_agent_send(&f->a);
    all_are_gone(f, 1);
}

static void a_provider_that_is_replaced_leaves_its_calls(void **state)
{
    fixture *f = *state;
    bring_call(f, "1", &dispatch);
    fake_agent_enter(&f->b, f->bridge, "a", 0, 0);
    all_are_gone(f, 1);
    answer(f, "1", FRAME_CALL_OK, ""); /* after the end of a session nothing counts */
    assert_int_equal(0, f->bus.said[FRAME_RESULT]);
}

static void the_spans_of_many_calls_end_a_few_in_a_round(void **state)
{
    enum { CALLS = 200, A_ROUND = 32 };
    fixture *f = *state;
    for (unsigned i = 0; i < CALLS; i++) {
        char id[16];
        snprintf(id, sizeof id, "%u", i);
        bring_call(f, id, &dispatch);
    }
    fake_agent_close(&f->a);
    size_t ended = A_ROUND;
    for (; bridge_goes_on(f->bridge); ended += A_ROUND) {
        assert_int_equal(ended, span_count(f));
        bridge_new_round(f->bridge);
    }
    assert_in_range(ended, CALLS, CALLS + A_ROUND);
    all_are_gone(f, CALLS);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(a_call_on_its_way_up_has_no_span_here_and_is_not_touched),
        with_fixture(a_forwarded_call_has_a_span_below_the_dispatch_until_its_result),
        with_fixture(the_span_says_whose_call_it_was_and_who_worked_on_it),
        with_fixture(an_unsampled_call_passes_byte_for_byte_and_makes_no_span),
        with_fixture(the_span_shows_how_the_provider_failed),
        with_fixture(an_outcome_there_is_not_is_an_error),
        with_fixture(a_cancelled_call_shows_the_code_of_the_reason),
        with_fixture(a_reason_for_people_is_no_type_of_error),
        with_fixture(only_the_first_word_of_a_call_counts),
        with_fixture(each_attempt_has_a_span_of_its_own),
        with_fixture(an_id_used_again_before_its_end_speaks_of_the_newer_call),
        with_fixture(a_connection_that_breaks_leaves_its_calls_without_a_provider),
        with_fixture(a_goodbye_leaves_calls_without_a_provider),
        with_fixture(a_provider_that_is_replaced_leaves_its_calls),
        with_fixture(the_spans_of_many_calls_end_a_few_in_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
