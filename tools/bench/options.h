/* SPDX-License-Identifier: Apache-2.0 */
/* What loom-bench is asked to measure. */
#ifndef LOOM_BENCH_OPTIONS_H
#define LOOM_BENCH_OPTIONS_H

#include <stdio.h>

#include "tools/bench/scenarios/scenario.h"

enum { BENCH_PEERS_MAX = 12, BENCH_SIZES_MAX = 8 };

typedef enum options_work { WORK_SCENARIO, WORK_ALL, WORK_QUICK } options_work;
typedef enum options_format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV } options_format;

/* 0 stands for: not said. Of bridges, transports and tracings Loom is measured in every combination. */
typedef struct bench_options {
    options_work work;
    const bench_scenario *scenario;
    size_t sizes[BENCH_SIZES_MAX];
    size_t size_count;
    const bench_peer *peers[BENCH_PEERS_MAX];
    size_t peer_count;
    bool all_peers; /* that have a part in the scenario */
    bool bridges[BRIDGE_COUNT], transports[TRANSPORT_COUNT], tracings[TRACING_COUNT], apis[API_COUNT], floods[FLOOD_COUNT];
    bench_placement placement;
    unsigned producers, consumers, filters, agents;
    unsigned rounds;
    double seconds;
    unsigned latency_rate, rate, window;
    bool no_loom;
    bool idle_flood;
    options_format format;
    const char *plot; /* file for a drawing, or NULL */
} bench_options;

typedef enum bench_outcome { BENCH_RUN, BENCH_HELPED, BENCH_WRONG } bench_outcome;

/* HELPED: what was asked for is on standard output. WRONG: what is wrong is on standard error. */
/* plot points into argv. */
bench_outcome bench_options_parse(bench_options *out, int argc, char *argv[]);
/* The part of --help behind the options: scenarios, peers, how to read the table. */
void bench_help_lists(FILE *out);

#endif
