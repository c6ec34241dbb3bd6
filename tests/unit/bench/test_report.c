/* SPDX-License-Identifier: Apache-2.0 */
/* Results as text, JSON, CSV and SVG, and promises judged, from a plan whose figures are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/peers/peers.h"
#include "tools/bench/report/report.h"
#include "tools/bench/scenarios/scenarios.h"

static void set_rate(bench_contender *c, double rate)
{
    bench_sample sample;
    series_clear(&sample);
    sample.values[METRIC_RATE] = rate;
    sample.values[METRIC_P50_US] = 10;
    sample.sent = 100;
    series_summarize(&c->summary, &sample, 1);
}

/* Loom 300 a second, the floor 200, NATS missing. */
static int make_plan(void **state)
{
    static bench_plan plan;
    const bench_options o = {.work = WORK_SCENARIO, .scenario = &bench_scenario_pubsub};
    plan = (bench_plan){.rounds = 1};
    bench_case *c = plan_add_case(&plan, &bench_scenario_pubsub, bench_scenario_pubsub.shapes[0], 128, &o);
    if (c == NULL) {
        return -1;
    }
    set_rate(plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_UNSAMPLED), 300);
    set_rate(plan_add_contender(c, &bench_peer_floor), 200);
    snprintf(plan_add_contender(c, &bench_peer_nats)->missing, PLAN_WHY_SIZE, "install \"nats-server\", then again");
    plan_name_contenders(c);
    *state = &plan;
    return 0;
}

static int free_plan(void **state)
{
    plan_free(*state);
    return 0;
}

/* What write() writes, to be freed. */
static char *written(bool (*write)(FILE *out, const bench_plan *plan), const bench_plan *plan)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_true(write(out, plan));
    assert_int_equal(0, fclose(out));
    return text;
}

static bool write_table(FILE *out, const bench_plan *plan)
{
    report_table(out, plan);
    return true;
}

static bool write_json(FILE *out, const bench_plan *plan)
{
    static const goal_result goals[] = {{.text = "a promise", .limit = 2, .value = NAN, .state = GOAL_UNKNOWN}};
    return report_json(out, plan, goals, 1);
}

static void json_has_a_row_for_each_peer_with_both_sides_and_their_ratio(void **state)
{
    char *text = written(write_json, *state);
    json_t *root = json_loads(text, 0, NULL);
    json_t *rows = json_object_get(root, "results");
    assert_int_equal(2, json_array_size(rows));
    json_t *row = json_array_get(rows, 0);
    assert_string_equal("pubsub", json_string_value(json_object_get(row, "scenario")));
    assert_string_equal("broker", json_string_value(json_object_get(row, "bridge")));
    assert_string_equal("ipc", json_string_value(json_object_get(row, "transport")));
    assert_string_equal("unsampled", json_string_value(json_object_get(row, "tracing")));
    assert_string_equal("floor", json_string_value(json_object_get(row, "peer_name")));
    assert_int_equal(128, json_integer_value(json_object_get(row, "size")));
    assert_true(json_real_value(json_object_get(json_object_get(row, "loom"), "rate")) == 300);
    assert_true(json_real_value(json_object_get(json_object_get(row, "peer"), "rate")) == 200);
    assert_true(json_real_value(json_object_get(json_object_get(row, "ratio"), "rate")) == 1.5);
    assert_true(json_real_value(json_object_get(json_object_get(row, "ratio"), "lost")) == 1);
    assert_int_equal(0, json_integer_value(json_object_get(json_object_get(row, "loom"), "lost")));
    assert_true(json_is_null(json_object_get(json_object_get(row, "loom"), "p99_us"))); /* unknown, and there */
    json_decref(root);
    free(text);
}

static void json_says_why_a_peer_is_missing(void **state)
{
    char *text = written(write_json, *state);
    json_t *root = json_loads(text, 0, NULL);
    json_t *row = json_array_get(json_object_get(root, "results"), 1);
    assert_true(json_is_null(json_object_get(row, "peer")));
    assert_true(json_is_null(json_object_get(row, "ratio")));
    assert_true(json_is_object(json_object_get(row, "loom")));
    assert_string_equal("install \"nats-server\", then again", json_string_value(json_object_get(row, "peer_missing")));
    json_t *promise = json_array_get(json_object_get(root, "promises"), 0);
    assert_string_equal("not measured", json_string_value(json_object_get(promise, "state")));
    json_decref(root);
    free(text);
}

static size_t fields_of(const char *line)
{
    size_t fields = 1;
    for (bool quoted = false; *line != '\0' && *line != '\r'; line++) {
        quoted = *line == '"' ? !quoted : quoted;
        fields += *line == ',' && !quoted ? 1 : 0;
    }
    return fields;
}

static void csv_rows_have_as_many_fields_as_the_heading(void **state)
{
    char *text = written(report_csv, *state), *rest = text;
    size_t lines = 0, fields = 0;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && line[0] != '\0'; lines++) {
        fields = lines == 0 ? fields_of(line) : fields;
        assert_int_equal(fields, fields_of(line));
    }
    assert_int_equal(3, lines);
    free(text);
}

static void csv_quotes_what_has_commas_and_quotes(void **state)
{
    char *text = written(report_csv, *state);
    assert_non_null(strstr(text, "\"install \"\"nats-server\"\", then again\""));
    free(text);
}

static void the_table_shows_figures_ratios_and_who_is_missing(void **state)
{
    char *text = written(write_table, *state);
    assert_non_null(strstr(text, "pubsub, 128 B"));
    assert_non_null(strstr(text, "loom divided by"));
    assert_non_null(strstr(text, "1.50"));
    assert_non_null(strstr(text, "not measured: install \"nats-server\""));
    assert_null(strstr(text, "\033["));    /* no terminal, no colour */
    assert_null(strstr(text, "idle MiB")); /* nobody has it */
    free(text);
}

static void the_drawing_has_a_bar_for_each_that_was_measured(void **state)
{
    char *text = written(report_svg, *state);
    size_t bars = 0;
    for (const char *at = text; (at = strstr(at, "<rect x=")) != NULL; at++) {
        bars++;
    }
    assert_int_equal(2, bars);
    assert_memory_equal("<svg ", text, 5);
    assert_non_null(strstr(text, "not measured"));
    assert_string_equal("</svg>\n", text + strlen(text) - 7);
    free(text);
}

static void without_loom_every_peer_has_a_row_of_its_own(void **state)
{
    bench_plan *plan = *state;
    bench_case *c = &plan->cases[0];
    report_row rows[PLAN_CONTENDERS_MAX];
    memmove(&c->contenders[0], &c->contenders[1], 2 * sizeof c->contenders[0]);
    c->count = 2;
    assert_int_equal(2, report_rows(c, rows));
    assert_null(rows[0].loom);
    assert_ptr_equal(&bench_peer_floor, rows[0].peer->peer);
}

static void a_promise_is_met_at_its_limit_and_missed_beyond(void **state)
{
    goal g = {.metric = METRIC_RATE, .at_least = true, .limit = 1.5, .is_ratio = true, .of = {0, 0}, .to = {0, 1}};
    assert_int_equal(GOAL_MET, goal_judge(&g, *state).state);
    g.limit = 1.6;
    assert_int_equal(GOAL_MISSED, goal_judge(&g, *state).state);
    g.at_least = false;
    assert_int_equal(GOAL_MET, goal_judge(&g, *state).state);
}

static void a_promise_next_to_a_missing_peer_is_not_measured(void **state)
{
    const goal g = {.metric = METRIC_RATE, .at_least = true, .limit = 1, .is_ratio = true, .of = {0, 0}, .to = {0, 2}};
    const goal_result r = goal_judge(&g, *state);
    assert_int_equal(GOAL_UNKNOWN, r.state);
    assert_string_equal("install \"nats-server\", then again", r.why);
}

static void a_promise_about_a_figure_in_other_units_is_converted(void **state)
{
    const goal g = {.metric = METRIC_RATE, .at_least = true, .limit = 0.3, .unit = 1000, .of = {0, 0}};
    const goal_result r = goal_judge(&g, *state);
    assert_int_equal(GOAL_MET, r.state);
    assert_true(r.value == 0.3);
}

#define WITH_PLAN(test) cmocka_unit_test_setup_teardown(test, make_plan, free_plan)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLAN(json_has_a_row_for_each_peer_with_both_sides_and_their_ratio),
        WITH_PLAN(json_says_why_a_peer_is_missing),
        WITH_PLAN(csv_rows_have_as_many_fields_as_the_heading),
        WITH_PLAN(csv_quotes_what_has_commas_and_quotes),
        WITH_PLAN(the_table_shows_figures_ratios_and_who_is_missing),
        WITH_PLAN(the_drawing_has_a_bar_for_each_that_was_measured),
        WITH_PLAN(without_loom_every_peer_has_a_row_of_its_own),
        WITH_PLAN(a_promise_is_met_at_its_limit_and_missed_beyond),
        WITH_PLAN(a_promise_next_to_a_missing_peer_is_not_measured),
        WITH_PLAN(a_promise_about_a_figure_in_other_units_is_converted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
