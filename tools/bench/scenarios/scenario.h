/* SPDX-License-Identifier: Apache-2.0 */
/* A shape of traffic. A scenario is one file with one entry in scenarios.c. */
#ifndef LOOM_TOOLS_BENCH_SCENARIOS_SCENARIO_H
#define LOOM_TOOLS_BENCH_SCENARIOS_SCENARIO_H

#include "tools/bench/peers/peer.h"
#include "tools/bench/series.h"

typedef struct bench_scenario {
    const char *name;
    const char *summary;
    const bench_shape *shapes; /* each is measured, one after the other */
    size_t shape_count;
    bool in_process;   /* parts of Loom without its processes: no peers, no bridge, no transport */
    bool sizeless;     /* no payloads */
    bool more_filters; /* the consumer can hold --filters subscriptions more than it needs */
    bool compare;      /* all shapes in one table, their rounds in turn, each divided by the first one */
    bool by_request;   /* only when asked for: not part of `all` */
    double seconds;    /* of a timed window unless the user says; 0: as everywhere */
    unsigned rounds;   /* the same */
    bench_tracing tracing; /* the same; TRACING_OFF: unsampled */
    /* What this scenario wants different from the rest; may be NULL. */
    void (*adjust)(bench_setup *setup);
    /* Whether peer can take part; NULL: all that carry messages can. */
    bool (*suits)(const bench_peer *peer);
    /* One round with one peer: its own processes, from start to end. False: it failed, or the user interrupted. */
    bool (*round)(const bench_setup *setup, const bench_peer *peer, bench_sample *out);
} bench_scenario;

/* The list ends with NULL. */
const bench_scenario *const *bench_scenarios(void);
const bench_scenario *bench_scenario_find(const char *name);
/* A suits for what only Loom can do. */
bool bench_suits_loom(const bench_peer *peer);
bool bench_scenario_suits(const bench_scenario *scenario, const bench_peer *peer);

#endif
