/* SPDX-License-Identifier: Apache-2.0 */
/* Two agents that ask and answer, one question at a time, while another floods the same bus: what it costs them. Next to it
 * what a neighbour costs that only takes a processor. */
#include "tools/bench/scenarios/request.h"
#include "tools/bench/scenarios/scenarios.h"

static const bench_shape shapes[] = {
    {.producers = 1, .consumers = 1},
    {.producers = 1, .consumers = 1, .flood = FLOOD_BUSY},
    {.producers = 1, .consumers = 1, .flood = FLOOD_SUBSCRIBES},
    {.producers = 1, .consumers = 1, .flood = FLOOD_UNSUBSCRIBES},
    {.producers = 1, .consumers = 1, .flood = FLOOD_CALLS},
    {.producers = 1, .consumers = 1, .flood = FLOOD_CALLS_UNANSWERED},
    {.producers = 1, .consumers = 1, .flood = FLOOD_CALLS_NOBODY},
    {.producers = 1, .consumers = 1, .flood = FLOOD_CANCELS},
    {.producers = 1, .consumers = 1, .flood = FLOOD_PINGS},
    {.producers = 1, .consumers = 1, .flood = FLOOD_PUBLISHES},
    {.producers = 1, .consumers = 1, .flood = FLOOD_LARGE_PUBLISHES},
    {.producers = 1, .consumers = 1, .flood = FLOOD_HELLOS},
};

static void adjust(bench_setup *setup)
{
    setup->requests = true;
}

const bench_scenario bench_scenario_fairness = {
    .name = "fairness",
    .summary = "round trips of two agents while another one floods the bus, by what it floods it with",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .compare = true,
    .by_request = true,
    .adjust = adjust,
    .suits = bench_suits_loom, /* the flood speaks its frames */
    .round = request_round,
};
