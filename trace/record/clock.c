/* SPDX-License-Identifier: Apache-2.0 */
/* The rate of the counter is measured against the monotonic clock while the program runs: once over a fiftieth of a second, and
 * once more over a second. Both readings of a pair are taken together, and a pair that was interrupted in between is of no use. */
#include "trace/record/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if RECORD_CLOCK_HAS_COUNTER

#define VALID_NS 1000000u           /* how long a reading of the system's clock serves */
#define ROUGH_NS 20000000u          /* the rate is then right to 50 ppm: 50 ns in VALID_NS */
#define FINE_NS 1000000000u
#define PAIR_NS_MAX 1000u           /* between the readings of a pair */
#define RATE_MIN (UINT64_C(1) << (RECORD_CLOCK_SHIFT - 4)) /* of 16 GHz */
#define RATE_MAX (UINT64_C(1) << (RECORD_CLOCK_SHIFT + 5)) /* of 31 MHz */

/* The module's process-wide state: what the processor counts by is the same for everybody. */
static struct {
    atomic_int trusted;            /* 0: nobody has looked; 1: yes; -1: no */
    atomic_flag measuring;         /* guards first_ns and first_ticks */
    uint64_t first_ns, first_ticks;
    atomic_uint_fast64_t rate;     /* ns a tick, times 2^24; 0: not known yet */
    atomic_bool fine;
} counter = {.measuring = ATOMIC_FLAG_INIT};

/* The kernel has checked that the counters of all processors run evenly and together, or would not go by them. */
static bool kernel_goes_by_it(void)
{
    char name[16] = "";
    FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (f != NULL) {
        if (fgets(name, sizeof name, f) == NULL) {
            name[0] = '\0';
        }
        (void)fclose(f);
    }
    return strcmp(name, "tsc\n") == 0;
}

static bool is_trusted(void)
{
    int trusted = atomic_load_explicit(&counter.trusted, memory_order_relaxed);
    if (trusted == 0) {
        trusted = kernel_goes_by_it() ? 1 : -1;
        atomic_store_explicit(&counter.trusted, trusted, memory_order_relaxed);
    }
    return trusted > 0;
}

/* With counter.measuring. */
static void measure(uint64_t ns, uint64_t ticks)
{
    const uint64_t took_ns = ns - counter.first_ns, took = ticks - counter.first_ticks;
    if (counter.first_ns == 0 || ns < counter.first_ns || took_ns > 60u * (uint64_t)FINE_NS) {
        counter.first_ns = ns;
        counter.first_ticks = ticks;
        return;
    }
    const bool known = atomic_load_explicit(&counter.rate, memory_order_relaxed) != 0;
    if (took == 0 || took_ns < (known ? FINE_NS : ROUGH_NS)) {
        return;
    }
    const uint64_t rate = (uint64_t)((double)took_ns / (double)took * (double)(1u << RECORD_CLOCK_SHIFT) + 0.5);
    if (rate < RATE_MIN || rate > RATE_MAX) {
        atomic_store_explicit(&counter.trusted, -1, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&counter.rate, rate, memory_order_relaxed);
    atomic_store_explicit(&counter.fine, known, memory_order_relaxed);
}

static void measure_if_nobody_does(void)
{
    if (atomic_load_explicit(&counter.fine, memory_order_relaxed) || atomic_flag_test_and_set_explicit(&counter.measuring, memory_order_acquire)) {
        return;
    }
    const uint64_t before = clock_monotonic_ns(), ticks = record_ticks(), after = clock_monotonic_ns();
    if (after - before <= PAIR_NS_MAX) {
        measure(before + (after - before) / 2, ticks);
    }
    atomic_flag_clear_explicit(&counter.measuring, memory_order_release);
}

uint64_t record_clock_set(record_clock *clock)
{
    if (!is_trusted()) {
        clock->valid_ticks = 0;
        return clock_unix_ns();
    }
    measure_if_nobody_does();
    const uint64_t rate = atomic_load_explicit(&counter.rate, memory_order_relaxed), before = record_ticks();
    clock->base_ns = clock_unix_ns();
    const uint64_t after = record_ticks();
    clock->base_ticks = before + (after - before) / 2;
    clock->ns_per_tick = rate;
    clock->valid_ticks = rate != 0 ? ((uint64_t)VALID_NS << RECORD_CLOCK_SHIFT) / rate : 0;
    if (rate != 0 && (after - before) * rate >> RECORD_CLOCK_SHIFT > PAIR_NS_MAX) {
        clock->valid_ticks = 0; /* interrupted in between: it serves once */
    }
    return clock->base_ns;
}

#else

uint64_t record_clock_set(record_clock *clock)
{
    clock->valid_ticks = 0;
    return clock_unix_ns();
}

#endif
