/* SPDX-License-Identifier: Apache-2.0 */
/* Round trips, each kept: percentiles are exact. */
#ifndef LOOM_TOOLS_LATENCIES_H
#define LOOM_TOOLS_LATENCIES_H

#include <jansson.h>
#include <loom/api.h>
#include <stdio.h>

typedef struct latencies {
    uint64_t *ns;
    size_t count, cap; /* further ones are left out: who adds knows how many there can be */
    bool sorted;
} latencies;

/* False: out of memory. */
bool latencies_init(latencies *l, size_t cap);
void latencies_fini(latencies *l);
void latencies_add(latencies *l, uint64_t ns);
/* 0 when there are none. share: 0.5 is the median. */
uint64_t latencies_at(latencies *l, double share);
/* "min 41.2 µs  p50 48.0 µs  p99 91.0 µs  max 102 µs". */
void latencies_print(latencies *l, FILE *out);
/* A bar for each power of two. */
void latencies_print_histogram(latencies *l, FILE *out);
/* The same percentiles in nanoseconds; the caller owns it. */
json_t *latencies_json(latencies *l);

#endif
