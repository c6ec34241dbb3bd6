/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/usage.h"

#include <string.h>

void usage_take(const bench_site *site, usage_mark *out)
{
    out->at_ns = bench_now_ns();
    processes_usage(&site->processes, out->processes);
}

/* Its row, made when there is none; NULL without room. */
static bench_usage *row_of(bench_sample *out, const char *role)
{
    for (size_t i = 0; i < out->usage_count; i++) {
        if (strcmp(out->usage[i].role, role) == 0) {
            return &out->usage[i];
        }
    }
    if (out->usage_count == SAMPLE_ROLES_MAX) {
        return NULL;
    }
    bench_usage *row = &out->usage[out->usage_count++];
    memset(row, 0, sizeof *row);
    snprintf(row->role, sizeof row->role, "%s", role);
    return row;
}

static bool is_server(const char *role)
{
    return !process_is_client(role) && strcmp(role, "otlp-sink") != 0;
}

void usage_report(const bench_site *site, const usage_mark *begin, const usage_mark *end, uint64_t messages, bench_sample *out)
{
    const double millions = (double)(messages > 0 ? messages : 1) / 1e6;
    double all = 0;
    for (size_t i = 0; i < site->processes.count; i++) {
        const process_usage *from = &begin->processes[i], *to = &end->processes[i];
        const double cpu = to->cpu_ns > from->cpu_ns ? (double)(to->cpu_ns - from->cpu_ns) / 1e9 / millions : 0;
        bench_usage *row = row_of(out, site->processes.items[i].role);
        if (row != NULL) {
            row->processes++;
            row->cpu_s_per_million += cpu;
            row->switches_per_million += to->switches > from->switches ? (double)(to->switches - from->switches) / millions : 0;
        }
        all += cpu;
    }
    out->values[METRIC_CPU] = all;
}

void usage_latencies(const histogram *ns, bench_sample *out)
{
    out->values[METRIC_P50_US] = (double)histogram_quantile(ns, 0.50) / 1e3;
    out->values[METRIC_P90_US] = (double)histogram_quantile(ns, 0.90) / 1e3;
    out->values[METRIC_P99_US] = (double)histogram_quantile(ns, 0.99) / 1e3;
    out->values[METRIC_P999_US] = (double)histogram_quantile(ns, 0.999) / 1e3;
}

void usage_memory(const bench_site *site, bench_sample *out)
{
    double servers = 0;
    for (size_t i = 0; i < site->processes.count; i++) {
        const process *p = &site->processes.items[i];
        const double peak = process_peak(p->pid);
        bench_usage *row = row_of(out, p->role);
        if (row != NULL && row->peak_bytes < peak) {
            row->peak_bytes = peak;
        }
        servers += is_server(p->role) ? peak : 0;
    }
    out->values[METRIC_PEAK_BYTES] = servers;
}

double usage_servers_resident(const bench_site *site)
{
    double sum = 0;
    for (size_t i = 0; i < site->processes.count; i++) {
        const process *p = &site->processes.items[i];
        sum += is_server(p->role) ? process_resident(p->pid) : 0;
    }
    return sum;
}
