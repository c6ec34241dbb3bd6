/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to calls while they run: time, cancels, providers and callers that go away, duplicates, streams. */
#include <stdlib.h>

#include "tests/unit/broker/action_fixture.h"

typedef struct fixture {
    loop_clock clock;
    actionbroker *broker;
    test_party caller, again, a, b; /* again: another party of the caller's agent */
} fixture;

static int open_with(void **state, uint64_t max_provider_bytes)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_status(LOOM_OK, actionbroker_create(&f->broker, &f->clock, &(actionbroker_options){
        .default_deadline_ms = 500, .max_deadline_ms = 2000, .cache_ttl_ms = 300, .cache_entries = 100, .payload_max = 100,
        .kept_bytes = 1000, .max_provider_bytes = max_provider_bytes}));
    f->clock.now_ms = 1000;
    assert_status(LOOM_OK, test_party_open(&f->caller, f->broker, "caller"));
    assert_status(LOOM_OK, test_party_open(&f->again, f->broker, "caller"));
    assert_status(LOOM_OK, test_party_open(&f->a, f->broker, "a"));
    assert_status(LOOM_OK, test_party_open(&f->b, f->broker, "b"));
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    *state = f;
    return 0;
}

static int open_broker(void **state)
{
    return open_with(state, 4000);
}

static int open_wide_broker(void **state)
{
    return open_with(state, 0);
}

static int close_broker(void **state)
{
    fixture *f = *state;
    assert_calls_conserved(f->broker);
    test_party_close(&f->caller);
    test_party_close(&f->again);
    test_party_close(&f->a);
    test_party_close(&f->b);
    assert_calls_conserved(f->broker);
    const action_stats stats = actionbroker_get_stats(f->broker);
    assert_int_equal(0, stats.pending + stats.running + stats.capabilities + stats.parties);
    assert_int_equal(0, stats.kept_bytes);
    actionbroker_destroy(f->broker);
    free(f);
    return 0;
}

static void expire_at(fixture *f, uint64_t now_ms)
{
    f->clock.now_ms = now_ms;
    actionbroker_expire(f->broker);
}

static const test_call plain = {.capability = "x", .id = "1"};
static const test_call idempotent = {.capability = "x", .id = "1", .idempotent = true};
static const test_call streaming = {.capability = "x", .id = "1", .streams = true};

static const loom_bytes one = {(const uint8_t *)"1", 1}; /* their id */

/* ---- time ---- */

static void a_call_without_an_answer_times_out_and_the_provider_is_told(void **state)
{
    fixture *f = *state;
    assert_true(actionbroker_next_deadline_ms(f->broker) == UINT64_MAX);
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_int_equal(1500, actionbroker_next_deadline_ms(f->broker));
    expire_at(f, 1499);
    assert_int_equal(0, f->caller.results);
    expire_at(f, 1500);
    assert_result(&f->caller, 1, FRAME_CALL_TIMEOUT, "deadline_exceeded");
    assert_int_equal(1, f->a.cancels);
    assert_int_equal(last_request(&f->a)->ref, f->a.cancel[0].ref);
    assert_status(LOOM_ENOTFOUND, test_answer_ok(&f->a, "late"));
    assert_int_equal(1, actionbroker_get_stats(f->broker).late);
    assert_true(actionbroker_next_deadline_ms(f->broker) == UINT64_MAX);
}

static void deadlines_end_calls_in_their_order(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "late", .deadline_ms = 900}));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "early", .deadline_ms = 100}));
    assert_int_equal(1100, actionbroker_next_deadline_ms(f->broker));
    expire_at(f, 1100);
    assert_int_equal(1, f->caller.results);
    assert_memory_equal("early", last_result(&f->caller)->call_id, 5);
    assert_int_equal(1900, actionbroker_next_deadline_ms(f->broker));
}

static void an_answer_after_the_deadline_is_late_even_before_the_broker_looked(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    f->clock.now_ms = 1500;
    assert_status(LOOM_ENOTFOUND, test_answer_ok(&f->a, "late"));
    assert_result(&f->caller, 1, FRAME_CALL_TIMEOUT, "deadline_exceeded");
    assert_int_equal(1, actionbroker_get_stats(f->broker).late);
}

static void invoke_many(fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x"}));
    }
}

static void calls_that_are_due_together_end_some_at_a_time(void **state)
{
    fixture *f = *state;
    invoke_many(f, 1000);
    expire_at(f, 1500);
    assert_in_range(f->caller.results, 1, 50);
    while (f->caller.results < 1000) {
        const size_t before = f->caller.results;
        assert_true(actionbroker_next_deadline_ms(f->broker) <= 1500);
        actionbroker_expire(f->broker);
        assert_in_range(f->caller.results - before, 1, 50);
    }
    assert_true(actionbroker_next_deadline_ms(f->broker) == UINT64_MAX);
    assert_int_equal(1000, f->a.cancels);
}

static void calls_that_are_late_end_in_larger_numbers_but_never_all_at_once(void **state)
{
    fixture *f = *state;
    invoke_many(f, 1000);
    expire_at(f, 1501);
    const size_t late = f->caller.results;
    expire_at(f, 1600);
    assert_true(f->caller.results - late > late);
    invoke_many(f, 1000);
    const size_t before = f->caller.results;
    expire_at(f, 1000000);
    assert_in_range(f->caller.results - before, 1, 500);
    while (actionbroker_next_deadline_ms(f->broker) != UINT64_MAX) {
        actionbroker_expire(f->broker);
    }
}

static void what_a_caller_says_of_an_overdue_call_finds_it_ended(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &streaming));
    f->clock.now_ms = 1500;
    assert_status(LOOM_ENOTFOUND, action_cancel(f->caller.handle, one, STR("why")));
    assert_result(&f->caller, 1, FRAME_CALL_TIMEOUT, "deadline_exceeded");
    assert_status(LOOM_OK, test_invoke(&f->caller, &streaming));
    f->clock.now_ms = 2000;
    assert_status(LOOM_ENOTFOUND, action_grant(f->caller.handle, one, 1, 10));
    assert_result(&f->caller, 2, FRAME_CALL_TIMEOUT, "deadline_exceeded");
    assert_int_equal(0, f->a.credits);
}

static void no_deadline_is_later_than_the_cap(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .deadline_ms = UINT64_MAX, .idle_ms = UINT64_MAX}));
    assert_int_equal(2000, last_request(&f->a)->deadline_ms);
    assert_int_equal(3000, actionbroker_next_deadline_ms(f->broker));
}

static void a_silent_provider_times_out_before_the_deadline(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .idle_ms = 50}));
    assert_int_equal(1050, actionbroker_next_deadline_ms(f->broker));
    expire_at(f, 1050);
    assert_result(&f->caller, 1, FRAME_CALL_TIMEOUT, "idle");
}

static void progress_renews_the_idle_time_but_not_the_deadline(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .deadline_ms = 200, .idle_ms = 50}));
    const uint64_t ref = last_request(&f->a)->ref;
    for (uint64_t now_ms = 1040; now_ms < 1200; now_ms += 40) {
        expire_at(f, now_ms);
        assert_status(LOOM_OK, action_report(f->a.handle, ref, ACTION_PROGRESS, 7, BYTES("half")));
        assert_int_equal(now_ms + 50 < 1200 ? now_ms + 50 : 1200, actionbroker_next_deadline_ms(f->broker));
    }
    assert_int_equal(4, f->caller.progresses);
    assert_int_equal(7, f->caller.progress[0].number);
    assert_string_equal("half", f->caller.progress[0].payload);
    expire_at(f, 1200);
    assert_result(&f->caller, 1, FRAME_CALL_TIMEOUT, "deadline_exceeded");
}

/* ---- cancelling ---- */

static void a_cancelled_call_ends_at_once_and_its_provider_is_told_why(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, action_cancel(f->caller.handle, one, STR("never mind")));
    assert_result(&f->caller, 1, FRAME_CALL_CANCELLED, "cancelled");
    assert_string_equal("never mind", last_result(&f->caller)->text);
    assert_int_equal(1, f->a.cancels);
    assert_string_equal("never mind", f->a.cancel[0].reason);
    assert_status(LOOM_ENOTFOUND, test_answer_ok(&f->a, "anyway"));
    assert_int_equal(1, actionbroker_get_stats(f->broker).late);
}

static void only_a_running_call_of_ones_own_can_be_cancelled_or_granted(void **state)
{
    fixture *f = *state;
    static const uint8_t large[ACTION_CALL_ID_MAX + 1];
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_ENOTFOUND, action_cancel(f->b.handle, one, STR("")));
    assert_status(LOOM_ENOTFOUND, action_cancel(f->again.handle, one, STR(""))); /* the agent's, but not this party's */
    assert_status(LOOM_ENOTFOUND, action_cancel(f->caller.handle, BYTES("2"), STR("")));
    assert_status(LOOM_ENOTFOUND, action_cancel(f->caller.handle, BYTES(large), STR("")));
    assert_status(LOOM_ENOTFOUND, action_cancel(f->caller.handle, (loom_bytes){0}, STR("")));
    assert_status(LOOM_ENOTFOUND, action_grant(f->b.handle, one, 1, 1));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_status(LOOM_ENOTFOUND, action_cancel(f->caller.handle, one, STR("")));
    assert_status(LOOM_ENOTFOUND, action_grant(f->caller.handle, one, 1, 1));
    assert_int_equal(1, f->caller.results);
}

static void cancelling_takes_only_the_party_out_that_cancels(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, test_invoke(&f->again, &plain));
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, action_cancel(f->caller.handle, one, STR("")));
    assert_result(&f->caller, 2, FRAME_CALL_CANCELLED, "cancelled"); /* one for each of its invokes */
    assert_int_equal(0, f->a.cancels);
    assert_int_equal(0, f->again.results);
    assert_status(LOOM_OK, action_cancel(f->again.handle, one, STR("")));
    assert_result(&f->again, 1, FRAME_CALL_CANCELLED, "cancelled");
    assert_int_equal(1, f->a.cancels);
}

/* ---- parties that close ---- */

static void a_call_fails_at_once_when_its_provider_closes(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    test_party_close(&f->a);
    assert_result(&f->caller, 1, FRAME_CALL_ERROR, "provider_gone");
    assert_int_equal(0, f->b.requests);
    assert_int_equal(0, f->a.cancels);
}

static void an_idempotent_call_goes_to_another_provider_with_the_time_that_is_left(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &idempotent));
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1"));
    f->clock.now_ms = 1200;
    test_party_close(&f->a);
    assert_int_equal(1, f->b.requests);
    assert_int_equal(300, last_request(&f->b)->deadline_ms);
    assert_string_equal("x", last_request(&f->b)->payload);
    assert_int_equal(f->a.request[0].envelope_size, last_request(&f->b)->envelope_size);
    assert_int_not_equal(f->a.request[0].ref, last_request(&f->b)->ref);
    assert_status(LOOM_OK, test_answer_ok(&f->b, "done"));
    assert_result(&f->caller, 1, FRAME_CALL_OK, "");
    assert_int_equal(2, actionbroker_get_stats(f->broker).attempts);
}

static void an_idempotent_call_keeps_to_the_version_it_asked_for(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->b, "x", "2"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .version = "1", .idempotent = true}));
    test_party_close(&f->a);
    assert_result(&f->caller, 1, FRAME_CALL_ERROR, "provider_gone");
    assert_int_equal(0, f->b.requests);
}

static void a_call_is_not_tried_for_ever(void **state)
{
    fixture *f = *state;
    test_party *now = &f->a, *next = &f->b;
    assert_status(LOOM_OK, test_invoke(&f->caller, &idempotent));
    for (int attempts = 1; attempts < ACTION_ATTEMPTS_MAX; attempts++) {
        if (next->handle == NULL) {
            assert_status(LOOM_OK, test_party_open(next, f->broker, "another"));
        }
        assert_status(LOOM_OK, test_provide(next, "x", "1"));
        test_party_close(now);
        assert_int_equal(1, next->requests);
        test_party *const gone = now;
        now = next;
        next = gone;
    }
    assert_status(LOOM_OK, test_party_open(next, f->broker, "one too many"));
    assert_status(LOOM_OK, test_provide(next, "x", "1"));
    test_party_close(now);
    assert_result(&f->caller, 1, FRAME_CALL_ERROR, "provider_gone");
    assert_int_equal(0, next->requests);
    assert_int_equal(ACTION_ATTEMPTS_MAX, actionbroker_get_stats(f->broker).attempts);
}

static void a_call_whose_deadline_has_passed_is_not_tried_again(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &idempotent));
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1"));
    f->clock.now_ms = 1500;
    test_party_close(&f->a);
    assert_result(&f->caller, 1, FRAME_CALL_TIMEOUT, "deadline_exceeded");
    assert_int_equal(0, f->b.requests);
}

static void envelopes_that_no_longer_fit_are_not_kept_for_another_attempt(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "fits", .idempotent = true, .padding = 600}));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "not", .idempotent = true, .padding = 600}));
    assert_in_range(actionbroker_get_stats(f->broker).kept_bytes, 600, 1000);
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1"));
    test_party_close(&f->a);
    assert_result(&f->caller, 1, FRAME_CALL_ERROR, "provider_gone");
    assert_memory_equal("not", last_result(&f->caller)->call_id, 3);
    assert_int_equal(1, f->b.requests);
    assert_status(LOOM_OK, test_answer_ok(&f->b, ""));
    assert_int_equal(0, actionbroker_get_stats(f->broker).kept_bytes);
}

static void a_provider_gets_no_more_bytes_than_it_may_have_unanswered(void **state)
{
    fixture *f = *state;
    const test_call large = {.capability = "x", .padding = 3000};
    assert_status(LOOM_OK, test_invoke(&f->caller, &large));
    assert_status(LOOM_OK, test_invoke(&f->caller, &large));
    assert_result(&f->caller, 1, FRAME_CALL_ERROR, "provider_busy");
    assert_int_equal(1, f->a.requests);
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_status(LOOM_OK, test_invoke(&f->caller, &large));
    assert_int_equal(2, f->a.requests);
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .padding = 6000})); /* the only one */
    assert_int_equal(3, f->a.requests);
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
}

static void calls_of_a_party_that_closes_are_cancelled_at_their_providers(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .idempotent = true}));
    test_party_close(&f->caller);
    assert_int_equal(2, f->a.cancels);
    assert_int_equal(0, f->caller.results);
    assert_int_equal(2, actionbroker_get_stats(f->broker).outcomes[FRAME_CALL_CANCELLED]);
    assert_status(LOOM_ENOTFOUND, test_answer_ok(&f->a, ""));
}

static void a_call_that_another_party_of_the_agent_joined_goes_on_without_the_first(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, test_invoke(&f->again, &plain));
    test_party_close(&f->caller);
    assert_int_equal(0, f->a.cancels);
    assert_status(LOOM_OK, test_answer_ok(&f->a, "for the other"));
    assert_result(&f->again, 1, FRAME_CALL_OK, "");
    assert_int_equal(0, f->caller.results);
}

/* ---- duplicates ---- */

static void a_duplicate_of_a_running_call_joins_it_and_both_get_the_result(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_int_equal(1, f->a.requests);
    assert_int_equal(2, actionbroker_get_stats(f->broker).pending);
    assert_int_equal(1, actionbroker_get_stats(f->broker).running);
    assert_status(LOOM_OK, test_answer_ok(&f->a, "once"));
    assert_result(&f->caller, 2, FRAME_CALL_OK, "");
    assert_string_equal("once", f->caller.result[0].payload);
    assert_string_equal("once", f->caller.result[1].payload);
}

static void a_large_result_is_told_to_some_who_have_joined_and_the_others_are_refused(void **state)
{
    fixture *f = *state;
    enum { SIZE = 1024 * 1024, TOLD = 1 + ACTION_JOINED_BYTES / SIZE };
    actionbroker *broker;
    test_party caller, provider;
    assert_status(LOOM_OK, actionbroker_create(&broker, &f->clock, NULL));
    assert_status(LOOM_OK, test_party_open(&caller, broker, "caller"));
    assert_status(LOOM_OK, test_party_open(&provider, broker, "provider"));
    assert_status(LOOM_OK, test_provide(&provider, "x", "1"));
    for (int i = 0; i < TOLD + 3; i++) {
        assert_status(LOOM_OK, test_invoke(&caller, &plain));
    }
    uint8_t *large = calloc(1, SIZE);
    assert_non_null(large);
    assert_status(LOOM_OK, action_answer(provider.handle, last_request(&provider)->ref,
                                         &(action_result){.outcome = FRAME_CALL_OK, .payload = {large, SIZE}}));
    free(large);
    assert_int_equal(TOLD + 3, caller.results);
    for (int i = 0; i < TOLD + 3; i++) {
        assert_int_equal(i < TOLD ? FRAME_CALL_OK : FRAME_CALL_DENIED, caller.result[i].outcome);
    }
    assert_string_equal("too_many_calls", last_result(&caller)->code);
    assert_status(LOOM_OK, test_invoke(&caller, &plain));
    assert_int_equal(SIZE, last_result(&caller)->payload_len);
    assert_calls_conserved(broker);
    test_party_close(&caller);
    test_party_close(&provider);
    actionbroker_destroy(broker);
}

/* Others wait for it, so those who ask are charged for it. */
static void results_told_again_are_work(void **state)
{
    fixture *f = *state;
    char payload[100];
    memset(payload, 'x', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, test_answer_ok(&f->a, payload));
    assert_int_equal(0, actionbroker_work(f->broker));
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_int_equal(99 / ACTION_WORK_BYTES, actionbroker_work(f->broker));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "2"}));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "2"}));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "2"}));
    assert_status(LOOM_OK, test_answer_ok(&f->a, payload));
    assert_int_equal(3 * (99 / ACTION_WORK_BYTES), actionbroker_work(f->broker));
}

static void ids_are_of_the_agent_not_of_everybody(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, test_invoke(&f->b, &plain));
    assert_int_equal(2, f->a.requests);
    assert_int_equal(0, actionbroker_get_stats(f->broker).joined);
}

static void a_duplicate_of_a_call_that_ended_well_is_answered_from_the_cache(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, test_answer_ok(&f->a, "kept"));
    assert_status(LOOM_OK, test_invoke(&f->again, &plain));
    assert_result(&f->again, 1, FRAME_CALL_OK, "");
    assert_string_equal("kept", last_result(&f->again)->payload);
    assert_int_equal(1, f->a.requests);
    const action_stats stats = actionbroker_get_stats(f->broker);
    assert_int_equal(1, stats.cached);
    assert_int_equal(1, stats.cache_entries);
    assert_int_equal(4, stats.cache_bytes);
}

static void cached_results_are_forgotten_after_their_time(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, test_answer_ok(&f->a, "old"));
    assert_int_equal(1300, actionbroker_next_deadline_ms(f->broker));
    f->clock.now_ms = 1300;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain)); /* though nobody called expire */
    assert_int_equal(2, f->a.requests);
    assert_int_equal(0, actionbroker_get_stats(f->broker).cache_entries);
}

static void failures_are_not_replayed(void **state)
{
    fixture *f = *state;
    for (int outcome = FRAME_CALL_ERROR; outcome < ACTION_OUTCOMES; outcome++) {
        assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
        assert_status(LOOM_OK, test_answer(&f->a, last_request(&f->a)->ref, (frame_call_outcome)outcome, ""));
    }
    assert_int_equal(ACTION_OUTCOMES - 1, f->a.requests);
    assert_int_equal(0, actionbroker_get_stats(f->broker).cache_entries);
}

static void an_idempotent_call_with_another_payload_is_denied(void **state)
{
    fixture *f = *state;
    const test_call first = {.capability = "x", .id = "1", .idempotent = true};
    const test_call other = {.capability = "x", .id = "1", .idempotent = true, .padding = 1};
    assert_status(LOOM_OK, test_invoke(&f->caller, &first));
    assert_status(LOOM_OK, test_invoke(&f->caller, &other));
    assert_result(&f->caller, 1, FRAME_CALL_DENIED, "call_id_reused");
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_status(LOOM_OK, test_invoke(&f->caller, &other));
    assert_result(&f->caller, 3, FRAME_CALL_DENIED, "call_id_reused");
    assert_status(LOOM_OK, test_invoke(&f->caller, &first));
    assert_result(&f->caller, 4, FRAME_CALL_OK, "");
}

static void an_id_used_for_something_else_is_denied(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "y", "1"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "y", .id = "1"}));
    assert_result(&f->caller, 1, FRAME_CALL_DENIED, "call_id_reused");
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "1", .version = "1"}));
    assert_result(&f->caller, 3, FRAME_CALL_DENIED, "call_id_reused");
}

static void a_duplicate_of_an_overdue_call_is_a_new_call(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    f->clock.now_ms = 1500;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_result(&f->caller, 1, FRAME_CALL_TIMEOUT, "deadline_exceeded");
    assert_int_equal(2, f->a.requests);
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_result(&f->caller, 2, FRAME_CALL_OK, "");
}

static void many_distinct_calls_keep_the_cache_within_its_limits(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 100000; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = id}));
        assert_status(LOOM_OK, test_answer_ok(&f->a, "0123456789"));
    }
    const action_stats stats = actionbroker_get_stats(f->broker);
    assert_int_equal(100, stats.cache_entries);
    assert_int_equal(1000, stats.cache_bytes);
    assert_int_equal(0, stats.running);
    assert_int_equal(100000, stats.outcomes[FRAME_CALL_OK]);
}

/* ---- streams ---- */

static void chunks_pass_as_far_as_the_caller_grants(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &streaming));
    assert_int_equal(0, f->a.credits);
    assert_status(LOOM_OK, action_grant(f->caller.handle, one, 2, 50));
    assert_status(LOOM_OK, action_grant(f->caller.handle, one, 1, 20)); /* less than before: nothing new */
    assert_int_equal(1, f->a.credits);
    assert_int_equal(2, f->a.credit[0].chunks);
    assert_int_equal(50, f->a.credit[0].bytes);
    assert_int_equal(last_request(&f->a)->ref, f->a.credit[0].ref);
    assert_status(LOOM_OK, test_chunk(&f->a, 0, "first"));
    assert_status(LOOM_OK, test_chunk(&f->a, 1, "second"));
    assert_int_equal(2, f->caller.progresses);
    assert_int_equal(ACTION_CHUNK, f->caller.progress[1].kind);
    assert_int_equal(1, f->caller.progress[1].number);
    assert_string_equal("second", f->caller.progress[1].payload);
    assert_status(LOOM_OK, test_answer_ok(&f->a, "end"));
    assert_result(&f->caller, 1, FRAME_CALL_OK, "");
}

static void a_chunk_past_the_credit_ends_the_call(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &streaming));
    assert_status(LOOM_OK, action_grant(f->caller.handle, one, 1, 50));
    assert_status(LOOM_OK, test_chunk(&f->a, 0, "x"));
    assert_status(LOOM_EFULL, test_chunk(&f->a, 1, "x"));
    assert_result(&f->caller, 1, FRAME_CALL_ERROR, "stream_overrun");
    assert_int_equal(1, f->caller.progresses);
    assert_int_equal(1, f->a.cancels);
    assert_status(LOOM_ENOTFOUND, test_answer_ok(&f->a, ""));
}

static void a_stream_gives_its_next_owner_no_more_than_that_one_granted(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &streaming));
    assert_status(LOOM_OK, test_invoke(&f->again, &streaming));
    assert_status(LOOM_OK, action_grant(f->caller.handle, one, 10, 1000));
    assert_status(LOOM_OK, action_grant(f->again.handle, one, 2, 1000));
    assert_status(LOOM_OK, test_chunk(&f->a, 0, "first"));
    test_party_close(&f->caller);
    assert_status(LOOM_OK, test_chunk(&f->a, 1, "second"));
    assert_int_equal(1, f->again.progresses);
    assert_status(LOOM_EFULL, test_chunk(&f->a, 2, "third"));
    assert_int_equal(1, f->again.progresses);
    assert_result(&f->again, 1, FRAME_CALL_ERROR, "stream_moved");
}

static void a_chunk_may_overdraw_the_bytes_once(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &streaming));
    assert_status(LOOM_OK, action_grant(f->caller.handle, one, 10, 3));
    assert_status(LOOM_OK, test_chunk(&f->a, 0, "12345"));
    assert_status(LOOM_EFULL, test_chunk(&f->a, 1, ""));
}

static void a_chunk_out_of_turn_ends_the_call(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &streaming));
    assert_status(LOOM_OK, action_grant(f->caller.handle, one, 10, 100));
    assert_status(LOOM_OK, test_chunk(&f->a, 0, "x"));
    assert_status(LOOM_EINVAL, test_chunk(&f->a, 2, "x"));
    assert_result(&f->caller, 1, FRAME_CALL_ERROR, "stream_order");
}

static void chunks_and_reports_nobody_asked_for_are_dropped_and_the_call_goes_on(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_OK, action_grant(f->caller.handle, one, 10, 100));
    assert_int_equal(0, f->a.credits); /* it takes no stream */
    assert_status(LOOM_EINVAL, test_chunk(&f->a, 0, "x"));
    assert_status(LOOM_EINVAL, action_report(f->a.handle, last_request(&f->a)->ref, (action_progress_kind)2, 0, one));
    assert_int_equal(2, actionbroker_get_stats(f->broker).invalid);
    assert_int_equal(0, f->caller.progresses);
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_result(&f->caller, 1, FRAME_CALL_OK, "");
}

static void a_report_over_the_limit_ends_the_call(void **state)
{
    fixture *f = *state;
    static const uint8_t large[101];
    assert_status(LOOM_OK, test_invoke(&f->caller, &plain));
    assert_status(LOOM_ETOOBIG, action_report(f->a.handle, last_request(&f->a)->ref, ACTION_PROGRESS, 0, BYTES(large)));
    assert_result(&f->caller, 1, FRAME_CALL_TOO_LARGE, "report_too_large");
    assert_int_equal(1, f->a.cancels);
}

static void the_result_of_a_call_with_chunks_is_not_cached(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &streaming));
    assert_status(LOOM_OK, action_grant(f->caller.handle, one, 10, 100));
    assert_status(LOOM_OK, test_chunk(&f->a, 0, "x"));
    assert_status(LOOM_OK, test_answer_ok(&f->a, "rest"));
    assert_int_equal(0, actionbroker_get_stats(f->broker).cache_entries);
    assert_status(LOOM_OK, test_invoke(&f->caller, &streaming));
    assert_int_equal(2, f->a.requests);
}

static void a_stream_that_has_begun_is_not_tried_again_but_one_that_has_not_is(void **state)
{
    fixture *f = *state;
    const test_call call = {.capability = "x", .id = "1", .streams = true, .idempotent = true};
    assert_status(LOOM_OK, test_invoke(&f->caller, &call));
    assert_status(LOOM_OK, action_grant(f->caller.handle, one, 5, 50));
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1"));
    test_party_close(&f->a);
    assert_int_equal(1, f->b.requests);
    assert_int_equal(1, f->b.credits); /* it learns what was granted before */
    assert_int_equal(5, f->b.credit[0].chunks);
    assert_int_equal(last_request(&f->b)->ref, f->b.credit[0].ref);
    assert_status(LOOM_OK, test_chunk(&f->b, 0, "x"));
    assert_status(LOOM_OK, test_party_open(&f->a, f->broker, "a"));
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    test_party_close(&f->b);
    assert_result(&f->caller, 1, FRAME_CALL_ERROR, "provider_gone");
    assert_int_equal(0, f->a.requests);
}

static void the_stream_goes_to_the_next_that_waits_when_its_owner_goes_away(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_invoke(&f->caller, &streaming));
    assert_status(LOOM_OK, test_invoke(&f->again, &streaming));
    assert_status(LOOM_OK, action_grant(f->caller.handle, one, 1, 10));
    assert_status(LOOM_OK, action_grant(f->again.handle, one, 3, 30)); /* counts when the stream is its own */
    assert_int_equal(1, f->a.credits);
    assert_status(LOOM_OK, test_chunk(&f->a, 0, "x"));
    assert_int_equal(1, f->caller.progresses);
    assert_int_equal(0, f->again.progresses);
    test_party_close(&f->caller);
    assert_int_equal(2, f->a.credits);
    assert_int_equal(3, f->a.credit[1].chunks);
    assert_status(LOOM_OK, test_chunk(&f->a, 1, "y"));
    assert_int_equal(1, f->again.progresses);
    assert_int_equal(1, f->again.progress[0].number);
}

int main(void)
{
#define BROKER_TEST(name) cmocka_unit_test_setup_teardown(name, open_broker, close_broker)
#define WIDE_BROKER_TEST(name) cmocka_unit_test_setup_teardown(name, open_wide_broker, close_broker)
    const struct CMUnitTest tests[] = {
        BROKER_TEST(a_call_without_an_answer_times_out_and_the_provider_is_told),
        BROKER_TEST(deadlines_end_calls_in_their_order),
        BROKER_TEST(an_answer_after_the_deadline_is_late_even_before_the_broker_looked),
        WIDE_BROKER_TEST(calls_that_are_due_together_end_some_at_a_time),
        WIDE_BROKER_TEST(calls_that_are_late_end_in_larger_numbers_but_never_all_at_once),
        BROKER_TEST(what_a_caller_says_of_an_overdue_call_finds_it_ended),
        BROKER_TEST(no_deadline_is_later_than_the_cap),
        BROKER_TEST(a_silent_provider_times_out_before_the_deadline),
        BROKER_TEST(progress_renews_the_idle_time_but_not_the_deadline),
        BROKER_TEST(a_cancelled_call_ends_at_once_and_its_provider_is_told_why),
        BROKER_TEST(only_a_running_call_of_ones_own_can_be_cancelled_or_granted),
        BROKER_TEST(cancelling_takes_only_the_party_out_that_cancels),
        BROKER_TEST(a_call_fails_at_once_when_its_provider_closes),
        BROKER_TEST(an_idempotent_call_goes_to_another_provider_with_the_time_that_is_left),
        BROKER_TEST(an_idempotent_call_keeps_to_the_version_it_asked_for),
        BROKER_TEST(a_call_is_not_tried_for_ever),
        BROKER_TEST(a_call_whose_deadline_has_passed_is_not_tried_again),
        BROKER_TEST(envelopes_that_no_longer_fit_are_not_kept_for_another_attempt),
        BROKER_TEST(a_provider_gets_no_more_bytes_than_it_may_have_unanswered),
        BROKER_TEST(calls_of_a_party_that_closes_are_cancelled_at_their_providers),
        BROKER_TEST(a_call_that_another_party_of_the_agent_joined_goes_on_without_the_first),
        BROKER_TEST(a_duplicate_of_a_running_call_joins_it_and_both_get_the_result),
        BROKER_TEST(a_large_result_is_told_to_some_who_have_joined_and_the_others_are_refused),
        BROKER_TEST(results_told_again_are_work),
        BROKER_TEST(ids_are_of_the_agent_not_of_everybody),
        BROKER_TEST(a_duplicate_of_a_call_that_ended_well_is_answered_from_the_cache),
        BROKER_TEST(cached_results_are_forgotten_after_their_time),
        BROKER_TEST(failures_are_not_replayed),
        BROKER_TEST(an_id_used_for_something_else_is_denied),
        BROKER_TEST(an_idempotent_call_with_another_payload_is_denied),
        BROKER_TEST(a_duplicate_of_an_overdue_call_is_a_new_call),
        BROKER_TEST(many_distinct_calls_keep_the_cache_within_its_limits),
        BROKER_TEST(chunks_pass_as_far_as_the_caller_grants),
        BROKER_TEST(a_chunk_past_the_credit_ends_the_call),
        BROKER_TEST(a_stream_gives_its_next_owner_no_more_than_that_one_granted),
        BROKER_TEST(a_chunk_may_overdraw_the_bytes_once),
        BROKER_TEST(a_chunk_out_of_turn_ends_the_call),
        BROKER_TEST(chunks_and_reports_nobody_asked_for_are_dropped_and_the_call_goes_on),
        BROKER_TEST(a_report_over_the_limit_ends_the_call),
        BROKER_TEST(the_result_of_a_call_with_chunks_is_not_cached),
        BROKER_TEST(a_stream_that_has_begun_is_not_tried_again_but_one_that_has_not_is),
        BROKER_TEST(the_stream_goes_to_the_next_that_waits_when_its_owner_goes_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
