/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that conductor, producers and consumers of a round share. The conductor moves the phase on; the others
 * follow and report. Each field has one writer, named beside it. */
#ifndef LOOM_BENCH_SHARED_H
#define LOOM_BENCH_SHARED_H

#include <stdalign.h>
#include <stdatomic.h>

#include "tools/bench/histogram.h"
#include "tools/bench/setup.h"

typedef enum bench_phase {
    PHASE_CONNECT,   /* everybody connects; probes until one has arrived everywhere */
    PHASE_RATE,      /* as fast as it goes */
    PHASE_RATE_OVER, /* producers stop, consumers get what is on its way */
    PHASE_LATENCY,   /* one message at a time, at a fixed rate */
    PHASE_LATENCY_OVER,
    PHASE_END
} bench_phase;

typedef struct shared_producer {
    alignas(64) _Atomic uint32_t phase; /* the last one it is through with, or ready for */
    _Atomic uint64_t sent;              /* without probes */
    _Atomic uint64_t probes;
} shared_producer;

typedef struct shared_consumer {
    alignas(64) _Atomic uint32_t open; /* it is connected, and has its subscriptions */
    /* A probe of this producer has arrived; the producer sets it back. */
    _Atomic uint32_t probed[BENCH_PRODUCERS_MAX];
    alignas(64) _Atomic uint64_t received;      /* without probes */
    _Atomic uint64_t next[BENCH_PRODUCERS_MAX]; /* the sequence number expected from each producer */
    _Atomic uint64_t misordered;
    _Atomic uint64_t failed; /* handlers, on purpose */
    histogram latency_ns;
} shared_consumer;

/* What a program of spans/ has printed; written by the process that ran it. */
typedef struct shared_spans {
    _Atomic uint32_t done; /* the rest is there */
    _Atomic uint64_t spans, ns, cpu_ns, allocations;
} shared_spans;

typedef struct shared {
    _Atomic uint32_t phase; /* conductor */
    shared_spans made;
    _Atomic uint64_t spans; /* OTLP receiver: spans it was sent */
    _Atomic uint64_t whole; /* the same: traces of which all spans are there, where handlers fail */
    shared_producer producers[BENCH_PRODUCERS_MAX];
    shared_consumer consumers[BENCH_CONSUMERS_MAX];
} shared;

/* NULL without memory. Children inherit it. */
shared *shared_create(void);
void shared_destroy(shared *s);

/* Sets a word and wakes who waits for it. */
void shared_set(_Atomic uint32_t *word, uint32_t value);
/* Waits until *word is at least value, up to timeout_ns. */
bool shared_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);

/* CLOCK_MONOTONIC: the same in all processes of a machine. */
uint64_t bench_now_ns(void);

#endif
