/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once under a port: what cannot be done is said, and nothing is left behind. */
#include <stdlib.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/broker/port_fixture.h"

/* Kept out of the scenarios' allocations. */
typedef struct world {
    loop_clock clock;
    broker_cores cores;
    test_port a, b;
} world;

static int open_world(void **state)
{
    *state = calloc(1, sizeof(world));
    assert_non_null(*state);
    return 0;
}

static int close_world(void **state)
{
    free(*state);
    return 0;
}

static void close_all(world *w)
{
    test_port_close(&w->a, LOOM_OK);
    test_port_close(&w->b, LOOM_OK);
    assert_int_equal(0, actionbroker_get_stats(w->cores.actions).parties);
    assert_int_equal(0, eventbus_get_stats(w->cores.events).subscribers);
    assert_int_equal(0, eventbus_get_stats(w->cores.events).publishers);
    assert_int_equal(0, directory_get_stats(w->cores.agents).agents);
    test_cores_destroy(&w->cores);
}

static loom_status open_all(world *w)
{
    memset(w, 0, sizeof *w);
    loom_status st = test_cores_create(&w->cores, &w->clock, NULL);
    if (st != LOOM_OK) {
        return st;
    }
    if ((st = test_port_open(&w->a, &w->cores, "a", 100)) != LOOM_OK ||
        (st = test_port_open(&w->b, &w->cores, "b", 100)) != LOOM_OK) {
        close_all(w);
    }
    return st;
}

static loom_status open_only(void *user)
{
    const loom_status st = open_all(user);
    assert_true(st == LOOM_OK || st == LOOM_ENOMEM);
    if (st == LOOM_OK) {
        close_all(user);
    }
    return st;
}

/* The news of an agent does without statistics of its topic, so that not every failure is seen. */
static void a_port_opens_or_leaves_nothing_behind(void **state)
{
    assert_true(alloc_fault_each_survived(open_only, *state) > 8);
}

static loom_status ask_for_things(void *user)
{
    world *w = user;
    static const uint8_t metadata[] = {0x81, 0xa1, 'k', 0xa1, 'v'};
    loom_status st = open_all(w);
    if (st != LOOM_OK) {
        return st;
    }
    if ((st = test_port_subscribe(&w->b, 1, "t.*")) == LOOM_OK) {
        st = test_port_provide(&w->b, "x", "1", BYTES(metadata));
        assert_int_equal(st == LOOM_OK, actionbroker_get_stats(w->cores.actions).capabilities);
    }
    assert_true(st == LOOM_OK || st == LOOM_ENOMEM);
    close_all(w);
    return st;
}

static void a_request_without_memory_is_answered_so(void **state)
{
    assert_true(alloc_fault_each_survived(ask_for_things, *state) > 12);
}

static loom_status call_once(world *w, const char *id)
{
    const size_t results = w->a.results, calls = w->b.calls;
    const loom_status st = test_port_call_named(&w->a, id, "x");
    if (st != LOOM_OK) {
        return st;
    }
    if (w->b.calls > calls) {
        assert_int_equal(results, w->a.results);
        assert_status(LOOM_OK, test_port_result(&w->b, FRAME_CALL_OK, "", "result"));
        assert_int_equal(FRAME_CALL_OK, last_frame(&w->a)->outcome);
    } else if (last_frame(&w->a)->outcome != FRAME_CALL_OK) { /* that would be the cache's */
        assert_string_equal("out_of_memory", last_frame(&w->a)->code);
    }
    assert_int_equal(results + 1, w->a.results);
    assert_memory_equal(id, last_frame(&w->a)->id, strlen(id));
    return LOOM_OK;
}

static loom_status call_and_publish(void *user)
{
    world *w = user;
    loom_status st = open_all(w);
    if (st != LOOM_OK) {
        return st;
    }
    if ((st = test_port_subscribe(&w->b, 1, "t.*")) == LOOM_OK &&
        (st = test_port_provide(&w->b, "x", "1", (loom_bytes){0})) == LOOM_OK &&
        (st = call_once(w, "1")) == LOOM_OK && (st = call_once(w, "1")) == LOOM_OK && (st = call_once(w, "2")) == LOOM_OK &&
        (st = test_port_publish(&w->a, "t.x", "")) == LOOM_OK) {
        assert_int_equal(1, w->b.deliveries);
    }
    close_all(w);
    return st;
}

static void a_call_without_memory_has_one_result_all_the_same(void **state)
{
    assert_in_range(alloc_fault_each_survived(call_and_publish, *state), 20, 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(a_port_opens_or_leaves_nothing_behind),
        TEST(a_request_without_memory_is_answered_so),
        TEST(a_call_without_memory_has_one_result_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
