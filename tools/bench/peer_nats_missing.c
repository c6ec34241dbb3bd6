/* SPDX-License-Identifier: Apache-2.0 */
/* The NATS peers of a build without libnats: they say what is missing. */
#include "tools/bench/peer_nats.h"

static bool unavailable(const bench_options *options, char *why, size_t why_size)
{
    (void)options;
    snprintf(why, why_size, "this loom-bench was built without the NATS client. Install the Debian packages libnats-dev and "
                            "nats-server (tools/bench/peers.sh does), then configure and build again");
    return false;
}

const bench_peer bench_peer_nats = {
    .name = "nats",
    .summary = "not in this build: needs libnats-dev",
    .available = unavailable,
};

const bench_peer bench_peer_nats_traceparent = {
    .name = "nats-traceparent",
    .summary = "not in this build: needs libnats-dev",
    .available = unavailable,
};
