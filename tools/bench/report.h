/* SPDX-License-Identifier: Apache-2.0 */
/* Results, for people and for programs. */
#ifndef LOOM_BENCH_REPORT_H
#define LOOM_BENCH_REPORT_H

#include "tools/bench/scenario.h"

enum { REPORT_CONTENDERS_MAX = BENCH_PEERS_MAX + 1 };

/* Of one size: Loom, unless it was left out, and the peers, in the order they were asked for. */
typedef struct report_size {
    size_t size;
    const bench_peer *contenders[REPORT_CONTENDERS_MAX];
    bench_summary summaries[REPORT_CONTENDERS_MAX];
    size_t count;
} report_size;

void report_table(FILE *out, const bench_options *options, const report_size *sizes, size_t count);
/* False without memory, or when it cannot be written. */
bool report_json(FILE *out, const bench_options *options, const report_size *sizes, size_t count);

#endif
