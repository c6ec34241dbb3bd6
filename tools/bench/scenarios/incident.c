/* SPDX-License-Identifier: Apache-2.0 */
/* Events at a fixed rate with the flight recorder on, and handlers that fail: none, one in a thousand, all. What is kept of those
 * that failed has to be whole, and a storm of failures must cost rate, latency and memory little. */
#include "tools/bench/peers/peers.h"
#include "tools/bench/scenarios/scenarios.h"
#include "tools/bench/traffic.h"

enum { EVENTS = 100000 }; /* a second */

static const bench_shape shapes[] = {
    {.producers = 1, .consumers = 1, .work = WORK_NONE_FAILS},
    {.producers = 1, .consumers = 1, .work = WORK_SOME_FAIL},
    {.producers = 1, .consumers = 1, .work = WORK_ALL_FAIL},
};

static void adjust(bench_setup *setup)
{
    setup->paced = true;
    setup->latency_rate = EVENTS;
}

const bench_scenario bench_scenario_incident = {
    .name = "incident",
    .summary = "100,000 events a second recorded, handlers that fail: what is kept is whole, and a storm costs little",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .compare = true,
    .by_request = true,
    .tracing = TRACING_RECORDER,
    .adjust = adjust,
    .suits = bench_suits_loom,
    .round = traffic_round,
};
