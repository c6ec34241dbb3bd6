/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/bench/progress.h"

typedef bench_sample samples[BENCH_ROUNDS_MAX];

static void check_available(const bench_case *c, bench_contender *contender)
{
    const bench_peer *peer = contender->peer;
    if (!bench_scenario_suits(c->scenario, peer)) {
        snprintf(contender->missing, sizeof contender->missing, "it has no part in this scenario");
    } else if (!c->scenario->in_process && contender->setup.shape.filters > 0 && !peer->more_filters) {
        snprintf(contender->missing, sizeof contender->missing, "it is not measured with more subscriptions");
    } else if (!c->scenario->in_process && peer->available != NULL) {
        (void)peer->available(&contender->setup, contender->missing, sizeof contender->missing);
    }
}

/* False: the user interrupts. */
static bool run_round(bench_case *c, bench_contender *contender, unsigned round, bench_sample *sample, progress *p,
                      unsigned rounds)
{
    if (contender->missing[0] != '\0') {
        p->done++;
        return true;
    }
    progress_round(p, c, contender, round, rounds);
    const bool ok = c->scenario->round(&contender->setup, contender->peer, sample);
    progress_done(p, ok ? sample : NULL);
    if (sample->interrupted) {
        return false;
    }
    if (!ok) {
        snprintf(contender->missing, sizeof contender->missing, "round %u failed; see above", round + 1);
    }
    return true;
}

static bool run_case(bench_case *c, samples *all, unsigned rounds, progress *p)
{
    for (size_t i = 0; i < c->count; i++) {
        check_available(c, &c->contenders[i]);
    }
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t i = 0; i < c->count; i++) {
            if (!run_round(c, &c->contenders[i], round, &all[i][round], p, rounds)) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->contenders[i].missing[0] == '\0') {
            series_summarize(&c->contenders[i].summary, all[i], rounds);
        }
    }
    return true;
}

/* A thousand sessions are as many sockets, and servers inherit the limit. */
static void raise_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

run_outcome run_plan(bench_plan *plan)
{
    samples *all = calloc(PLAN_CONTENDERS_MAX, sizeof *all);
    if (all == NULL) {
        bench_complain("out of memory");
        return RUN_FAILED;
    }
    progress p;
    raise_limits();
    processes_block_signals();
    progress_begin(&p, plan);
    bool done = true;
    for (size_t i = 0; i < plan->count && done; i++) {
        done = run_case(&plan->cases[i], all, plan->rounds, &p);
    }
    progress_end(&p);
    free(all);
    return done ? RUN_DONE : RUN_INTERRUPTED;
}
