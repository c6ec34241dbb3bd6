/* SPDX-License-Identifier: Apache-2.0 */
/* Barriers: agents that wait for one another. */
#include <loom/loom.h>

#include <stdlib.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/sdk/fake_hub.h"

typedef struct party {
    loom_agent *agent;
    pthread_t thread;
    const char *name;
    uint32_t parties, timeout_ms, arrived;
    loom_status answer;
    atomic_bool done, through; /* in its handler */
} party;

typedef struct fixture {
    fake_hub hub;
    party parties[3];
} fixture;

static const char *const names[] = {"ann", "ben", "cat", NULL};

/* Meets the others from within a handler. */
static loom_status on_go(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)topic;
    (void)event;
    party *p = user;
    loom_status st = loom_agent_barrier(agent, "load.1", 3, FAKE_DEADLINE_MS, &p->arrived);
    atomic_store(&p->through, st == LOOM_OK);
    return st;
}

static int set_up(void **state)
{
    static const char *const topics[] = {"go", NULL};
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    fake_hub_start(&f->hub, names);
    for (unsigned i = 0; i < 3; i++) {
        loom_agent_options options = {
            .id = names[i], .url = f->hub.bridges[i].url, .topics = topics, .on_event = on_go, .user = &f->parties[i]};
        assert_status(LOOM_OK, loom_agent_open(&f->parties[i].agent, &options));
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < 3; i++) {
        loom_agent_close_within(f->parties[i].agent, 100);
    }
    fake_hub_end(&f->hub);
    free(f);
    return 0;
}

static void *meet(void *user)
{
    party *p = user;
    p->answer = loom_agent_barrier(p->agent, p->name, p->parties, p->timeout_ms, &p->arrived);
    atomic_store(&p->done, true);
    return NULL;
}

static void begin(fixture *f, unsigned i, const char *name, uint32_t parties, uint32_t timeout_ms)
{
    party *p = &f->parties[i];
    p->name = name;
    p->parties = parties;
    p->timeout_ms = timeout_ms;
    atomic_store(&p->done, false);
    assert_int_equal(0, pthread_create(&p->thread, NULL, meet, p));
}

static loom_status end(fixture *f, unsigned i)
{
    pthread_join(f->parties[i].thread, NULL);
    return f->parties[i].answer;
}

static size_t waiting(const party *p)
{
    return loom_agent_collaboration(p->agent).open;
}

static uint64_t replies(const party *p)
{
    return loom_agent_collaboration(p->agent).replies;
}

/* ---- tests ---- */

static void all_leave_together(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < 3; i++) {
        begin(f, i, "load.1", 3, FAKE_DEADLINE_MS);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_status(LOOM_OK, end(f, i));
        assert_int_equal(3, f->parties[i].arrived);
        assert_int_equal(0, waiting(&f->parties[i]));
    }
}

static void nobody_leaves_before_the_last_has_come(void **state)
{
    fixture *f = *state;
    begin(f, 0, "load.1", 3, FAKE_DEADLINE_MS);
    begin(f, 1, "load.1", 3, FAKE_DEADLINE_MS);
    wait_until(replies(&f->parties[0]) + replies(&f->parties[1]) > 0, FAKE_DEADLINE_MS);
    assert_false(atomic_load(&f->parties[0].done) || atomic_load(&f->parties[1].done));
    begin(f, 2, "load.1", 3, FAKE_DEADLINE_MS);
    for (unsigned i = 0; i < 3; i++) {
        assert_status(LOOM_OK, end(f, i));
    }
}

static void too_few_is_a_timeout_that_says_how_many(void **state)
{
    fixture *f = *state;
    begin(f, 0, "load.1", 3, 300);
    begin(f, 1, "load.1", 3, 300);
    assert_status(LOOM_ETIMEDOUT, end(f, 0));
    assert_status(LOOM_ETIMEDOUT, end(f, 1));
    assert_true(f->parties[0].arrived == 2 || f->parties[1].arrived == 2);
}

static void who_gives_up_does_not_count(void **state)
{
    fixture *f = *state;
    begin(f, 0, "load.1", 2, 1);
    assert_true(end(f, 0) != LOOM_OK);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->parties[0].agent, FAKE_DEADLINE_MS));
    begin(f, 0, "load.1", 3, 200);
    begin(f, 1, "load.1", 3, 600);
    assert_status(LOOM_ETIMEDOUT, end(f, 0));
    assert_status(LOOM_ETIMEDOUT, end(f, 1));
    assert_int_equal(1, f->parties[1].arrived);
}

static void handlers_may_wait_at_a_barrier(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < 3; i++) {
        assert_status(LOOM_OK, loom_agent_wait_connected(f->parties[i].agent, FAKE_DEADLINE_MS));
    }
    assert_status(LOOM_OK, loom_agent_emit_text(f->parties[0].agent, "go", "now", NULL));
    for (unsigned i = 0; i < 3; i++) {
        wait_until(atomic_load(&f->parties[i].through), FAKE_DEADLINE_MS);
        assert_int_equal(3, f->parties[i].arrived);
    }
}

static void a_lost_connection_delays_and_does_not_deceive(void **state)
{
    fixture *f = *state;
    begin(f, 0, "load.1", 2, FAKE_DEADLINE_MS);
    wait_until(atomic_load(&f->hub.published) == 1, FAKE_DEADLINE_MS);
    fake_hub_drop(&f->hub, 0);
    begin(f, 1, "load.1", 2, FAKE_DEADLINE_MS); /* its arrival is unheard */
    assert_status(LOOM_OK, end(f, 0));
    assert_status(LOOM_OK, end(f, 1));
}

static void in_poll_mode_the_caller_drives(void **state)
{
    fixture *f = *state;
    party *ann = &f->parties[0];
    loom_agent_close_within(ann->agent, 100);
    loom_agent_options options = {.id = "ann", .url = f->hub.bridges[0].url, .poll_mode = true};
    assert_status(LOOM_OK, loom_agent_open(&ann->agent, &options));
    begin(f, 0, "load.1", 2, FAKE_DEADLINE_MS);
    begin(f, 1, "load.1", 2, FAKE_DEADLINE_MS);
    assert_status(LOOM_OK, end(f, 0));
    assert_status(LOOM_OK, end(f, 1));
}

static void an_agent_waits_at_a_barrier_once(void **state)
{
    fixture *f = *state;
    begin(f, 0, "load.1", 2, FAKE_DEADLINE_MS);
    wait_until(waiting(&f->parties[0]) == 1, FAKE_DEADLINE_MS);
    assert_status(LOOM_EEXIST, loom_agent_barrier(f->parties[0].agent, "load.1", 2, 1000, NULL));
    begin(f, 1, "load.1", 2, FAKE_DEADLINE_MS);
    assert_status(LOOM_OK, end(f, 0));
    assert_status(LOOM_OK, end(f, 1));
}

static void closing_ends_the_wait(void **state)
{
    fixture *f = *state;
    begin(f, 0, "load.1", 2, FAKE_DEADLINE_MS);
    wait_until(atomic_load(&f->hub.published) == 1, FAKE_DEADLINE_MS);
    loom_agent_close_within(f->parties[0].agent, 100);
    f->parties[0].agent = NULL;
    assert_status(LOOM_ECLOSED, end(f, 0));
}

static void bad_arguments_are_refused(void **state)
{
    fixture *f = *state;
    loom_agent *agent = f->parties[0].agent;
    assert_status(LOOM_EINVAL, loom_agent_barrier(NULL, "b", 2, 10, NULL));
    assert_status(LOOM_EINVAL, loom_agent_barrier(agent, NULL, 2, 10, NULL));
    assert_status(LOOM_EINVAL, loom_agent_barrier(agent, "", 2, 10, NULL));
    assert_status(LOOM_EINVAL, loom_agent_barrier(agent, "a b", 2, 10, NULL));
    assert_status(LOOM_EINVAL, loom_agent_barrier(agent, "b", 0, 10, NULL));
    assert_status(LOOM_EINVAL, loom_agent_barrier(agent, "b", LOOM_CONTRIBUTIONS_MAX + 1, 10, NULL));
}

static loom_status meet_alone(void *user)
{
    fixture *f = user;
    uint32_t arrived;
    return loom_agent_barrier(f->parties[0].agent, "alone", 1, FAKE_DEADLINE_MS, &arrived);
}

static void without_memory_nothing_is_left_behind(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, loom_agent_wait_connected(f->parties[0].agent, FAKE_DEADLINE_MS));
    assert_true(alloc_fault_each_survived(meet_alone, f) > 3);
    assert_int_equal(0, waiting(&f->parties[0]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_leave_together),
        TEST(nobody_leaves_before_the_last_has_come),
        TEST(too_few_is_a_timeout_that_says_how_many),
        TEST(who_gives_up_does_not_count),
        TEST(handlers_may_wait_at_a_barrier),
        TEST(a_lost_connection_delays_and_does_not_deceive),
        TEST(in_poll_mode_the_caller_drives),
        TEST(an_agent_waits_at_a_barrier_once),
        TEST(closing_ends_the_wait),
        TEST(bad_arguments_are_refused),
        TEST(without_memory_nothing_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
