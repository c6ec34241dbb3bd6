/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on, on standard error: one line that is written anew on a terminal, one line a round elsewhere. */
#ifndef LOOM_BENCH_PROGRESS_H
#define LOOM_BENCH_PROGRESS_H

#include "tools/bench/plan.h"

typedef struct progress {
    bool on_terminal;
    size_t rounds, done; /* of all contenders of all cases */
    uint64_t began_ns;
    char line[256]; /* about the round under way */
} progress;

void progress_begin(progress *p, const bench_plan *plan);
/* A round begins. */
void progress_round(progress *p, const bench_case *c, const bench_contender *contender, unsigned round, unsigned rounds);
/* It is over; sample NULL: it failed or was left out. */
void progress_done(progress *p, const bench_sample *sample);
/* Leaves a clean line for what comes after. */
void progress_end(progress *p);

#endif
