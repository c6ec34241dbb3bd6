/* SPDX-License-Identifier: Apache-2.0 */
/* A noisy neighbour: an agent, by the bytes of the agent link alone, that asks as fast as it is let. */
#ifndef LOOM_BENCH_FLOOD_H
#define LOOM_BENCH_FLOOD_H

#include "tools/bench/site.h"

/* The whole life of such a process, at site->url, until PHASE_END; returns its exit code. What it got done, in the unit of
 * its kind, counts as sent of the last producer. */
int flood(const bench_site *site);

#endif
