/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOM_BENCH_PEER_NATS_H
#define LOOM_BENCH_PEER_NATS_H

#include "tools/bench/peer.h"

extern const bench_peer bench_peer_nats;             /* subject and payload, nothing else */
extern const bench_peer bench_peer_nats_traceparent; /* with a W3C traceparent header, written and read */

#endif
