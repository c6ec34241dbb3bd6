/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once: what cannot be done is reported and leaves nothing behind; an invoke has one outcome, or
 * LOOM_ENOMEM and none. */
#include <stdlib.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/broker/action_fixture.h"

/* Kept out of the scenarios' allocations. */
typedef struct world {
    loop_clock clock;
    loom_tracer *tracer; /* NULL: no spans */
    actionbroker *broker;
    test_party caller, a, b;
} world;

static int open_world(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    free(*state);
    return 0;
}

static loom_status create_only(void *user)
{
    const loop_clock clock = {0};
    (void)user;
    actionbroker *broker;
    const loom_status st = actionbroker_create(&broker, &clock, NULL);
    assert_int_equal(st == LOOM_OK, broker != NULL);
    actionbroker_destroy(broker);
    return st;
}

static void creating_reports_out_of_memory(void **state)
{
    (void)state;
    alloc_fault_each(create_only, NULL);
}

static void close_all(world *w)
{
    test_party_close(&w->caller);
    test_party_close(&w->a);
    test_party_close(&w->b);
    actionbroker_expire(w->broker); /* what they had under way may be more than ends at once */
    assert_calls_conserved(w->broker);
    const action_stats stats = actionbroker_get_stats(w->broker);
    assert_int_equal(0, stats.parties + stats.pending + stats.running + stats.capabilities + stats.kept_bytes);
    actionbroker_destroy(w->broker);
}

/* What fails leaves a NULL, which may be closed. */
static loom_status open_all(world *w)
{
    w->caller.handle = w->a.handle = w->b.handle = NULL;
    loom_status st = actionbroker_create(&w->broker, &w->clock, &(actionbroker_options){.tracer = w->tracer});
    if (st != LOOM_OK) {
        return st;
    }
    if ((st = test_party_open(&w->caller, w->broker, "caller")) != LOOM_OK ||
        (st = test_party_open(&w->a, w->broker, "a")) != LOOM_OK ||
        (st = test_party_open(&w->b, w->broker, "b")) != LOOM_OK) {
        close_all(w);
    }
    return st;
}

static loom_status provide(void *user)
{
    world *w = user;
    loom_status st = open_all(w);
    if (st != LOOM_OK) {
        return st;
    }
    const loom_header metadata = {STR("k"), STR("v")};
    const action_capability capability = {.name = STR("x"), .description = STR("d"), .metadata = &metadata, .metadata_count = 1};
    for (int i = 0; st == LOOM_OK && i < 2; i++) { /* and says it again */
        st = action_provide(w->a.handle, &capability);
    }
    if (st == LOOM_OK && (st = test_provide(&w->b, "x", "2")) == LOOM_OK && (st = test_provide(&w->b, "x", "3")) == LOOM_OK) {
        assert_status(LOOM_OK, action_withdraw(w->b.handle, STR("x"), STR("2")));
    }
    close_all(w);
    return st;
}

static void providing_reports_out_of_memory(void **state)
{
    alloc_fault_each(provide, *state);
}

/* One outcome, or LOOM_ENOMEM and none. */
static loom_status checked_invoke(world *w, const test_call *call, bool answer)
{
    const size_t before = w->caller.results;
    const size_t asked = w->a.requests;
    const uint64_t invoked = actionbroker_get_stats(w->broker).invoked;
    const loom_status st = test_invoke(&w->caller, call);
    assert_true(st == LOOM_OK || st == LOOM_ENOMEM);
    if (answer && w->a.requests > asked) {
        assert_status(LOOM_OK, st);
        assert_status(LOOM_OK, test_answer_ok(&w->a, "result"));
    }
    const bool joined = st == LOOM_OK && !answer;
    assert_int_equal(before + (st == LOOM_OK && !joined), w->caller.results);
    assert_int_equal(invoked + (st == LOOM_OK), actionbroker_get_stats(w->broker).invoked);
    assert_calls_conserved(w->broker);
    return st;
}

static loom_status invoke_in_many_ways(void *user)
{
    world *w = user;
    loom_status st = open_all(w);
    if (st != LOOM_OK) {
        return st;
    }
    static const test_call call = {.capability = "x", .id = "1", .idempotent = true, .hop = {{1}, {2}, LOOM_TRACE_FLAG_SAMPLED}};
    static const test_call running = {.capability = "x", .id = "2", .idempotent = true, .hop = {{1}, {2}, LOOM_TRACE_FLAG_SAMPLED}};
    static const test_call nobody = {.capability = "nobody", .id = "3", .hop = {{1}, {2}, LOOM_TRACE_FLAG_SAMPLED}};
    if ((st = test_provide(&w->a, "x", "1")) == LOOM_OK && (st = test_provide(&w->b, "x", "0")) == LOOM_OK &&
        (st = checked_invoke(w, &call, true)) == LOOM_OK && (st = checked_invoke(w, &call, true)) == LOOM_OK &&
        (st = checked_invoke(w, &nobody, true)) == LOOM_OK && (st = checked_invoke(w, &running, false)) == LOOM_OK &&
        (st = checked_invoke(w, &running, false)) == LOOM_OK) {
        const size_t before = w->caller.results;
        test_party_close(&w->a); /* on to b */
        assert_status(LOOM_OK, test_answer_ok(&w->b, "result"));
        assert_int_equal(before + 2, w->caller.results);
    }
    close_all(w);
    return st;
}

/* The cache forgets rather than fails, and a table that cannot grow stays as it is; so some failures are not seen. */
static void an_invoke_without_memory_has_no_outcome_and_every_other_one_has_one(void **state)
{
    assert_in_range(alloc_fault_each_survived(invoke_in_many_ways, *state), 20, 200);
}

/* A span that there is no memory for is no reason to fail. */
static void spans_without_memory_do_not_change_what_becomes_of_calls(void **state)
{
    world *w = *state;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE}));
    assert_status(LOOM_OK, loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){
        .service_name = "test", .processor = processor}));
    w->tracer = loom_tracer_get(provider, "tests", NULL);
    assert_in_range(alloc_fault_each_survived(invoke_in_many_ways, w), 20, 300);
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
}

/* Enough to let the heap of deadlines and the tables grow, and shrink again. */
static loom_status invoke_forty(void *user)
{
    world *w = user;
    loom_status st = open_all(w);
    if (st != LOOM_OK) {
        return st;
    }
    st = test_provide(&w->a, "x", "1");
    for (int i = 0; i < 40 && st == LOOM_OK; i++) {
        st = checked_invoke(w, &(test_call){.capability = "x"}, false);
    }
    while (w->a.requests > w->caller.results && st == LOOM_OK) {
        st = test_answer(&w->a, w->a.request[w->caller.results].ref, FRAME_CALL_OK, "");
    }
    close_all(w);
    return st;
}

static void many_calls_survive_without_memory_to_grow(void **state)
{
    (void)alloc_fault_each_survived(invoke_forty, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creating_reports_out_of_memory),
        cmocka_unit_test_setup_teardown(providing_reports_out_of_memory, open_world, close_world),
        cmocka_unit_test_setup_teardown(an_invoke_without_memory_has_no_outcome_and_every_other_one_has_one, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(spans_without_memory_do_not_change_what_becomes_of_calls, open_world, close_world),
        cmocka_unit_test_setup_teardown(many_calls_survive_without_memory_to_grow, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
