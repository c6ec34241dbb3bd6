/* SPDX-License-Identifier: Apache-2.0 */
/* 100,000 events a second while nobody looks; while a client reads what the web view's Flow page reads; while that page is open
 * in a browser. Looking must not slow the bus. */
#include "tools/bench/scenarios/scenarios.h"
#include "tools/bench/traffic.h"

enum { EVENTS_A_SECOND = 100000, SECONDS = 5 };

static const bench_shape shapes[] = {
    {.producers = 1, .consumers = 1},
    {.producers = 1, .consumers = 1, .flood = FLOOD_VIEW},
    {.producers = 1, .consumers = 1, .flood = FLOOD_VIEW_PAGE},
};

static void adjust(bench_setup *setup)
{
    setup->looked_at = true;
    setup->paced = true;
    setup->latency_rate = EVENTS_A_SECOND;
}

const bench_scenario bench_scenario_view = {
    .name = "view",
    .summary = "100,000 events a second while the web view's Flow page is open: what looking costs",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .compare = true,
    .by_request = true,
    .seconds = SECONDS,
    .adjust = adjust,
    .suits = bench_suits_loom,
    .round = traffic_round,
};
