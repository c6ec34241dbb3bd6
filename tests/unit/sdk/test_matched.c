/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that ask how many subscriptions they match: requests that nobody could answer, and counted events. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/unit/sdk/agent_fixture.h"

#define TEXT(literal) ((loom_bytes){(const uint8_t *)literal, sizeof literal - 1})

typedef struct told {
    atomic_int status; /* -1: not yet */
} told;

static void on_reply(loom_agent *agent, loom_status status, loom_envelope *reply, void *user)
{
    (void)agent;
    assert_null(reply);
    atomic_store(&((told *)user)->status, (int)status);
}

static void open_asking(fixture *f)
{
    f->bridge.asks = true;
    open_session(f);
}

/* The ask that comes before the message it names; its number. */
static uint64_t expect_ask(fixture *f, frame_ask_how how)
{
    uint8_t id[LOOM_UUID_SIZE];
    const frame ask = fake_bridge_expect(&f->bridge, FRAME_ASK);
    const uint64_t number = ask.u.ask.number;
    assert_int_equal(how, ask.u.ask.how);
    memcpy(id, ask.u.ask.message_id.data, sizeof id);
    const frame published = fake_bridge_expect(&f->bridge, FRAME_PUBLISH);
    envelope_view view;
    assert_status(LOOM_OK, envelope_scan(&view, published.u.batch.items, NULL, NULL));
    assert_memory_equal(id, envelope_view_bytes(&view, ENV_ID).data, sizeof id);
    return number;
}

static void answer(fixture *f, uint64_t number, uint64_t subscriptions)
{
    assert_status(LOOM_OK, frame_put_matched(&f->bridge.out, &(frame_matched){number, subscriptions}));
    fake_bridge_flush(&f->bridge);
}

static void ask(fixture *f, told *t)
{
    atomic_store(&t->status, -1);
    assert_status(LOOM_OK, loom_agent_request_async(f->agent, "who", TEXT("?"), NULL, on_reply, t, NULL));
}

static void a_request_that_matches_nobody_fails_at_once(void **state)
{
    fixture *f = *state;
    static told t; /* told of the end of the agent, too */
    open_asking(f);
    ask(f, &t);
    answer(f, expect_ask(f, FRAME_ASK_IF_NONE), 0);
    wait_until(atomic_load(&t.status) == LOOM_ENORESPONDERS, FAKE_DEADLINE_MS);
    const loom_collaboration_stats stats = loom_agent_collaboration(f->agent);
    assert_int_equal(0, stats.open);
    assert_int_equal(0, stats.timeouts);
}

static void an_answer_about_no_request_does_nothing(void **state)
{
    fixture *f = *state;
    static told t; /* told of the end of the agent, too */
    open_asking(f);
    ask(f, &t);
    const uint64_t number = expect_ask(f, FRAME_ASK_IF_NONE);
    answer(f, number + 1, 0);
    answer(f, number, 3); /* not asked for, and no reason to end */
    answer(f, UINT64_MAX, 0);
    assert_int_equal(1, loom_agent_collaboration(f->agent).open);
    answer(f, number, 0);
    wait_until(atomic_load(&t.status) == LOOM_ENORESPONDERS, FAKE_DEADLINE_MS);
}

static void a_bridge_that_does_not_take_asks_is_asked_nothing(void **state)
{
    fixture *f = *state;
    static told t; /* told of the end of the agent, too */
    uint64_t matched = 9;
    open_session(f);
    ask(f, &t);
    (void)fake_bridge_expect(&f->bridge, FRAME_PUBLISH); /* and no ask before */
    assert_status(LOOM_EVERSION, loom_agent_emit_matched(f->agent, "t", TEXT("x"), NULL, 0, &matched));
    assert_int_equal(0, matched);
    (void)fake_bridge_expect(&f->bridge, FRAME_PUBLISH);
    assert_int_equal(-1, atomic_load(&t.status));
}

typedef struct counting {
    loom_agent *agent;
    uint32_t timeout_ms;
    loom_status status;
    uint64_t matched;
} counting;

static void *count(void *user)
{
    counting *c = user;
    c->status = loom_agent_emit_matched(c->agent, "t", TEXT("x"), NULL, c->timeout_ms, &c->matched);
    return NULL;
}

static void emit_counted(fixture *f, counting *c, pthread_t *thread, uint32_t timeout_ms)
{
    *c = (counting){.agent = f->agent, .timeout_ms = timeout_ms, .matched = 9};
    assert_int_equal(0, pthread_create(thread, NULL, count, c));
}

static void an_event_says_how_many_it_matched(void **state)
{
    fixture *f = *state;
    counting c;
    pthread_t thread;
    open_asking(f);
    emit_counted(f, &c, &thread, 0);
    answer(f, expect_ask(f, FRAME_ASK_ALWAYS), 3);
    pthread_join(thread, NULL);
    assert_status(LOOM_OK, c.status);
    assert_int_equal(3, c.matched);
    emit_counted(f, &c, &thread, 0);
    answer(f, expect_ask(f, FRAME_ASK_ALWAYS), 0);
    pthread_join(thread, NULL);
    assert_status(LOOM_ENORESPONDERS, c.status);
    assert_int_equal(0, c.matched);
}

static void the_count_is_not_waited_for_longer_than_asked(void **state)
{
    fixture *f = *state;
    counting c;
    pthread_t thread;
    open_asking(f);
    emit_counted(f, &c, &thread, 20);
    pthread_join(thread, NULL);
    assert_status(LOOM_ETIMEDOUT, c.status);
    answer(f, expect_ask(f, FRAME_ASK_ALWAYS), 3); /* too late, and no harm */
    emit(f, "after");
    (void)fake_bridge_expect(&f->bridge, FRAME_PUBLISH);
}

static void the_end_of_the_connection_ends_the_wait_for_the_count(void **state)
{
    fixture *f = *state;
    counting c;
    pthread_t thread;
    open_asking(f);
    emit_counted(f, &c, &thread, 0);
    (void)expect_ask(f, FRAME_ASK_ALWAYS);
    fake_bridge_drop(&f->bridge);
    pthread_join(thread, NULL);
    assert_status(LOOM_ENOTCONN, c.status);
}

static void what_is_missing_is_said(void **state)
{
    fixture *f = *state;
    uint64_t matched;
    open_asking(f);
    assert_status(LOOM_EINVAL, loom_agent_emit_matched(NULL, "t", TEXT("x"), NULL, 0, &matched));
    assert_status(LOOM_EINVAL, loom_agent_emit_matched(f->agent, NULL, TEXT("x"), NULL, 0, &matched));
    assert_status(LOOM_EINVAL, loom_agent_emit_matched(f->agent, "t", TEXT("x"), NULL, 0, NULL));
    assert_status(LOOM_EINVAL, loom_agent_emit_matched(f->agent, "t.*", TEXT("x"), NULL, 0, &matched));
    assert_int_equal(0, loom_agent_collaboration(f->agent).open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_AGENT(a_request_that_matches_nobody_fails_at_once),
        WITH_AGENT(an_answer_about_no_request_does_nothing),
        WITH_AGENT(a_bridge_that_does_not_take_asks_is_asked_nothing),
        WITH_AGENT(an_event_says_how_many_it_matched),
        WITH_AGENT(the_count_is_not_waited_for_longer_than_asked),
        WITH_AGENT(the_end_of_the_connection_ends_the_wait_for_the_count),
        WITH_AGENT(what_is_missing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
