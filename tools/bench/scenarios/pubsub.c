/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/scenarios/scenarios.h"
#include "tools/bench/traffic.h"

static const bench_shape shapes[] = {{.producers = 1, .consumers = 1}};

const bench_scenario bench_scenario_pubsub = {
    .name = "pubsub",
    .summary = "one producer, one consumer, one topic",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .more_filters = true,
    .round = traffic_round,
};
