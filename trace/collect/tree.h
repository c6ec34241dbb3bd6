/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of one trace as a tree, whatever is wrong with it: missing parents, cycles and ids used twice are marked,
 * and every span has exactly one place. */
#ifndef LOOM_TRACE_COLLECT_TREE_H
#define LOOM_TRACE_COLLECT_TREE_H

#include "trace/collect/spans.h"

#define TREE_NONE SIZE_MAX

typedef enum tree_fault {
    TREE_SOUND,
    TREE_ORPHAN, /* names a parent that is not in the trace */
    TREE_CYCLE   /* is its own ancestor; the first such span stands where a root would */
} tree_fault;

typedef struct tree_node {
    const trace_span *span;
    size_t parent;       /* index of a node before this one; TREE_NONE at the top */
    size_t depth;        /* 0 at the top */
    size_t child_count;
    tree_fault fault;
    bool duplicate_id;   /* an earlier span has the same id; children belong to that one */
    bool last_child;     /* of its parent */
} tree_node;

/* nodes are in the order of a waterfall: parents before children, siblings by start; roots before orphans. */
typedef struct span_tree {
    tree_node *nodes;
    size_t count;
    size_t *by_id; /* node indexes, by span id, then by place */
} span_tree;

/* trace points to the spans of one trace, sorted, and must outlive the tree. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status span_tree_init(span_tree *tree, span_range trace);
void span_tree_fini(span_tree *tree);
/* The node with this span id, TREE_NONE when there is none. */
size_t span_tree_find(const span_tree *tree, const uint8_t span_id[LOOM_SPAN_ID_SIZE]);

#endif
