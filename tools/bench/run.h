/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOM_BENCH_RUN_H
#define LOOM_BENCH_RUN_H

#include "tools/bench/plan.h"

typedef enum run_outcome { RUN_DONE, RUN_INTERRUPTED, RUN_FAILED } run_outcome;

/* Measures every case: a round of each contender in turn, so that what else the machine does meets all alike. A contender
 * that cannot be measured says so in missing, and the others go on. */
run_outcome run_plan(bench_plan *plan);

#endif
