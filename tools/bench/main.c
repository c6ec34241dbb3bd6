/* SPDX-License-Identifier: Apache-2.0 */
/* loom-bench: makes a plan of what it is asked for, measures it, and reports. */
#include <errno.h>
#include <string.h>

#include "tools/bench/report/report.h"
#include "tools/bench/run.h"
#include "trace/carrier/trace_variables.h"

enum { EXIT_MEASURED = 0, EXIT_FAILED = 1, EXIT_WRONG = 2, EXIT_INTERRUPTED = 130 };

/* All there, nothing lost. */
static bool is_whole(const bench_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        for (size_t k = 0; k < plan->cases[i].count; k++) {
            const bench_contender *c = &plan->cases[i].contenders[k];
            if (c->missing[0] != '\0') {
                bench_complain("%s: %s was not measured: %s", plan->cases[i].title, c->label, c->missing);
                return false;
            }
            if (c->summary.lost > 0 || c->summary.misordered > 0) {
                return false;
            }
        }
    }
    return true;
}

static bool plot(const bench_plan *plan, const char *path)
{
    FILE *out = fopen(path, "we");
    if (out == NULL) {
        bench_complain("cannot write %s: %s", path, strerror(errno));
        return false;
    }
    const bool drawn = report_svg(out, plan);
    if (fclose(out) != 0 || !drawn) {
        bench_complain("%s could not be written", path);
        return false;
    }
    return true;
}

static bool report(const bench_plan *plan, const bench_options *o, const goal_result *goals, size_t goal_count)
{
    bool ok = true;
    switch (o->format) {
    case FORMAT_JSON:
        ok = report_json(stdout, plan, goals, goal_count);
        break;
    case FORMAT_CSV:
        ok = report_csv(stdout, plan);
        break;
    case FORMAT_TABLE:
        report_table(stdout, plan);
        if (goal_count > 0) {
            fputs("\n", stdout);
            report_goals(stdout, goals, goal_count);
        }
        ok = fflush(stdout) == 0 && ferror(stdout) == 0;
        break;
    }
    if (!ok) {
        bench_complain("the report could not be written");
    }
    return (o->plot == NULL || plot(plan, o->plot)) && ok;
}

/* The figures that were promised, where they were measured. */
static size_t judge(const bench_plan *plan, const bench_options *o, goal_result *out, bool *all_met)
{
    const size_t count = o->work == WORK_QUICK ? goals_of_quick(plan, out) : 0;
    for (size_t i = 0; i < count; i++) {
        *all_met = *all_met && out[i].state == GOAL_MET;
    }
    return count;
}

int main(int argc, char *argv[])
{
    bench_options options;
    const bench_outcome outcome = bench_options_parse(&options, argc, argv);
    if (outcome != BENCH_RUN) {
        return outcome == BENCH_WRONG ? EXIT_WRONG : EXIT_MEASURED;
    }
    trace_variables_unset(); /* what it starts is measured, and not part of the trace it was started in */
    bench_plan plan;
    int exit_code = EXIT_FAILED;
    if (plan_make(&plan, &options)) {
        const run_outcome run = run_plan(&plan);
        goal_result goals[GOALS_MAX];
        bool all_met = true;
        const size_t goal_count = run == RUN_DONE ? judge(&plan, &options, goals, &all_met) : 0;
        if (run == RUN_INTERRUPTED) {
            exit_code = EXIT_INTERRUPTED;
        } else if (run == RUN_DONE && report(&plan, &options, goals, goal_count) && is_whole(&plan) && all_met) {
            exit_code = EXIT_MEASURED;
        }
    }
    plan_free(&plan);
    return exit_code;
}
