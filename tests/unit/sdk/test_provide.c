/* SPDX-License-Identifier: Apache-2.0 */
/* The provider's side of actions: what is provided, how calls are answered, and when they no longer can be. */
#include <loom/loom.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/sdk/agent_fixture.h"

#define TEXT(literal) ((loom_bytes){(const uint8_t *)literal, sizeof literal - 1})

/* What the handler is to do, and what it and on_cancel have seen. */
typedef struct provider {
    enum { ECHO, NOTHING, FAIL, STATUS, KEEP, PARTS, TWICE } does;
    loom_status status;
    loom_action *_Atomic kept;
    atomic_uint handled, cancelled;
    bool was_cancelled;
    loom_status second, chunk;
} provider;

static loom_status do_parts(provider *p, loom_action *action)
{
    assert_true(loom_action_streams(action));
    assert_status(LOOM_OK, loom_action_progress(action, BYTES("50%")));
    for (int i = 0; i < 3 && p->chunk == LOOM_OK; i++) {
        p->chunk = loom_action_chunk(action, (loom_bytes){(const uint8_t *)"abc" + i, 1}, 5000);
    }
    return loom_action_reply(action, BYTES(""));
}

static loom_status on_action(loom_agent *agent, loom_action *action, void *user)
{
    (void)agent;
    provider *p = user;
    loom_status st = LOOM_OK;
    switch (p->does) {
    case ECHO: st = loom_action_reply(action, loom_action_payload(action)); break;
    case NOTHING: break;
    case FAIL: st = loom_action_fail(action, "not_today", "come back tomorrow"); break;
    case STATUS: st = p->status; break;
    case KEEP: atomic_store(&p->kept, loom_action_ref(action)); break;
    case PARTS: st = do_parts(p, action); break;
    case TWICE:
        st = loom_action_reply(action, loom_action_payload(action));
        p->second = loom_action_fail(action, "again", NULL);
        break;
    }
    atomic_fetch_add(&p->handled, 1);
    return st;
}

static void on_cancel(loom_agent *agent, loom_action *action, void *user)
{
    (void)agent;
    provider *p = user;
    p->was_cancelled = loom_action_cancelled(action);
    atomic_fetch_add(&p->cancelled, 1);
}

static loom_capability capability_of(provider *p)
{
    return (loom_capability){.name = "weather.lookup", .on_action = on_action, .on_cancel = on_cancel, .user = p};
}

static void provide(fixture *f, provider *p)
{
    loom_capability capability = capability_of(p);
    open_session(f);
    assert_status(LOOM_OK, loom_agent_provide(f->agent, &capability));
    assert_str("weather.lookup", fake_bridge_answer_provide(&f->bridge, LOOM_OK));
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
}

static loom_action *kept_action(fixture *f, provider *p)
{
    p->does = KEEP;
    fake_bridge_call_text(&f->bridge, "c1", "weather.lookup", "in");
    wait_until(atomic_load(&p->kept) != NULL && atomic_load(&p->handled) == 1, FAKE_DEADLINE_MS);
    return atomic_load(&p->kept);
}

/* ---- providing ---- */

static void all_of_a_capability_is_told(void **state)
{
    fixture *f = *state;
    provider p = {.does = ECHO};
    loom_header metadata[] = {{STR("owner"), STR("me")}}, read[2];
    size_t count;
    loom_capability capability = capability_of(&p);
    capability.version = "1.2.0";
    capability.description = "what the sky looks like";
    capability.kind = "tool";
    capability.input_schema = "{}";
    capability.output_schema = "true";
    capability.metadata = metadata;
    capability.metadata_count = 1;
    open_session(f);
    assert_status(LOOM_OK, loom_agent_provide(f->agent, &capability));
    frame_provide got = fake_bridge_expect(&f->bridge, FRAME_PROVIDE).u.provide;
    assert_str("weather.lookup", got.name);
    assert_str("1.2.0", got.version);
    assert_str("what the sky looks like", got.description);
    assert_str("tool", got.kind);
    assert_str("{}", got.input_schema);
    assert_str("true", got.output_schema);
    assert_false(got.withdraw);
    assert_status(LOOM_OK, frame_metadata_read(got.metadata, read, 2, &count));
    assert_int_equal(1, count);
    assert_str("owner", read[0].key);
    assert_status(LOOM_OK, loom_agent_withdraw(f->agent, "weather.lookup", "1.2.0"));
    got = fake_bridge_expect(&f->bridge, FRAME_PROVIDE).u.provide;
    assert_true(got.withdraw);
    assert_str("1.2.0", got.version);
    assert_status(LOOM_ENOTFOUND, loom_agent_withdraw(f->agent, "weather.lookup", "1.2.0"));
}

static void what_is_not_valid_is_not_provided(void **state)
{
    fixture *f = *state;
    provider p = {.does = ECHO};
    static char large[17 * 1024];
    memset(large, 'x', sizeof large - 1);
    open_agent(f);
    loom_capability good = capability_of(&p), bad = good;
    bad.name = "a..b";
    assert_status(LOOM_EINVAL, loom_agent_provide(f->agent, &bad));
    bad = good;
    bad.kind = "robot";
    assert_status(LOOM_EINVAL, loom_agent_provide(f->agent, &bad));
    bad = good;
    bad.on_action = NULL;
    assert_status(LOOM_EINVAL, loom_agent_provide(f->agent, &bad));
    bad = good;
    bad.input_schema = large;
    assert_status(LOOM_ETOOBIG, loom_agent_provide(f->agent, &bad));
    assert_status(LOOM_EINVAL, loom_agent_provide(f->agent, NULL));
    assert_status(LOOM_ENOTFOUND, loom_agent_withdraw(f->agent, "a", NULL));
}

static void a_refusal_is_told_and_fails_who_waits_for_the_connection(void **state)
{
    fixture *f = *state;
    provider p = {.does = ECHO};
    loom_capability capability = capability_of(&p);
    open_session(f);
    assert_status(LOOM_OK, loom_agent_provide(f->agent, &capability));
    fake_bridge_answer_provide(&f->bridge, LOOM_EDENIED);
    assert_status(LOOM_EDENIED, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    wait_until(noted(f, f->errors, "EDENIED:capability weather.lookup refused: as the test wants it"), FAKE_DEADLINE_MS);
}

static void it_is_provided_again_in_the_next_session(void **state)
{
    fixture *f = *state;
    provider p = {.does = ECHO};
    provide(f, &p);
    fake_bridge_drop(&f->bridge);
    fake_bridge_session(&f->bridge, 2);
    assert_str("weather.lookup", fake_bridge_answer_provide(&f->bridge, LOOM_OK));
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    fake_bridge_call_text(&f->bridge, "c1", "weather.lookup", "in");
    fake_bridge_expect_result(&f->bridge, "c1", FRAME_CALL_OK, "", "in");
    wait_until(atomic_load(&p.handled) == 1, FAKE_DEADLINE_MS);
}

static void the_same_again_replaces_it(void **state)
{
    fixture *f = *state;
    provider first = {.does = ECHO}, second = {.does = FAIL};
    loom_capability again = capability_of(&second);
    provide(f, &first);
    assert_status(LOOM_OK, loom_agent_provide(f->agent, &again));
    fake_bridge_answer_provide(&f->bridge, LOOM_OK);
    fake_bridge_call_text(&f->bridge, "c1", "weather.lookup", "in");
    fake_bridge_expect_result(&f->bridge, "c1", FRAME_CALL_ERROR, "not_today", "");
    wait_until(atomic_load(&second.handled) == 1, FAKE_DEADLINE_MS);
    assert_int_equal(0, atomic_load(&first.handled));
}

/* ---- answering ---- */

static void a_call_is_answered_by_its_handler(void **state)
{
    fixture *f = *state;
    provider p = {.does = ECHO};
    provide(f, &p);
    fake_bridge_call_text(&f->bridge, "c1", "weather.lookup", "in");
    fake_bridge_expect_result(&f->bridge, "c1", FRAME_CALL_OK, "", "in");
    wait_until(atomic_load(&p.handled) == 1, FAKE_DEADLINE_MS);
    p.does = FAIL;
    fake_bridge_call_text(&f->bridge, "c2", "weather.lookup", "in");
    fake_bridge_expect_result(&f->bridge, "c2", FRAME_CALL_ERROR, "not_today", "");
    wait_until(atomic_load(&p.handled) == 2, FAKE_DEADLINE_MS);
    p.does = NOTHING;
    fake_bridge_call_text(&f->bridge, "c3", "weather.lookup", "in");
    fake_bridge_expect_result(&f->bridge, "c3", FRAME_CALL_OK, "", "");
    wait_until(atomic_load(&p.handled) == 3, FAKE_DEADLINE_MS);
    p.does = STATUS;
    p.status = LOOM_EDENIED;
    fake_bridge_call_text(&f->bridge, "c4", "weather.lookup", "in");
    fake_bridge_expect_result(&f->bridge, "c4", FRAME_CALL_ERROR, "EDENIED", "");
    wait_until(loom_agent_get_stats(f->agent).calls_handled == 4, FAKE_DEADLINE_MS);
}

static void a_call_has_one_answer(void **state)
{
    fixture *f = *state;
    provider p = {.does = TWICE};
    provide(f, &p);
    fake_bridge_call_text(&f->bridge, "c1", "weather.lookup", "in");
    fake_bridge_expect_result(&f->bridge, "c1", FRAME_CALL_OK, "", "in");
    wait_until(atomic_load(&p.handled) == 1, FAKE_DEADLINE_MS);
    assert_status(LOOM_EEXIST, p.second);
    assert_false(fake_bridge_hears_something(&f->bridge, 0));
}

static void what_is_not_provided_is_not_found(void **state)
{
    fixture *f = *state;
    open_session(f);
    fake_bridge_call_text(&f->bridge, "c1", "nothing.here", "in");
    fake_bridge_expect_result(&f->bridge, "c1", FRAME_CALL_ERROR, "not_found", "");
}

static void an_answer_may_come_later_from_another_thread(void **state)
{
    fixture *f = *state;
    provider p = {.does = KEEP};
    provide(f, &p);
    loom_action *action = kept_action(f, &p);
    assert_string_equal("weather.lookup", loom_action_capability(action));
    assert_string_equal("0", loom_action_version(action));
    assert_str("caller", loom_envelope_sender(loom_action_envelope(action)));
    assert_in_range(loom_action_deadline_left_ms(action), 1000, 10000);
    assert_false(loom_action_cancelled(action));
    static const uint8_t large[LOOM_PAYLOAD_MAX + 1];
    assert_status(LOOM_ETOOBIG, loom_action_reply(action, BYTES(large)));
    assert_status(LOOM_OK, loom_action_reply(action, TEXT("later")));
    fake_bridge_expect_result(&f->bridge, "c1", FRAME_CALL_OK, "", "later");
    assert_status(LOOM_EEXIST, loom_action_reply(action, TEXT("later")));
    assert_status(LOOM_EEXIST, loom_action_progress(action, BYTES("x")));
    loom_action_unref(action);
}

static void who_drops_a_call_without_an_answer_fails_it(void **state)
{
    fixture *f = *state;
    provider p = {.does = KEEP};
    provide(f, &p);
    loom_action_unref(kept_action(f, &p));
    fake_bridge_expect_result(&f->bridge, "c1", FRAME_CALL_ERROR, "no_answer", "");
}

static void a_cancel_is_told_once(void **state)
{
    fixture *f = *state;
    provider p = {.does = KEEP};
    provide(f, &p);
    loom_action *action = kept_action(f, &p);
    for (int i = 0; i < 2; i++) {
        assert_status(LOOM_OK, frame_put_cancel(&f->bridge.out, (loom_bytes){(const uint8_t *)"c1", 2}, STR("enough")));
        fake_bridge_flush(&f->bridge);
    }
    wait_until(atomic_load(&p.cancelled) == 1, FAKE_DEADLINE_MS);
    assert_true(p.was_cancelled);
    assert_true(loom_action_cancelled(action));
    loom_action_unref(action);
    fake_bridge_expect_result(&f->bridge, "c1", FRAME_CALL_CANCELLED, "cancelled", "");
    assert_int_equal(1, atomic_load(&p.cancelled));
}

static void when_the_session_has_gone_nobody_waits_any_more(void **state)
{
    fixture *f = *state;
    provider p = {.does = KEEP};
    provide(f, &p);
    loom_action *action = kept_action(f, &p);
    fake_bridge_drop(&f->bridge);
    wait_until(atomic_load(&p.cancelled) == 1, FAKE_DEADLINE_MS);
    assert_status(LOOM_ENOTCONN, loom_action_reply(action, BYTES("x")));
    fake_bridge_session(&f->bridge, 2);
    fake_bridge_answer_provide(&f->bridge, LOOM_OK);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    assert_status(LOOM_ENOTCONN, loom_action_reply(action, BYTES("x")));
    assert_status(LOOM_ENOTCONN, loom_action_progress(action, BYTES("x")));
    loom_action_unref(action);
    assert_false(fake_bridge_hears_something(&f->bridge, 0));
}

static void an_action_outlives_its_agent(void **state)
{
    fixture *f = *state;
    provider p = {.does = KEEP};
    provide(f, &p);
    loom_action *action = kept_action(f, &p);
    fake_bridge_drop(&f->bridge);
    loom_agent_close_within(f->agent, 100);
    f->agent = NULL;
    assert_status(LOOM_ENOTCONN, loom_action_reply(action, BYTES("x")));
    assert_status(LOOM_ENOTCONN, loom_action_progress(action, BYTES("x")));
    assert_status(LOOM_EINVAL, loom_action_chunk(action, BYTES("x"), 10)); /* none were asked for */
    assert_string_equal("weather.lookup", loom_action_capability(action));
    assert_memory_equal("in", loom_action_payload(action).data, 2);
    loom_action_unref(action);
}

/* ---- parts ---- */

static void call_streaming(fixture *f)
{
    frame_call call = {.call_id = {(const uint8_t *)"c1", 2},
                       .capability = STR("weather.lookup"),
                       .deadline_ms = 10000,
                       .flags = FRAME_CALL_STREAMS};
    loom_envelope_fields fields = {.topic = STR("weather.lookup"), .sender = STR("caller")};
    fake_bridge_call(&f->bridge, &call, &fields);
}

static void grant(fixture *f, uint64_t chunks)
{
    assert_status(LOOM_OK,
                  frame_put_call_credit(&f->bridge.out, (loom_bytes){(const uint8_t *)"c1", 2}, chunks, 1000000));
    fake_bridge_flush(&f->bridge);
}

static void expect_report(fixture *f, frame_report_kind kind, uint64_t number, const char *payload)
{
    frame_report got = fake_bridge_expect(&f->bridge, FRAME_REPORT).u.report;
    assert_int_equal(kind, got.kind);
    assert_int_equal(number, got.number);
    assert_memory_equal(payload, got.payload.data, strlen(payload));
}

static void chunks_wait_for_credit(void **state)
{
    fixture *f = *state;
    provider p = {.does = PARTS};
    provide(f, &p);
    call_streaming(f);
    expect_report(f, FRAME_PROGRESS, 0, "50%");
    assert_false(fake_bridge_hears_something(&f->bridge, 50));
    grant(f, 2);
    expect_report(f, FRAME_CHUNK, 0, "a");
    expect_report(f, FRAME_CHUNK, 1, "b");
    assert_false(fake_bridge_hears_something(&f->bridge, 50));
    /* the waiting handler keeps nobody from the rest */
    assert_status(LOOM_OK, frame_put_number(&f->bridge.out, FRAME_PING, 7));
    fake_bridge_flush(&f->bridge);
    assert_int_equal(7, fake_bridge_expect(&f->bridge, FRAME_PONG).u.number);
    grant(f, 3);
    expect_report(f, FRAME_CHUNK, 2, "c");
    (void)fake_bridge_expect(&f->bridge, FRAME_RESULT);
    wait_until(atomic_load(&p.handled) == 1, FAKE_DEADLINE_MS);
    assert_status(LOOM_OK, p.chunk);
}

static void a_cancel_ends_the_wait_for_credit(void **state)
{
    fixture *f = *state;
    provider p = {.does = PARTS};
    provide(f, &p);
    call_streaming(f);
    expect_report(f, FRAME_PROGRESS, 0, "50%");
    assert_status(LOOM_OK, frame_put_cancel(&f->bridge.out, (loom_bytes){(const uint8_t *)"c1", 2}, STR("enough")));
    fake_bridge_flush(&f->bridge);
    (void)fake_bridge_expect(&f->bridge, FRAME_RESULT);
    wait_until(atomic_load(&p.handled) == 1, FAKE_DEADLINE_MS);
    assert_status(LOOM_ECANCELED, p.chunk);
    assert_int_equal(1, atomic_load(&p.cancelled));
}

static void without_credit_in_time_a_chunk_is_refused(void **state)
{
    fixture *f = *state;
    provider p = {.does = KEEP};
    provide(f, &p);
    call_streaming(f);
    wait_until(atomic_load(&p.kept) != NULL, FAKE_DEADLINE_MS);
    loom_action *action = atomic_load(&p.kept);
    assert_status(LOOM_EFULL, loom_action_chunk(action, BYTES("x"), 0));
    assert_status(LOOM_EFULL, loom_action_chunk(action, BYTES("x"), 10));
    assert_status(LOOM_OK, loom_action_reply(action, BYTES("")));
    assert_status(LOOM_EEXIST, loom_action_chunk(action, BYTES("x"), 10));
    loom_action_unref(action);
}

/* ---- without memory ---- */

static loom_status provide_hungry(void *user)
{
    fixture *f = user;
    provider p = {.does = ECHO};
    loom_capability capability = capability_of(&p);
    loom_header metadata[] = {{STR("owner"), STR("me")}};
    capability.metadata = metadata;
    capability.metadata_count = 1;
    loom_status st = loom_agent_provide(f->agent, &capability);
    if (st == LOOM_OK) {
        fake_bridge_answer_provide(&f->bridge, LOOM_OK);
        st = loom_agent_withdraw(f->agent, "weather.lookup", NULL);
        (void)loom_agent_withdraw(f->agent, "weather.lookup", NULL);
        (void)fake_bridge_expect(&f->bridge, FRAME_PROVIDE);
    }
    return st;
}

static void provide_reports_missing_memory(void **state)
{
    fixture *f = *state;
    open_session(f);
    assert_in_range(alloc_fault_each(provide_hungry, f), 2, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_AGENT(all_of_a_capability_is_told),
        WITH_AGENT(what_is_not_valid_is_not_provided),
        WITH_AGENT(a_refusal_is_told_and_fails_who_waits_for_the_connection),
        WITH_AGENT(it_is_provided_again_in_the_next_session),
        WITH_AGENT(the_same_again_replaces_it),
        WITH_AGENT(a_call_is_answered_by_its_handler),
        WITH_AGENT(a_call_has_one_answer),
        WITH_AGENT(what_is_not_provided_is_not_found),
        WITH_AGENT(an_answer_may_come_later_from_another_thread),
        WITH_AGENT(who_drops_a_call_without_an_answer_fails_it),
        WITH_AGENT(a_cancel_is_told_once),
        WITH_AGENT(when_the_session_has_gone_nobody_waits_any_more),
        WITH_AGENT(an_action_outlives_its_agent),
        WITH_AGENT(chunks_wait_for_credit),
        WITH_AGENT(a_cancel_ends_the_wait_for_credit),
        WITH_AGENT(without_credit_in_time_a_chunk_is_refused),
        WITH_AGENT(provide_reports_missing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
