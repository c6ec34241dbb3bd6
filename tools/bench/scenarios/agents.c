/* SPDX-License-Identifier: Apache-2.0 */
/* Many sessions that do nothing, each with one subscription: what they cost the servers in memory. */
#include <unistd.h>

#include "tools/bench/scenarios/scenarios.h"
#include "tools/bench/usage.h"

#define SETTLE_SECONDS 0.5

static int hold_sessions(const bench_site *site, const bench_peer *peer)
{
    for (unsigned i = 0; i < site->setup->shape.agents; i++) {
        if (!peer->session_open(site, i)) {
            return 1;
        }
        atomic_fetch_add(&site->shared->producers[0].sent, 1);
    }
    shared_set(&site->shared->consumers[0].open, 1);
    shared_wait(&site->shared->phase, PHASE_END, UINT64_MAX / 4);
    return 0; /* and all sessions end with the process */
}

static bool all_open(const bench_site *site)
{
    return atomic_load(&site->shared->consumers[0].open) != 0;
}

static bool measure(bench_site *site, const bench_peer *peer, bench_sample *out)
{
    if (!peer->start(site) || !site_sleep(site, SETTLE_SECONDS)) {
        return false;
    }
    const double before = usage_servers_resident(site);
    const pid_t pid = processes_fork(&site->processes, "sessions");
    if (pid == 0) {
        _exit(hold_sessions(site, peer));
    }
    if (pid < 0 || !site_wait(site, all_open, "the last session") || !site_sleep(site, SETTLE_SECONDS)) {
        return false;
    }
    out->values[METRIC_IDLE_BYTES] = before;
    out->values[METRIC_SESSION_BYTES] = (usage_servers_resident(site) - before) / site->setup->shape.agents;
    usage_memory(site, out);
    return true;
}

static bool round_of(const bench_setup *setup, const bench_peer *peer, bench_sample *out)
{
    bench_site site;
    series_clear(out);
    if (!site_open(&site, setup)) {
        return false;
    }
    const bool ok = measure(&site, peer, out);
    shared_set(&site.shared->phase, PHASE_END);
    out->interrupted = site_close(&site);
    return ok;
}

static bool suits(const bench_peer *peer)
{
    return peer->session_open != NULL;
}

static const bench_shape shapes[] = {{.agents = 1000}};

const bench_scenario bench_scenario_agents = {
    .name = "agents",
    .summary = "1,000 idle sessions: memory of the servers before, and for each",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .sizeless = true,
    .suits = suits,
    .round = round_of,
};
