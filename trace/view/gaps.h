/* SPDX-License-Identifier: Apache-2.0 */
/* What is visibly not there of a trace that flight recorders have kept, whatever the reason: overwritten, a process without a
 * recorder, or one that was killed, has left or was never told. A parent that is missing is a fault of the tree. */
#ifndef LOOM_TRACE_VIEW_GAPS_H
#define LOOM_TRACE_VIEW_GAPS_H

#include "trace/view/tree.h"

typedef enum span_gap {
    GAP_NONE,
    GAP_BUS,        /* a message or call was handed to the bus, of which there is nothing behind it */
    GAP_AGENT,      /* a message or call was passed to an agent, of which there is nothing */
    GAP_DELIVERIES, /* more deliveries are counted than have spans */
    GAP_CUT,        /* its process had lost a part of the trace */
} span_gap;

/* Of a span that was kept; of others GAP_NONE. */
span_gap span_gap_of(const tree_node *node);
/* It in words, for people; not of GAP_NONE. */
const char *span_gap_text(span_gap gap);
/* Whether anything is missing: a parent, or what a gap says. */
bool span_tree_has_gaps(const span_tree *tree);

#endif
