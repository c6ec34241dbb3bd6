/* SPDX-License-Identifier: Apache-2.0 */
/* Messages from producers to consumers over one topic: what pubsub, fanout, fanin, stall and soak have in common.
 *
 * First as fast as it goes: the conductor reads the consumers' counts and everybody's processor time at both ends of a
 * timed window. Then, with fresh connections, one message at a time at a fixed rate, each carrying the time it left at.
 * Payloads carry the producer and a sequence number that runs through both: what is missing at the end is lost. Where
 * payloads are checked, their filling follows from producer and number; one that does not is not counted, and so lost. */
#ifndef LOOM_BENCH_TRAFFIC_H
#define LOOM_BENCH_TRAFFIC_H

#include "tools/bench/scenarios/scenario.h"

/* A payload begins with these; the rest is filling. */
typedef struct traffic_head {
    uint64_t stamp;   /* producer and number */
    uint64_t sent_at; /* bench_now_ns(), or 0 */
} traffic_head;

enum { TRAFFIC_NUMBER_BITS = 56 };
#define TRAFFIC_PROBE ((UINT64_C(1) << TRAFFIC_NUMBER_BITS) - 1) /* in place of a number */

/* What comes behind the head, of a payload with this stamp. */
void traffic_fill(uint8_t *payload, size_t size, uint64_t stamp);
bool traffic_intact(const uint8_t *payload, size_t size, uint64_t stamp);

/* bench_scenario.round */
bool traffic_round(const bench_setup *setup, const bench_peer *peer, bench_sample *out);

/* The whole life of such a process; returns its exit code. */
int traffic_produce(const bench_site *site, const bench_peer *peer);
int traffic_consume(const bench_site *site, const bench_peer *peer);

#endif
