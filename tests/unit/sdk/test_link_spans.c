/* SPDX-License-Identifier: Apache-2.0 */
/* Spans over the agent's own link: who carries them, behind what they go, and that they leave before the goodbye. */
#include <loom/loom.h>

#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/sdk/fake_bridge.h"

enum { CREDIT = 32 * 1024 };

typedef struct fixture {
    fake_bridge bridge, other;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_agent *agent;
    uint32_t close_ms;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    const loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    const loom_attr tenant = {.key = "tenant_id", .type = LOOM_ATTR_STRING, .value.string = STR("acme")};
    fake_bridge_open(&f->bridge);
    f->bridge.span_credit = CREDIT;
    assert_status(LOOM_OK, loom_span_processor_create(&f->processor, &(loom_span_processor_options){
        .exporter = LOOM_EXPORTER_LINK, .schedule_delay_ms = 60000}));
    assert_status(LOOM_OK, loom_tracer_provider_create(&f->provider, &(loom_tracer_provider_options){
        .service_name = "orders", .sampler = &always, .processor = f->processor, .resource = &tenant, .resource_count = 1}));
    f->close_ms = FAKE_DEADLINE_MS;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    loom_tracer_provider_unref(f->provider);
    (void)loom_span_processor_shutdown(f->processor, 0);
    loom_span_processor_unref(f->processor);
    fake_bridge_close(&f->bridge);
    free(f);
    return 0;
}

static loom_agent *open_agent(fixture *f, const fake_bridge *b, const char *id, bool poll_mode)
{
    loom_agent *agent;
    assert_status(LOOM_OK, loom_agent_open(&agent, &(loom_agent_options){
        .id = id, .url = b->url, .telemetry = f->provider, .poll_mode = poll_mode}));
    return agent;
}

static void make_span(const fixture *f)
{
    loom_span *span = loom_span_start(loom_tracer_get(f->provider, "tests", NULL), "work", NULL);
    loom_span_end(span);
}

static void *close_agent(void *user)
{
    fixture *f = user;
    (void)loom_agent_close_within(f->agent, f->close_ms);
    return NULL;
}

static pthread_t close_in_a_thread(fixture *f)
{
    pthread_t thread;
    assert_int_equal(0, pthread_create(&thread, NULL, close_agent, f));
    return thread;
}

static void join(pthread_t thread)
{
    pthread_join(thread, NULL);
}

/* Takes one frame of spans, and answers it. */
static uint64_t take_spans(fake_bridge *b, uint64_t before)
{
    const frame f = fake_bridge_expect(b, FRAME_SPANS);
    const uint64_t spans = before + f.u.spans.spans;
    assert_status(LOOM_OK, frame_put_span_credit(&b->out, &(frame_span_credit){.bytes = 2 * CREDIT, .spans = spans}));
    fake_bridge_flush(b);
    return spans;
}

static loom_span_counts counts(const fixture *f)
{
    return loom_span_processor_counts(f->processor);
}

static void hello_says_whose_spans_will_come(void **state)
{
    fixture *f = *state;
    f->agent = open_agent(f, &f->bridge, "a", false);
    fake_bridge_accept(&f->bridge);
    const frame_hello hello = fake_bridge_expect(&f->bridge, FRAME_HELLO).u.hello;
    assert_str("orders", hello.service);
    assert_int_equal(36, hello.service_instance.len);
    assert_str("acme", hello.tenant);
    f->close_ms = 0;
    join(close_in_a_thread(f));
}

static void an_agent_that_exports_elsewhere_says_nothing_of_spans(void **state)
{
    fixture *f = *state;
    loom_agent *agent;
    assert_status(LOOM_OK, loom_agent_open(&agent, &(loom_agent_options){.id = "a", .url = f->bridge.url}));
    fake_bridge_accept(&f->bridge);
    const frame_hello hello = fake_bridge_expect(&f->bridge, FRAME_HELLO).u.hello;
    assert_int_equal(0, hello.service.len + hello.service_instance.len + hello.tenant.len);
    (void)loom_agent_close_within(agent, 0);
}

/* Of what waits when the session begins, and of what an agent that closes has left. */
static void close_sends_spans_behind_the_messages_and_before_the_goodbye(fixture *f, bool poll_mode)
{
    f->agent = open_agent(f, &f->bridge, "a", poll_mode);
    make_span(f);
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "t", "hello", NULL));
    const pthread_t thread = close_in_a_thread(f);
    (void)fake_bridge_session(&f->bridge, 1);
    (void)fake_bridge_expect(&f->bridge, FRAME_PUBLISH);
    assert_int_equal(2, take_spans(&f->bridge, 0)); /* the message's, too */
    assert_int_equal(FRAME_BYE, fake_bridge_expect(&f->bridge, FRAME_BYE).type);
    fake_bridge_drop(&f->bridge);
    join(thread);
    assert_int_equal(2, counts(f).exported);
    assert_int_equal(2, counts(f).ended);
}

static void an_agent_that_closes_hands_its_spans_over_first(void **state)
{
    close_sends_spans_behind_the_messages_and_before_the_goodbye(*state, false);
}

static void so_does_one_in_poll_mode(void **state)
{
    close_sends_spans_behind_the_messages_and_before_the_goodbye(*state, true);
}

static void a_bridge_that_does_not_answer_costs_no_more_than_the_closing_time(void **state)
{
    fixture *f = *state;
    f->agent = open_agent(f, &f->bridge, "a", false);
    (void)fake_bridge_session(&f->bridge, 1);
    make_span(f);
    f->close_ms = 400;
    const uint64_t before = wait_now_ms();
    join(close_in_a_thread(f));
    assert_in_range(wait_now_ms() - before, 0, 3000);
    assert_int_equal(0, counts(f).exported);
}

static void a_bridge_that_takes_none_is_sent_none(void **state)
{
    fixture *f = *state;
    f->bridge.span_credit = 0;
    f->agent = open_agent(f, &f->bridge, "a", false);
    (void)fake_bridge_session(&f->bridge, 1);
    make_span(f);
    const pthread_t thread = close_in_a_thread(f);
    (void)fake_bridge_expect(&f->bridge, FRAME_BYE);
    fake_bridge_drop(&f->bridge);
    join(thread);
    assert_int_equal(1, counts(f).dropped_failed);
}

static void agents_that_share_a_provider_share_the_link_of_the_first(void **state)
{
    fixture *f = *state;
    fake_bridge_open(&f->other);
    f->other.span_credit = CREDIT;
    f->agent = open_agent(f, &f->bridge, "a", false);
    (void)fake_bridge_session(&f->bridge, 1);
    loom_agent *second = open_agent(f, &f->other, "b", false);
    (void)fake_bridge_session(&f->other, 1);
    make_span(f);
    assert_status(LOOM_ETIMEDOUT, loom_span_processor_flush(f->processor, 0));
    (void)fake_bridge_expect(&f->bridge, FRAME_SPANS); /* and does not answer it */
    fake_bridge_stop_listening(&f->bridge);
    fake_bridge_drop(&f->bridge);
    assert_int_equal(1, take_spans(&f->other, 0));
    wait_until(counts(f).exported == 1, FAKE_DEADLINE_MS);
    (void)loom_agent_close_within(f->agent, 0);
    (void)loom_agent_close_within(second, 0);
    fake_bridge_close(&f->other);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(hello_says_whose_spans_will_come),
        T(an_agent_that_exports_elsewhere_says_nothing_of_spans),
        T(an_agent_that_closes_hands_its_spans_over_first),
        T(so_does_one_in_poll_mode),
        T(a_bridge_that_does_not_answer_costs_no_more_than_the_closing_time),
        T(a_bridge_that_takes_none_is_sent_none),
        T(agents_that_share_a_provider_share_the_link_of_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
