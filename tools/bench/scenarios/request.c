/* SPDX-License-Identifier: Apache-2.0 */
/* One requester that asks, waits for the answer, and asks again; one responder that answers with what it was asked. A noisy
 * neighbour may be at work meanwhile (fairness.c). */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bench/flood.h"
#include "tools/bench/http_flood.h"
#include "tools/bench/scenarios/request.h"
#include "tools/bench/scenarios/scenarios.h"
#include "tools/bench/usage.h"

#define PHASE_WAIT_NS UINT64_C(60000000000)

static int respond(const bench_site *site, const bench_peer *peer)
{
    void *responder = peer->responder_open(site);
    if (responder == NULL) {
        return 1;
    }
    shared_set(&site->shared->consumers[0].open, 1);
    const bool ended = shared_wait(&site->shared->phase, PHASE_END, UINT64_MAX / 4);
    peer->responder_close(responder);
    return ended ? 0 : 1;
}

typedef struct requester {
    const bench_peer *peer;
    shared *shared;
    void *handle;
    uint8_t *question, *answer;
    size_t size;
    uint64_t number;
} requester;

static bool ask(requester *r)
{
    const uint64_t number = ++r->number;
    memcpy(r->question, &number, sizeof number);
    r->answer[0] = (uint8_t)~r->question[0];
    if (!r->peer->request(r->handle, r->question, r->size, r->answer)) {
        return false;
    }
    if (memcmp(r->question, r->answer, r->size) != 0) {
        bench_complain("the answer is not what was asked");
        return false;
    }
    return true;
}

static bool ask_on(requester *r)
{
    shared_producer *sent = &r->shared->producers[0];
    shared_consumer *answered = &r->shared->consumers[0];
    shared_set(&sent->phase, PHASE_RATE);
    shared_wait(&r->shared->phase, PHASE_RATE, PHASE_WAIT_NS);
    while (atomic_load_explicit(&r->shared->phase, memory_order_relaxed) == PHASE_RATE) {
        const uint64_t from = bench_now_ns();
        atomic_fetch_add_explicit(&sent->sent, 1, memory_order_relaxed);
        if (!ask(r)) {
            return false;
        }
        histogram_add(&answered->latency_ns, bench_now_ns() - from);
        atomic_fetch_add_explicit(&answered->received, 1, memory_order_relaxed);
    }
    shared_set(&sent->phase, PHASE_RATE_OVER);
    return true;
}

static int make_requests(const bench_site *site, const bench_peer *peer)
{
    requester r = {.peer = peer, .shared = site->shared, .size = site->setup->size};
    r.question = malloc(r.size);
    r.answer = malloc(r.size);
    if (r.question == NULL || r.answer == NULL || !shared_wait(&site->shared->consumers[0].open, 1, PHASE_WAIT_NS)) {
        return 1;
    }
    memset(r.question, 'x', r.size);
    r.handle = peer->requester_open(site);
    if (r.handle == NULL) {
        return 1;
    }
    const bool ok = ask(&r) && ask_on(&r);
    shared_wait(&site->shared->phase, PHASE_END, PHASE_WAIT_NS);
    peer->requester_close(r.handle);
    free(r.question);
    free(r.answer);
    return ok ? 0 : 1;
}

static bool is_ready(const bench_site *site)
{
    return atomic_load(&site->shared->producers[0].phase) >= PHASE_RATE;
}

static bool is_over(const bench_site *site)
{
    return atomic_load(&site->shared->producers[0].phase) >= PHASE_RATE_OVER;
}

static bool start_clients(bench_site *site, const bench_peer *peer)
{
    const pid_t responder = processes_fork(&site->processes, "responder");
    if (responder == 0) {
        _exit(respond(site, peer));
    }
    const pid_t pid = responder > 0 ? processes_fork(&site->processes, "requester") : -1;
    if (pid == 0) {
        _exit(make_requests(site, peer));
    }
    return pid > 0;
}

static int run_flood(const bench_site *site)
{
    if (site->setup->idle_flood && sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}) != 0) {
        bench_complain("the flood cannot give way: %s", strerror(errno));
        return 1;
    }
    return site->setup->shape.flood >= FLOOD_HTTP_IDLE ? http_flood(site) : flood(site);
}

/* It begins when the others are at work, and goes on to the end of the round. */
static bool start_flood(bench_site *site)
{
    if (site->setup->shape.flood == FLOOD_NONE) {
        return true;
    }
    const pid_t pid = processes_fork(&site->processes, "flood");
    if (pid == 0) {
        _exit(run_flood(site));
    }
    return pid > 0;
}

static bool measure(bench_site *site, bench_sample *out)
{
    usage_mark begin, end;
    shared *s = site->shared;
    shared_consumer *c = &s->consumers[0];
    if (!site_wait(site, is_ready, "a first request with its answer")) {
        return false;
    }
    shared_set(&s->phase, PHASE_RATE);
    if (!start_flood(site) || !site_sleep(site, site->setup->warm_up)) {
        return false;
    }
    memset(&c->latency_ns, 0, sizeof c->latency_ns); /* one request more or less in it is no harm */
    usage_take(site, &begin);
    const uint64_t first = atomic_load(&c->received);
    if (!site_sleep(site, site->setup->seconds)) {
        return false;
    }
    const uint64_t last = atomic_load(&c->received);
    usage_take(site, &end);
    shared_set(&s->phase, PHASE_RATE_OVER);
    if (!site_wait(site, is_over, "the last answer")) {
        return false;
    }
    out->values[METRIC_RATE] = (double)(last - first) / ((double)(end.at_ns - begin.at_ns) / 1e9);
    usage_latencies(&c->latency_ns, out);
    usage_report(site, &begin, &end, last - first, out);
    usage_memory(site, out);
    return true;
}

bool request_round_of(const bench_setup *setup, const bench_peer *peer, bool (*start)(bench_site *site, const bench_peer *peer),
                      bench_sample *out)
{
    bench_site site;
    series_clear(out);
    if (!site_open(&site, setup)) {
        return false;
    }
    const bool ok = peer->start(&site) && start(&site, peer) && measure(&site, out);
    out->sent = atomic_load(&site.shared->producers[0].sent);
    out->lost = out->sent - atomic_load(&site.shared->consumers[0].received);
    shared_set(&site.shared->phase, PHASE_END);
    out->interrupted = site_close(&site);
    return ok;
}

bool request_round(const bench_setup *setup, const bench_peer *peer, bench_sample *out)
{
    return request_round_of(setup, peer, start_clients, out);
}

static bool suits(const bench_peer *peer)
{
    return peer->requester_open != NULL;
}

static void adjust(bench_setup *setup)
{
    setup->requests = true;
}

static const bench_shape shapes[] = {{.producers = 1, .consumers = 1}};

const bench_scenario bench_scenario_request = {
    .name = "request",
    .summary = "one requester, one responder: round trips, one after the other",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .adjust = adjust,
    .suits = suits,
    .round = request_round,
};
