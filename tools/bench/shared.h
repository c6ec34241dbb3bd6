/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that conductor, producer and consumer of a round share. The conductor moves the phase on; producer and
 * consumer follow and report. Each field has one writer, named beside it. */
#ifndef LOOM_BENCH_SHARED_H
#define LOOM_BENCH_SHARED_H

#include <stdalign.h>
#include <stdatomic.h>

#include "tools/bench/histogram.h"

typedef enum bench_phase {
    PHASE_CONNECT,      /* everybody connects; probes until one has arrived */
    PHASE_RATE,         /* as fast as it goes */
    PHASE_RATE_OVER,    /* the producer stops, the consumer gets what is on its way */
    PHASE_LATENCY,      /* one message at a time, at a fixed rate */
    PHASE_LATENCY_OVER,
    PHASE_END
} bench_phase;

typedef struct shared {
    _Atomic uint32_t phase;               /* conductor */
    _Atomic uint32_t producer_phase;      /* producer: the last one it is through with, or ready for */
    _Atomic uint32_t consumer_ready;      /* consumer: a probe has arrived */
    alignas(64) _Atomic uint64_t sent;    /* producer: without probes */
    alignas(64) _Atomic uint64_t received; /* consumer, like the rest */
    uint64_t next;                        /* the sequence number expected */
    _Atomic uint64_t misordered;
    histogram latency_ns;
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
