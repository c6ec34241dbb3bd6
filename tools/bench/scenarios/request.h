/* SPDX-License-Identifier: Apache-2.0 */
/* Round trips between two agents, or a client and a server, for the scenarios that measure them. */
#ifndef LOOM_TOOLS_BENCH_SCENARIOS_REQUEST_H
#define LOOM_TOOLS_BENCH_SCENARIOS_REQUEST_H

#include "tools/bench/scenarios/scenario.h"

/* bench_scenario.round: one requester, one responder, and the neighbour that the shape asks for. */
bool request_round(const bench_setup *setup, const bench_peer *peer, bench_sample *out);
/* The same with other clients: start runs them once peer is there. One process of them sets the phase of producers[0] to RATE
 * when a request can be answered, goes on until the conductor's phase is past RATE, and then says RATE_OVER; it counts what it
 * sends there, and the answers, with their times, in consumers[0]. */
bool request_round_of(const bench_setup *setup, const bench_peer *peer, bool (*start)(bench_site *site, const bench_peer *peer),
                      bench_sample *out);

#endif
