/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting in tests: for a condition, up to a deadline, never for a fixed time. */
#ifndef LOOM_TESTS_WAIT_UNTIL_H
#define LOOM_TESTS_WAIT_UNTIL_H

#include <time.h>

#include "tests/support/check.h"

/* Milliseconds of the monotonic clock. */
static inline uint64_t wait_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Gives the condition time to change without burning a core the code under test needs. */
static inline void wait_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

/* Evaluates condition until it is true; fails the test when timeout_ms have passed first. */
#define wait_until(condition, timeout_ms)                                                  \
    do {                                                                                   \
        const uint64_t wait_deadline_ms = wait_now_ms() + (uint64_t)(timeout_ms);          \
        while (!(condition)) {                                                             \
            if (wait_now_ms() >= wait_deadline_ms) {                                       \
                print_error("not true within %llu ms: %s\n", (unsigned long long)(timeout_ms), #condition); \
                _fail(__FILE__, __LINE__);                                                 \
            }                                                                              \
            wait_pause();                                                                  \
        }                                                                                  \
    } while (0)

#endif
