/* SPDX-License-Identifier: Apache-2.0 */
/* The time of a span, at the price of the processor's counter where the kernel itself goes by that: half of what the system's
 * clock costs. Every millisecond it is set by the system's clock again, so that it follows a clock that is set, and never is off by
 * more than its rate is in a millisecond.
 *
 * A record_clock belongs to one thread. The rate is the process's. */
#ifndef LOOM_TRACE_RECORD_CLOCK_H
#define LOOM_TRACE_RECORD_CLOCK_H

#include "base/clock.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#define RECORD_CLOCK_HAS_COUNTER 1
static inline uint64_t record_ticks(void)
{
    return __rdtsc();
}
#else
#define RECORD_CLOCK_HAS_COUNTER 0
static inline uint64_t record_ticks(void)
{
    return 0;
}
#endif

enum { RECORD_CLOCK_SHIFT = 24 };

typedef struct record_clock {
    uint64_t base_ns, base_ticks;
    uint64_t valid_ticks; /* after base_ticks; 0: the counter is not used, or not yet */
    uint64_t ns_per_tick; /* times 2^24 */
} record_clock;

/* By the system's clock; sets it for the next millisecond. */
uint64_t record_clock_set(record_clock *clock);

static inline uint64_t record_clock_now(record_clock *clock)
{
    const uint64_t since = record_ticks() - clock->base_ticks; /* huge when the counter went back */
    if (!RECORD_CLOCK_HAS_COUNTER || since >= clock->valid_ticks) {
        return record_clock_set(clock);
    }
    return clock->base_ns + (since * clock->ns_per_tick >> RECORD_CLOCK_SHIFT);
}

#endif
