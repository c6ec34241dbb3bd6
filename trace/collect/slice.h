/* SPDX-License-Identifier: Apache-2.0 */
/* Some spans of a request on their way into the store, in two orders: by trace as they came, which is how they are stored,
 * and by trace and span id, which is how an index takes them fastest. */
#ifndef LOOM_TRACE_COLLECT_SLICE_H
#define LOOM_TRACE_COLLECT_SLICE_H

#include "trace/otlp/read.h"

enum { SLICE_SPANS = 8192 }; /* bounds the memory that a request costs beside its own bytes */

typedef struct slice {
    otlp_span spans[SLICE_SPANS];
    uint16_t by_id[SLICE_SPANS]; /* by trace, then span id, then as they came */
    bool is_new[SLICE_SPANS];    /* not stored before */
    size_t count;
} slice;

/* Fills by_id. */
void slice_sort(slice *s);
/* The end of the run of one trace that begins at `begin` of by_id. */
size_t slice_trace_end(const slice *s, size_t begin);
/* Puts a run of by_id back into the order in which the spans came. */
void slice_restore(slice *s, size_t begin, size_t end);

#endif
