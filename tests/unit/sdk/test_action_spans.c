/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of calls, asserted on what is exported; and what calls inherit from the message being handled. */
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/unit/sdk/agent_site.h"
#include "tests/unit/sdk/span_file.h"

static const loom_trace_context HOP = {{0xaa, 1}, {0xbb, 2}, LOOM_TRACE_FLAG_SAMPLED};
#define TEXT(literal) ((loom_bytes){(const uint8_t *)literal, sizeof literal - 1})

typedef enum handler_does { REPLY, FAIL, FAIL_IN_OWN_WORDS, KEEP, INVOKE, EMIT, REPLY_AND_WORK } handler_does;

typedef struct fixture {
    agent_site site; /* first */
    span_file spans;
    atomic_uint handled, ended;
    handler_does does;
    loom_action *_Atomic kept;
    loom_span *current;  /* in the handler, after an answer */
    bool same_context;
    loom_status status;
    loom_result *result;
    loom_invoke_options options;
    loom_trace_context after; /* current in on_result */
} fixture;

static loom_status on_action(loom_agent *agent, loom_action *action, void *user)
{
    fixture *f = user;
    loom_status st = LOOM_OK;
    const loom_trace_context *current = loom_context_current();
    f->same_context = current != NULL && memcmp(current, loom_action_context(action), sizeof *current) == 0;
    switch (f->does) {
    case REPLY: st = loom_action_reply(action, TEXT("done")); break;
    case FAIL: st = loom_action_fail(action, "broken", "it does not work"); break;
    case FAIL_IN_OWN_WORDS:
        loom_span_set_status(loom_span_current(), LOOM_SPAN_ERROR, "card 3 of 4 was refused");
        st = loom_action_fail(action, "broken", "it does not work");
        break;
    case KEEP: atomic_store(&f->kept, loom_action_ref(action)); break;
    case EMIT: st = loom_agent_emit_text(agent, "next", "n", NULL); break;
    case INVOKE:
        f->status = loom_agent_invoke(agent, "other", TEXT("x"), &f->options, &f->result);
        loom_result_free(f->result);
        break;
    case REPLY_AND_WORK:
        st = loom_action_reply(action, TEXT("done"));
        f->current = loom_span_current();
        loom_span_end(loom_span_start(loom_agent_tracer(agent), "work", NULL));
        break;
    }
    atomic_fetch_add(&f->handled, 1);
    return st;
}

static void open_agent(fixture *f, loom_sampler_kind sampler)
{
    span_file_open(&f->spans, f->site.bridge.folder, sampler);
    loom_agent_options options = {.id = "tester", .url = f->site.bridge.url, .telemetry = f->spans.provider};
    loom_capability capability = {
        .name = "weather.lookup", .version = "1.0", .kind = "tool", .on_action = on_action, .user = f};
    assert_status(LOOM_OK, loom_agent_open(&f->site.agent, &options));
    assert_status(LOOM_OK, loom_agent_provide(f->site.agent, &capability));
    fake_bridge_session(&f->site.bridge, 1);
    fake_bridge_answer_provide(&f->site.bridge, LOOM_OK);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->site.agent, FAKE_DEADLINE_MS));
}

static int set_up(void **state)
{
    site_set_up(state, sizeof(fixture));
    return 0;
}

static size_t read_spans(fixture *f)
{
    site_close_agent(&f->site);
    return span_file_read(&f->spans);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    site_close_agent(&f->site);
    span_file_close(&f->spans);
    site_tear_down(&f->site);
    return 0;
}

static void call_agent(fixture *f, uint8_t flags)
{
    frame_call call = {.call_id = {(const uint8_t *)"c1", 2},
                       .capability = STR("weather.lookup"),
                       .version = STR("1.0"),
                       .deadline_ms = 2000};
    loom_envelope_fields fields = {.topic = STR("weather.lookup"),
                                   .sender = STR("caller"),
                                   .thread_id = STR("thread-1"),
                                   .correlation_id = STR("correlation-1"),
                                   .tracestate = STR("vendor=1"),
                                   .baggage = STR("k=v"),
                                   .ttl = 5,
                                   .context = HOP};
    fields.context.trace_flags = flags;
    fake_bridge_call(&f->site.bridge, &call, &fields);
}

static void assert_parent(const json_t *span, const uint8_t trace[LOOM_TRACE_ID_SIZE], const uint8_t parent[LOOM_SPAN_ID_SIZE])
{
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_id_to_hex(hex, trace);
    assert_string_equal(hex, span_text(span, "traceId"));
    loom_span_id_to_hex(hex, parent);
    assert_string_equal(hex, span_text(span, "parentSpanId"));
}

static void a_call_makes_one_server_span_below_its_hop(void **state)
{
    fixture *f = *state;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    call_agent(f, LOOM_TRACE_FLAG_SAMPLED);
    fake_bridge_expect_result(&f->site.bridge, "c1", FRAME_CALL_OK, "", "done");
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
    assert_int_equal(1, read_spans(f));
    json_t *span = span_file_named(&f->spans, "agent.on_action");
    assert_int_equal(LOOM_SPAN_SERVER, span_number(span, "kind"));
    assert_parent(span, HOP.trace_id, HOP.span_id);
    assert_string_equal("vendor=1", span_text(span, "traceState"));
    assert_string_equal("weather.lookup", span_attribute(span, "rpc.method"));
    assert_string_equal("tester", span_attribute(span, "agent_id"));
    assert_string_equal("thread-1", span_attribute(span, "thread_id"));
    assert_string_equal("c1", span_attribute(span, "call_id"));
    assert_string_equal("execute_tool", span_attribute(span, "gen_ai.operation.name"));
    assert_string_equal("ok", span_attribute(span, "loom.call.outcome"));
    assert_true(f->same_context);
    assert_int_not_equal(LOOM_SPAN_ERROR, span_status(span));
}

/* The span of a call whose handler fails. */
static json_t *span_of_failure(fixture *f, handler_does how)
{
    f->does = how;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    call_agent(f, LOOM_TRACE_FLAG_SAMPLED);
    fake_bridge_expect_result(&f->site.bridge, "c1", FRAME_CALL_ERROR, "broken", "");
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
    read_spans(f);
    json_t *span = span_file_named(&f->spans, "agent.on_action");
    assert_int_equal(LOOM_SPAN_ERROR, span_status(span));
    assert_string_equal("broken", span_attribute(span, "error.type"));
    return span;
}

static void a_call_that_fails_has_a_span_with_an_error(void **state)
{
    (void)span_of_failure(*state, FAIL);
}

static void a_handler_that_says_what_failed_is_not_contradicted(void **state)
{
    json_t *span = span_of_failure(*state, FAIL_IN_OWN_WORDS);
    assert_string_equal("card 3 of 4 was refused", span_text(json_object_get(span, "status"), "message"));
    assert_string_equal("error", span_attribute(span, "loom.call.outcome"));
}

static void a_call_that_is_kept_has_a_span_until_it_is_answered(void **state)
{
    fixture *f = *state;
    f->does = KEEP;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    call_agent(f, LOOM_TRACE_FLAG_SAMPLED);
    wait_until(loom_agent_get_stats(f->site.agent).calls_handled == 1, FAKE_DEADLINE_MS);
    uint64_t before = loom_time_unix_ns();
    loom_action *action = atomic_load(&f->kept);
    loom_span *work = loom_span_start(loom_agent_tracer(f->site.agent), "work",
                                      &(loom_span_options){.parent = loom_action_context(action)});
    loom_span_end(work);
    assert_status(LOOM_OK, loom_action_reply(action, TEXT("later")));
    loom_action_unref(action);
    fake_bridge_expect_result(&f->site.bridge, "c1", FRAME_CALL_OK, "", "later");
    assert_int_equal(2, read_spans(f));
    json_t *span = span_file_named(&f->spans, "agent.on_action");
    assert_true((uint64_t)span_number(span, "endTimeUnixNano") >= before);
    assert_string_equal(span_text(span, "spanId"), span_text(span_file_named(&f->spans, "work"), "parentSpanId"));
}

static void after_its_answer_a_handler_is_still_in_its_span(void **state)
{
    fixture *f = *state;
    f->does = REPLY_AND_WORK;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    call_agent(f, LOOM_TRACE_FLAG_SAMPLED);
    fake_bridge_expect_result(&f->site.bridge, "c1", FRAME_CALL_OK, "", "done");
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
    assert_non_null(f->current);
    assert_int_equal(2, read_spans(f));
    json_t *span = span_file_named(&f->spans, "agent.on_action"), *work = span_file_named(&f->spans, "work");
    assert_string_equal(span_text(span, "spanId"), span_text(work, "parentSpanId"));
    assert_true(span_number(span, "endTimeUnixNano") <= span_number(work, "endTimeUnixNano"));
}

static void an_action_that_outlives_its_agent_has_a_span_all_the_same(void **state)
{
    fixture *f = *state;
    f->does = KEEP;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    call_agent(f, LOOM_TRACE_FLAG_SAMPLED);
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
    assert_int_equal(1, read_spans(f));
    loom_action_unref(atomic_load(&f->kept));
    assert_string_equal("disconnected",
                        span_attribute(span_file_named(&f->spans, "agent.on_action"), "error.type"));
}

static void on_result(loom_agent *agent, loom_result *result, void *user)
{
    fixture *f = user;
    const loom_trace_context *current = loom_context_current();
    f->after = current != NULL ? *current : (loom_trace_context){.trace_flags = 0};
    loom_result_free(result);
    assert_status(LOOM_OK, loom_agent_emit_text(agent, "next", "n", NULL));
    atomic_fetch_add(&f->ended, 1);
}

static void an_invoke_makes_a_client_span_until_its_outcome(void **state)
{
    fixture *f = *state;
    heard_call heard;
    loom_trace_context hop;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_span *mine = loom_span_start(loom_agent_tracer(f->site.agent), "mine", NULL);
    loom_trace_context parent = *loom_span_context(mine);
    loom_span_make_current(mine);
    loom_invoke_options options = {.version = "1.0", .correlation_id = "corr"};
    assert_status(LOOM_OK, loom_agent_invoke_async(f->site.agent, "other", TEXT("x"), &options, on_result, f, NULL));
    loom_span_end(mine);
    fake_bridge_expect_call(&f->site.bridge, &heard, "other");
    assert_true(envelope_view_context(&heard.view, &hop));
    assert_str("corr", envelope_view_str(&heard.view, ENV_CORRELATION_ID));
    fake_bridge_result(&f->site.bridge, heard.id, FRAME_CALL_NO_RESPONDERS, "no_provider", "");
    wait_until(atomic_load(&f->ended) == 1, FAKE_DEADLINE_MS);
    assert_memory_equal(&parent, &f->after, sizeof parent);
    assert_int_equal(3, read_spans(f));
    json_t *span = span_file_named(&f->spans, "action.invoke");
    assert_int_equal(LOOM_SPAN_CLIENT, span_number(span, "kind"));
    assert_parent(span, parent.trace_id, parent.span_id);
    char hex[LOOM_SPAN_ID_HEX_SIZE];
    loom_span_id_to_hex(hex, hop.span_id);
    assert_string_equal(hex, span_text(span, "spanId"));
    assert_int_equal(LOOM_SPAN_ERROR, span_status(span));
    assert_string_equal("no_responders", span_attribute(span, "loom.call.outcome"));
    assert_string_equal("no_provider", span_attribute(span, "error.type"));
    assert_string_equal("corr", span_attribute(span, "correlation_id"));
    assert_parent(span_file_named(&f->spans, "agent.emit"), parent.trace_id, parent.span_id);
}

static void a_call_in_a_handler_inherits(void **state)
{
    fixture *f = *state;
    heard_call heard;
    f->does = INVOKE;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    call_agent(f, LOOM_TRACE_FLAG_SAMPLED);
    fake_bridge_expect_call(&f->site.bridge, &heard, "other");
    assert_in_range(heard.frame.deadline_ms, 500, 2000); /* what is left of its own */
    assert_str("thread-1", envelope_view_str(&heard.view, ENV_THREAD_ID));
    assert_str("correlation-1", envelope_view_str(&heard.view, ENV_CORRELATION_ID));
    assert_str("k=v", envelope_view_str(&heard.view, ENV_BAGGAGE));
    assert_str("vendor=1", envelope_view_str(&heard.view, ENV_TRACESTATE));
    assert_int_equal(5, hop_ttl(heard.view.data));
    fake_bridge_result(&f->site.bridge, heard.id, FRAME_CALL_OK, "", "");
    fake_bridge_expect_result(&f->site.bridge, "c1", FRAME_CALL_OK, "", "");
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
    assert_int_equal(2, read_spans(f));
    assert_string_equal(span_text(span_file_named(&f->spans, "agent.on_action"), "spanId"),
                        span_text(span_file_named(&f->spans, "action.invoke"), "parentSpanId"));
}

static void a_shorter_deadline_in_a_handler_stays(void **state)
{
    fixture *f = *state;
    heard_call heard;
    f->does = INVOKE;
    f->options = (loom_invoke_options){.deadline_ms = 100, .correlation_id = "mine"};
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    call_agent(f, LOOM_TRACE_FLAG_SAMPLED);
    fake_bridge_expect_call(&f->site.bridge, &heard, "other");
    assert_in_range(heard.frame.deadline_ms, 1, 100);
    assert_str("mine", envelope_view_str(&heard.view, ENV_CORRELATION_ID));
    fake_bridge_result(&f->site.bridge, heard.id, FRAME_CALL_OK, "", "");
    fake_bridge_expect_result(&f->site.bridge, "c1", FRAME_CALL_OK, "", "");
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
}

static void an_emit_in_a_provider_inherits(void **state)
{
    fixture *f = *state;
    f->does = EMIT;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    call_agent(f, LOOM_TRACE_FLAG_SAMPLED);
    envelope_view view;
    const char *reason;
    frame got = fake_bridge_next(&f->site.bridge);
    while (got.type != FRAME_PUBLISH) { /* the result may come before it */
        got = fake_bridge_next(&f->site.bridge);
    }
    assert_status(LOOM_OK, envelope_scan(&view, got.u.batch.items, NULL, &reason));
    assert_str("thread-1", envelope_view_str(&view, ENV_THREAD_ID));
    assert_str("correlation-1", envelope_view_str(&view, ENV_CORRELATION_ID));
    assert_int_equal(5, hop_ttl(view.data));
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
}

static void an_unsampled_call_makes_no_spans_and_goes_on_unsampled(void **state)
{
    fixture *f = *state;
    heard_call heard;
    loom_trace_context hop;
    f->does = INVOKE;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    call_agent(f, 0);
    fake_bridge_expect_call(&f->site.bridge, &heard, "other");
    assert_true(envelope_view_context(&heard.view, &hop));
    assert_memory_equal(HOP.trace_id, hop.trace_id, sizeof hop.trace_id);
    assert_int_equal(0, hop.trace_flags);
    fake_bridge_result(&f->site.bridge, heard.id, FRAME_CALL_OK, "", "");
    fake_bridge_expect_result(&f->site.bridge, "c1", FRAME_CALL_OK, "", "");
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
    assert_int_equal(0, read_spans(f));
}

#define WITH_BRIDGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BRIDGE(a_call_makes_one_server_span_below_its_hop),
        WITH_BRIDGE(a_call_that_fails_has_a_span_with_an_error),
        WITH_BRIDGE(a_handler_that_says_what_failed_is_not_contradicted),
        WITH_BRIDGE(a_call_that_is_kept_has_a_span_until_it_is_answered),
        WITH_BRIDGE(after_its_answer_a_handler_is_still_in_its_span),
        WITH_BRIDGE(an_action_that_outlives_its_agent_has_a_span_all_the_same),
        WITH_BRIDGE(an_invoke_makes_a_client_span_until_its_outcome),
        WITH_BRIDGE(a_call_in_a_handler_inherits),
        WITH_BRIDGE(a_shorter_deadline_in_a_handler_stays),
        WITH_BRIDGE(an_emit_in_a_provider_inherits),
        WITH_BRIDGE(an_unsampled_call_makes_no_spans_and_goes_on_unsampled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
