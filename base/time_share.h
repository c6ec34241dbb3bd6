/* SPDX-License-Identifier: Apache-2.0 */
/* A share of the time that passes, with some kept in reserve. What takes longer than is left becomes a debt. */
#ifndef LOOM_BASE_TIME_SHARE_H
#define LOOM_BASE_TIME_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: the reserve is full. */
typedef struct time_share {
    uint64_t counted_ns; /* when it was counted last */
    int64_t left_ns;
} time_share;

/* Whether there is any left: one part in so many of the time since it was asked last is added, up to the reserve. */
static inline bool time_share_has_any(time_share *s, uint64_t now_ns, uint32_t parts, uint32_t reserve_ns)
{
    const uint64_t earned = (now_ns - s->counted_ns) / parts;
    const bool full = s->counted_ns == 0 || earned >= reserve_ns || s->left_ns + (int64_t)earned >= (int64_t)reserve_ns;
    s->left_ns = full ? (int64_t)reserve_ns : s->left_ns + (int64_t)earned;
    s->counted_ns = now_ns;
    return s->left_ns > 0;
}

static inline void time_share_spend(time_share *s, uint64_t ns)
{
    s->left_ns -= (int64_t)ns;
}

#endif
