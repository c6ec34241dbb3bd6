/* SPDX-License-Identifier: Apache-2.0 */
/* The conductor's side: starts the clients, moves the phases on, reads the counts. */
#include "tools/bench/traffic.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bench/looker.h"
#include "tools/bench/usage.h"

#define LATENCY_SECONDS_MAX 2.0
#define KEPT_SECONDS        0.3 /* what failed last has been kept everywhere by then */
#define STOP_SECONDS        0.7 /* of traffic with a stopped consumer before the times count: its queues are full by then */

enum { DRAIN_STEPS = 1000, DRAIN_STEP_MS = 2 /* without progress for two seconds: the rest is lost */ };

typedef struct traffic {
    bench_site site;
    const bench_peer *peer;
    pid_t consumers[BENCH_CONSUMERS_MAX];
} traffic;

/* Consumers that are to get everything. */
static unsigned counted(const bench_setup *setup)
{
    return setup->shape.consumers - setup->stopped;
}

static uint64_t received_by_all(const bench_site *site)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < counted(site->setup); i++) {
        sum += atomic_load(&site->shared->consumers[i].received);
    }
    return sum;
}

static uint64_t sent_by_all(const bench_site *site)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < site->setup->shape.producers; i++) {
        sum += atomic_load(&site->shared->producers[i].sent);
    }
    return sum;
}

static bool producers_reached(const bench_site *site, bench_phase phase)
{
    for (unsigned i = 0; i < site->setup->shape.producers; i++) {
        if (atomic_load(&site->shared->producers[i].phase) < phase) {
            return false;
        }
    }
    return true;
}

static bool ready_for_rate(const bench_site *site)
{
    return producers_reached(site, PHASE_RATE);
}

static bool rate_is_over(const bench_site *site)
{
    return producers_reached(site, PHASE_RATE_OVER);
}

static bool ready_for_latency(const bench_site *site)
{
    return producers_reached(site, PHASE_LATENCY);
}

static bool latency_is_over(const bench_site *site)
{
    return producers_reached(site, PHASE_LATENCY_OVER);
}

/* Until the consumers have everything, or get no more. */
static bool drain(bench_site *site)
{
    const uint64_t due = sent_by_all(site) * counted(site->setup);
    uint64_t last = 0, received;
    for (unsigned still = 0; (received = received_by_all(site)) < due && still < DRAIN_STEPS; still++) {
        if (!site_sleep(site, DRAIN_STEP_MS / 1000.0)) {
            return false;
        }
        still = received != last ? 0 : still;
        last = received;
    }
    return true;
}

/* A timed window: what arrives in it, what it costs, and for a load that is steady or checked, whether memory grows. */
static bool measure_window(bench_site *site, double seconds, bench_sample *out)
{
    usage_mark begin, end;
    const double before = usage_servers_resident(site);
    usage_take(site, &begin);
    const uint64_t first = received_by_all(site), from = bench_now_ns();
    if (!site_sleep(site, seconds)) {
        return false;
    }
    const uint64_t last = received_by_all(site), until = bench_now_ns();
    usage_take(site, &end);
    if (last == first) {
        bench_complain("nothing arrived within %.1f s", seconds);
        return false;
    }
    out->values[METRIC_RATE] = (double)(last - first) / ((double)(until - from) / 1e9);
    usage_report(site, &begin, &end, last - first, out);
    if (site->setup->paced || site->setup->checked) {
        out->values[METRIC_GROWTH_BYTES] = usage_servers_resident(site) - before;
    }
    return true;
}

static bool measure_rate(bench_site *site, bench_sample *out)
{
    shared *s = site->shared;
    if (!site_wait(site, ready_for_rate, "a first message from every producer to every consumer")) {
        return false;
    }
    shared_set(&s->phase, PHASE_RATE);
    if (!site_sleep(site, site->setup->warm_up) || !measure_window(site, site->setup->seconds, out)) {
        return false;
    }
    shared_set(&s->phase, PHASE_RATE_OVER);
    return site_wait(site, rate_is_over, "the end of what the producers send") && drain(site);
}

static void read_latency(const bench_site *site, bench_sample *out)
{
    static histogram all; /* large; the conductor has one thread */
    memset(&all, 0, sizeof all);
    for (unsigned i = 0; i < counted(site->setup); i++) {
        histogram_merge(&all, &site->shared->consumers[i].latency_ns);
    }
    usage_latencies(&all, out);
}

/* Consumers write their histograms meanwhile: one message more or less in them is no harm. */
static void forget_latency(const bench_site *site)
{
    for (unsigned i = 0; i < site->setup->shape.consumers; i++) {
        memset(&site->shared->consumers[i].latency_ns, 0, sizeof(histogram));
    }
}

static bool stop_some(traffic *t)
{
    const bench_setup *setup = t->site.setup;
    for (unsigned i = counted(setup); i < setup->shape.consumers; i++) {
        kill(t->consumers[i], SIGSTOP);
    }
    return site_sleep(&t->site, STOP_SECONDS);
}

static bool measure_latency(traffic *t, bench_sample *out)
{
    bench_site *site = &t->site;
    shared *s = site->shared;
    const bench_setup *setup = site->setup;
    const double seconds = setup->paced || setup->seconds < LATENCY_SECONDS_MAX ? setup->seconds : LATENCY_SECONDS_MAX;
    if (!site_wait(site, ready_for_latency, "the producers' connections for paced messages")) {
        return false;
    }
    shared_set(&s->phase, PHASE_LATENCY);
    if (setup->paced) {
        if (!(setup->stopped > 0 ? stop_some(t) : site_sleep(site, setup->warm_up))) {
            return false;
        }
        forget_latency(site);
    }
    if (!(setup->paced ? measure_window(site, seconds, out) : site_sleep(site, seconds))) {
        return false;
    }
    shared_set(&s->phase, PHASE_LATENCY_OVER);
    if (!site_wait(site, latency_is_over, "the end of what the producers send") || !drain(site)) {
        return false;
    }
    read_latency(site, out);
    usage_memory(site, out);
    return true;
}

/* The role "consumer" or "producer", count times; pids receives them, or is NULL. */
static bool start_clients(traffic *t, const char *role, unsigned count, int (*live)(const bench_site *, const bench_peer *),
                          pid_t *pids)
{
    for (unsigned i = 0; i < count; i++) {
        const pid_t pid = processes_fork(&t->site.processes, role);
        if (pid == 0) {
            t->site.index = i;
            _exit(live(&t->site, t->peer));
        }
        if (pid < 0) {
            return false;
        }
        if (pids != NULL) {
            pids[i] = pid;
        }
    }
    return true;
}

/* Of what failed, how much has arrived whole. */
static void read_kept(const bench_site *site, bench_sample *out)
{
    uint64_t failed = 0;
    for (unsigned i = 0; i < site->setup->shape.consumers; i++) {
        failed += atomic_load(&site->shared->consumers[i].failed);
    }
    if (failed > 0) {
        out->values[METRIC_KEPT_WHOLE] = (double)atomic_load(&site->shared->whole) / (double)failed;
    }
}

/* Every span of every event is to arrive at the receiver. */
static void read_spans(const bench_site *site, bench_sample *out)
{
    const bench_setup *setup = site->setup;
    if (setup->tracing != TRACING_ON && setup->tracing != TRACING_LINK) {
        return;
    }
    uint64_t events = 0;
    for (unsigned i = 0; i < setup->shape.producers; i++) {
        const shared_producer *p = &site->shared->producers[i];
        events += atomic_load(&p->sent) + atomic_load(&p->probes);
    }
    const double due = (double)events * bench_setup_spans(setup);
    out->values[METRIC_SPANS_LOST] = due - (double)atomic_load(&site->shared->spans);
}

bool traffic_round(const bench_setup *setup, const bench_peer *peer, bench_sample *out)
{
    traffic *t = calloc(1, sizeof *t);
    series_clear(out);
    if (t == NULL || !site_open(&t->site, setup)) {
        free(t);
        return false;
    }
    bench_site *site = &t->site;
    t->peer = peer;
    const bool ok = peer->start(site) && looker_open(site) && start_clients(t, "consumer", setup->shape.consumers, traffic_consume, t->consumers) &&
                    start_clients(t, "producer", setup->shape.producers, traffic_produce, NULL) &&
                    (setup->paced || measure_rate(site, out)) && measure_latency(t, out) &&
                    (bench_setup_fails(setup) == 0 || site_sleep(site, KEPT_SECONDS));
    const uint64_t received = received_by_all(site);
    out->sent = sent_by_all(site) * counted(setup);
    out->lost = out->sent > received ? out->sent - received : 0;
    for (unsigned i = 0; i < counted(setup); i++) {
        out->misordered += atomic_load(&site->shared->consumers[i].misordered);
    }
    shared_set(&site->shared->phase, PHASE_END);
    if (ok && peer == &bench_peer_loom) {
        processes_end(&site->processes, setup->tracing == TRACING_ON || setup->tracing == TRACING_LINK ||
                                            bench_setup_fails(setup) > 0); /* exporters hand on what they have */
        read_spans(site, out);
        read_kept(site, out);
    }
    out->interrupted = site_close(site);
    free(t);
    return ok;
}
