/* SPDX-License-Identifier: Apache-2.0 */
/* A shape of traffic. A scenario is one file with one entry in scenarios.c. */
#ifndef LOOM_BENCH_SCENARIO_H
#define LOOM_BENCH_SCENARIO_H

#include "tools/bench/peer.h"
#include "tools/bench/series.h"

typedef struct bench_scenario {
    const char *name;
    const char *summary;
    /* One round with one peer: its own processes, from start to end. False: it failed, or the user interrupted. */
    bool (*round)(const bench_options *options, const bench_peer *peer, size_t size, bench_sample *out);
} bench_scenario;

extern const bench_scenario bench_scenario_pubsub;

/* The list ends with NULL. */
const bench_scenario *const *bench_scenarios(void);
const bench_scenario *bench_scenario_find(const char *name);

#endif
