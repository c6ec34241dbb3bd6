/* SPDX-License-Identifier: Apache-2.0 */
/* Is a trace one connected tree, and exactly the ladder that its demo has to make? */
#ifndef LOOM_TRACE_VIEW_LADDER_H
#define LOOM_TRACE_VIEW_LADDER_H

#include "trace/collect/spans.h"

#include <stdio.h>

#define LADDER_NONE SIZE_MAX
#define LADDER_STEPS_MAX 64u /* steps are bits of `links` */
#define LADDER_ATTRS_MAX 2u

typedef struct ladder_attr {
    const char *key, *value; /* as text_scalar() has it */
} ladder_attr;

/* One span that has to be there. */
typedef struct ladder_step {
    const char *name;
    int kind; /* loom_span_kind */
    const char *service;
    size_t parent;   /* index of an earlier step; LADDER_NONE for the root */
    uint64_t links;  /* the steps it links to, exactly these, a bit each; 0: links are not looked at */
    bool user_spans; /* INTERNAL spans of the same service may stand below it, and between it and its next step */
    bool any_parent; /* below any step that is like its parent: of that name, kind and service */
    ladder_attr attrs[LADDER_ATTRS_MAX]; /* that it has to carry */
} ladder_step;

typedef struct ladder {
    const char *name;
    const ladder_step *steps;
    size_t count; /* at most LADDER_STEPS_MAX */
} ladder;

/* The ladder of a demo, NULL when there is none of this name. Static storage. */
const ladder *ladder_find(const char *name);
/* The index-th ladder, NULL past the last. */
const ladder *ladder_at(size_t index);

/* Checks one trace of a sorted list; expected NULL: only that it is one connected tree. Prints a line for each
 * difference and counts them in *differences. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status ladder_check(FILE *out, const ladder *expected, span_range trace, size_t *differences);

#endif
