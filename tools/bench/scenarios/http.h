/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOM_TOOLS_BENCH_SCENARIOS_HTTP_H
#define LOOM_TOOLS_BENCH_SCENARIOS_HTTP_H

#include "tools/bench/scenarios/scenario.h"

/* bench_scenario.round: POST on 16 connections kept alive, and the neighbour that the shape asks for. */
bool http_round(const bench_setup *setup, const bench_peer *peer, bench_sample *out);

#endif
