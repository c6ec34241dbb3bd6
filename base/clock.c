/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec now = {0};
    (void)clock_gettime(id, &now); /* fails for clocks that do not exist, which these do */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_ns() / 1000000u;
}

uint64_t clock_unix_ns(void)
{
    return read_ns(CLOCK_REALTIME);
}

uint64_t clock_unix_ms(void)
{
    return clock_unix_ns() / 1000000u;
}

uint64_t clock_unix_rough_ns(void)
{
    return read_ns(CLOCK_REALTIME_COARSE);
}
