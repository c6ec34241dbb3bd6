/* SPDX-License-Identifier: Apache-2.0 */
/* The table of scenarios. */
#include "tools/bench/scenarios/scenarios.h"

#include <string.h>

const bench_scenario *const *bench_scenarios(void)
{
    static const bench_scenario *const scenarios[] = {&bench_scenario_pubsub,   &bench_scenario_fanout,
                                                      &bench_scenario_fanin,    &bench_scenario_request,
                                                      &bench_scenario_eventbus, &bench_scenario_subscriptions,
                                                      &bench_scenario_agents,   &bench_scenario_stall,
                                                      &bench_scenario_fairness, &bench_scenario_span,
                                                      &bench_scenario_exec,     &bench_scenario_http,
                                                      &bench_scenario_http_action, &bench_scenario_http_hostile, &bench_scenario_view,
                                                      &bench_scenario_incident, &bench_scenario_soak,
                                                      NULL};
    return scenarios;
}

const bench_scenario *bench_scenario_find(const char *name)
{
    for (const bench_scenario *const *s = bench_scenarios(); *s != NULL; s++) {
        if (strcmp((*s)->name, name) == 0) {
            return *s;
        }
    }
    return NULL;
}

bool bench_suits_loom(const bench_peer *peer)
{
    return peer == &bench_peer_loom;
}

bool bench_scenario_suits(const bench_scenario *scenario, const bench_peer *peer)
{
    return scenario->suits != NULL ? scenario->suits(peer) : peer->is_bus;
}
