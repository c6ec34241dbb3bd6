/* SPDX-License-Identifier: Apache-2.0 */
/* What is visibly not there of a trace that flight recorders have kept, whatever the reason: overwritten, a process without a
 * recorder, or one that was killed, has left or was never told. A parent that is missing is a fault of the tree. */
#ifndef LOOM_TRACE_COLLECT_GAPS_H
#define LOOM_TRACE_COLLECT_GAPS_H

#include "trace/collect/tree.h"

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
/* What is missing at a span, a parent or what its gap says, in words for people; false: nothing. Its names come from whoever sends
 * spans: what is cut off may be half a character. */
enum { SPAN_MISSING_SIZE = 192 };
bool span_missing(const tree_node *node, char text[SPAN_MISSING_SIZE]);
/* Whether anything is missing of a trace of which a span was kept. */
bool span_tree_has_gaps(const span_tree *tree);
/* The same of the spans of one trace, in any order. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status span_range_has_gaps(span_range trace, bool *has);
/* Whether a span of it was kept: hardly any trace was. */
bool span_range_is_kept(span_range trace);

#endif
