/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tools/bench/report.h"

/* 1234567.8 as "1 234 568". */
static const char *grouped(char out[32], double value)
{
    char plain[24];
    const int len = snprintf(plain, sizeof plain, "%.0f", value);
    size_t n = 0;
    for (int i = 0; i < len && n < 30; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            out[n++] = ' ';
        }
        out[n++] = plain[i];
    }
    out[n] = '\0';
    return out;
}

static void rates(FILE *out, const report_size *s)
{
    fprintf(out, "  %-18s %12s %25s %9s %9s %8s %6s %10s\n", "", "rate /s", "range", "p50 us", "p99 us", "CPU s/M", "lost",
            "misordered");
    for (size_t i = 0; i < s->count; i++) {
        const bench_summary *m = &s->summaries[i];
        char median[32], low[32], high[32], range[72];
        snprintf(range, sizeof range, "%s - %s", grouped(low, m->rate.low), grouped(high, m->rate.high));
        fprintf(out, "  %-18s %12s %25s %9.1f %9.1f %8.3f %6llu %10llu\n", s->contenders[i]->name,
                grouped(median, m->rate.median), range, m->p50_us.median, m->p99_us.median, m->cpu_s_per_million.median,
                (unsigned long long)m->lost, (unsigned long long)m->misordered);
    }
}

static void ratios(FILE *out, const report_size *s)
{
    const bench_summary *loom = &s->summaries[0];
    if (s->count < 2 || s->contenders[0] != &bench_peer_loom) {
        return;
    }
    fprintf(out, "\n  %-18s %12s %25s %9s %9s %8s\n", "Loom divided by", "rate", "", "p50", "p99", "CPU");
    for (size_t i = 1; i < s->count; i++) {
        const bench_summary *m = &s->summaries[i];
        fprintf(out, "  %-18s %12.2f %25s %9.2f %9.2f %8.2f\n", s->contenders[i]->name, loom->rate.median / m->rate.median, "",
                loom->p50_us.median / m->p50_us.median, loom->p99_us.median / m->p99_us.median,
                loom->cpu_s_per_million.median / m->cpu_s_per_million.median);
    }
}

static void usage(FILE *out, const report_size *s)
{
    fprintf(out, "\n  %-18s %-16s %12s %25s\n", "of each process", "", "CPU s/M", "context switches /M");
    for (size_t i = 0; i < s->count; i++) {
        const bench_summary *m = &s->summaries[i];
        for (size_t k = 0; k < m->usage_count; k++) {
            fprintf(out, "  %-18s %-16s %12.3f %25.0f\n", k == 0 ? s->contenders[i]->name : "", m->usage[k].role,
                    m->usage[k].cpu_s_per_million, m->usage[k].switches_per_million);
        }
    }
}

void report_table(FILE *out, const bench_options *o, const report_size *sizes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s%s, %zu bytes; Loom: bridge in %s, %s, tracing %s; %u rounds of %g s; latency at %u /s\n\n",
                i > 0 ? "\n" : "", o->scenario->name, sizes[i].size,
                o->bridge == BRIDGE_BROKER ? "the broker" : "its own process", bench_transport_name(o->transport),
                bench_tracing_name(o->tracing), o->rounds, o->seconds, o->latency_rate);
        rates(out, &sizes[i]);
        ratios(out, &sizes[i]);
        usage(out, &sizes[i]);
    }
}
