/* SPDX-License-Identifier: Apache-2.0 */
/* Round trips between two agents, for the scenarios that measure them. */
#ifndef LOOM_TOOLS_BENCH_SCENARIOS_REQUEST_H
#define LOOM_TOOLS_BENCH_SCENARIOS_REQUEST_H

#include "tools/bench/scenarios/scenario.h"

/* bench_scenario.round: one requester, one responder, and the neighbour that the shape asks for. */
bool request_round(const bench_setup *setup, const bench_peer *peer, bench_sample *out);

#endif
