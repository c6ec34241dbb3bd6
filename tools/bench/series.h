/* SPDX-License-Identifier: Apache-2.0 */
/* What rounds yield, and what several rounds yield together: medians with their spread. */
#ifndef LOOM_BENCH_SERIES_H
#define LOOM_BENCH_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SAMPLE_ROLES_MAX = 8, SAMPLE_ROLE_SIZE = 16, BENCH_ROUNDS_MAX = 99 };

/* What a round measures. NaN: not this scenario's business. */
typedef enum bench_metric {
    METRIC_RATE,   /* deliveries, or round trips, a second */
    METRIC_P50_US, /* one way from publish to handler, or a round trip */
    METRIC_P90_US,
    METRIC_P99_US,
    METRIC_P999_US,
    METRIC_CPU,           /* seconds of processor time for a million deliveries, all processes together */
    METRIC_PEAK_BYTES,    /* most memory that the servers ever had together */
    METRIC_IDLE_BYTES,    /* memory of the servers before anybody came */
    METRIC_SESSION_BYTES, /* what each idle session adds to that */
    METRIC_GROWTH_BYTES,  /* what the servers' memory grew by under steady load */
    METRIC_KEPT_WHOLE,    /* traces that failed and arrived with all of their spans, of all that failed */
    METRIC_SPANS_LOST,    /* made and never received by the OTLP receiver */
    METRIC_SPAN_NS,       /* what a span costs the thread that makes it, or that encodes it */
    METRIC_ALLOCATIONS,   /* for each span */
    METRIC_OVERHEAD_MS,   /* what tracing its system calls adds to a command */
    METRIC_OF_STRACE,     /* that, divided by what strace adds to it */
    METRIC_COUNT
} bench_metric;

/* As in the results: "rate", "p50_us" … */
extern const char *const bench_metric_names[METRIC_COUNT];

/* All processes of one role together, but for memory: there it is the largest of them. */
typedef struct bench_usage {
    char role[SAMPLE_ROLE_SIZE];
    unsigned processes;
    double cpu_s_per_million;
    double switches_per_million; /* times the kernel gave the processor to another thread */
    double peak_bytes;
} bench_usage;

typedef struct bench_sample {
    double values[METRIC_COUNT];
    uint64_t sent; /* deliveries that were due */
    uint64_t lost, misordered;
    bool interrupted; /* by the user */
    bench_usage usage[SAMPLE_ROLES_MAX];
    size_t usage_count;
} bench_sample;

typedef struct series_value {
    double median, low, high;
} series_value;

typedef struct bench_summary {
    series_value values[METRIC_COUNT];
    uint64_t sent, lost, misordered;     /* of all rounds */
    bench_usage usage[SAMPLE_ROLES_MAX]; /* medians */
    size_t usage_count;
} bench_summary;

/* Everything unknown, nothing sent. */
void series_clear(bench_sample *out);
/* count is 1 to BENCH_ROUNDS_MAX. */
void series_summarize(bench_summary *out, const bench_sample *samples, size_t count);
/* The quotient of two medians; NaN where one is unknown or the second is 0. */
double series_ratio(const bench_summary *a, const bench_summary *b, bench_metric metric);

#endif
