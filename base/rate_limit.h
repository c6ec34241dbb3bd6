/* SPDX-License-Identifier: Apache-2.0 */
/* One message in each interval; those in between are counted, so that the next one can say how many there were:
 * "suppressed similar messages count=%llu". */
#ifndef LOOM_BASE_RATE_LIMIT_H
#define LOOM_BASE_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: the first message passes. One for each kind of message; guarded by its owner. */
typedef struct rate_limit {
    uint64_t next;       /* when one passes again, by the caller's monotonic clock */
    uint64_t suppressed; /* since the last one that passed */
} rate_limit;

/* Whether a message may be written now. If so, *suppressed is how many were not since the last one. */
static inline bool rate_limit_pass(rate_limit *limit, uint64_t now, uint64_t interval, uint64_t *suppressed)
{
    if (now < limit->next) {
        limit->suppressed++;
        return false;
    }
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    limit->next = now + interval;
    return true;
}

#endif
