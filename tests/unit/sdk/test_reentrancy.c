/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks that wait: the call they belong to stays, its outcome comes after them, and what runs meanwhile sees nothing of
 * whoever waits. */
#include <loom/loom.h>

#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/sdk/agent_fixture.h"

/* ---- a chunk callback that invokes ---- */

typedef struct story {
    atomic_uint chunks, ended, outcomes;
    atomic_bool outcome_first; /* the outcome was reported while the callback ran */
    loom_status inner, after;
} story;

static void on_chunk(loom_agent *agent, uint64_t number, loom_bytes payload, void *user)
{
    (void)number;
    (void)payload;
    story *s = user;
    loom_result *result;
    atomic_fetch_add(&s->chunks, 1);
    s->inner = loom_agent_invoke(agent, "inner", BYTES("in"), NULL, &result);
    loom_result_free(result);
    if (atomic_load(&s->outcomes) > 0) {
        atomic_store(&s->outcome_first, true);
    }
    s->after = loom_agent_emit_text(agent, "after", "x", NULL); /* inherits from the message of the call */
    atomic_fetch_add(&s->ended, 1);
}

static void on_result(loom_agent *agent, loom_result *result, void *user)
{
    (void)agent;
    story *s = user;
    atomic_fetch_add(&s->outcomes, 1);
    loom_result_free(result);
}

static frame next_of(fake_bridge *b, frame_type type)
{
    frame f = fake_bridge_next(b);
    while (f.type != type) {
        f = fake_bridge_next(b);
    }
    return f;
}

static void expect_call(fake_bridge *b, uint8_t id[FRAME_CALL_ID_MAX], size_t *len)
{
    frame f = next_of(b, FRAME_CALL);
    *len = f.u.call.call_id.len;
    memcpy(id, f.u.call.call_id.data, *len);
}

/* The outer call has its chunk, and its callback waits for the inner one. */
typedef struct interleaved {
    uint8_t outer[FRAME_CALL_ID_MAX], inner[FRAME_CALL_ID_MAX];
    size_t outer_len, inner_len;
} interleaved;

static void interleave(fixture *f, interleaved *i)
{
    expect_call(&f->bridge, i->outer, &i->outer_len);
    fake_bridge_report(&f->bridge, (loom_bytes){i->outer, i->outer_len}, FRAME_CHUNK, 0, "part");
    expect_call(&f->bridge, i->inner, &i->inner_len);
}

static void an_outcome_waits_for_the_callback(void **state)
{
    fixture *f = *state;
    story s = {0};
    interleaved i;
    loom_invoke_options options = {.on_chunk = on_chunk, .user = &s};
    open_session(f);
    assert_status(LOOM_OK, loom_agent_invoke_async(f->agent, "outer", BYTES("in"), &options, on_result, &s, NULL));
    interleave(f, &i);
    fake_bridge_result(&f->bridge, (loom_bytes){i.outer, i.outer_len}, FRAME_CALL_OK, "", "");
    fake_bridge_result(&f->bridge, (loom_bytes){i.inner, i.inner_len}, FRAME_CALL_OK, "", "");
    wait_until(atomic_load(&s.outcomes) == 1, FAKE_DEADLINE_MS);
    assert_int_equal(1, atomic_load(&s.ended));
    assert_false(atomic_load(&s.outcome_first));
    assert_status(LOOM_OK, s.inner);
}

typedef struct caller {
    loom_agent *agent;
    story story;
    loom_status status;
    atomic_bool returned;
} caller;

static void *invoke_outer(void *user)
{
    caller *c = user;
    loom_result *result;
    loom_invoke_options options = {.on_chunk = on_chunk, .user = &c->story};
    c->status = loom_agent_invoke(c->agent, "outer", BYTES("in"), &options, &result);
    c->story.outcomes = 1;
    atomic_store(&c->returned, true);
    loom_result_free(result);
    return NULL;
}

static void a_waiter_returns_after_its_callback(void **state)
{
    fixture *f = *state;
    caller c = {0};
    interleaved i;
    pthread_t thread;
    open_session(f);
    c.agent = f->agent;
    assert_int_equal(0, pthread_create(&thread, NULL, invoke_outer, &c));
    interleave(f, &i);
    fake_bridge_result(&f->bridge, (loom_bytes){i.outer, i.outer_len}, FRAME_CALL_OK, "", "");
    fake_bridge_result(&f->bridge, (loom_bytes){i.inner, i.inner_len}, FRAME_CALL_OK, "", "");
    pthread_join(thread, NULL);
    assert_status(LOOM_OK, c.status);
    assert_false(atomic_load(&c.story.outcome_first));
    assert_int_equal(1, atomic_load(&c.story.ended));
}

static void *close_agent(void *user)
{
    fixture *f = user;
    loom_agent_close_within(f->agent, 50);
    f->agent = NULL;
    return NULL;
}

static void a_waiter_that_gives_up_leaves_no_callback_behind(void **state)
{
    fixture *f = *state;
    caller c = {0};
    interleaved i;
    pthread_t thread, closing;
    open_session(f);
    c.agent = f->agent;
    assert_int_equal(0, pthread_create(&thread, NULL, invoke_outer, &c));
    interleave(f, &i);
    assert_int_equal(0, pthread_create(&closing, NULL, close_agent, f));
    pthread_join(thread, NULL);
    assert_status(LOOM_ECLOSED, c.status);
    assert_int_equal(1, atomic_load(&c.story.ended));
    assert_false(atomic_load(&c.story.outcome_first));
    pthread_join(closing, NULL);
}

static void a_chunk_that_is_being_handed_over_counts(void **state)
{
    fixture *f = *state;
    story s = {0};
    interleaved i;
    loom_invoke_options options = {.on_chunk = on_chunk, .user = &s, .idempotent = true};
    open_session(f);
    assert_status(LOOM_OK, loom_agent_invoke_async(f->agent, "outer", BYTES("in"), &options, on_result, &s, NULL));
    interleave(f, &i);
    fake_bridge_drop(&f->bridge); /* the outer call would be sent again, and its chunks come twice */
    fake_bridge_session(&f->bridge, 2);
    wait_until(atomic_load(&s.outcomes) == 1, FAKE_DEADLINE_MS);
    assert_int_equal(1, atomic_load(&s.chunks));
    assert_false(atomic_load(&s.outcome_first));
}

/* ---- what is current meanwhile ---- */

static loom_status wait_for_slow(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)event;
    (void)user;
    loom_result *result = NULL;
    loom_status st = LOOM_OK;
    if (strcmp(topic, "start") == 0) {
        st = loom_agent_invoke(agent, "slow", BYTES("in"), NULL, &result);
        loom_result_free(result);
    } else {
        st = loom_agent_emit_text(agent, "from.stranger", "x", NULL);
    }
    return st;
}

static void emit_outcome(loom_agent *agent, loom_result *result, void *user)
{
    atomic_bool *emitted = user;
    loom_result_free(result);
    atomic_store(emitted, loom_agent_emit_text(agent, "from.callback", "x", NULL) == LOOM_OK);
}

static loom_status emit_action(loom_agent *agent, loom_action *action, void *user)
{
    (void)user;
    loom_status st = loom_agent_emit_text(agent, "from.action", "x", NULL);
    return st == LOOM_OK ? loom_action_reply(action, BYTES("out")) : st;
}

static loom_trace_context some_context(void)
{
    loom_trace_context context = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    memset(context.trace_id, 7, sizeof context.trace_id);
    memset(context.span_id, 9, sizeof context.span_id);
    return context;
}

/* The next message of the agent is of this topic, and has no context. */
static void expect_no_context(fake_bridge *b, const char *topic)
{
    frame f = next_of(b, FRAME_PUBLISH);
    envelope_view view;
    const char *reason;
    loom_trace_context context;
    assert_status(LOOM_OK, envelope_scan(&view, f.u.batch.items, NULL, &reason));
    assert_str(topic, envelope_view_str(&view, ENV_TOPIC));
    assert_false(envelope_view_context(&view, &context));
}

static uint64_t open_waiting(fixture *f)
{
    loom_agent_options options = options_of(f);
    options.on_event = wait_for_slow;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    uint64_t number = fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    return number;
}

static void what_runs_while_a_handler_waits_is_in_no_trace_of_it(void **state)
{
    fixture *f = *state;
    heard_call free_call, slow;
    atomic_bool emitted = false;
    uint64_t number = open_waiting(f);
    loom_capability own = {.name = "own", .on_action = emit_action};
    assert_status(LOOM_OK, loom_agent_provide(f->agent, &own));
    (void)fake_bridge_answer_provide(&f->bridge, LOOM_OK);
    assert_status(LOOM_OK, loom_agent_invoke_async(f->agent, "free", BYTES("in"), NULL, emit_outcome, &emitted, NULL));
    fake_bridge_expect_call(&f->bridge, &free_call, "free");
    loom_trace_context context = some_context();
    loom_envelope_fields fields = {.topic = STR("start"), .sender = STR("somebody")};
    loom_envelope_inject(&fields, &context);
    fake_bridge_deliver(&f->bridge, number, &fields);
    fake_bridge_expect_call(&f->bridge, &slow, "slow");
    loom_trace_context inherited;
    assert_true(envelope_view_context(&slow.view, &inherited));
    assert_memory_equal(context.trace_id, inherited.trace_id, sizeof context.trace_id);
    fake_bridge_result(&f->bridge, free_call.id, FRAME_CALL_OK, "", "");
    expect_no_context(&f->bridge, "from.callback");
    wait_until(atomic_load(&emitted), FAKE_DEADLINE_MS);
    fake_bridge_call_text(&f->bridge, "id", "own", "in");
    expect_no_context(&f->bridge, "from.action");
    fake_bridge_result(&f->bridge, slow.id, FRAME_CALL_OK, "", "");
}

static void *serve_session(void *bridge)
{
    return (void *)(uintptr_t)fake_bridge_session(bridge, 2);
}

static void what_a_poll_handles_is_in_no_trace_of_its_caller(void **state)
{
    fixture *f = *state;
    loom_agent_options options = options_of(f);
    options.on_event = wait_for_slow;
    options.poll_mode = true;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    pthread_t server;
    void *number;
    assert_int_equal(0, pthread_create(&server, NULL, serve_session, &f->bridge));
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    pthread_join(server, &number);
    loom_trace_context context = some_context();
    uint64_t token = loom_context_push(&context, (loom_str){0});
    fake_bridge_deliver_text(&f->bridge, (uintptr_t)number, "other", "x");
    while (loom_agent_get_stats(f->agent).received == 0) {
        assert_status(LOOM_OK, loom_agent_poll(f->agent, 100));
    }
    assert_memory_equal(&context, loom_context_current(), sizeof context); /* and is back afterwards */
    assert_status(LOOM_OK, loom_agent_flush(f->agent, FAKE_DEADLINE_MS));
    expect_no_context(&f->bridge, "from.stranger");
    loom_context_pop(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_AGENT(an_outcome_waits_for_the_callback),
        WITH_AGENT(a_waiter_returns_after_its_callback),
        WITH_AGENT(a_waiter_that_gives_up_leaves_no_callback_behind),
        WITH_AGENT(a_chunk_that_is_being_handed_over_counts),
        WITH_AGENT(what_runs_while_a_handler_waits_is_in_no_trace_of_it),
        WITH_AGENT(what_a_poll_handles_is_in_no_trace_of_its_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
