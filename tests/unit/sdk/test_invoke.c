/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's side of actions: outcomes, waiting, sessions that break, streams. */
#include <loom/loom.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/sdk/agent_fixture.h"

/* ---- one who invokes in a thread ---- */

typedef struct caller {
    pthread_t thread;
    loom_agent *agent;
    const char *capability;
    loom_invoke_options options;
    loom_status status;
    loom_result *result;
} caller;

static void *invoke(void *user)
{
    caller *c = user;
    c->status = loom_agent_invoke(c->agent, c->capability, BYTES("in"), &c->options, &c->result);
    return NULL;
}

static void start(caller *c, loom_agent *agent, loom_invoke_options options)
{
    *c = (caller){.agent = agent, .capability = "weather.lookup", .options = options};
    assert_int_equal(0, pthread_create(&c->thread, NULL, invoke, c));
}

static void end(caller *c, loom_status status, const char *code)
{
    pthread_join(c->thread, NULL);
    assert_status(status, c->status);
    if (code != NULL) {
        assert_non_null(c->result);
        assert_string_equal(code, loom_result_code(c->result));
    } else {
        assert_null(c->result);
    }
    loom_result_free(c->result);
}

/* ---- one who does not wait ---- */

typedef struct outcome_log {
    atomic_uint count;
    loom_outcome outcome;
    char code[32], payload[64];
} outcome_log;

static void on_result(loom_agent *agent, loom_result *result, void *user)
{
    (void)agent;
    outcome_log *log = user;
    loom_bytes payload = loom_result_payload(result);
    log->outcome = loom_result_outcome(result);
    snprintf(log->code, sizeof log->code, "%s", loom_result_code(result));
    snprintf(log->payload, sizeof log->payload, "%.*s", (int)payload.len, (const char *)payload.data);
    loom_result_free(result);
    atomic_fetch_add(&log->count, 1);
}

static uint64_t invoke_async(fixture *f, outcome_log *log, loom_invoke_options options)
{
    uint64_t number;
    *log = (outcome_log){.outcome = LOOM_OUTCOME_OK};
    assert_status(LOOM_OK,
                  loom_agent_invoke_async(f->agent, "weather.lookup", BYTES("in"), &options, on_result, log, &number));
    return number;
}

static void expect_outcome(outcome_log *log, loom_outcome outcome, const char *code)
{
    wait_until(atomic_load(&log->count) > 0, FAKE_DEADLINE_MS);
    assert_int_equal(1, atomic_load(&log->count));
    assert_int_equal(outcome, log->outcome);
    assert_string_equal(code, log->code);
}

/* ---- tests ---- */

static void a_call_carries_what_was_asked_for(void **state)
{
    fixture *f = *state;
    caller c;
    heard_call heard;
    open_session(f);
    start(&c, f->agent, (loom_invoke_options){.version = "1.2",
                                              .deadline_ms = 5000,
                                              .idle_ms = 700,
                                              .idempotent = true,
                                              .call_id = BYTES("mine"),
                                              .correlation_id = "corr",
                                              .type = "question"});
    fake_bridge_expect_call(&f->bridge, &heard, "weather.lookup");
    assert_str("1.2", heard.frame.version);
    assert_in_range(heard.frame.deadline_ms, 4000, 5000);
    assert_int_equal(700, heard.frame.idle_ms);
    assert_int_equal(FRAME_CALL_IDEMPOTENT, heard.frame.flags);
    assert_int_equal(sizeof "mine", heard.id.len);
    assert_str("weather.lookup", envelope_view_str(&heard.view, ENV_TOPIC));
    assert_str("tester", envelope_view_str(&heard.view, ENV_SENDER));
    assert_str("corr", envelope_view_str(&heard.view, ENV_CORRELATION_ID));
    assert_str("question", envelope_view_str(&heard.view, ENV_TYPE));
    fake_bridge_result(&f->bridge, heard.id, FRAME_CALL_OK, "", "sun");
    pthread_join(c.thread, NULL);
    assert_status(LOOM_OK, c.status);
    assert_memory_equal("sun", loom_result_payload(c.result).data, 3);
    loom_result_free(c.result);
    loom_agent_stats stats = loom_agent_get_stats(f->agent);
    assert_int_equal(1, stats.calls_made);
    assert_int_equal(0, stats.calls_failed);
}

static void each_outcome_has_its_status(void **state)
{
    fixture *f = *state;
    static const struct {
        frame_call_outcome outcome;
        loom_status status;
    } cases[] = {{FRAME_CALL_ERROR, LOOM_EREMOTE},
                 {FRAME_CALL_TIMEOUT, LOOM_ETIMEDOUT},
                 {FRAME_CALL_NO_RESPONDERS, LOOM_ENORESPONDERS},
                 {FRAME_CALL_DENIED, LOOM_EDENIED},
                 {FRAME_CALL_CANCELLED, LOOM_ECANCELED},
                 {FRAME_CALL_TOO_LARGE, LOOM_ETOOBIG},
                 {(frame_call_outcome)99, LOOM_EREMOTE}};
    open_session(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        caller c;
        heard_call heard;
        start(&c, f->agent, (loom_invoke_options){.deadline_ms = 5000});
        fake_bridge_expect_call(&f->bridge, &heard, "weather.lookup");
        fake_bridge_result(&f->bridge, heard.id, cases[i].outcome, "why", "");
        end(&c, cases[i].status, "why");
    }
    assert_int_equal(7, loom_agent_get_stats(f->agent).calls_failed);
}

static void what_is_not_valid_is_refused_at_once(void **state)
{
    fixture *f = *state;
    loom_result *result;
    uint8_t id[65] = {0};
    open_session(f);
    loom_invoke_options long_id = {.call_id = BYTES(id)};
    loom_bytes large = {id, LOOM_PAYLOAD_MAX + 1};
    assert_status(LOOM_EINVAL, loom_agent_invoke(f->agent, "a..b", BYTES(""), NULL, &result));
    assert_status(LOOM_EINVAL, loom_agent_invoke(f->agent, NULL, BYTES(""), NULL, &result));
    assert_status(LOOM_EINVAL, loom_agent_invoke(f->agent, "a", BYTES(""), &long_id, &result));
    assert_status(LOOM_EINVAL, loom_agent_invoke(f->agent, "a", BYTES(""), &(loom_invoke_options){.deadline_ms = 3600001}, &result));
    assert_non_null(strstr(loom_last_error(), "deadline_ms is over an hour"));
    assert_status(LOOM_EINVAL, loom_agent_invoke_async(f->agent, "a", BYTES(""), NULL, NULL, NULL, NULL));
    assert_status(LOOM_ETOOBIG, loom_agent_invoke(f->agent, "a", large, NULL, &result));
    assert_null(result);
    assert_status(LOOM_ENOTFOUND, loom_agent_cancel(f->agent, 1, NULL));
    assert_false(fake_bridge_hears_something(&f->bridge, 0));
}

static void a_call_made_before_the_connection_stands_is_sent_then(void **state)
{
    fixture *f = *state;
    caller c;
    heard_call heard;
    open_agent(f);
    start(&c, f->agent, (loom_invoke_options){.deadline_ms = 8000});
    wait_until(loom_agent_get_stats(f->agent).calls_made == 1, FAKE_DEADLINE_MS);
    fake_bridge_session(&f->bridge, 2);
    fake_bridge_expect_call(&f->bridge, &heard, "weather.lookup");
    fake_bridge_result(&f->bridge, heard.id, FRAME_CALL_OK, "", "");
    end(&c, LOOM_OK, "");
}

static void without_a_connection_a_call_ends_at_its_deadline(void **state)
{
    fixture *f = *state;
    caller c;
    outcome_log log;
    fake_bridge_stop_listening(&f->bridge);
    open_agent(f);
    invoke_async(f, &log, (loom_invoke_options){.deadline_ms = 20});
    start(&c, f->agent, (loom_invoke_options){.deadline_ms = 20});
    end(&c, LOOM_ENOTCONN, NULL);
    expect_outcome(&log, LOOM_OUTCOME_TIMEOUT, "not_connected");
}

static void of_many_calls_whose_deadline_comes_some_end_in_a_round(void **state)
{
    fixture *f = *state;
    enum { CALLS = 500, DEADLINE_MS = 20 };
    outcome_log log = {.outcome = LOOM_OUTCOME_OK};
    const loom_invoke_options options = {.deadline_ms = DEADLINE_MS};
    fake_bridge_stop_listening(&f->bridge);
    const loom_agent_options polled = {.id = "polled", .url = f->bridge.url, .poll_mode = true};
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &polled));
    for (int i = 0; i < CALLS; i++) {
        assert_status(LOOM_OK, loom_agent_invoke_async(f->agent, "x", BYTES("in"), &options, on_result, &log, NULL));
    }
    const uint64_t due_ms = clock_monotonic_ms() + DEADLINE_MS + 1;
    wait_until(clock_monotonic_ms() > due_ms, FAKE_DEADLINE_MS);
    while (atomic_load(&log.count) < CALLS) {
        const unsigned before = atomic_load(&log.count);
        assert_status(LOOM_OK, loom_agent_poll(f->agent, FAKE_DEADLINE_MS));
        assert_true(atomic_load(&log.count) - before <= 100);
    }
}

static void a_broker_that_does_not_answer_costs_the_deadline_and_half_a_second(void **state)
{
    fixture *f = *state;
    caller c;
    open_session(f);
    uint64_t before = wait_now_ms();
    start(&c, f->agent, (loom_invoke_options){.deadline_ms = 20});
    end(&c, LOOM_ETIMEDOUT, "no_answer");
    assert_in_range(wait_now_ms() - before, 500, 5000);
}

static void a_call_ends_with_its_session(void **state)
{
    fixture *f = *state;
    caller c;
    heard_call heard;
    open_session(f);
    start(&c, f->agent, (loom_invoke_options){0});
    fake_bridge_expect_call(&f->bridge, &heard, "weather.lookup");
    fake_bridge_drop(&f->bridge);
    end(&c, LOOM_EREMOTE, "disconnected");
}

static void an_idempotent_call_is_sent_again_under_its_id(void **state)
{
    fixture *f = *state;
    caller c;
    heard_call first, second;
    open_session(f);
    start(&c, f->agent, (loom_invoke_options){.idempotent = true});
    fake_bridge_expect_call(&f->bridge, &first, "weather.lookup");
    fake_bridge_drop(&f->bridge);
    fake_bridge_session(&f->bridge, 2);
    fake_bridge_expect_call(&f->bridge, &second, "weather.lookup");
    assert_int_equal(first.id.len, second.id.len);
    assert_memory_equal(first.id.data, second.id.data, first.id.len);
    fake_bridge_result(&f->bridge, second.id, FRAME_CALL_OK, "", "");
    end(&c, LOOM_OK, "");
}

static void a_call_may_be_cancelled(void **state)
{
    fixture *f = *state;
    outcome_log log;
    heard_call heard;
    open_session(f);
    uint64_t number = invoke_async(f, &log, (loom_invoke_options){0});
    fake_bridge_expect_call(&f->bridge, &heard, "weather.lookup");
    assert_status(LOOM_OK, loom_agent_cancel(f->agent, number, "changed my mind"));
    frame cancel = fake_bridge_expect(&f->bridge, FRAME_CANCEL);
    assert_int_equal(heard.id.len, cancel.u.cancel.call_id.len);
    assert_str("changed my mind", cancel.u.cancel.reason);
    fake_bridge_result(&f->bridge, heard.id, FRAME_CALL_CANCELLED, "cancelled", "");
    expect_outcome(&log, LOOM_OUTCOME_CANCELLED, "cancelled");
    assert_status(LOOM_ENOTFOUND, loom_agent_cancel(f->agent, number, NULL));
    fake_bridge_result(&f->bridge, heard.id, FRAME_CALL_OK, "", ""); /* too late */
    wait_until(loom_agent_get_stats(f->agent).late_results == 1, FAKE_DEADLINE_MS);
}

static void a_call_that_was_not_sent_yet_may_be_cancelled(void **state)
{
    fixture *f = *state;
    outcome_log log;
    fake_bridge_stop_listening(&f->bridge);
    open_agent(f);
    uint64_t number = invoke_async(f, &log, (loom_invoke_options){0});
    assert_status(LOOM_OK, loom_agent_cancel(f->agent, number, NULL));
    expect_outcome(&log, LOOM_OUTCOME_CANCELLED, "cancelled");
}

static void joined_calls_get_a_result_each(void **state)
{
    fixture *f = *state;
    outcome_log first, second;
    heard_call heard;
    open_session(f);
    loom_invoke_options options = {.call_id = BYTES("same")};
    invoke_async(f, &first, options);
    invoke_async(f, &second, options);
    fake_bridge_expect_call(&f->bridge, &heard, "weather.lookup");
    fake_bridge_expect_call(&f->bridge, &heard, "weather.lookup");
    fake_bridge_result(&f->bridge, heard.id, FRAME_CALL_OK, "", "one");
    expect_outcome(&first, LOOM_OUTCOME_OK, "");
    assert_int_equal(0, atomic_load(&second.count));
    fake_bridge_result(&f->bridge, heard.id, FRAME_CALL_OK, "", "two");
    expect_outcome(&second, LOOM_OUTCOME_OK, "");
    assert_string_equal("two", second.payload);
}

static void closing_ends_every_open_call_once(void **state)
{
    fixture *f = *state;
    enum { CALLS = 20 };
    outcome_log logs[CALLS];
    caller c;
    open_session(f);
    for (int i = 0; i < CALLS; i++) {
        invoke_async(f, &logs[i], (loom_invoke_options){.idempotent = i % 2 == 0});
    }
    start(&c, f->agent, (loom_invoke_options){0});
    wait_until(loom_agent_get_stats(f->agent).calls_made == CALLS + 1, FAKE_DEADLINE_MS);
    fake_bridge_drop(&f->bridge);
    loom_agent_close_within(f->agent, 100);
    f->agent = NULL;
    pthread_join(c.thread, NULL);
    assert_true(c.status == LOOM_ECLOSED || c.status == LOOM_EREMOTE);
    loom_result_free(c.result);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(1, atomic_load(&logs[i].count));
        assert_int_equal(LOOM_OUTCOME_ERROR, logs[i].outcome);
    }
}

static void over_ten_thousand_open_calls_there_is_no_room(void **state)
{
    fixture *f = *state;
    outcome_log log = {.outcome = LOOM_OUTCOME_OK};
    loom_invoke_options options = {.deadline_ms = 60000};
    fake_bridge_stop_listening(&f->bridge);
    open_agent(f);
    for (int i = 0; i < 10000; i++) {
        assert_status(LOOM_OK, loom_agent_invoke_async(f->agent, "x", BYTES("in"), &options, on_result, &log, NULL));
    }
    assert_status(LOOM_EFULL, loom_agent_invoke_async(f->agent, "x", BYTES("in"), &options, on_result, &log, NULL));
    loom_agent_close_within(f->agent, 100);
    f->agent = NULL;
    assert_int_equal(10000, atomic_load(&log.count));
}

/* ---- progress and chunks ---- */

typedef struct parts_log {
    atomic_uint progress, chunks;
    char text[256];
} parts_log;

static void on_progress(loom_agent *agent, uint64_t number, loom_bytes payload, void *user)
{
    (void)agent;
    (void)payload;
    parts_log *log = user;
    assert_int_equal(number, atomic_fetch_add(&log->progress, 1));
}

static void on_chunk(loom_agent *agent, uint64_t number, loom_bytes payload, void *user)
{
    (void)agent;
    parts_log *log = user;
    size_t used = strlen(log->text);
    snprintf(log->text + used, sizeof log->text - used, "%d=%.*s,", (int)number, (int)payload.len,
             (const char *)payload.data);
    atomic_fetch_add(&log->chunks, 1);
}

static void chunks_are_granted_as_they_are_handed_over(void **state)
{
    fixture *f = *state;
    outcome_log log;
    parts_log parts = {.text = ""};
    heard_call heard;
    open_session(f);
    invoke_async(f, &log,
                 (loom_invoke_options){
                     .on_progress = on_progress, .on_chunk = on_chunk, .user = &parts, .chunk_window = 4});
    fake_bridge_expect_call(&f->bridge, &heard, "weather.lookup");
    assert_int_equal(FRAME_CALL_STREAMS, heard.frame.flags);
    frame credit = fake_bridge_expect(&f->bridge, FRAME_CALL_CREDIT);
    assert_int_equal(4, credit.u.call_credit.chunks);
    assert_true(credit.u.call_credit.bytes > 0);
    uint64_t bytes = credit.u.call_credit.bytes;
    fake_bridge_report(&f->bridge, heard.id, FRAME_PROGRESS, 0, "half");
    fake_bridge_report(&f->bridge, heard.id, FRAME_CHUNK, 0, "a");
    fake_bridge_report(&f->bridge, heard.id, FRAME_CHUNK, 1, "b");
    credit = fake_bridge_expect(&f->bridge, FRAME_CALL_CREDIT);
    assert_int_equal(6, credit.u.call_credit.chunks);
    assert_int_equal(bytes + 2, credit.u.call_credit.bytes);
    fake_bridge_result(&f->bridge, heard.id, FRAME_CALL_OK, "", "");
    expect_outcome(&log, LOOM_OUTCOME_OK, "");
    assert_string_equal("0=a,1=b,", parts.text);
    assert_int_equal(1, atomic_load(&parts.progress));
}

static void a_stream_that_has_begun_is_not_asked_for_again(void **state)
{
    fixture *f = *state;
    outcome_log log;
    parts_log parts = {.text = ""};
    heard_call heard;
    open_session(f);
    invoke_async(f, &log, (loom_invoke_options){.on_chunk = on_chunk, .user = &parts, .idempotent = true});
    fake_bridge_expect_call(&f->bridge, &heard, "weather.lookup");
    fake_bridge_report(&f->bridge, heard.id, FRAME_CHUNK, 0, "a");
    wait_until(atomic_load(&parts.chunks) == 1, FAKE_DEADLINE_MS);
    fake_bridge_drop(&f->bridge);
    expect_outcome(&log, LOOM_OUTCOME_ERROR, "disconnected");
}

/* ---- many at once ---- */

enum { THREADS = 8, CALLS_EACH = 200 };

static void *invoke_many(void *user)
{
    fixture *f = user;
    for (int i = 0; i < CALLS_EACH; i++) {
        char text[32];
        loom_result *result;
        int len = snprintf(text, sizeof text, "%p %d", (void *)&result, i);
        loom_status st =
            loom_agent_invoke(f->agent, "echo", (loom_bytes){(const uint8_t *)text, (size_t)len}, NULL, &result);
        if (st != LOOM_OK || loom_result_payload(result).len != (size_t)len ||
            memcmp(loom_result_payload(result).data, text, (size_t)len) != 0) {
            return "wrong";
        }
        loom_result_free(result);
    }
    return NULL;
}

static void many_threads_invoke_at_once(void **state)
{
    fixture *f = *state;
    pthread_t threads[THREADS];
    void *wrong;
    open_session(f);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, invoke_many, f));
    }
    for (int i = 0; i < THREADS * CALLS_EACH; i++) {
        heard_call heard;
        fake_bridge_expect_call(&f->bridge, &heard, "echo");
        loom_bytes payload = envelope_view_bytes(&heard.view, ENV_PAYLOAD);
        frame_result result = {.call_id = heard.id, .payload = payload};
        assert_status(LOOM_OK, frame_put_result(&f->bridge.out, &result));
        fake_bridge_flush(&f->bridge);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(THREADS * CALLS_EACH, loom_agent_get_stats(f->agent).calls_made);
}

/* ---- without memory ---- */

static loom_status invoke_hungry(void *user)
{
    fixture *f = user;
    outcome_log log;
    parts_log parts = {.text = ""};
    heard_call heard;
    loom_invoke_options options = {
        .on_chunk = on_chunk, .user = &parts, .idempotent = true, .version = "1", .call_id = BYTES("hungry")};
    log = (outcome_log){.outcome = LOOM_OUTCOME_OK};
    loom_status st = loom_agent_invoke_async(f->agent, "x", BYTES("in"), &options, on_result, &log, NULL);
    if (st == LOOM_OK) {
        fake_bridge_expect_call(&f->bridge, &heard, "x");
        (void)fake_bridge_expect(&f->bridge, FRAME_CALL_CREDIT);
        fake_bridge_result(&f->bridge, heard.id, FRAME_CALL_OK, "", "");
        expect_outcome(&log, LOOM_OUTCOME_OK, "");
    }
    return st;
}

static void invoke_reports_missing_memory(void **state)
{
    fixture *f = *state;
    open_session(f);
    fake_bridge_result(&f->bridge, bytes_of("nobody's"), FRAME_CALL_OK, "", ""); /* the bridge's own memory, before faults */
    assert_in_range(alloc_fault_each(invoke_hungry, f), 3, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_AGENT(a_call_carries_what_was_asked_for),
        WITH_AGENT(each_outcome_has_its_status),
        WITH_AGENT(what_is_not_valid_is_refused_at_once),
        WITH_AGENT(a_call_made_before_the_connection_stands_is_sent_then),
        WITH_AGENT(without_a_connection_a_call_ends_at_its_deadline),
        WITH_AGENT(of_many_calls_whose_deadline_comes_some_end_in_a_round),
        WITH_AGENT(a_broker_that_does_not_answer_costs_the_deadline_and_half_a_second),
        WITH_AGENT(a_call_ends_with_its_session),
        WITH_AGENT(an_idempotent_call_is_sent_again_under_its_id),
        WITH_AGENT(a_call_may_be_cancelled),
        WITH_AGENT(a_call_that_was_not_sent_yet_may_be_cancelled),
        WITH_AGENT(joined_calls_get_a_result_each),
        WITH_AGENT(closing_ends_every_open_call_once),
        WITH_AGENT(over_ten_thousand_open_calls_there_is_no_room),
        WITH_AGENT(chunks_are_granted_as_they_are_handed_over),
        WITH_AGENT(a_stream_that_has_begun_is_not_asked_for_again),
        WITH_AGENT(many_threads_invoke_at_once),
        WITH_AGENT(invoke_reports_missing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
