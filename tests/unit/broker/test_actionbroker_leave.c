/* SPDX-License-Identifier: Apache-2.0 */
/* Parties that go with much under way: its end comes in slices, and everybody sees what they would see if it came at once. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/broker/action_fixture.h"

enum { CALLS = 1000, MANY = 40000, LEFT_MAX = 65536 };

typedef struct fixture {
    loop_clock clock;
    actionbroker *broker;
    test_party caller, again, a, b; /* again: another party of the caller's agent */
} fixture;

static int open_broker(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_status(LOOM_OK, actionbroker_create(&f->broker, &f->clock, &(actionbroker_options){
        .max_pending = MANY, .first_ref = 1}));
    f->clock.now_ms = 1000;
    assert_status(LOOM_OK, test_party_open(&f->caller, f->broker, "caller"));
    assert_status(LOOM_OK, test_party_open(&f->again, f->broker, "caller"));
    assert_status(LOOM_OK, test_party_open(&f->a, f->broker, "a"));
    assert_status(LOOM_OK, test_party_open(&f->b, f->broker, "b"));
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    *state = f;
    return 0;
}

static action_stats stats_of(const fixture *f)
{
    return actionbroker_get_stats(f->broker);
}

static int close_broker(void **state)
{
    fixture *f = *state;
    test_party_close(&f->caller);
    test_party_close(&f->again);
    test_party_close(&f->a);
    test_party_close(&f->b);
    assert_calls_conserved(f->broker);
    assert_int_equal(0, stats_of(f).pending + stats_of(f).capabilities + stats_of(f).parties);
    actionbroker_destroy(f->broker); /* whatever is left of them */
    free(f);
    return 0;
}

static void invoke_many(test_party *caller, int count, bool idempotent)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        assert_status(LOOM_OK, test_invoke(caller, &(test_call){.capability = "x", .id = id, .idempotent = idempotent}));
    }
}

static bool somebody_leaves(const fixture *f)
{
    return actionbroker_next_deadline_ms(f->broker) <= f->clock.now_ms;
}

static void finish(fixture *f)
{
    while (somebody_leaves(f)) {
        actionbroker_expire(f->broker);
        assert_calls_conserved(f->broker);
    }
}

static void calls_of_a_provider_that_has_gone_end_a_few_at_a_time_in_their_order(void **state)
{
    fixture *f = *state;
    invoke_many(&f->caller, CALLS, false);
    test_party_close(&f->a);
    size_t seen = 0, turns = 0;
    for (; somebody_leaves(f); turns++) {
        assert_in_range(f->caller.results - seen, 0, 64);
        for (; seen < f->caller.results; seen++) {
            char id[16];
            const seen_result *r = &f->caller.result[seen % SEEN_MAX];
            snprintf(id, sizeof id, "%zu", seen);
            assert_memory_equal(id, r->call_id, r->call_id_len);
            assert_string_equal("provider_gone", r->code);
        }
        actionbroker_expire(f->broker);
    }
    assert_in_range(turns, CALLS / 64, CALLS);
    assert_result(&f->caller, CALLS, FRAME_CALL_ERROR, "provider_gone");
    assert_int_equal(0, stats_of(f).pending + stats_of(f).running);
    assert_int_equal(UINT64_MAX, actionbroker_next_deadline_ms(f->broker));
}

static void calls_that_may_be_sent_again_go_to_another_provider_in_their_order(void **state)
{
    fixture *f = *state;
    invoke_many(&f->caller, CALLS, true);
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1"));
    test_party_close(&f->a);
    assert_status(LOOM_OK, test_invoke(&f->again, &(test_call){.capability = "x", .id = "new"}));
    assert_in_range(f->b.requests, 1, 65); /* nothing new goes to who has gone */
    finish(f);
    assert_int_equal(CALLS + 1, f->b.requests);
    assert_int_equal(0, f->caller.results);
    assert_int_equal(CALLS + 1, stats_of(f).running);
}

static void large_calls_that_are_sent_again_count_by_their_bytes(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 8; i++) {
        assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .idempotent = true, .padding = 200000}));
    }
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1"));
    test_party_close(&f->a);
    for (size_t sent = 1; sent < 8; sent++) {
        assert_int_equal(sent, f->b.requests);
        actionbroker_expire(f->broker);
    }
    assert_int_equal(8, f->b.requests);
}

static void calls_of_a_caller_that_has_gone_count_at_once_and_are_cancelled_a_few_at_a_time(void **state)
{
    fixture *f = *state;
    invoke_many(&f->caller, CALLS, false);
    test_party_close(&f->caller);
    assert_int_equal(0, stats_of(f).pending);
    assert_int_equal(CALLS, stats_of(f).outcomes[FRAME_CALL_CANCELLED]);
    assert_in_range(f->a.cancels, 1, 64);
    /* an answer that crosses it comes too late, as behind a cancel */
    assert_status(LOOM_ENOTFOUND, test_answer(&f->a, f->a.request[(CALLS - 1) % SEEN_MAX].ref - CALLS / 2, FRAME_CALL_OK, ""));
    assert_int_equal(1, stats_of(f).late);
    assert_int_equal(0, stats_of(f).cache_entries);
    finish(f);
    assert_int_equal(CALLS, f->a.cancels);
    assert_int_equal(CALLS, stats_of(f).outcomes[FRAME_CALL_CANCELLED]);
    assert_int_equal(0, stats_of(f).running);
}

static void an_agent_that_is_back_at_once_finds_none_of_its_calls(void **state)
{
    fixture *f = *state;
    invoke_many(&f->caller, CALLS, true);
    test_party_close(&f->caller);
    assert_status(LOOM_OK, test_party_open(&f->caller, f->broker, "caller"));
    invoke_many(&f->caller, CALLS, true);
    assert_int_equal(0, stats_of(f).joined);
    assert_int_equal(2 * CALLS, f->a.requests);
    assert_int_equal(CALLS, f->a.cancels);
    assert_int_equal(CALLS, stats_of(f).pending);
    finish(f);
    assert_int_equal(CALLS, stats_of(f).running);
    assert_status(LOOM_OK, test_answer_ok(&f->a, "new"));
    assert_result(&f->caller, 1, FRAME_CALL_OK, "");
}

static void a_call_that_another_party_has_joined_is_that_ones(void **state)
{
    fixture *f = *state;
    invoke_many(&f->caller, CALLS, false);
    assert_status(LOOM_OK, test_invoke(&f->again, &(test_call){.capability = "x", .id = "1"}));
    const uint64_t ref = last_request(&f->a)->ref - CALLS + 2;
    test_party_close(&f->caller);
    assert_status(LOOM_OK, action_report(f->a.handle, ref, ACTION_PROGRESS, 0, (loom_bytes){0}));
    assert_int_equal(1, f->again.progresses);
    assert_status(LOOM_OK, test_answer(&f->a, ref, FRAME_CALL_OK, ""));
    assert_result(&f->again, 1, FRAME_CALL_OK, "");
    finish(f);
    assert_int_equal(CALLS - 1, f->a.cancels);
}

static void calls_between_two_that_have_gone_end_once(void **state)
{
    fixture *f = *state;
    invoke_many(&f->caller, CALLS, true);
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1"));
    test_party_close(&f->a);
    test_party_close(&f->caller);
    finish(f);
    assert_in_range(f->b.requests, 0, 64); /* what was handed on before its caller went */
    assert_int_equal(f->b.requests, f->b.cancels);
    assert_int_equal(CALLS, stats_of(f).outcomes[FRAME_CALL_CANCELLED]);
}

static void deadlines_hold_for_calls_of_a_provider_that_has_gone(void **state)
{
    fixture *f = *state;
    invoke_many(&f->caller, CALLS, false);
    test_party_close(&f->a);
    const size_t gone = f->caller.results;
    f->clock.now_ms += 30000;
    finish(f);
    assert_int_equal(CALLS, stats_of(f).outcomes[FRAME_CALL_TIMEOUT] + stats_of(f).outcomes[FRAME_CALL_ERROR]);
    assert_int_equal(gone, stats_of(f).outcomes[FRAME_CALL_ERROR]);
}

static bool count_call(void *user, const action_call_info *info)
{
    *(size_t *)user += info->provider.len == 0;
    return true;
}

static void calls_that_have_lost_their_provider_are_still_seen(void **state)
{
    fixture *f = *state;
    invoke_many(&f->caller, CALLS, false);
    test_party_close(&f->a);
    size_t seen = 0;
    actionbroker_visit_calls(f->broker, count_call, &seen);
    assert_int_equal(CALLS - f->caller.results, seen);
}

static void what_is_left_of_all_that_have_gone_is_bounded(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        invoke_many(&f->caller, MANY, false);
        test_party_close(&f->caller);
        assert_status(LOOM_OK, test_party_open(&f->caller, f->broker, "caller"));
        assert_in_range(stats_of(f).running, 1, LEFT_MAX);
    }
    finish(f);
    assert_int_equal(0, stats_of(f).running);
    assert_int_equal(3 * MANY, f->a.cancels);
}

static void a_broker_that_ends_leaves_nothing_behind(void **state)
{
    fixture *f = *state;
    invoke_many(&f->caller, CALLS, true);
    invoke_many(&f->b, CALLS, false); /* both go with all of it */
}

#define BROKER_TEST(name) cmocka_unit_test_setup_teardown(name, open_broker, close_broker)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BROKER_TEST(calls_of_a_provider_that_has_gone_end_a_few_at_a_time_in_their_order),
        BROKER_TEST(calls_that_may_be_sent_again_go_to_another_provider_in_their_order),
        BROKER_TEST(large_calls_that_are_sent_again_count_by_their_bytes),
        BROKER_TEST(calls_of_a_caller_that_has_gone_count_at_once_and_are_cancelled_a_few_at_a_time),
        BROKER_TEST(an_agent_that_is_back_at_once_finds_none_of_its_calls),
        BROKER_TEST(a_call_that_another_party_has_joined_is_that_ones),
        BROKER_TEST(calls_between_two_that_have_gone_end_once),
        BROKER_TEST(deadlines_hold_for_calls_of_a_provider_that_has_gone),
        BROKER_TEST(calls_that_have_lost_their_provider_are_still_seen),
        BROKER_TEST(what_is_left_of_all_that_have_gone_is_bounded),
        BROKER_TEST(a_broker_that_ends_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
