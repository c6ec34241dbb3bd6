/* SPDX-License-Identifier: Apache-2.0 */
/* The child of a fork(): its parent's agents are closed there, and the parent does not notice. */
#include <loom/loom.h>

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/sdk/agent_fixture.h"

enum { CHILD_DEADLINE_S = 20 };

/* Runs in a child, which the alarm ends if it hangs; returns its wait status. */
static int in_child(bool (*check)(fixture *f), fixture *f)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(CHILD_DEADLINE_S);
        _exit(check(f) ? 0 : 1);
    }
    int status;
    assert_int_equal(child, waitpid(child, &status, 0));
    return status;
}

#define IS_CLOSED(call)                                                                           \
    do {                                                                                          \
        loom_status given = (call);                                                               \
        if (given != LOOM_ECLOSED) {                                                              \
            fprintf(stderr, "%s gave LOOM_%s\n", #call, loom_status_name(given));                 \
            return false;                                                                         \
        }                                                                                         \
    } while (0)

static loom_status on_action(loom_agent *agent, loom_action *action, void *user)
{
    (void)agent;
    (void)action;
    (void)user;
    return LOOM_OK;
}

static void on_joined(loom_agent *agent, const loom_joined *joined, void *user)
{
    (void)agent;
    (void)joined;
    (void)user;
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    (void)event;
    (void)user;
    return LOOM_OK;
}

static bool everything_is_closed(fixture *f)
{
    loom_agent *a = f->agent;
    loom_envelope *reply;
    loom_joiner *joiner;
    loom_thread *thread;
    loom_joined *joined;
    uint64_t number;
    loom_bytes nothing = {0};
    loom_target target = {.topic = "out"};
    loom_join_rule rule = {.strategy = LOOM_JOIN_ANY};
    loom_capability capability = {.name = "a.b", .on_action = on_action};
    loom_joiner_options joining = {.rule = rule, .on_joined = on_joined};
    IS_CLOSED(loom_agent_emit(a, "out", nothing, NULL));
    IS_CLOSED(loom_agent_emit_text(a, "out", "text", NULL));
    IS_CLOSED(loom_agent_subscribe(a, "in", NULL, &number));
    IS_CLOSED(loom_agent_unsubscribe(a, 1));
    IS_CLOSED(loom_agent_provide(a, &capability));
    IS_CLOSED(loom_agent_withdraw(a, "a.b", NULL));
    IS_CLOSED(loom_agent_invoke(a, "a.b", nothing, NULL, NULL));
    IS_CLOSED(loom_agent_cancel(a, 1, NULL));
    IS_CLOSED(loom_agent_request(a, "out", nothing, NULL, &reply));
    IS_CLOSED(loom_agent_request_cancel(a, 1));
    IS_CLOSED(loom_agent_fanout(a, &target, 1, nothing, &rule, NULL, &joined));
    IS_CLOSED(loom_joiner_open(&joiner, a, &joining));
    IS_CLOSED(loom_agent_barrier(a, "b", 2, 1000, NULL));
    IS_CLOSED(loom_agent_thread_join(&thread, a, "t", on_event, NULL, 1000));
    IS_CLOSED(loom_agent_flush(a, 1000));
    IS_CLOSED(loom_agent_wait_connected(a, 1000));
    IS_CLOSED(loom_agent_run(a));
    IS_CLOSED(loom_agent_run_until_signal(a));
    IS_CLOSED(loom_agent_poll(a, 1000));
    loom_agent_stop(a);
    return loom_agent_get_state(a) == LOOM_AGENT_CLOSED && loom_agent_fd(a) == -1 && loom_agent_get_stats(a).emitted == 0;
}

static bool closing_returns(fixture *f)
{
    return loom_agent_close(f->agent) == LOOM_OK;
}

static void an_inherited_agent_is_closed_in_the_child_and_goes_on_in_the_parent(void **state)
{
    fixture *f = *state;
    char text[64];
    open_session(f);
    assert_int_equal(0, in_child(everything_is_closed, f));
    assert_int_equal(0, in_child(closing_returns, f));
    emit(f, "still here");
    fake_bridge_collect(&f->bridge, text, sizeof text, 1);
    assert_string_equal("still here", text); /* and nothing of the child's before it */
    assert_int_equal(LOOM_AGENT_CONNECTED, loom_agent_get_state(f->agent));
}

static bool a_new_agent_works(fixture *f)
{
    loom_agent *agent;
    fake_bridge own = {0};
    fake_bridge_open(&own);
    loom_agent_options options = {.id = "child", .url = own.url};
    (void)f;
    if (loom_agent_open(&agent, &options) != LOOM_OK) {
        return false;
    }
    fake_bridge_session(&own, 1);
    bool works = loom_agent_wait_connected(agent, FAKE_DEADLINE_MS) == LOOM_OK &&
                 loom_agent_emit_text(agent, "out", "from the child", NULL) == LOOM_OK;
    frame sent = fake_bridge_expect(&own, FRAME_PUBLISH);
    works = works && sent.u.batch.count == 1;
    fake_bridge_drop(&own);
    (void)loom_agent_close_within(agent, 100);
    fake_bridge_close(&own);
    return works;
}

static void the_child_may_open_agents_of_its_own(void **state)
{
    fixture *f = *state;
    open_session(f);
    assert_int_equal(0, in_child(a_new_agent_works, f));
}

/* The lock of the agent is held by another thread at the moment of the fork, and in the child for ever. */
static void *emit_until_told(void *arg)
{
    fixture *f = arg;
    while (atomic_load(&f->answer) == LOOM_OK) {
        loom_status st = loom_agent_emit_text(f->agent, "out", "x", NULL);
        if (st == LOOM_EFULL) {
            sched_yield();
        }
    }
    return NULL;
}

static void a_fork_in_the_midst_of_emitting_leaves_no_lock_to_wait_for(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    open_session(f);
    assert_int_equal(0, pthread_create(&thread, NULL, emit_until_told, f));
    for (int i = 0; i < 20; i++) {
        assert_int_equal(0, in_child(everything_is_closed, f));
        assert_int_equal(0, in_child(closing_returns, f));
    }
    atomic_store(&f->answer, LOOM_EIO);
    pthread_join(thread, NULL);
}

static void *run_until_signal(void *arg)
{
    return (void *)(intptr_t)loom_agent_run_until_signal(((fixture *)arg)->agent);
}

static bool has_taken_signals(void)
{
    struct sigaction now;
    return sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler != SIG_DFL;
}

static bool terminate_self(fixture *f)
{
    (void)f;
    kill(getpid(), SIGTERM);
    for (;;) {
        pause();
    }
    return false;
}

static void a_signal_to_the_child_ends_the_child_and_not_the_parents_run(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    void *result;
    open_session(f);
    assert_int_equal(0, pthread_create(&thread, NULL, run_until_signal, f));
    wait_until(has_taken_signals(), FAKE_DEADLINE_MS);
    int status = in_child(terminate_self, f);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_int_equal(LOOM_AGENT_CONNECTED, loom_agent_get_state(f->agent));
    assert_true(has_taken_signals()); /* it runs on */
    kill(getpid(), SIGTERM);
    pthread_join(thread, &result);
    assert_status(LOOM_OK, (loom_status)(intptr_t)result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_AGENT(an_inherited_agent_is_closed_in_the_child_and_goes_on_in_the_parent),
        WITH_AGENT(the_child_may_open_agents_of_its_own),
        WITH_AGENT(a_fork_in_the_midst_of_emitting_leaves_no_lock_to_wait_for),
        WITH_AGENT(a_signal_to_the_child_ends_the_child_and_not_the_parents_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
