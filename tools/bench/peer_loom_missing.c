/* SPDX-License-Identifier: Apache-2.0 */
/* Loom itself in a build without libloom: peers can be compared with one another. */
#include "tools/bench/peer.h"

static bool unavailable(const bench_setup *setup, char *why, size_t why_size)
{
    (void)setup;
    snprintf(why, why_size, "this loom-bench was built without libloom; --no-loom measures the peers alone");
    return false;
}

const bench_peer bench_peer_loom = {
    .name = "loom",
    .summary = "not in this build",
    .available = unavailable,
};
