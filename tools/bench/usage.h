/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a round cost, by role, between two moments. */
#ifndef LOOM_BENCH_USAGE_H
#define LOOM_BENCH_USAGE_H

#include "tools/bench/site.h"

typedef struct usage_mark {
    process_usage processes[PROCESSES_MAX];
    uint64_t at_ns;
} usage_mark;

void usage_take(const bench_site *site, usage_mark *out);
/* Processor time and switches from begin to end, divided by messages; fills usage and METRIC_CPU. */
void usage_report(const bench_site *site, const usage_mark *begin, const usage_mark *end, uint64_t messages, bench_sample *out);
/* METRIC_P50_US to METRIC_P999_US. */
void usage_latencies(const histogram *ns, bench_sample *out);
/* Peak memory of every role, and of the servers together (METRIC_PEAK_BYTES). While all processes live. */
void usage_memory(const bench_site *site, bench_sample *out);
/* Memory of the servers now: of all processes but producers, consumers and the receiver of spans. */
double usage_servers_resident(const bench_site *site);

#endif
