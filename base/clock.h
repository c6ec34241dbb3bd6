/* SPDX-License-Identifier: Apache-2.0 */
/* The system's clocks, and the time of a loop as the code that runs on it sees it.
 *
 * Threads: the readers, any. A loop_clock belongs to its loop's thread. */
#ifndef LOOM_BASE_CLOCK_H
#define LOOM_BASE_CLOCK_H

#include <stdint.h>

/* Time since some point in the past, which never goes back: for deadlines and intervals. */
uint64_t clock_monotonic_ns(void);
uint64_t clock_monotonic_ms(void);
/* Time since 1970, which an administrator may change: for people, and for other machines. */
uint64_t clock_unix_ns(void);
uint64_t clock_unix_ms(void);
/* The same to the kernel's last tick, a few milliseconds ago, for a fifth of the price. */
uint64_t clock_unix_rough_ns(void);

/* One reading of the monotonic clock for a whole round of work. The owner of the loop sets it when the loop wakes, before
 * anything else runs; the cores hold a pointer to it and only read. In a test it is whatever the test says. */
typedef struct loop_clock {
    uint64_t now_ms;
} loop_clock;

#endif
