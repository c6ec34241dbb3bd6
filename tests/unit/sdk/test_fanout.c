/* SPDX-License-Identifier: Apache-2.0 */
/* Asking many at once: who answers, who fails, who is not waited for; and the spans around it. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/sdk/agent_site.h"
#include "tests/unit/sdk/span_file.h"

static const loom_trace_context HOP = {{0xaa, 1}, {0xbb, 2}, LOOM_TRACE_FLAG_SAMPLED};
#define TEXT(literal) ((loom_bytes){(const uint8_t *)literal, sizeof literal - 1})

static const loom_target BOTH[] = {{.topic = "ask"}, {.capability = "echo"}};
static const loom_target WITH_SILENCE[] = {{.topic = "ask"}, {.topic = "silence"}, {.capability = "mute"}};

typedef struct fixture {
    agent_site site; /* first */
    span_file spans;
    loom_action *_Atomic kept;
    atomic_uint handled;
    _Atomic loom_status nested; /* of the fan-out in a handler */
    uint32_t nested_received;
} fixture;

/* ---- those who are asked: the agent itself ---- */

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    fixture *f = user;
    if (strcmp(topic, "nest") == 0) {
        loom_joined *joined;
        loom_status st = loom_agent_fanout(agent, &BOTH[1], 1, TEXT("x"), &(loom_join_rule){0}, NULL, &joined);
        f->nested_received = joined != NULL ? joined->received : 0;
        loom_joined_free(joined);
        atomic_store(&f->nested, st);
        atomic_fetch_add(&f->handled, 1);
    }
    return strcmp(topic, "ask") == 0 ? loom_agent_reply(agent, event, loom_envelope_payload(event), NULL) : LOOM_OK;
}

static loom_status echo(loom_agent *agent, loom_action *action, void *user)
{
    (void)agent;
    (void)user;
    return loom_action_reply(action, loom_action_payload(action));
}

static loom_status refuse(loom_agent *agent, loom_action *action, void *user)
{
    (void)agent;
    (void)user;
    return loom_action_fail(action, "broken", "it does not work");
}

static loom_status mute(loom_agent *agent, loom_action *action, void *user)
{
    (void)agent;
    fixture *f = user;
    loom_action_unref(atomic_exchange(&f->kept, loom_action_ref(action)));
    return LOOM_OK;
}

/* ---- set-up ---- */

static void open_agent(fixture *f, bool polled, bool telemetry)
{
    static const char *const topics[] = {"ask", "silence", "nest", NULL};
    static const struct {
        const char *name;
        loom_on_action on_action;
    } provided[] = {{"echo", echo}, {"fail", refuse}, {"mute", mute}};
    if (telemetry) {
        span_file_open(&f->spans, f->site.bridge.folder, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    }
    loom_agent_options options = {.id = "asker",
                                  .url = f->site.bridge.url,
                                  .topics = topics,
                                  .on_event = on_event,
                                  .user = f,
                                  .telemetry = f->spans.provider,
                                  .poll_mode = polled};
    assert_status(LOOM_OK, loom_agent_open(&f->site.agent, &options));
    for (size_t i = 0; i < sizeof provided / sizeof provided[0]; i++) {
        loom_capability c = {.name = provided[i].name, .on_action = provided[i].on_action, .user = f};
        assert_status(LOOM_OK, loom_agent_provide(f->site.agent, &c));
    }
}

static void open_relayed(fixture *f, bool polled)
{
    open_agent(f, polled, !polled);
    site_relay(&f->site);
}

static int set_up(void **state)
{
    site_set_up(state, sizeof(fixture));
    return 0;
}

static void close_agent(fixture *f)
{
    loom_action_unref(atomic_exchange(&f->kept, NULL));
    site_close_agent(&f->site);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    close_agent(f);
    span_file_close(&f->spans);
    site_tear_down(&f->site);
    return 0;
}

static size_t open_exchanges(const fixture *f)
{
    return loom_agent_collaboration(f->site.agent).open;
}

/* ---- who answers ---- */

static void assert_both_answered(fixture *f)
{
    loom_joined *joined;
    const loom_join_rule rule = {.strategy = LOOM_JOIN_ALL, .deadline_ms = FAKE_DEADLINE_MS};
    assert_status(LOOM_OK, loom_agent_fanout(f->site.agent, BOTH, 2, TEXT("hello"), &rule, NULL, &joined));
    assert_int_equal(LOOM_JOIN_COMPLETE, joined->outcome);
    assert_int_equal(2, joined->received);
    assert_int_equal(2, joined->expected);
    assert_string_equal("", joined->key);
    for (size_t i = 0; i < joined->count; i++) {
        const loom_contribution *c = &joined->contributions[i];
        loom_bytes payload = c->target == 0 ? loom_envelope_payload(c->event) : loom_result_payload(c->result);
        assert_string_equal(c->target == 0 ? "asker" : "echo", c->source);
        assert_int_equal(5, payload.len);
        assert_memory_equal("hello", payload.data, 5);
    }
    loom_joined_free(joined);
    assert_int_equal(0, open_exchanges(f));
}

static void topics_and_capabilities_answer_together(void **state)
{
    fixture *f = *state;
    open_relayed(f, false);
    assert_both_answered(f);
}

static void in_poll_mode_waiting_polls(void **state)
{
    fixture *f = *state;
    open_relayed(f, true);
    assert_both_answered(f);
}

static void a_handler_may_ask(void **state)
{
    fixture *f = *state;
    open_relayed(f, false);
    assert_status(LOOM_OK, loom_agent_emit_text(f->site.agent, "nest", "", NULL));
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
    assert_status(LOOM_OK, atomic_load(&f->nested));
    assert_int_equal(1, f->nested_received);
}

static void each_target_may_have_its_own_payload(void **state)
{
    fixture *f = *state;
    loom_joined *joined;
    const loom_target targets[] = {{.capability = "echo", .payload = TEXT("own")}};
    open_relayed(f, false);
    assert_status(LOOM_OK, loom_agent_fanout(f->site.agent, targets, 1, TEXT("all"), &(loom_join_rule){0}, NULL, &joined));
    assert_memory_equal("own", loom_result_payload(joined->contributions[0].result).data, 3);
    loom_joined_free(joined);
}

static void the_first_answer_is_enough_for_any(void **state)
{
    fixture *f = *state;
    loom_joined *joined;
    open_relayed(f, false);
    assert_status(LOOM_OK, loom_agent_fanout(f->site.agent, WITH_SILENCE, 3, TEXT("x"),
                                             &(loom_join_rule){.strategy = LOOM_JOIN_ANY}, NULL, &joined));
    assert_int_equal(LOOM_JOIN_QUORUM, joined->outcome);
    assert_int_equal(1, joined->count);
    assert_int_equal(3, joined->expected);
    loom_joined_free(joined);
    assert_int_equal(0, open_exchanges(f));
    assert_int_equal(0, loom_agent_collaboration(f->site.agent).timeouts);
}

static void the_deadline_hands_over_what_has_come(void **state)
{
    fixture *f = *state;
    loom_joined *joined;
    open_relayed(f, false);
    assert_status(LOOM_OK, loom_agent_fanout(f->site.agent, WITH_SILENCE, 3, TEXT("x"), &(loom_join_rule){.deadline_ms = 200},
                                             NULL, &joined));
    assert_int_equal(LOOM_JOIN_TIMEOUT, joined->outcome);
    assert_int_equal(1, joined->received);
    assert_int_equal(0, joined->failed);
    assert_string_equal("asker", joined->contributions[0].source);
    loom_joined_free(joined);
    assert_int_equal(0, open_exchanges(f));
    assert_int_equal(1, loom_agent_collaboration(f->site.agent).timeouts); /* of the topic that was silent */
}

static void too_many_failures_end_it(void **state)
{
    fixture *f = *state;
    loom_joined *joined;
    const loom_target targets[] = {{.capability = "fail"}, {.topic = "silence"}};
    open_relayed(f, false);
    assert_status(LOOM_OK, loom_agent_fanout(f->site.agent, targets, 2, TEXT("x"), &(loom_join_rule){0}, NULL, &joined));
    assert_int_equal(LOOM_JOIN_FAILED, joined->outcome);
    assert_int_equal(1, joined->failed);
    assert_status(LOOM_EREMOTE, joined->contributions[0].status);
    assert_string_equal("broken", loom_result_code(joined->contributions[0].result));
    loom_joined_free(joined);
}

static void what_makes_no_sense_is_invalid(void **state)
{
    fixture *f = *state;
    static const loom_target neither = {0}, two_kinds = {.topic = "a", .capability = "b"}, wild = {.topic = "a..b"};
    const loom_join_rule any = {.strategy = LOOM_JOIN_ANY}, k = {.strategy = LOOM_JOIN_FIRST, .k = 3}, all = {0};
    static loom_target many[LOOM_CONTRIBUTIONS_MAX + 1];
    loom_joined *joined;
    open_relayed(f, false);
    const struct {
        const loom_target *targets;
        size_t count;
        const loom_join_rule *rule;
        loom_status status;
    } bad[] = {{NULL, 0, &any, LOOM_EINVAL},       {BOTH, 0, &any, LOOM_EINVAL},  {&neither, 1, &any, LOOM_EINVAL},
               {&two_kinds, 1, &any, LOOM_EINVAL}, {&wild, 1, &any, LOOM_EINVAL}, {BOTH, 2, &k, LOOM_EINVAL},
               {BOTH, 2, NULL, LOOM_EINVAL},       {BOTH, 1, &all, LOOM_EINVAL},
               {many, LOOM_CONTRIBUTIONS_MAX + 1, &any, LOOM_EFULL}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_status(bad[i].status, loom_agent_fanout(f->site.agent, bad[i].targets, bad[i].count, TEXT("x"), bad[i].rule,
                                                       NULL, &joined));
        assert_null(joined);
    }
}

static void without_a_connection_nothing_is_sent(void **state)
{
    fixture *f = *state;
    loom_joined *joined;
    const loom_join_rule rule = {.deadline_ms = 20};
    open_agent(f, false, false);
    assert_status(LOOM_ENOTCONN, loom_agent_fanout(f->site.agent, BOTH, 2, TEXT("x"), &rule, NULL, &joined));
    assert_null(joined);
    assert_status(LOOM_ENOTCONN, loom_agent_fanout(f->site.agent, &BOTH[1], 1, TEXT("x"), &rule, NULL, &joined));
    assert_int_equal(0, loom_agent_collaboration(f->site.agent).requests);
}

/* ---- one topic, many responders ---- */

typedef struct asking {
    pthread_t thread;
    fixture *f;
    loom_join_rule rule;
    loom_joined *joined;
    loom_status status;
} asking;

static void *ask(void *user)
{
    asking *self = user;
    self->status = loom_agent_fanout(self->f->site.agent, BOTH, 1, TEXT("x"), &self->rule, NULL, &self->joined);
    return NULL;
}

/* The request, as the bridge sees it: its correlation id and where answers go. */
static void answer_from(fixture *f, uint64_t mailbox, const envelope_view *request, const char *sender)
{
    fake_bridge_deliver(&f->site.bridge, mailbox,
                        &(loom_envelope_fields){.topic = envelope_view_str(request, ENV_REPLY_TO),
                                                .correlation_id = envelope_view_str(request, ENV_CORRELATION_ID),
                                                .sender = str_of(sender)});
}

static void every_responder_of_one_topic_contributes_once(void **state)
{
    fixture *f = *state;
    static const char *const sources[] = {"x", "y", NULL};
    asking a = {.f = f, .rule = {.sources = sources, .deadline_ms = FAKE_DEADLINE_MS}};
    loom_agent_options options = {.id = "asker", .url = f->site.bridge.url};
    assert_status(LOOM_OK, loom_agent_open(&f->site.agent, &options));
    uint64_t mailbox = fake_bridge_session(&f->site.bridge, 1);
    assert_int_equal(0, pthread_create(&a.thread, NULL, ask, &a));
    frame published = fake_bridge_expect(&f->site.bridge, FRAME_PUBLISH);
    envelope_view view;
    const char *reason;
    uint8_t *copy = malloc(published.u.batch.items.len);
    assert_non_null(copy);
    memcpy(copy, published.u.batch.items.data, published.u.batch.items.len);
    assert_status(LOOM_OK, envelope_scan(&view, (loom_bytes){copy, published.u.batch.items.len}, NULL, &reason));
    answer_from(f, mailbox, &view, "x");
    answer_from(f, mailbox, &view, "x");
    answer_from(f, mailbox, &view, "stranger");
    answer_from(f, mailbox, &view, "y");
    pthread_join(a.thread, NULL);
    free(copy);
    assert_status(LOOM_OK, a.status);
    assert_int_equal(LOOM_JOIN_COMPLETE, a.joined->outcome);
    assert_string_equal("x", a.joined->contributions[0].source);
    assert_string_equal("y", a.joined->contributions[1].source);
    assert_int_equal(2, a.joined->ignored);
    loom_joined_free(a.joined);
    fake_bridge_drop(&f->site.bridge);
}

static void closing_ends_the_waiting(void **state)
{
    fixture *f = *state;
    asking a = {.f = f, .rule = {.strategy = LOOM_JOIN_FIRST, .k = 2}};
    open_relayed(f, false);
    assert_int_equal(0, pthread_create(&a.thread, NULL, ask, &a));
    wait_until(loom_agent_collaboration(f->site.agent).replies == 1, FAKE_DEADLINE_MS);
    close_agent(f);
    pthread_join(a.thread, NULL);
    assert_status(LOOM_ECLOSED, a.status);
    assert_null(a.joined);
}

/* ---- spans ---- */

static void the_calls_and_the_join_are_below_the_fanout(void **state)
{
    fixture *f = *state;
    open_relayed(f, false);
    loom_span *span = loom_span_start(loom_agent_tracer(f->site.agent), "work", &(loom_span_options){.parent = &HOP});
    loom_span_make_current(span);
    assert_both_answered(f);
    loom_span_end(span);
    close_agent(f);
    span_file_read(&f->spans);
    const char *fanout = span_text(span_file_named(&f->spans, "agent.fanout"), "spanId");
    const json_t *join = span_file_named(&f->spans, "agent.join");
    assert_string_equal(span_text(span_file_named(&f->spans, "work"), "spanId"),
                        span_text(span_file_named(&f->spans, "agent.fanout"), "parentSpanId"));
    assert_string_equal(fanout, span_text(join, "parentSpanId"));
    assert_string_equal(fanout, span_text(span_file_named(&f->spans, "action.invoke"), "parentSpanId"));
    assert_string_equal("complete", span_attribute(join, "loom.join.outcome"));
    assert_int_equal(LOOM_SPAN_INTERNAL, span_number(span_file_named(&f->spans, "agent.fanout"), "kind"));
    assert_int_equal(1, json_array_size(json_object_get(join, "links"))); /* a result has no creation context */
}

/* ---- out of memory ---- */

static loom_status ask_both(void *user)
{
    fixture *f = user;
    loom_joined *joined;
    loom_status st = loom_agent_fanout(f->site.agent, BOTH, 2, TEXT("x"), &(loom_join_rule){.deadline_ms = 300}, NULL, &joined);
    loom_joined_free(joined);
    assert_int_equal(0, open_exchanges(f));
    return st;
}

static void running_out_of_memory_leaves_nothing_behind(void **state)
{
    fixture *f = *state;
    open_relayed(f, false); /* the loop has its own thread, which goes on */
    assert_status(LOOM_OK, ask_both(f));
    alloc_fault_each_survived(ask_both, f);
}

static void running_out_of_memory_while_polling_leaves_nothing_behind(void **state)
{
    fixture *f = *state;
    open_relayed(f, true);
    assert_status(LOOM_OK, ask_both(f));
    alloc_fault_each_survived(ask_both, f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(topics_and_capabilities_answer_together),
        TEST(in_poll_mode_waiting_polls),
        TEST(a_handler_may_ask),
        TEST(each_target_may_have_its_own_payload),
        TEST(the_first_answer_is_enough_for_any),
        TEST(the_deadline_hands_over_what_has_come),
        TEST(too_many_failures_end_it),
        TEST(what_makes_no_sense_is_invalid),
        TEST(without_a_connection_nothing_is_sent),
        TEST(every_responder_of_one_topic_contributes_once),
        TEST(closing_ends_the_waiting),
        TEST(the_calls_and_the_join_are_below_the_fanout),
        TEST(running_out_of_memory_leaves_nothing_behind),
        TEST(running_out_of_memory_while_polling_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
