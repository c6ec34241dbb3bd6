/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/progress.h"

#include <math.h>
#include <unistd.h>

#define CLEAR_LINE "\r\033[K"

void progress_begin(progress *p, const bench_plan *plan)
{
    *p = (progress){.on_terminal = isatty(STDERR_FILENO) == 1, .began_ns = bench_now_ns()};
    for (size_t i = 0; i < plan->count; i++) {
        p->rounds += plan->cases[i].count * plan->rounds;
    }
}

/* " about 3:20 left" once there is something to tell it by. */
static void time_left(const progress *p, char out[48])
{
    out[0] = '\0';
    if (p->done > 0) {
        const double each = (double)(bench_now_ns() - p->began_ns) / 1e9 / (double)p->done;
        const unsigned left = (unsigned)(each * (double)(p->rounds - p->done));
        snprintf(out, 48, ", about %u:%02u left", left / 60, left % 60);
    }
}

void progress_round(progress *p, const bench_case *c, const bench_contender *contender, unsigned round, unsigned rounds)
{
    char left[48];
    time_left(p, left);
    snprintf(p->line, sizeof p->line, "[%zu/%zu%s] %s: round %u/%u of %s", p->done + 1, p->rounds, left, c->title, round + 1,
             rounds, contender->label);
    if (p->on_terminal) {
        fprintf(stderr, CLEAR_LINE "%s", p->line);
        fflush(stderr);
    }
}

void progress_done(progress *p, const bench_sample *sample)
{
    p->done++;
    if (p->on_terminal) {
        return;
    }
    if (sample == NULL || isnan(sample->values[METRIC_RATE])) {
        fprintf(stderr, "%s: %s\n", p->line, sample == NULL ? "failed" : "done");
    } else {
        fprintf(stderr, "%s: %.0f /s%s", p->line, sample->values[METRIC_RATE],
                isnan(sample->values[METRIC_P50_US]) ? "\n" : "");
        if (!isnan(sample->values[METRIC_P50_US])) {
            fprintf(stderr, "  p50 %.1f us  p99 %.1f us  lost %llu\n", sample->values[METRIC_P50_US],
                    sample->values[METRIC_P99_US], (unsigned long long)sample->lost);
        }
    }
}

void progress_end(progress *p)
{
    if (p->on_terminal) {
        fputs(CLEAR_LINE, stderr);
    }
}
