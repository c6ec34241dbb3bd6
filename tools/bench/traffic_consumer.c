/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer's process: counts, checks the order, and takes the time of what says when it left. */
#include <string.h>

#include "tools/bench/traffic.h"

typedef struct consumer {
    shared_consumer *counts;
    bool bad_message_told;
    size_t size;
    unsigned producers;
    bool checked; /* payloads are */
    unsigned fails; /* of so many messages one; 0: none */
} consumer;

static void complain_once(consumer *c, const char *what, uint64_t number, size_t size)
{
    if (!c->bad_message_told) {
        bench_complain("message %llu of %zu bytes arrived with %zu: %s", (unsigned long long)number, c->size, size, what);
        c->bad_message_told = true;
    }
}

/* Nobody else writes these. */
static void add_one(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static bool on_message(void *user, const uint8_t *data, size_t size)
{
    consumer *c = user;
    shared_consumer *s = c->counts;
    traffic_head head = {0};
    if (size >= sizeof head) {
        memcpy(&head, data, sizeof head);
    }
    const uint64_t producer = head.stamp >> TRAFFIC_NUMBER_BITS, number = head.stamp & TRAFFIC_PROBE;
    if (size != c->size || producer >= c->producers) {
        complain_once(c, "it is not one of ours", number, size);
        return true; /* and so it counts as lost */
    }
    if (c->checked && !traffic_intact(data, size, head.stamp)) {
        complain_once(c, "its bytes are not those that left", number, size);
        return true;
    }
    if (number == TRAFFIC_PROBE) {
        atomic_store(&s->probed[producer], 1);
        return true;
    }
    if (head.sent_at != 0) {
        histogram_add(&s->latency_ns, bench_now_ns() - head.sent_at);
    }
    if (number < atomic_load_explicit(&s->next[producer], memory_order_relaxed)) {
        add_one(&s->misordered);
    } else {
        atomic_store_explicit(&s->next[producer], number + 1, memory_order_relaxed);
    }
    const bool fails = c->fails > 0 && number % c->fails == 0;
    if (fails) {
        add_one(&s->failed);
    }
    add_one(&s->received);
    return !fails;
}

int traffic_consume(const bench_site *site, const bench_peer *peer)
{
    shared_consumer *counts = &site->shared->consumers[site->index];
    consumer c = {.counts = counts, .size = site->setup->size, .producers = site->setup->shape.producers,
                  .checked = site->setup->checked, .fails = bench_setup_fails(site->setup)};
    void *subscriber = peer->subscriber_open(site, on_message, &c);
    if (subscriber == NULL) {
        return 1;
    }
    shared_set(&counts->open, 1);
    const bool ended = shared_wait(&site->shared->phase, PHASE_END, UINT64_MAX / 4);
    peer->subscriber_close(subscriber);
    return ended ? 0 : 1;
}
