/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/goals.h"

#include <math.h>

const char *const goal_state_names[] = {"met", "missed", "not measured"};

static const bench_contender *find(const bench_plan *plan, goal_operand at)
{
    return at.in_case < plan->count && at.contender < plan->cases[at.in_case].count
               ? &plan->cases[at.in_case].contenders[at.contender]
               : NULL;
}

static const bench_contender *find_peer(const bench_plan *plan, size_t in_case, const bench_peer *peer)
{
    for (size_t i = 0; in_case < plan->count && i < plan->cases[in_case].count; i++) {
        if (plan->cases[in_case].contenders[i].peer == peer) {
            return &plan->cases[in_case].contenders[i];
        }
    }
    return NULL;
}

static const bench_contender *find_other(const bench_plan *plan, const goal *g)
{
    return g->to_peer != NULL ? find_peer(plan, g->to.in_case, g->to_peer) : find(plan, g->to);
}

bool goal_applies(const goal *g, const bench_plan *plan)
{
    return g->to_peer == NULL || find_other(plan, g) != NULL;
}

goal_result goal_judge(const goal *g, const bench_plan *plan)
{
    goal_result r = {.text = g->text, .at_least = g->at_least, .limit = g->limit, .value = NAN, .state = GOAL_UNKNOWN};
    const bench_contender *of = find(plan, g->of), *to = g->is_ratio ? find_other(plan, g) : of;
    if (of == NULL || to == NULL) {
        return r;
    }
    r.why = of->missing[0] != '\0' ? of->missing : to->missing;
    if (r.why[0] != '\0') {
        return r;
    }
    const series_value *value = &of->summary.values[g->metric];
    if (g->is_ratio) {
        r.value = series_ratio(&of->summary, &to->summary, g->metric);
    } else {
        r.value = (g->worst ? value->high : value->median) / (g->unit > 0 ? g->unit : 1);
    }
    if (!isnan(r.value)) {
        r.state = (g->at_least ? r.value >= g->limit : r.value <= g->limit) ? GOAL_MET : GOAL_MISSED;
    }
    return r;
}
