/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/series.h"

#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static series_value value_of(double *values, size_t count)
{
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

void series_summarize(bench_summary *out, const bench_sample *samples, size_t count)
{
    memset(out, 0, sizeof *out);
    out->rate = value_at(samples, count, offsetof(bench_sample, rate));
    out->p50_us = value_at(samples, count, offsetof(bench_sample, p50_us));
    out->p99_us = value_at(samples, count, offsetof(bench_sample, p99_us));
    out->cpu_s_per_million = value_at(samples, count, offsetof(bench_sample, cpu_s_per_million));
    for (size_t i = 0; i < count; i++) {
        out->sent += samples[i].sent;
        out->lost += samples[i].lost;
        out->misordered += samples[i].misordered;
    }
    out->usage_count = samples[0].usage_count;
    for (size_t i = 0; i < out->usage_count; i++) {
        const size_t at = offsetof(bench_sample, usage) + i * sizeof(bench_usage);
        memcpy(out->usage[i].role, samples[0].usage[i].role, SAMPLE_ROLE_SIZE);
        out->usage[i].cpu_s_per_million =
            value_at(samples, count, at + offsetof(bench_usage, cpu_s_per_million)).median;
        out->usage[i].switches_per_million =
            value_at(samples, count, at + offsetof(bench_usage, switches_per_million)).median;
    }
}
