/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of durations in buckets of about 1.6 % width: percentiles without keeping every value. */
#ifndef LOOM_BENCH_HISTOGRAM_H
#define LOOM_BENCH_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_SUB_BITS = 6, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS };

/* All zero is empty. */
typedef struct histogram {
    uint64_t count;
    uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram;

void histogram_add(histogram *h, uint64_t value);
/* Adds all that more counted. */
void histogram_merge(histogram *h, const histogram *more);
/* The value that this share (0 to 1) of all values does not exceed, within the width of a bucket; 0 when empty. */
uint64_t histogram_quantile(const histogram *h, double share);

#endif
