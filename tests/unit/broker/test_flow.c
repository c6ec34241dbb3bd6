/* SPDX-License-Identifier: Apache-2.0 */
/* The table of who talked to whom: its bounds, and that no count gets lost by them. */
#include <stdio.h>

#include "base/str.h"
#include "tests/unit/broker/flow_fixture.h"

enum { EDGES = 64, OF_AGENT = EDGES / 16, AGENTS = EDGES / 4 };

static int open_table(void **state)
{
    static flow_table table;
    flow_table_init(&table, EDGES);
    *state = &table;
    return 0;
}

static int close_table(void **state)
{
    flow_table_fini(*state);
    return 0;
}

static void count(flow_table *t, const char *agent, const char *name, uint64_t total)
{
    flow_counts_find(t, flow_agent_named(t, str_of(agent)), FLOW_OUT, str_of(name))->total += total;
}

static void an_edge_is_of_one_agent_one_name_and_one_direction(void **state)
{
    flow_table *t = *state;
    flow_agent *a = flow_agent_enter(t, STR("a"));
    flow_counts *out = flow_counts_find(t, a, FLOW_OUT, STR("x"));
    assert_ptr_equal(out, flow_counts_find(t, a, FLOW_OUT, STR("x")));
    out->total = 1;
    flow_counts_find(t, a, FLOW_IN, STR("x"))->total = 2;
    flow_counts_find(t, a, FLOW_OUT, STR("y"))->lost[3] = 4;
    count(t, "b", "x", 8);
    assert_int_equal(1, flow_total(t, "a", FLOW_OUT, "x"));
    assert_int_equal(2, flow_total(t, "a", FLOW_IN, "x"));
    assert_int_equal(4, flow_of(t, "a", FLOW_OUT, "y").counts.lost[3]);
    assert_int_equal(8, flow_total(t, "b", FLOW_OUT, "x"));
    flow_agent_leave(t, a);
}

static void counts_outlive_the_sessions_of_their_agent(void **state)
{
    flow_table *t = *state;
    for (int i = 0; i < 2; i++) {
        flow_agent *a = flow_agent_enter(t, STR("a"));
        flow_counts_find(t, a, FLOW_OUT, STR("x"))->total += 3;
        flow_agent_leave(t, a);
    }
    assert_int_equal(6, flow_total(t, "a", FLOW_OUT, "x"));
}

static void an_agent_that_did_nothing_leaves_nothing(void **state)
{
    flow_table *t = *state;
    flow_agent_leave(t, flow_agent_enter(t, STR("a")));
    assert_int_equal(0, t->agents.count);
}

static void names_beyond_the_share_of_an_agent_are_its_others(void **state)
{
    flow_table *t = *state;
    flow_agent *a = flow_agent_enter(t, STR("a"));
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        count(t, "a", name, 1);
    }
    assert_int_equal(1, flow_total(t, "a", FLOW_OUT, "t0"));
    assert_int_equal(1000 - OF_AGENT, flow_total(t, "a", FLOW_OUT, OTHER));
    assert_int_equal(OF_AGENT + 1, flow_of(t, NULL, FLOW_OUT, NULL).edges);
    flow_agent_leave(t, a);
}

static void names_that_are_too_long_are_others(void **state)
{
    flow_table *t = *state;
    char name[FLOW_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[FLOW_NAME_MAX + 1] = '\0';
    count(t, "a", name, 1);
    count(t, name, "t", 2);
    assert_int_equal(1, flow_total(t, "a", FLOW_OUT, OTHER));
    assert_int_equal(2, flow_total(t, OTHER, FLOW_OUT, OTHER));
}

static void agents_beyond_the_limit_are_others_and_no_count_is_lost(void **state)
{
    flow_table *t = *state;
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "agent%d", i);
        count(t, name, "t", 1);
    }
    assert_int_equal(AGENTS, t->agents.count);
    assert_int_equal(1000 - AGENTS, flow_total(t, OTHER, FLOW_OUT, OTHER));
    assert_int_equal(1000, flow_total(t, NULL, FLOW_OUT, NULL));
}

/* One agent always speaks, the others once each. */
static void tidying_moves_what_is_idle_to_the_others_and_keeps_what_is_busy(void **state)
{
    flow_table *t = *state;
    char name[16];
    uint64_t tidied = 0;
    for (int i = 0; i < 5000; i++) {
        count(t, "busy", "t", 1);
        snprintf(name, sizeof name, "agent%d", i);
        count(t, name, "t", 1);
        tidied += flow_table_tidy(t);
        assert_true(t->agents.count <= AGENTS && t->edges.count <= EDGES);
    }
    assert_true(tidied > 0);
    assert_int_equal(5000, flow_total(t, "busy", FLOW_OUT, "t"));
    assert_int_equal(10000, flow_total(t, NULL, FLOW_OUT, NULL));
    assert_int_equal(1, flow_total(t, "agent4999", FLOW_OUT, "t"));
}

static void tidying_spares_agents_that_are_there(void **state)
{
    flow_table *t = *state;
    flow_agent *agents[AGENTS];
    char name[16];
    for (int i = 0; i < AGENTS; i++) {
        snprintf(name, sizeof name, "agent%d", i);
        agents[i] = flow_agent_enter(t, str_of(name));
        flow_counts_find(t, agents[i], FLOW_IN, STR("t"))->total = 1;
    }
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "late%d", i);
        count(t, name, "t", 1);
        assert_false(flow_table_tidy(t));
    }
    assert_int_equal(100, flow_total(t, OTHER, FLOW_OUT, OTHER));
    for (int i = 0; i < AGENTS; i++) {
        flow_agent_leave(t, agents[i]);
    }
    assert_int_equal(AGENTS, flow_of(t, NULL, FLOW_IN, "t").edges);
}

static void tidying_makes_room_for_an_agent_with_ever_new_names(void **state)
{
    flow_table *t = *state;
    flow_agent *a = flow_agent_enter(t, STR("a"));
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        count(t, "a", name, 1);
        (void)flow_table_tidy(t);
    }
    assert_int_equal(1, flow_total(t, "a", FLOW_OUT, "t999"));
    assert_int_equal(1000, flow_total(t, "a", FLOW_OUT, NULL));
    flow_agent_leave(t, a);
}

int main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }
#define ON_TABLE(test) cmocka_unit_test_setup_teardown(test, open_table, close_table)
    const struct CMUnitTest tests[] = {
        ON_TABLE(an_edge_is_of_one_agent_one_name_and_one_direction),
        ON_TABLE(counts_outlive_the_sessions_of_their_agent),
        ON_TABLE(an_agent_that_did_nothing_leaves_nothing),
        ON_TABLE(names_beyond_the_share_of_an_agent_are_its_others),
        ON_TABLE(names_that_are_too_long_are_others),
        ON_TABLE(agents_beyond_the_limit_are_others_and_no_count_is_lost),
        ON_TABLE(tidying_moves_what_is_idle_to_the_others_and_keeps_what_is_busy),
        ON_TABLE(tidying_spares_agents_that_are_there),
        ON_TABLE(tidying_makes_room_for_an_agent_with_ever_new_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
