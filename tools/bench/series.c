/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const bench_metric_names[METRIC_COUNT] = {
    [METRIC_RATE] = "rate",
    [METRIC_P50_US] = "p50_us",
    [METRIC_P90_US] = "p90_us",
    [METRIC_P99_US] = "p99_us",
    [METRIC_P999_US] = "p99_9_us",
    [METRIC_CPU] = "cpu_s_per_million",
    [METRIC_PEAK_BYTES] = "peak_bytes",
    [METRIC_IDLE_BYTES] = "idle_bytes",
    [METRIC_SESSION_BYTES] = "session_bytes",
    [METRIC_GROWTH_BYTES] = "growth_bytes",
    [METRIC_KEPT_WHOLE] = "kept_whole",
    [METRIC_SPANS_LOST] = "spans_lost",
    [METRIC_SPAN_NS] = "span_ns",
    [METRIC_ALLOCATIONS] = "allocations",
    [METRIC_OVERHEAD_MS] = "overhead_ms",
    [METRIC_OF_STRACE] = "of_strace",
};

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static series_value value_of(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i])) {
            return (series_value){NAN, NAN, NAN};
        }
    }
    qsort(values, count, sizeof *values, by_value);
    const double upper = values[count / 2], lower = values[(count - 1) / 2];
    return (series_value){.median = (upper + lower) / 2, .low = values[0], .high = values[count - 1]};
}

/* The median of the double that lies offset bytes into each sample. */
static series_value value_at(const bench_sample *samples, size_t count, size_t offset)
{
    double values[BENCH_ROUNDS_MAX];
    for (size_t i = 0; i < count; i++) {
        memcpy(&values[i], (const char *)&samples[i] + offset, sizeof values[i]);
    }
    return value_of(values, count);
}

void series_clear(bench_sample *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        out->values[i] = NAN;
    }
}

void series_summarize(bench_summary *out, const bench_sample *samples, size_t count)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        out->values[i] = value_at(samples, count, offsetof(bench_sample, values) + i * sizeof(double));
    }
    for (size_t i = 0; i < count; i++) {
        out->sent += samples[i].sent;
        out->lost += samples[i].lost;
        out->misordered += samples[i].misordered;
    }
    out->usage_count = samples[0].usage_count;
    for (size_t i = 0; i < out->usage_count; i++) {
        const size_t at = offsetof(bench_sample, usage) + i * sizeof(bench_usage);
        bench_usage *u = &out->usage[i];
        *u = samples[0].usage[i];
        u->cpu_s_per_million = value_at(samples, count, at + offsetof(bench_usage, cpu_s_per_million)).median;
        u->switches_per_million = value_at(samples, count, at + offsetof(bench_usage, switches_per_million)).median;
        u->peak_bytes = value_at(samples, count, at + offsetof(bench_usage, peak_bytes)).median;
    }
}

double series_ratio(const bench_summary *a, const bench_summary *b, bench_metric metric)
{
    const double x = a->values[metric].median, y = b->values[metric].median;
    return isnan(x) || isnan(y) || y == 0 ? NAN : x / y;
}
