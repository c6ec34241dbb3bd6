/* SPDX-License-Identifier: Apache-2.0 */
/* The peers by name, each in its file peer_NAME.c. */
#ifndef LOOM_TOOLS_BENCH_PEERS_PEERS_H
#define LOOM_TOOLS_BENCH_PEERS_PEERS_H

#include "tools/bench/peers/peer.h"

extern const bench_peer bench_peer_nats;
extern const bench_peer bench_peer_nats_traceparent;
extern const bench_peer bench_peer_zmq;
extern const bench_peer bench_peer_mosquitto;
extern const bench_peer bench_peer_nng;
extern const bench_peer bench_peer_floor;
extern const bench_peer bench_peer_nginx;
extern const bench_peer bench_peer_otel_go;
extern const bench_peer bench_peer_otel_rust;

#endif
