/* SPDX-License-Identifier: Apache-2.0 */
/* What rounds yield, and what several rounds yield together: medians with their spread. */
#ifndef LOOM_BENCH_SERIES_H
#define LOOM_BENCH_SERIES_H

#include "tools/bench/options.h"

enum { SAMPLE_PROCESSES_MAX = 6, SAMPLE_ROLE_SIZE = 16 };

typedef struct bench_usage {
    char role[SAMPLE_ROLE_SIZE];
    double cpu_s_per_million;    /* seconds of processor time for a million messages */
    double switches_per_million; /* times the kernel gave the processor to another thread */
} bench_usage;

typedef struct bench_sample {
    double rate;   /* messages a second, at the consumer */
    double p50_us; /* one way */
    double p99_us;
    double cpu_s_per_million; /* of all processes together */
    uint64_t sent, lost, misordered;
    bench_usage usage[SAMPLE_PROCESSES_MAX];
    size_t usage_count;
} bench_sample;

typedef struct series_value {
    double median, low, high;
} series_value;

typedef struct bench_summary {
    series_value rate, p50_us, p99_us, cpu_s_per_million;
    uint64_t sent, lost, misordered; /* of all rounds */
    bench_usage usage[SAMPLE_PROCESSES_MAX]; /* medians */
    size_t usage_count;
} bench_summary;

/* count is 1 to BENCH_ROUNDS_MAX. */
void series_summarize(bench_summary *out, const bench_sample *samples, size_t count);

#endif
