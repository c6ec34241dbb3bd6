/* SPDX-License-Identifier: Apache-2.0 */
/* So many messages in each interval; the others are counted, so that the next one can say how many there were:
 * "suppressed similar messages count=%llu". */
#ifndef LOOM_BASE_RATE_LIMIT_H
#define LOOM_BASE_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: the first message passes. One for each kind of message; guarded by its owner. */
typedef struct rate_limit {
    uint64_t since;      /* the interval that is counted began here, by the caller's monotonic clock */
    unsigned passed;     /* in it */
    uint64_t suppressed; /* since the last one that passed */
} rate_limit;

/* Whether a message may be written now. If so, *suppressed is how many were not since the last one. */
static inline bool rate_limit_pass(rate_limit *limit, uint64_t now, uint64_t interval, unsigned most, uint64_t *suppressed)
{
    if (limit->passed == 0 || now - limit->since >= interval) {
        limit->since = now;
        limit->passed = 0;
    }
    if (limit->passed == most) {
        limit->suppressed++;
        return false;
    }
    limit->passed++;
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    return true;
}

#endif
