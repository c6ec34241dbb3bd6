/* SPDX-License-Identifier: Apache-2.0 */
/* Events published over HTTP, on connections kept alive with one request each at a time, beside a server that does nothing
 * with what it is sent. */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/bench/http_client.h"
#include "tools/bench/scenarios/http.h"
#include "tools/bench/scenarios/request.h"
#include "tools/bench/scenarios/scenarios.h"

#define PATH          "/v1/events/" BENCH_TOPIC
#define PHASE_WAIT_NS UINT64_C(60000000000)

enum { CONNECTIONS = 16, STEP_MS = 100 };

typedef struct http_load {
    http_client clients[CONNECTIONS];
    uint64_t sent_ns[CONNECTIONS]; /* when the request was sent that is not answered; 0: none */
    shared *shared;
} http_load;

static bool send_next(http_load *l, unsigned i)
{
    l->sent_ns[i] = bench_now_ns();
    atomic_fetch_add_explicit(&l->shared->producers[0].sent, 1, memory_order_relaxed);
    return http_client_send(&l->clients[i]);
}

/* The rest of an answer, and the next request. */
static bool go_on(http_load *l, unsigned i)
{
    bool done = false;
    if (!http_client_read(&l->clients[i], &done)) {
        return false;
    }
    if (!done) {
        return true;
    }
    histogram_add(&l->shared->consumers[0].latency_ns, bench_now_ns() - l->sent_ns[i]);
    atomic_fetch_add_explicit(&l->shared->consumers[0].received, 1, memory_order_relaxed);
    l->sent_ns[i] = 0;
    return atomic_load_explicit(&l->shared->phase, memory_order_relaxed) > PHASE_RATE || send_next(l, i);
}

static bool is_waiting(const http_load *l)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (l->sent_ns[i] != 0) {
            return true;
        }
    }
    return false;
}

static bool run_load(http_load *l)
{
    struct pollfd fds[CONNECTIONS];
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        fds[i] = (struct pollfd){.fd = l->clients[i].fd, .events = POLLIN};
        if (!send_next(l, i)) {
            return false;
        }
    }
    shared_set(&l->shared->producers[0].phase, PHASE_RATE);
    while (is_waiting(l)) {
        (void)poll(fds, CONNECTIONS, STEP_MS);
        for (unsigned i = 0; i < CONNECTIONS; i++) {
            if (fds[i].revents != 0 && !go_on(l, i)) {
                return false;
            }
        }
    }
    shared_set(&l->shared->producers[0].phase, PHASE_RATE_OVER);
    return true;
}

static int produce(const bench_site *site)
{
    http_load *l = calloc(1, sizeof *l);
    bool ok = l != NULL;
    for (unsigned i = 0; ok && i < CONNECTIONS; i++) {
        ok = http_client_open(&l->clients[i], site->url_out, PATH, site->setup->size);
    }
    if (ok) {
        l->shared = site->shared;
        ok = run_load(l);
    }
    shared_wait(&site->shared->phase, PHASE_END, PHASE_WAIT_NS);
    return ok ? 0 : 1; /* the kernel closes what is open */
}

static bool start_client(bench_site *site, const bench_peer *peer)
{
    (void)peer;
    const pid_t pid = processes_fork(&site->processes, "producer");
    if (pid == 0) {
        _exit(produce(site));
    }
    return pid > 0;
}

bool http_round(const bench_setup *setup, const bench_peer *peer, bench_sample *out)
{
    return request_round_of(setup, peer, start_client, out);
}

static bool suits(const bench_peer *peer)
{
    return peer->is_http;
}

static void adjust(bench_setup *setup)
{
    setup->http = true;
}

static const bench_shape shapes[] = {{.producers = 1}};

const bench_scenario bench_scenario_http = {
    .name = "http",
    .summary = "POST /v1/events on 16 connections kept alive, next to a server that answers 204",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .by_request = true,
    .adjust = adjust,
    .suits = suits,
    .round = http_round,
};
