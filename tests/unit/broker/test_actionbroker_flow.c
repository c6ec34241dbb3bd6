/* SPDX-License-Identifier: Apache-2.0 */
/* Who called what of whom, as the ActionBroker counts it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "tests/unit/broker/action_fixture.h"
#include "tests/unit/broker/flow_fixture.h"

enum { EDGES = 64 };

typedef struct fixture {
    loop_clock clock;
    actionbroker *broker;
    test_party caller, a, b;
} fixture;

static int open_broker(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_status(LOOM_OK, actionbroker_create(&f->broker, &f->clock, &(actionbroker_options){
        .default_deadline_ms = 500, .flow_edges = EDGES}));
    assert_status(LOOM_OK, test_party_open(&f->caller, f->broker, "caller"));
    assert_status(LOOM_OK, test_party_open(&f->a, f->broker, "a"));
    assert_status(LOOM_OK, test_party_open(&f->b, f->broker, "b"));
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    *state = f;
    return 0;
}

static int close_broker(void **state)
{
    fixture *f = *state;
    test_party_close(&f->caller);
    test_party_close(&f->a);
    test_party_close(&f->b);
    actionbroker_destroy(f->broker);
    free(f);
    return 0;
}

static flow_counts caller_of(const fixture *f, const char *capability)
{
    return flow_of(actionbroker_flow(f->broker), "caller", FLOW_OUT, capability).counts;
}

static flow_counts provider(const fixture *f, const char *agent)
{
    return flow_of(actionbroker_flow(f->broker), agent, FLOW_IN, "x").counts;
}

static void a_call_counts_for_its_caller_and_its_provider(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x"}));
    assert_status(LOOM_OK, test_answer_ok(&f->a, "done"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x"}));
    assert_status(LOOM_OK, test_answer(&f->a, last_request(&f->a)->ref, FRAME_CALL_ERROR, "broken"));
    const flow_counts out = caller_of(f, "x"), in = provider(f, "a");
    assert_int_equal(2, out.total);
    assert_int_equal(1, out.lost[FRAME_CALL_ERROR]);
    assert_int_equal(1, flow_lost(&out));
    assert_int_equal(2, in.total);
    assert_int_equal(1, in.lost[FRAME_CALL_ERROR]);
    assert_int_equal(1, flow_lost(&in));
}

static void a_call_that_nobody_takes_counts_for_its_caller_alone(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "nobody.does.this"}));
    const flow_counts out = caller_of(f, "nobody.does.this");
    assert_int_equal(1, out.total);
    assert_int_equal(1, out.lost[FRAME_CALL_NO_RESPONDERS]);
    assert_int_equal(0, flow_of(actionbroker_flow(f->broker), NULL, FLOW_IN, NULL).edges);
}

static void a_deadline_that_passes_is_a_timeout_of_both(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x"}));
    f->clock.now_ms = 500;
    actionbroker_expire(f->broker);
    assert_int_equal(1, caller_of(f, "x").lost[FRAME_CALL_TIMEOUT]);
    assert_int_equal(1, provider(f, "a").lost[FRAME_CALL_TIMEOUT]);
}

static void a_call_that_goes_on_to_another_provider_counts_for_each(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .idempotent = true}));
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1"));
    test_party_close(&f->a);
    assert_status(LOOM_OK, test_answer_ok(&f->b, "done"));
    const flow_counts out = caller_of(f, "x"), in = provider(f, "b");
    assert_int_equal(1, provider(f, "a").lost[FRAME_CALL_ERROR]);
    assert_int_equal(1, in.total);
    assert_int_equal(0, flow_lost(&in));
    assert_int_equal(1, out.total);
    assert_int_equal(0, flow_lost(&out));
}

static void calls_that_join_or_come_from_the_cache_count_for_their_caller_alone(void **state)
{
    fixture *f = *state;
    const test_call call = {.capability = "x", .id = "1"};
    assert_status(LOOM_OK, test_invoke(&f->caller, &call));
    assert_status(LOOM_OK, test_invoke(&f->caller, &call));
    assert_status(LOOM_OK, test_answer_ok(&f->a, "done"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &call));
    const flow_counts out = caller_of(f, "x");
    assert_int_equal(3, out.total);
    assert_int_equal(0, flow_lost(&out));
    assert_int_equal(1, provider(f, "a").total);
}

static void a_caller_that_goes_away_cancels(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x"}));
    test_party_close(&f->caller);
    assert_int_equal(1, caller_of(f, "x").lost[FRAME_CALL_CANCELLED]);
    assert_int_equal(1, provider(f, "a").lost[FRAME_CALL_CANCELLED]);
}

static void a_flood_of_capabilities_is_bounded_and_exact(void **state)
{
    fixture *f = *state;
    char name[16];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "c%u", i);
        assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = name}));
    }
    const flow_counts out = caller_of(f, NULL);
    assert_true(actionbroker_flow(f->broker)->edges.count <= EDGES / 16);
    assert_int_equal(1000, out.total);
    assert_int_equal(1000, out.lost[FRAME_CALL_NO_RESPONDERS]);
}

int main(void)
{
#define ON_BROKER(test) cmocka_unit_test_setup_teardown(test, open_broker, close_broker)
    const struct CMUnitTest tests[] = {
        ON_BROKER(a_call_counts_for_its_caller_and_its_provider),
        ON_BROKER(a_call_that_nobody_takes_counts_for_its_caller_alone),
        ON_BROKER(a_deadline_that_passes_is_a_timeout_of_both),
        ON_BROKER(a_call_that_goes_on_to_another_provider_counts_for_each),
        ON_BROKER(calls_that_join_or_come_from_the_cache_count_for_their_caller_alone),
        ON_BROKER(a_caller_that_goes_away_cancels),
        ON_BROKER(a_flood_of_capabilities_is_bounded_and_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
