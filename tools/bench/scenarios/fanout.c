/* SPDX-License-Identifier: Apache-2.0 */
/* Every message goes to every consumer; what counts is deliveries. */
#include "tools/bench/scenarios/scenarios.h"
#include "tools/bench/traffic.h"

static const bench_shape shapes[] = {{.producers = 1, .consumers = 4}, {.producers = 1, .consumers = 16}};

const bench_scenario bench_scenario_fanout = {
    .name = "fanout",
    .summary = "one producer, 4 and 16 consumers that all get everything",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .round = traffic_round,
};
