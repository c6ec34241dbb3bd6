/* SPDX-License-Identifier: Apache-2.0 */
/* nats-server, and a session with it that costs the client nothing but a socket. */
#ifndef LOOM_TOOLS_BENCH_PEERS_NATS_SERVER_H
#define LOOM_TOOLS_BENCH_PEERS_NATS_SERVER_H

#include "tools/bench/peers/peer.h"

bool nats_server_available(const bench_setup *setup, char *why, size_t why_size);
bool nats_server_start(bench_site *site);
bool nats_session_open(const bench_site *site, unsigned index);

#endif
