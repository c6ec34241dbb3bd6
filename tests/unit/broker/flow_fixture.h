/* SPDX-License-Identifier: Apache-2.0 */
/* What a table of flow says about one edge, and about all. */
#ifndef LOOM_TESTS_FLOW_FIXTURE_H
#define LOOM_TESTS_FLOW_FIXTURE_H

#include "broker/flow/flow.h"
#include "tests/support/check.h"

#define OTHER "" /* for an agent or a name: the others */

typedef struct flow_wanted {
    const char *agent, *name;
    flow_direction direction;
    flow_counts counts; /* of all edges that are so */
    uint32_t edges;
} flow_wanted;

static inline void flow_add(flow_counts *to, const flow_counts *counts)
{
    to->total += counts->total;
    for (size_t i = 0; i < FLOW_REASONS_MAX; i++) {
        to->lost[i] += counts->lost[i];
    }
}

static inline void flow_take(void *user, const flow_view *view)
{
    flow_wanted *w = user;
    if (view->direction == w->direction && (w->agent == NULL || str_is(view->agent, w->agent)) &&
        (w->name == NULL || str_is(view->name, w->name))) {
        flow_add(&w->counts, view->counts);
        w->edges++;
    }
}

/* agent, name NULL: any. */
static inline flow_wanted flow_of(const flow_table *table, const char *agent, flow_direction direction, const char *name)
{
    flow_wanted w = {.agent = agent, .name = name, .direction = direction};
    flow_table_visit(table, flow_take, &w);
    return w;
}

#define flow_total(table, agent, direction, name) (flow_of((table), (agent), (direction), (name)).counts.total)

#endif
