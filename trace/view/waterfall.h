/* SPDX-License-Identifier: Apache-2.0 */
/* One trace drawn in a terminal: the tree of its spans, each with a bar where it lies in time. */
#ifndef LOOM_TRACE_VIEW_WATERFALL_H
#define LOOM_TRACE_VIEW_WATERFALL_H

#include "trace/collect/log_list.h"
#include "trace/collect/spans.h"

#include <stdio.h>

typedef struct waterfall_options {
    size_t columns; /* width of the terminal */
    bool colour;
    bool attrs;     /* list the attributes of every span, too */
    const log_list *logs; /* of the trace, sorted; NULL: none */
} waterfall_options;

/* trace is one trace of a sorted list. LOOM_ENOMEM: nothing was printed. Errors of out are the caller's to look for. */
LOOM_MUST_CHECK loom_status waterfall_draw(FILE *out, span_range trace, const waterfall_options *options);

#endif
