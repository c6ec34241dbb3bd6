/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, and the plan that is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/goals.h"
#include "tools/bench/peers/peers.h"
#include "tools/bench/plan.h"
#include "tools/bench/scenarios/scenarios.h"

enum { ARGS_MAX = 16 };

/* line: words with one space between. */
static bench_outcome parse(bench_options *out, const char *line)
{
    static char words[256]; /* options keep what they borrow */
    char *argv[ARGS_MAX + 1] = {(char[]){"loom-bench"}};
    int argc = 1;
    snprintf(words, sizeof words, "%s", line);
    char *rest = words;
    for (char *word; argc < ARGS_MAX && (word = strsep(&rest, " ")) != NULL;) {
        argv[argc++] = word;
    }
    return bench_options_parse(out, argc, argv);
}

static void a_scenario_alone_measures_loom_with_the_defaults(void **state)
{
    bench_options o;
    bench_plan plan;
    (void)state;
    assert_int_equal(BENCH_RUN, parse(&o, "pubsub"));
    assert_true(plan_make(&plan, &o));
    assert_int_equal(1, plan.count);
    assert_int_equal(5, plan.rounds);
    assert_int_equal(1, plan.cases[0].count);
    const bench_contender *c = &plan.cases[0].contenders[0];
    assert_ptr_equal(&bench_peer_loom, c->peer);
    assert_string_equal("loom", c->label);
    assert_int_equal(128, c->setup.size);
    assert_int_equal(TRACING_UNSAMPLED, c->setup.tracing);
    assert_string_equal("pubsub, 128 B", plan.cases[0].title);
    plan_free(&plan);
}

static void fanout_is_measured_with_4_and_16_consumers_in_every_size(void **state)
{
    bench_options o;
    bench_plan plan;
    (void)state;
    assert_int_equal(BENCH_RUN, parse(&o, "fanout --size 128 --size 1024 --size 128 --peer floor"));
    assert_true(plan_make(&plan, &o));
    assert_int_equal(4, plan.count);
    assert_string_equal("fanout 1→4, 128 B", plan.cases[0].title);
    assert_string_equal("fanout 1→16, 1 KiB", plan.cases[3].title);
    assert_int_equal(2, plan.cases[3].count);
    plan_free(&plan);
}

static void fairness_compares_every_flood_with_nobody_in_one_table(void **state)
{
    bench_options o;
    bench_plan plan;
    (void)state;
    assert_int_equal(BENCH_RUN, parse(&o, "fairness --bridge broker --bridge process"));
    assert_true(plan_make(&plan, &o));
    assert_int_equal(1, plan.count);
    assert_int_equal(2 * FLOOD_HTTP_IDLE, plan.cases[0].count);
    assert_string_equal("loom broker undisturbed", plan.cases[0].contenders[0].label);
    assert_string_equal("loom process hellos", plan.cases[0].contenders[2 * FLOOD_HTTP_IDLE - 1].label);
    plan_free(&plan);

    assert_int_equal(BENCH_RUN, parse(&o, "fairness --flood calls"));
    assert_true(plan_make(&plan, &o));
    assert_int_equal(2, plan.cases[0].count);
    assert_int_equal(FLOOD_NONE, plan.cases[0].contenders[0].setup.shape.flood);
    assert_int_equal(FLOOD_CALLS, plan.cases[0].contenders[1].setup.shape.flood);
    plan_free(&plan);

    assert_int_equal(BENCH_RUN, parse(&o, "http-hostile --flood http-idle --flood http-unread"));
    assert_true(plan_make(&plan, &o));
    assert_int_equal(3, plan.cases[0].count);
    assert_string_equal("loom http-unread", plan.cases[0].contenders[2].label);
    plan_free(&plan);

    assert_int_equal(BENCH_RUN, parse(&o, "view --flood view-page"));
    assert_true(plan_make(&plan, &o));
    assert_int_equal(2, plan.cases[0].count);
    assert_true(plan.cases[0].setup.paced);
    assert_string_equal("loom view-page", plan.cases[0].contenders[1].label);
    plan_free(&plan);
}

static void forms_of_loom_are_named_by_what_tells_them_apart(void **state)
{
    bench_options o;
    bench_plan plan;
    (void)state;
    assert_int_equal(BENCH_RUN, parse(&o, "pubsub --bridge broker --bridge process --tracing on --tracing 1% "
                                          "--transport tcp"));
    assert_true(plan_make(&plan, &o));
    assert_int_equal(4, plan.cases[0].count);
    assert_string_equal("loom broker 1%", plan.cases[0].contenders[0].label);
    assert_string_equal("loom process on", plan.cases[0].contenders[3].label);
    assert_int_equal(TRANSPORT_TCP, plan.cases[0].contenders[3].setup.transport);
    plan_free(&plan);
}

static void another_number_of_consumers_replaces_the_shapes(void **state)
{
    bench_options o;
    bench_plan plan;
    (void)state;
    assert_int_equal(BENCH_RUN, parse(&o, "fanout --consumers 7"));
    assert_true(plan_make(&plan, &o));
    assert_int_equal(1, plan.count);
    assert_int_equal(7, plan.cases[0].setup.shape.consumers);
    plan_free(&plan);
}

static void all_peers_are_those_with_a_part_in_the_scenario(void **state)
{
    bench_options o;
    bench_plan plan;
    (void)state;
    assert_int_equal(BENCH_RUN, parse(&o, "agents --peer all --agents 10"));
    assert_true(plan_make(&plan, &o));
    for (size_t i = 0; i < plan.cases[0].count; i++) {
        assert_non_null(plan.cases[0].contenders[i].peer->session_open);
    }
    assert_string_equal("agents 10 sessions", plan.cases[0].title);
    plan_free(&plan);
}

static void the_full_table_has_every_scenario_but_those_by_request(void **state)
{
    bench_options o;
    bench_plan plan;
    (void)state;
    assert_int_equal(BENCH_RUN, parse(&o, "all"));
    assert_true(plan_make(&plan, &o));
    for (const bench_scenario *const *s = bench_scenarios(); *s != NULL; s++) {
        size_t cases = 0;
        for (size_t i = 0; i < plan.count; i++) {
            cases += plan.cases[i].scenario == *s ? 1 : 0;
        }
        assert_true((*s)->by_request ? cases == 0 : cases > 0);
    }
    for (size_t i = 1; i < plan.count; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(plan.cases[k].title, plan.cases[i].title);
        }
    }
    plan_free(&plan);
}

static void every_promise_is_about_something_that_quick_measures(void **state)
{
    bench_options o;
    bench_plan plan;
    goal_result goals[GOALS_MAX];
    (void)state;
    assert_int_equal(BENCH_RUN, parse(&o, "quick"));
    assert_true(plan_make(&plan, &o));
    for (size_t i = 0; i < plan.count; i++) { /* as if every figure were 1 */
        for (size_t k = 0; k < plan.cases[i].count; k++) {
            for (size_t m = 0; m < METRIC_COUNT; m++) {
                plan.cases[i].contenders[k].summary.values[m] = (series_value){1, 1, 1};
            }
        }
    }
    const size_t count = goals_of_quick(&plan, goals);
    assert_true(count >= 16);
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(GOAL_UNKNOWN, goals[i].state);
    }
    plan_free(&plan);
}

static void a_wrong_line_is_refused(void **state)
{
    static const char *const lines[] = {
        "",                                  /* which scenario? */
        "teleport",                          /* none of that name */
        "pubsub fanout",                     /* one at a time */
        "pubsub --size 15",                  /* no room for number and time */
        "pubsub --size 1048577",             /* more than Loom takes */
        "pubsub --size 12x",
        "pubsub --size",                     /* without its value */
        "pubsub --rounds 0",
        "pubsub --rounds 1.5",
        "pubsub --seconds nan",
        "pubsub --seconds -1",
        "pubsub --peer teleport",
        "pubsub --bridge cloud",
        "pubsub --tracing 2%",
        "pubsub --transport pigeon",
        "pubsub --placement here",
        "pubsub --consumers 33",
        "pubsub --json --csv",
        "pubsub --teleport",
        "pubsub --no-loom",                  /* leaves nothing */
        "pubsub --api action",               /* there is nothing to invoke */
        "pubsub --rate 5 --latency-rate 7",  /* one of the two */
        "request --rate 5",                  /* one after the other already */
        "eventbus --peer floor",             /* no peer has it */
        "stall --consumers 1",               /* nobody left to measure */
        "fairness --rate 5",
        "fairness --peer floor",             /* which speaks other frames */
        "pubsub --flood calls",              /* of fairness alone */
        "quick --size 128",                  /* a fixed table */
        "all --peer floor",
    };
    bench_options o;
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (parse(&o, lines[i]) != BENCH_WRONG) {
            fail_msg("\"%s\" was accepted", lines[i]);
        }
    }
}

static void spans_are_measured_with_the_sdks_and_with_no_bus(void **state)
{
    bench_options o;
    bench_plan plan;
    (void)state;
    assert_int_equal(BENCH_RUN, parse(&o, "span --peer all"));
    assert_true(plan_make(&plan, &o));
    assert_int_equal(4, plan.count);
    assert_string_equal("span sampled", plan.cases[0].title);
    assert_string_equal("span encode", plan.cases[3].title);
    assert_int_equal(3, plan.cases[0].count);
    assert_ptr_equal(&bench_peer_otel_go, plan.cases[0].contenders[1].peer);
    assert_ptr_equal(&bench_peer_otel_rust, plan.cases[0].contenders[2].peer);
    plan_free(&plan);
}

static void a_tracing_sdk_has_no_part_where_messages_are_carried(void **state)
{
    bench_options o;
    bench_plan plan;
    (void)state;
    assert_int_equal(BENCH_RUN, parse(&o, "pubsub --peer all"));
    assert_true(plan_make(&plan, &o));
    for (size_t i = 0; i < plan.cases[0].count; i++) {
        assert_true(plan.cases[0].contenders[i].peer->is_bus);
    }
    plan_free(&plan);
}

/* A compiler of another language is not asked for. */
static void a_promise_next_to_an_sdk_is_left_out_without_it(void **state)
{
    bench_options o;
    bench_plan plan;
    goal_result goals[GOALS_MAX];
    (void)state;
    char *home = strdup(getenv("HOME") != NULL ? getenv("HOME") : ""), *path = strdup(getenv("PATH"));
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", "/nonexistent", 1);
    setenv("PATH", "/nonexistent", 1);
    assert_int_equal(BENCH_RUN, parse(&o, "quick"));
    assert_true(plan_make(&plan, &o));
    const size_t count = goals_of_quick(&plan, goals);
    bool encoded = false;
    for (size_t i = 0; i < count; i++) {
        assert_null(strstr(goals[i].text, "SDK"));
        encoded = encoded || strstr(goals[i].text, "encoded to OTLP") != NULL;
    }
    assert_true(encoded);
    plan_free(&plan);
    setenv("HOME", home, 1);
    setenv("PATH", path, 1);
    free(home);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_measured_with_the_sdks_and_with_no_bus),
        cmocka_unit_test(a_tracing_sdk_has_no_part_where_messages_are_carried),
        cmocka_unit_test(a_promise_next_to_an_sdk_is_left_out_without_it),
        cmocka_unit_test(a_scenario_alone_measures_loom_with_the_defaults),
        cmocka_unit_test(fanout_is_measured_with_4_and_16_consumers_in_every_size),
        cmocka_unit_test(fairness_compares_every_flood_with_nobody_in_one_table),
        cmocka_unit_test(forms_of_loom_are_named_by_what_tells_them_apart),
        cmocka_unit_test(another_number_of_consumers_replaces_the_shapes),
        cmocka_unit_test(all_peers_are_those_with_a_part_in_the_scenario),
        cmocka_unit_test(the_full_table_has_every_scenario_but_those_by_request),
        cmocka_unit_test(every_promise_is_about_something_that_quick_measures),
        cmocka_unit_test(a_wrong_line_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
