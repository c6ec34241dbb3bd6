/* SPDX-License-Identifier: Apache-2.0 */
/* What the receiver of spans has of each trace, to tell which are whole. */
#ifndef LOOM_BENCH_KEPT_TRACES_H
#define LOOM_BENCH_KEPT_TRACES_H

#include <loom/context.h>
#include <stddef.h>
#include <stdint.h>

enum { KEPT_TRACES_MAX = 1u << 16 };

typedef struct kept_traces {
    struct kept_trace {
        uint8_t id[LOOM_TRACE_ID_SIZE];
        uint32_t spans; /* 0: the place is free */
    } items[KEPT_TRACES_MAX];
    size_t count;
    uint32_t whole_spans; /* of a trace that is whole */
    uint64_t whole;       /* traces that have that many, no more and no fewer */
} kept_traces;

/* One span more. Of traces beyond three quarters of the room none counts as whole. */
void kept_traces_add(kept_traces *k, const uint8_t id[LOOM_TRACE_ID_SIZE]);

#endif
