/* SPDX-License-Identifier: Apache-2.0 */
/* loom-bench: rounds of a scenario with Loom and its peers in turn, so that what else the machine does meets all alike. */
#include <stdlib.h>

#include "tools/bench/report.h"

typedef struct bench_run {
    bench_options options;
    const bench_peer *contenders[REPORT_CONTENDERS_MAX];
    size_t contender_count;
    bench_sample samples[REPORT_CONTENDERS_MAX][BENCH_ROUNDS_MAX];
    report_size sizes[BENCH_SIZES_MAX];
} bench_run;

/* Loom first. False: one cannot be measured here. */
static bool choose_contenders(bench_run *run)
{
    const bench_options *o = &run->options;
    if (!o->no_loom) {
        run->contenders[run->contender_count++] = &bench_peer_loom;
    }
    for (size_t i = 0; i < o->peer_count; i++) {
        run->contenders[run->contender_count++] = o->peers[i];
    }
    for (size_t i = 0; i < run->contender_count; i++) {
        char why[512];
        const bench_peer *c = run->contenders[i];
        if (c->available != NULL && !c->available(o, why, sizeof why)) {
            bench_complain("%s: %s", c->name, why);
            return false;
        }
    }
    return true;
}

static bool measure(bench_run *run, report_size *out, size_t size)
{
    const bench_options *o = &run->options;
    out->size = size;
    out->count = run->contender_count;
    for (unsigned round = 0; round < o->rounds; round++) {
        for (size_t i = 0; i < run->contender_count; i++) {
            bench_sample *sample = &run->samples[i][round];
            if (!o->scenario->round(o, run->contenders[i], size, sample)) {
                bench_complain("round %u of %s failed", round + 1, run->contenders[i]->name);
                return false;
            }
            fprintf(stderr, "round %u/%u  %-18s %10.0f /s  p50 %.1f us  p99 %.1f us  lost %llu\n", round + 1, o->rounds,
                    run->contenders[i]->name, sample->rate, sample->p50_us, sample->p99_us,
                    (unsigned long long)sample->lost);
        }
    }
    for (size_t i = 0; i < run->contender_count; i++) {
        out->contenders[i] = run->contenders[i];
        series_summarize(&out->summaries[i], run->samples[i], o->rounds);
    }
    return true;
}

static bool nothing_lost(const bench_run *run)
{
    for (size_t k = 0; k < run->options.size_count; k++) {
        for (size_t i = 0; i < run->sizes[k].count; i++) {
            if (run->sizes[k].summaries[i].lost > 0 || run->sizes[k].summaries[i].misordered > 0) {
                return false;
            }
        }
    }
    return true;
}

static bool run_all(bench_run *run)
{
    const bench_options *o = &run->options;
    if (!choose_contenders(run)) {
        return false;
    }
    processes_block_signals();
    for (size_t i = 0; i < o->size_count; i++) {
        if (!measure(run, &run->sizes[i], o->sizes[i])) {
            return false;
        }
    }
    if (!o->json) {
        report_table(stdout, o, run->sizes, o->size_count);
    } else if (!report_json(stdout, o, run->sizes, o->size_count)) {
        bench_complain("the report could not be written");
        return false;
    }
    return nothing_lost(run);
}

int main(int argc, char *argv[])
{
    bench_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        bench_complain("out of memory");
        return 1;
    }
    const options_outcome outcome = options_parse(&run->options, argc, argv);
    const int exit_code = outcome == OPTIONS_WRONG ? 2 : outcome == OPTIONS_HELPED ? 0 : run_all(run) ? 0 : 1;
    free(run);
    return exit_code;
}
