/* SPDX-License-Identifier: Apache-2.0 */
/* A steady load for as long as --seconds says: nothing may be lost, and memory must not grow. */
#include "tools/bench/scenarios.h"
#include "tools/bench/traffic.h"

#define SECONDS 60

static const bench_shape shapes[] = {{.producers = 2, .consumers = 3}};

static void adjust(bench_setup *setup)
{
    setup->paced = true;
}

const bench_scenario bench_scenario_soak = {
    .name = "soak",
    .summary = "2 producers, 3 consumers, a minute of steady load: loss, growth of memory",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .by_request = true,
    .seconds = SECONDS,
    .adjust = adjust,
    .round = traffic_round,
};
