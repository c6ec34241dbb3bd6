/* SPDX-License-Identifier: Apache-2.0 */
/* Events published over HTTP, as in http.c, while other clients of the same gateway do their worst: what that costs who means
 * well. Next to it what a neighbour costs that only takes a processor. */
#include "tools/bench/scenarios/http.h"
#include "tools/bench/scenarios/scenarios.h"

static const bench_shape shapes[] = {
    {.producers = 1},
    {.producers = 1, .flood = FLOOD_BUSY},
    {.producers = 1, .flood = FLOOD_HTTP_IDLE},
    {.producers = 1, .flood = FLOOD_HTTP_SLOW_HEADS},
    {.producers = 1, .flood = FLOOD_HTTP_BODIES},
    {.producers = 1, .flood = FLOOD_HTTP_REFUSED},
    {.producers = 1, .flood = FLOOD_HTTP_UNREAD},
};

static void adjust(bench_setup *setup)
{
    setup->http = true;
}

const bench_scenario bench_scenario_http_hostile = {
    .name = "http-hostile",
    .summary = "POST /v1/events as in http, while other clients of the gateway do their worst, by what they do",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .compare = true,
    .by_request = true,
    .adjust = adjust,
    .suits = bench_suits_loom,
    .round = http_round,
};
