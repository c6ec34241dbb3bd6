/* SPDX-License-Identifier: Apache-2.0 */
/* From a scanned envelope to the subscriber's callback: one thread, no I/O. */
#include "tools/bench/in_process.h"
#include "tools/bench/scenarios/scenarios.h"

static const bench_shape shapes[] = {{.consumers = 1}, {.consumers = 4}, {.consumers = 16}};

static bool round_of(const bench_setup *setup, const bench_peer *peer, bench_sample *out)
{
    (void)peer;
    return in_process_round(setup, 1, out);
}

const bench_scenario bench_scenario_eventbus = {
    .name = "eventbus",
    .summary = "Loom's EventBus alone, in process: 1, 4 and 16 subscribers",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .in_process = true,
    .round = round_of,
};
