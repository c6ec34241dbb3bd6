/* SPDX-License-Identifier: Apache-2.0 */
/* Peers whose library was not there when this was built: they say what is missing. */
#include "tools/bench/peers/peers.h"

#define REBUILD " (tools/bench/peers/install.sh does), then configure and build again"

#if defined(BENCH_WITHOUT_NATS) || defined(BENCH_WITHOUT_ZMQ)
static bool say(char *why, size_t why_size, const char *text)
{
    snprintf(why, why_size, "not in this build: %s" REBUILD, text);
    return false;
}
#endif

#ifdef BENCH_WITHOUT_NATS
static bool nats_unavailable(const bench_setup *setup, char *why, size_t why_size)
{
    (void)setup;
    return say(why, why_size, "install the Debian packages libnats-dev and nats-server");
}

const bench_peer bench_peer_nats = {
    .name = "nats",
    .summary = "not in this build: needs libnats-dev",
    .is_bus = true,
    .guarantee = "at most once",
    .available = nats_unavailable,
};

const bench_peer bench_peer_nats_traceparent = {
    .name = "nats-traceparent",
    .summary = "not in this build: needs libnats-dev",
    .is_bus = true,
    .guarantee = "at most once",
    .available = nats_unavailable,
};
#endif

#ifdef BENCH_WITHOUT_ZMQ
static bool zmq_unavailable(const bench_setup *setup, char *why, size_t why_size)
{
    (void)setup;
    return say(why, why_size, "install the Debian package libzmq3-dev");
}

const bench_peer bench_peer_zmq = {
    .name = "zmq",
    .summary = "not in this build: needs libzmq3-dev",
    .is_bus = true,
    .guarantee = "at most once",
    .available = zmq_unavailable,
};
#endif
