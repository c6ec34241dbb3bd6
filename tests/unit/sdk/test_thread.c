/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of conversation: who is in them, and who hears what. */
#include <loom/loom.h>

#include <stdlib.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/sdk/fake_hub.h"

#define TEXT(literal) ((loom_bytes){(const uint8_t *)literal, sizeof literal - 1})

typedef struct fixture fixture;

typedef struct member {
    fixture *f;
    loom_agent *agent;
    loom_thread *thread;
    atomic_uint heard;
    atomic_bool leaves;
    char last[64]; /* of the loop, until heard has been read */
    char thread_id[64];
} member;

struct fixture {
    fake_hub hub;
    member members[3];
};

static const char *const names[] = {"ann", "ben", "cat", NULL};

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    fake_hub_start(&f->hub, names);
    for (unsigned i = 0; i < 3; i++) {
        loom_agent_options options = {.id = names[i], .url = f->hub.bridges[i].url};
        f->members[i].f = f;
        assert_status(LOOM_OK, loom_agent_open(&f->members[i].agent, &options));
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < 3; i++) {
        loom_agent_close_within(f->members[i].agent, 100);
    }
    fake_hub_end(&f->hub);
    free(f);
    return 0;
}

static loom_status on_post(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    member *m = user;
    char buf[LOOM_UUID_TEXT_SIZE];
    loom_bytes payload = loom_envelope_payload(event);
    loom_str id = loom_envelope_thread_id(event, buf);
    snprintf(m->last, sizeof m->last, "%.*s", (int)payload.len, (const char *)payload.data);
    snprintf(m->thread_id, sizeof m->thread_id, "%.*s", (int)id.len, id.data);
    if (atomic_load(&m->leaves)) {
        loom_thread_leave(m->thread);
        m->thread = NULL;
    }
    atomic_fetch_add(&m->heard, 1);
    return LOOM_OK;
}

static loom_status join_as(member *m, const char *id)
{
    return loom_agent_thread_join(&m->thread, m->agent, id, on_post, m, FAKE_DEADLINE_MS);
}

static bool add_name(void *user, const char *agent)
{
    char *text = user;
    snprintf(text + strlen(text), 64 - strlen(text), "%s,", agent);
    return true;
}

static bool sees(member *m, const char *expected)
{
    char text[64] = "";
    (void)loom_thread_participants(m->thread, add_name, text);
    return strcmp(text, expected) == 0;
}

static void join_all(fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_status(LOOM_OK, join_as(&f->members[i], "plan"));
    }
}

/* ---- tests ---- */

static void everybody_knows_who_is_there(void **state)
{
    fixture *f = *state;
    join_all(f, 3);
    for (unsigned i = 0; i < 3; i++) {
        wait_until(sees(&f->members[i], "ann,ben,cat,"), FAKE_DEADLINE_MS);
    }
    assert_int_equal(1, loom_agent_collaboration(f->members[0].agent).open);
}

static void a_post_is_heard_by_the_others_and_carries_the_thread(void **state)
{
    fixture *f = *state;
    join_all(f, 3);
    assert_status(LOOM_OK, loom_thread_post(f->members[0].thread, TEXT("hello"), NULL));
    for (unsigned i = 1; i < 3; i++) {
        wait_until(atomic_load(&f->members[i].heard) == 1, FAKE_DEADLINE_MS);
        assert_string_equal("hello", f->members[i].last);
        assert_string_equal("plan", f->members[i].thread_id);
    }
    assert_int_equal(0, atomic_load(&f->members[0].heard));
}

static void who_leaves_is_missed(void **state)
{
    fixture *f = *state;
    join_all(f, 3);
    wait_until(sees(&f->members[0], "ann,ben,cat,"), FAKE_DEADLINE_MS);
    loom_thread_leave(f->members[1].thread);
    wait_until(sees(&f->members[0], "ann,cat,"), FAKE_DEADLINE_MS);
    assert_int_equal(0, loom_agent_collaboration(f->members[1].agent).open);
}

static void who_vanishes_is_missed(void **state)
{
    fixture *f = *state;
    join_all(f, 2);
    wait_until(sees(&f->members[0], "ann,ben,"), FAKE_DEADLINE_MS);
    loom_agent_close_within(f->members[1].agent, 0);
    f->members[1].agent = NULL;
    wait_until(sees(&f->members[0], "ann,"), FAKE_DEADLINE_MS);
}

static void who_was_cut_off_joins_again(void **state)
{
    fixture *f = *state;
    join_all(f, 3);
    for (unsigned i = 0; i < 3; i++) {
        wait_until(sees(&f->members[i], "ann,ben,cat,"), FAKE_DEADLINE_MS);
    }
    unsigned before = atomic_load(&f->hub.published);
    fake_hub_drop(&f->hub, 1);
    wait_until(atomic_load(&f->hub.published) >= before + 3, FAKE_DEADLINE_MS); /* its joining, and two answers */
    for (unsigned i = 0; i < 3; i++) {
        wait_until(sees(&f->members[i], "ann,ben,cat,"), FAKE_DEADLINE_MS);
    }
}

static void a_thread_may_be_left_from_its_handler(void **state)
{
    fixture *f = *state;
    join_all(f, 2);
    atomic_store(&f->members[1].leaves, true);
    assert_status(LOOM_OK, loom_thread_post(f->members[0].thread, TEXT("go"), NULL));
    wait_until(sees(&f->members[0], "ann,"), FAKE_DEADLINE_MS);
}

static void an_agent_joins_a_thread_once(void **state)
{
    fixture *f = *state;
    loom_thread *second;
    assert_status(LOOM_OK, join_as(&f->members[0], "plan"));
    assert_status(LOOM_EEXIST, loom_agent_thread_join(&second, f->members[0].agent, "plan", on_post, NULL, 1000));
    assert_null(second);
    assert_status(LOOM_OK, loom_agent_thread_join(&second, f->members[0].agent, "other", on_post, NULL, 1000));
    loom_thread_leave(second);
    loom_thread_leave(f->members[0].thread);
    assert_status(LOOM_OK, join_as(&f->members[0], "plan"));
}

static void bad_arguments_are_refused(void **state)
{
    fixture *f = *state;
    static const char *const bad[] = {"", "a b", "a..b", "a.*", ">"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_status(LOOM_EINVAL, join_as(&f->members[0], bad[i]));
    }
    assert_status(LOOM_EINVAL, join_as(&f->members[0], NULL));
    assert_status(LOOM_OK, join_as(&f->members[0], "plan"));
    loom_emit_options options = {.type = "loom.thread.leave"};
    assert_status(LOOM_EINVAL, loom_thread_post(f->members[0].thread, TEXT("x"), &options));
    assert_status(LOOM_EINVAL, loom_thread_post(NULL, TEXT("x"), NULL));
    assert_int_equal(0, loom_thread_participants(NULL, add_name, NULL));
    loom_thread_leave(NULL);
}

static void without_a_connection_joining_ends_in_time(void **state)
{
    fixture *f = *state;
    loom_agent *lonely;
    loom_thread *thread;
    loom_agent_options options = {.id = "lonely", .url = "ipc:///nonexistent/loom.sock", .on_state = NULL};
    (void)f;
    assert_status(LOOM_OK, loom_agent_open(&lonely, &options));
    assert_status(LOOM_ENOTCONN, loom_agent_thread_join(&thread, lonely, "plan", on_post, NULL, 20));
    assert_null(thread);
    assert_int_equal(0, loom_agent_collaboration(lonely).open);
    loom_agent_close_within(lonely, 0);
}

static loom_status join_and_leave(void *user)
{
    fixture *f = user;
    loom_status st = join_as(&f->members[0], "plan");
    if (st == LOOM_OK) {
        st = loom_thread_participants(f->members[0].thread, NULL, NULL) == 1 ? LOOM_OK : LOOM_ENOMEM;
        loom_thread_leave(f->members[0].thread);
    }
    return st;
}

static void without_memory_nothing_is_left_behind(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, loom_agent_wait_connected(f->members[0].agent, FAKE_DEADLINE_MS));
    assert_true(alloc_fault_each_survived(join_and_leave, f) > 3);
    assert_int_equal(0, loom_agent_collaboration(f->members[0].agent).open);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everybody_knows_who_is_there),
        TEST(a_post_is_heard_by_the_others_and_carries_the_thread),
        TEST(who_leaves_is_missed),
        TEST(who_vanishes_is_missed),
        TEST(who_was_cut_off_joins_again),
        TEST(a_thread_may_be_left_from_its_handler),
        TEST(an_agent_joins_a_thread_once),
        TEST(bad_arguments_are_refused),
        TEST(without_a_connection_joining_ends_in_time),
        TEST(without_memory_nothing_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
