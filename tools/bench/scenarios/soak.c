/* SPDX-License-Identifier: Apache-2.0 */
/* As fast as it goes, or as --rate says, for as long as --seconds says: every message once, in order, with the bytes it
 * left with; and memory that does not grow. */
#include "tools/bench/scenarios/scenarios.h"
#include "tools/bench/traffic.h"

#define SECONDS         60
#define WARM_UP_SECONDS 5 /* memory has found its size by then */

static const bench_shape shapes[] = {{.producers = 2, .consumers = 3}};

static void adjust(bench_setup *setup)
{
    setup->checked = true;
    setup->warm_up = WARM_UP_SECONDS < setup->seconds ? WARM_UP_SECONDS : setup->seconds;
}

const bench_scenario bench_scenario_soak = {
    .name = "soak",
    .summary = "2 producers, 3 consumers, every byte checked: loss, growth of memory",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .by_request = true,
    .seconds = SECONDS,
    .rounds = 1,
    .adjust = adjust,
    .round = traffic_round,
};
