/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOM_BENCH_PEER_FLOOR_H
#define LOOM_BENCH_PEER_FLOOR_H

#include "tools/bench/peer.h"

extern const bench_peer bench_peer_floor;

#endif
