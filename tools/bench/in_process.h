/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds of scenarios that measure the EventBus alone, in a process of its own. */
#ifndef LOOM_BENCH_IN_PROCESS_H
#define LOOM_BENCH_IN_PROCESS_H

#include "tools/bench/scenarios/scenario.h"

/* Publishes to up to topics topics in turn. */
bool in_process_round(const bench_setup *setup, unsigned topics, bench_sample *out);

#endif
