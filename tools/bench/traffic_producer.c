/* SPDX-License-Identifier: Apache-2.0 */
/* The producer's process: as fast as it goes, then paced. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "tools/bench/traffic.h"

#define MS_NS         1000000u
#define PHASE_WAIT_NS (60000ull * MS_NS)

enum {
    WINDOW_CHECK = 64, /* messages between two looks at the consumers' progress, or fewer large ones */
    WINDOW_CHECK_BYTES = 64 * 1024,
    WINDOW_NAP_NS = 20000, /* the first of a wait; later ones are longer */
    WINDOW_NAP_MAX_NS = MS_NS / 2,
    WINDOW_FLUSH_NS = MS_NS, /* of waiting, after which what the client still holds is sent off */
    STANDSTILL = 25000, /* naps, half a second: what has not arrived by then is lost */
    PROBE_WAIT_NS = 2 * MS_NS,
    TICK_NS = MS_NS / 10,  /* it sleeps no shorter than this */
    BACKLOG_NS = 5 * MS_NS /* a hiccup of the machine is made up for up to here, and no further */
};

typedef struct producer {
    const bench_site *site;
    const bench_peer *peer;
    shared_producer *counts;
    void *publisher;
    uint8_t *payload;
    uint64_t number; /* of the next message */
} producer;

static bool send_one(producer *p, uint64_t number, uint64_t sent_at)
{
    const traffic_head head = {((uint64_t)p->site->index << TRAFFIC_NUMBER_BITS) | number, sent_at};
    memcpy(p->payload, &head, sizeof head);
    if (p->site->setup->checked) {
        traffic_fill(p->payload, p->site->setup->size, head.stamp);
    }
    return p->peer->publish(p->publisher, p->payload, p->site->setup->size);
}

static bool probed_everywhere(const producer *p)
{
    for (unsigned i = 0; i < p->site->setup->shape.consumers; i++) {
        if (atomic_load(&p->site->shared->consumers[i].probed[p->site->index]) == 0) {
            return false;
        }
    }
    return true;
}

static bool probe(producer *p)
{
    shared *s = p->site->shared;
    for (unsigned i = 0; i < p->site->setup->shape.consumers; i++) {
        if (!shared_wait(&s->consumers[i].open, 1, PHASE_WAIT_NS)) {
            return false;
        }
        atomic_store(&s->consumers[i].probed[p->site->index], 0); /* this connection has to show that it works */
    }
    while (!probed_everywhere(p)) {
        if (atomic_load(&s->phase) == PHASE_END || !send_one(p, TRAFFIC_PROBE, 0) || !p->peer->flush(p->publisher)) {
            return false;
        }
        atomic_fetch_add(&p->counts->probes, 1);
        nanosleep(&(struct timespec){.tv_nsec = PROBE_WAIT_NS}, NULL);
    }
    return true;
}

/* Of the slowest consumer. */
static uint64_t progress(const producer *p)
{
    const bench_setup *setup = p->site->setup;
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < setup->shape.consumers - setup->stopped; i++) {
        const shared_consumer *c = &p->site->shared->consumers[i];
        const uint64_t next = atomic_load_explicit(&c->next[p->site->index], memory_order_relaxed);
        least = next < least ? next : least;
    }
    return least;
}

static uint64_t next_nap(uint64_t waited)
{
    const uint64_t nap = waited / 2 > WINDOW_NAP_NS ? waited / 2 : WINDOW_NAP_NS;
    return nap < WINDOW_NAP_MAX_NS ? nap : WINDOW_NAP_MAX_NS;
}

/* A peer that drops what a slow consumer leaves behind is not sent more than the consumers can still get. A full window
 * is waited for until an eighth of it is free: a producer that woke for every few messages would take a processor from the
 * server or the consumer each time, thousands of times a second. A nap is at most half as long as the wait so far, so that
 * the window does not run dry in it. */
static void wait_for_window(const producer *p, uint64_t window)
{
    shared *s = p->site->shared;
    if (p->number - progress(p) <= window) {
        return;
    }
    bool flushed = false;
    for (uint64_t waited = 0, nap = WINDOW_NAP_NS;
         p->number - progress(p) > window - window / 8 && atomic_load_explicit(&s->phase, memory_order_relaxed) == PHASE_RATE;
         waited += nap, nap = next_nap(waited)) {
        if (!flushed && waited >= WINDOW_FLUSH_NS) {
            if (!p->peer->flush(p->publisher)) {
                return; /* the next publish tells why */
            }
            flushed = true;
        }
        nanosleep(&(struct timespec){.tv_nsec = (long)nap}, NULL);
    }
}

static bool produce_fast(producer *p)
{
    shared *s = p->site->shared;
    const uint64_t window = bench_setup_window(p->site->setup, p->peer->window_max);
    const size_t check_bytes = WINDOW_CHECK_BYTES / p->site->setup->size;
    const size_t check = check_bytes == 0 ? 1 : check_bytes < WINDOW_CHECK ? check_bytes : WINDOW_CHECK;
    while (atomic_load_explicit(&s->phase, memory_order_relaxed) == PHASE_RATE) {
        for (size_t i = 0; i < check; i++) {
            if (!send_one(p, p->number, 0)) {
                return false;
            }
            p->number++;
        }
        if (p->peer->needs_window) {
            wait_for_window(p, window);
        }
    }
    return p->peer->flush(p->publisher);
}

static void sleep_until(uint64_t ns)
{
    const struct timespec at = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

/* What is due within one tick leaves in a row. */
static bool produce_paced(producer *p)
{
    shared *s = p->site->shared;
    const uint64_t interval = (uint64_t)(1e9 / bench_setup_pace(p->site->setup));
    const uint64_t backlog = interval * 10 > BACKLOG_NS ? interval * 10 : BACKLOG_NS;
    uint64_t now = bench_now_ns(), woken = now;
    uint64_t due = now + interval * p->site->index / p->site->setup->shape.producers; /* not all producers at once */
    for (; atomic_load(&s->phase) == PHASE_LATENCY; due += interval) {
        if (due > now) {
            woken = due > woken + TICK_NS ? due : woken + TICK_NS;
            sleep_until(woken);
        }
        now = bench_now_ns();
        if (!send_one(p, p->number, now)) {
            return false;
        }
        p->number++;
        due = now > due + backlog ? now : due;
    }
    return p->peer->flush(p->publisher);
}

/* A peer that only queues would lose at the close what has not left. */
static void wait_for_arrival(const producer *p)
{
    uint64_t arrived = progress(p);
    for (unsigned waits = 0; arrived < p->number && waits < STANDSTILL; waits++) {
        nanosleep(&(struct timespec){.tv_nsec = WINDOW_NAP_NS}, NULL);
        const uint64_t now = progress(p);
        waits = now != arrived ? 0 : waits;
        arrived = now;
    }
}

/* Waits for phase, works until the conductor ends it, and says so. */
static bool run_phase(producer *p, bench_phase phase, bool (*work)(producer *p))
{
    p->publisher = p->peer->publisher_open(p->site, phase == PHASE_LATENCY);
    if (p->publisher == NULL) {
        return false;
    }
    bool ok = probe(p);
    if (ok) {
        shared_set(&p->counts->phase, phase);
        ok = shared_wait(&p->site->shared->phase, phase, PHASE_WAIT_NS) && work(p);
        if (ok && p->peer->needs_window) {
            wait_for_arrival(p);
        }
    }
    atomic_store(&p->counts->sent, p->number);
    const bool wanted = bench_setup_fails(p->site->setup) > 0; /* what it has recorded, by handlers that are still to fail */
    if (wanted) {
        shared_set(&p->counts->phase, phase + 1);
        shared_wait(&p->site->shared->phase, PHASE_END, PHASE_WAIT_NS);
    }
    p->peer->publisher_close(p->publisher);
    shared_set(&p->counts->phase, phase + 1);
    return ok;
}

int traffic_produce(const bench_site *site, const bench_peer *peer)
{
    producer p = {
        .site = site, .peer = peer, .counts = &site->shared->producers[site->index], .payload = malloc(site->setup->size)};
    if (p.payload == NULL) {
        bench_complain("out of memory");
        return 1;
    }
    memset(p.payload, 'x', site->setup->size);
    prctl(PR_SET_TIMERSLACK, 1ul); /* or else paced messages leave 50 us late */
    const bool ok =
        (site->setup->paced || run_phase(&p, PHASE_RATE, produce_fast)) && run_phase(&p, PHASE_LATENCY, produce_paced);
    free(p.payload);
    shared_wait(&site->shared->phase, PHASE_END, PHASE_WAIT_NS);
    return ok ? 0 : 1;
}
