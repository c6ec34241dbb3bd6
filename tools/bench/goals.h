/* SPDX-License-Identifier: Apache-2.0 */
/* What Loom promises, as figures of the plan that `quick` measures. */
#ifndef LOOM_BENCH_GOALS_H
#define LOOM_BENCH_GOALS_H

#include "tools/bench/plan.h"

enum { GOALS_MAX = 48 };

typedef enum goal_state { GOAL_MET, GOAL_MISSED, GOAL_UNKNOWN } goal_state;
extern const char *const goal_state_names[]; /* "met", "missed", "not measured" */

/* One contender of one case. */
typedef struct goal_operand {
    size_t in_case, contender;
} goal_operand;

/* A median, divided by unit or by that of another contender. */
typedef struct goal {
    const char *text;
    bench_metric metric;
    goal_operand of;
    bool is_ratio;
    goal_operand to; /* of a ratio */
    const bench_peer *to_peer; /* of a ratio, instead of to's contender: a peer that need not be there. NULL: none */
    double unit;     /* otherwise; 0: 1 */
    bool at_least;   /* otherwise at most */
    bool worst;      /* not the median but the highest of all rounds */
    double limit;
} goal;

typedef struct goal_result {
    const char *text;
    bool at_least;
    double limit, value; /* NaN: unknown */
    goal_state state;
    const char *why; /* unknown: what was missing */
} goal_result;

/* Of the plan that plan_quick() made. Writes up to GOALS_MAX; returns how many. */
size_t goals_of_quick(const bench_plan *plan, goal_result *out);
/* Whether the plan has what it takes: all but a peer that need not be there. */
bool goal_applies(const goal *g, const bench_plan *plan);
/* Text borrowed from goal. */
goal_result goal_judge(const goal *g, const bench_plan *plan);

#endif
