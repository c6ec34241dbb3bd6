/* SPDX-License-Identifier: Apache-2.0 */
/* Ten consumers at a fixed rate, and the last of them stopped with SIGSTOP: what it means to the other nine. Queues and
 * credit are small, so that those of the stopped one are full when the times begin to count, and realtime, which never
 * makes a publisher wait. Compare with --peer all, or with the row in which nobody is stopped. */
#include "tools/bench/peers/peers.h"
#include "tools/bench/scenarios/scenarios.h"
#include "tools/bench/traffic.h"

enum { QUEUE = 256, DELIVERIES = 10000 };

static const bench_shape shapes[] = {{.producers = 1, .consumers = 10}};

static void adjust(bench_setup *setup)
{
    setup->paced = true;
    setup->queue = QUEUE;
    setup->stopped = 1;
    setup->latency_rate = DELIVERIES;
}

/* A relay without queues stops with its consumer. */
static bool suits(const bench_peer *peer)
{
    return peer != &bench_peer_floor;
}

const bench_scenario bench_scenario_stall = {
    .name = "stall",
    .summary = "ten consumers, one of them stopped: how the others fare",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .adjust = adjust,
    .suits = suits,
    .round = traffic_round,
};
