/* SPDX-License-Identifier: Apache-2.0 */
/* What loom-bench is asked to measure. */
#ifndef LOOM_BENCH_OPTIONS_H
#define LOOM_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    BENCH_PEERS_MAX = 8,
    BENCH_SIZES_MAX = 8,
    BENCH_ROUNDS_MAX = 99,
    BENCH_SIZE_MIN = 16, /* bytes: a sequence number and a time */
    BENCH_SIZE_MAX = 1024 * 1024
};

typedef enum bench_bridge { BRIDGE_BROKER, BRIDGE_PROCESS } bench_bridge;
typedef enum bench_transport { TRANSPORT_IPC, TRANSPORT_TCP } bench_transport;
typedef enum bench_tracing { TRACING_OFF, TRACING_UNSAMPLED, TRACING_ON } bench_tracing;

struct bench_peer;
struct bench_scenario;

typedef struct bench_options {
    const struct bench_scenario *scenario;
    size_t sizes[BENCH_SIZES_MAX]; /* payload bytes */
    size_t size_count;
    const struct bench_peer *peers[BENCH_PEERS_MAX]; /* next to Loom */
    size_t peer_count;
    unsigned rounds;
    double seconds;        /* of one timed window */
    unsigned latency_rate; /* messages a second while latency is measured */
    unsigned window;       /* messages on their way at once, for a peer that would drop them */
    bench_bridge bridge;
    bench_transport transport;
    bench_tracing tracing;
    bool no_loom;
    bool json;
} bench_options;

const char *bench_bridge_name(bench_bridge b);
const char *bench_transport_name(bench_transport t);
const char *bench_tracing_name(bench_tracing t);

typedef enum options_outcome { OPTIONS_RUN, OPTIONS_HELPED, OPTIONS_WRONG } options_outcome;

/* HELPED: what was asked for is on standard output. WRONG: what is wrong is on standard error. */
options_outcome options_parse(bench_options *out, int argc, char *argv[]);
void options_help(FILE *out);

#endif
