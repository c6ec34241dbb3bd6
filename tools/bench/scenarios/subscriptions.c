/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs the EventBus to find who wants a message, with few filters and with many. Each message matches one of
 * them; topics are taken in turn, a thousand of them where there are so many, spread over all filters. */
#include "tools/bench/in_process.h"
#include "tools/bench/scenarios/scenarios.h"

enum { TOPICS = 1000 };

static const bench_shape shapes[] = {
    {.filters = 10}, {.filters = 100}, {.filters = 1000}, {.filters = 10000}, {.filters = 100000}};

static bool round_of(const bench_setup *setup, const bench_peer *peer, bench_sample *out)
{
    (void)peer;
    return in_process_round(setup, TOPICS, out);
}

const bench_scenario bench_scenario_subscriptions = {
    .name = "subscriptions",
    .summary = "Loom's EventBus alone, in process: 10 to 100,000 filters, one matches",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .in_process = true,
    .round = round_of,
};
