/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/scenarios/scenarios.h"
#include "tools/bench/traffic.h"

static const bench_shape shapes[] = {{.producers = 8, .consumers = 1}};

const bench_scenario bench_scenario_fanin = {
    .name = "fanin",
    .summary = "8 producers, one consumer",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .round = traffic_round,
};
