/* SPDX-License-Identifier: Apache-2.0 */
/* One producer, one consumer, one topic.
 *
 * First as fast as it goes: the conductor reads the consumer's count and everybody's processor time at both ends of a
 * timed window. Then, with a fresh connection, one message at a time at a fixed rate, each carrying the time it left at.
 * Payloads carry a sequence number that runs through both: what is missing at the end is lost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tools/bench/scenario.h"

#define PROBE UINT64_MAX          /* in place of a sequence number */
#define LATENCY_SECONDS_MAX 2.0
#define WARM_UP_SECONDS 0.5
#define MS_NS 1000000u

enum {
    DRAIN_STEPS = 1000, DRAIN_STEP_MS = 2, /* without progress for two seconds: the rest is lost */
    WINDOW_CHECK = 64,  /* messages between two looks at the consumer's progress */
    WINDOW_WAIT_NS = 20000,
    PROBE_WAIT_NS = 2 * MS_NS,
    PHASE_WAIT_S = 60
};

/* ---- the consumer's process ---- */

typedef struct consumer {
    shared *shared;
    bool bad_size_told;
    size_t size;
} consumer;

static void on_message(void *user, const uint8_t *data, size_t size)
{
    consumer *c = user;
    shared *s = c->shared;
    uint64_t number, sent_at;
    if (size != c->size) {
        if (!c->bad_size_told) {
            bench_complain("a message of %zu bytes arrived with %zu", c->size, size);
            c->bad_size_told = true;
        }
        return; /* and so it counts as lost */
    }
    memcpy(&number, data, sizeof number);
    memcpy(&sent_at, data + sizeof number, sizeof sent_at);
    if (number == PROBE) {
        shared_set(&s->consumer_ready, 1);
        return;
    }
    if (sent_at != 0) {
        histogram_add(&s->latency_ns, bench_now_ns() - sent_at);
    }
    if (number < s->next) {
        atomic_fetch_add_explicit(&s->misordered, 1, memory_order_relaxed);
    } else {
        s->next = number + 1;
    }
    const uint64_t received = atomic_load_explicit(&s->received, memory_order_relaxed); /* nobody else writes it */
    atomic_store_explicit(&s->received, received + 1, memory_order_relaxed);
}

static int consume(const bench_site *site, const bench_peer *peer)
{
    consumer c = {.shared = site->shared, .size = site->size};
    void *subscriber = peer->subscriber_open(site, on_message, &c);
    if (subscriber == NULL) {
        return 1;
    }
    const bool ended = shared_wait(&site->shared->phase, PHASE_END, UINT64_MAX / 4);
    peer->subscriber_close(subscriber);
    return ended ? 0 : 1;
}

/* ---- the producer's process ---- */

typedef struct producer {
    const bench_site *site;
    const bench_peer *peer;
    void *publisher;
    uint8_t *payload;
    uint64_t number; /* of the next message */
} producer;

static bool send_one(producer *p, uint64_t number, uint64_t sent_at)
{
    memcpy(p->payload, &number, sizeof number);
    memcpy(p->payload + sizeof number, &sent_at, sizeof sent_at);
    return p->peer->publish(p->publisher, p->payload, p->site->size);
}

static bool probe(producer *p)
{
    shared *s = p->site->shared;
    while (!shared_wait(&s->consumer_ready, 1, PROBE_WAIT_NS)) {
        if (atomic_load(&s->phase) == PHASE_END) {
            return false;
        }
        if (!send_one(p, PROBE, 0) || !p->peer->flush(p->publisher)) {
            return false;
        }
    }
    return true;
}

/* A peer that drops what a slow consumer leaves behind is not sent more than the consumer can still get. */
static void wait_for_window(const producer *p)
{
    shared *s = p->site->shared;
    const uint64_t window = p->site->options->window;
    while (p->number - atomic_load_explicit(&s->received, memory_order_relaxed) > window &&
           atomic_load_explicit(&s->phase, memory_order_relaxed) == PHASE_RATE) {
        nanosleep(&(struct timespec){.tv_nsec = WINDOW_WAIT_NS}, NULL);
    }
}

static bool produce_fast(producer *p)
{
    shared *s = p->site->shared;
    while (atomic_load_explicit(&s->phase, memory_order_relaxed) == PHASE_RATE) {
        for (unsigned i = 0; i < WINDOW_CHECK; i++) {
            if (!send_one(p, p->number, 0)) {
                return false;
            }
            p->number++;
        }
        if (p->peer->needs_window) {
            wait_for_window(p);
        }
    }
    return p->peer->flush(p->publisher);
}

static bool produce_paced(producer *p)
{
    shared *s = p->site->shared;
    const uint64_t interval = 1000000000u / p->site->options->latency_rate;
    for (uint64_t due = bench_now_ns(); atomic_load(&s->phase) == PHASE_LATENCY; due += interval) {
        const struct timespec at = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
        }
        const uint64_t now = bench_now_ns();
        if (!send_one(p, p->number, now)) {
            return false;
        }
        p->number++;
        due = now > due + 10 * interval ? now : due; /* after a hiccup of the machine: no burst */
    }
    return p->peer->flush(p->publisher);
}

/* Waits for phase, works until the conductor ends it, and says so. */
static bool run_phase(producer *p, bench_phase phase, bool (*work)(producer *p))
{
    shared *s = p->site->shared;
    p->publisher = p->peer->publisher_open(p->site, phase == PHASE_LATENCY);
    if (p->publisher == NULL) {
        return false;
    }
    bool ok = probe(p);
    if (ok) {
        shared_set(&s->producer_phase, phase);
        ok = shared_wait(&s->phase, phase, PHASE_WAIT_S * 1000ull * MS_NS) && work(p);
    }
    p->peer->publisher_close(p->publisher);
    atomic_store(&s->sent, p->number);
    shared_set(&s->producer_phase, phase + 1);
    return ok;
}

static int produce(const bench_site *site, const bench_peer *peer)
{
    producer p = {.site = site, .peer = peer, .payload = malloc(site->size)};
    if (p.payload == NULL) {
        bench_complain("out of memory");
        return 1;
    }
    memset(p.payload, 'x', site->size);
    prctl(PR_SET_TIMERSLACK, 1ul); /* or else paced messages leave 50 us late */
    const bool ok = run_phase(&p, PHASE_RATE, produce_fast) && run_phase(&p, PHASE_LATENCY, produce_paced);
    free(p.payload);
    shared_wait(&site->shared->phase, PHASE_END, PHASE_WAIT_S * 1000ull * MS_NS);
    return ok ? 0 : 1;
}

/* ---- the conductor ---- */

static bool ready_for_rate(const bench_site *site)
{
    return atomic_load(&site->shared->producer_phase) >= PHASE_RATE;
}

static bool rate_is_over(const bench_site *site)
{
    return atomic_load(&site->shared->producer_phase) >= PHASE_RATE_OVER;
}

static bool ready_for_latency(const bench_site *site)
{
    return atomic_load(&site->shared->producer_phase) >= PHASE_LATENCY;
}

static bool latency_is_over(const bench_site *site)
{
    return atomic_load(&site->shared->producer_phase) >= PHASE_LATENCY_OVER;
}

/* Until the consumer has everything, or gets no more. */
static bool drain(bench_site *site)
{
    const shared *s = site->shared;
    uint64_t last = 0;
    for (unsigned still = 0; atomic_load(&s->received) < atomic_load(&s->sent) && still < DRAIN_STEPS; still++) {
        if (!site_sleep(site, DRAIN_STEP_MS / 1000.0)) {
            return false;
        }
        const uint64_t received = atomic_load(&s->received);
        still = received != last ? 0 : still;
        last = received;
    }
    return true;
}

/* The timed window. */
static bool measure_rate(bench_site *site, bench_sample *out)
{
    process_usage before[SAMPLE_PROCESSES_MAX], after[SAMPLE_PROCESSES_MAX];
    shared *s = site->shared;
    const size_t processes = site->processes.count;
    shared_set(&s->phase, PHASE_RATE);
    if (!site_sleep(site, WARM_UP_SECONDS)) {
        return false;
    }
    processes_usage(&site->processes, before);
    const uint64_t first = atomic_load(&s->received), begin = bench_now_ns();
    if (!site_sleep(site, site->options->seconds)) {
        return false;
    }
    const uint64_t last = atomic_load(&s->received), end = bench_now_ns();
    processes_usage(&site->processes, after);
    shared_set(&s->phase, PHASE_RATE_OVER);
    if (last == first) {
        bench_complain("nothing arrived within %.1f s", site->options->seconds);
        return false;
    }
    const double millions = (double)(last - first) / 1e6;
    out->rate = (double)(last - first) / ((double)(end - begin) / 1e9);
    out->usage_count = processes;
    for (size_t i = 0; i < processes; i++) {
        snprintf(out->usage[i].role, SAMPLE_ROLE_SIZE, "%s", site->processes.items[i].role);
        out->usage[i].cpu_s_per_million = (double)(after[i].cpu_ns - before[i].cpu_ns) / 1e9 / millions;
        out->cpu_s_per_million += out->usage[i].cpu_s_per_million;
        out->usage[i].switches_per_million = (double)(after[i].switches - before[i].switches) / millions;
    }
    return site_wait(site, rate_is_over, "the end of what the producer sends") && drain(site);
}

static bool measure_latency(bench_site *site, bench_sample *out)
{
    shared *s = site->shared;
    const double seconds = site->options->seconds < LATENCY_SECONDS_MAX ? site->options->seconds : LATENCY_SECONDS_MAX;
    if (!site_wait(site, ready_for_latency, "the producer's second connection")) {
        return false;
    }
    shared_set(&s->phase, PHASE_LATENCY);
    if (!site_sleep(site, seconds)) {
        return false;
    }
    shared_set(&s->phase, PHASE_LATENCY_OVER);
    if (!site_wait(site, latency_is_over, "the end of what the producer sends") || !drain(site)) {
        return false;
    }
    out->p50_us = (double)histogram_quantile(&s->latency_ns, 0.50) / 1e3;
    out->p99_us = (double)histogram_quantile(&s->latency_ns, 0.99) / 1e3;
    return true;
}

static bool start_clients(bench_site *site, const bench_peer *peer)
{
    const pid_t consumer_pid = processes_fork(&site->processes, "consumer");
    if (consumer_pid == 0) {
        _exit(consume(site, peer));
    }
    const pid_t producer_pid = consumer_pid > 0 ? processes_fork(&site->processes, "producer") : -1;
    if (producer_pid == 0) {
        _exit(produce(site, peer));
    }
    return producer_pid > 0;
}

static bool round_of(const bench_options *options, const bench_peer *peer, size_t size, bench_sample *out)
{
    bench_site site;
    memset(out, 0, sizeof *out);
    if (!site_open(&site, options, size)) {
        return false;
    }
    const bool ok = peer->start(&site) && start_clients(&site, peer) &&
                    site_wait(&site, ready_for_rate, "a first message from producer to consumer") &&
                    measure_rate(&site, out) && measure_latency(&site, out);
    const uint64_t received = atomic_load(&site.shared->received);
    out->sent = atomic_load(&site.shared->sent);
    out->lost = out->sent > received ? out->sent - received : 0;
    out->misordered = atomic_load(&site.shared->misordered);
    shared_set(&site.shared->phase, PHASE_END);
    site_close(&site);
    return ok;
}

const bench_scenario bench_scenario_pubsub = {
    .name = "pubsub",
    .summary = "one producer, one consumer, one topic",
    .round = round_of,
};
