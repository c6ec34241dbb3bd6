/* SPDX-License-Identifier: Apache-2.0 */
/* Results, for people and for programs. */
#ifndef LOOM_TOOLS_BENCH_REPORT_REPORT_H
#define LOOM_TOOLS_BENCH_REPORT_REPORT_H

#include "tools/bench/goals.h"
#include "tools/bench/plan.h"

enum { REPORT_ROWS_MAX = PLAN_CONTENDERS_MAX * PLAN_CONTENDERS_MAX };

/* One form of Loom next to one peer; NULL: there is none. */
typedef struct report_row {
    const bench_contender *loom, *peer;
} report_row;

/* Writes up to REPORT_ROWS_MAX; returns how many. */
size_t report_rows(const bench_case *c, report_row *out);
/* Of the form of Loom, or of the case where there is none. */
const bench_setup *report_setup(const bench_case *c, const report_row *row);
/* NULL when there is no summary. */
const bench_summary *report_summary(const bench_contender *contender);

void report_table(FILE *out, const bench_plan *plan);
/* The promises, met or missed. */
void report_goals(FILE *out, const goal_result *goals, size_t count);
/* False without memory, or when it cannot be written. */
bool report_json(FILE *out, const bench_plan *plan, const goal_result *goals, size_t goal_count);
bool report_csv(FILE *out, const bench_plan *plan);
bool report_svg(FILE *out, const bench_plan *plan);

#endif
