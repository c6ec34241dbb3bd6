/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios by name, each in its file scenario_NAME.c. */
#ifndef LOOM_TOOLS_BENCH_SCENARIOS_SCENARIOS_H
#define LOOM_TOOLS_BENCH_SCENARIOS_SCENARIOS_H

#include "tools/bench/scenarios/scenario.h"

extern const bench_scenario bench_scenario_pubsub;
extern const bench_scenario bench_scenario_fanout;
extern const bench_scenario bench_scenario_fanin;
extern const bench_scenario bench_scenario_request;
extern const bench_scenario bench_scenario_eventbus;
extern const bench_scenario bench_scenario_subscriptions;
extern const bench_scenario bench_scenario_agents;
extern const bench_scenario bench_scenario_stall;
extern const bench_scenario bench_scenario_soak;
extern const bench_scenario bench_scenario_exec;
extern const bench_scenario bench_scenario_span;
extern const bench_scenario bench_scenario_fairness;
extern const bench_scenario bench_scenario_http;
extern const bench_scenario bench_scenario_http_action;
extern const bench_scenario bench_scenario_http_hostile;
extern const bench_scenario bench_scenario_view;
extern const bench_scenario bench_scenario_incident;

#endif
