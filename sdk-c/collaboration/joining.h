/* SPDX-License-Identifier: Apache-2.0 */
/* What is collected for a join, and the spans around it. */
#ifndef LOOM_SDK_JOINING_H
#define LOOM_SDK_JOINING_H

#include "base/list.h"
#include "sdk-c/collaboration/mailbox.h"
#include "sdk-c/collaboration/join_rule.h"

/* ---- joined.c ---- */

/* A join under way. In the end its owner hands out &j->joined, and loom_joined_free() frees all of it. Not locked. */
typedef struct join {
    loom_joined joined;          /* first */
    list_node node;              /* of its owner */
    join_tally tally;
    loom_contribution *items;
    size_t capacity;
    uint64_t first_unix_ns;      /* when the first contribution came; 0: none has */
    loom_trace_context parent;   /* of its span; not valid: none */
    bool parent_is_remote;
    char *tracestate;            /* of the parent; NULL: none */
    char key[];                  /* NUL-terminated */
} join;

/* NULL: out of memory. */
join *join_create(loom_str key, const join_tally *tally);
void join_free(join *j); /* NULL is allowed */
bool join_has_source(const join *j, loom_str source);
/* source is copied, an event referenced; a result is consumed on LOOM_OK. LOOM_EFULL: LOOM_CONTRIBUTIONS_MAX.
 * LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status join_add(join *j, loom_str source, size_t target, loom_status status, loom_envelope *event,
                                     loom_result *result);
/* The parent of its span: given (may be NULL), or what is current on this thread, or what the event came with. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status join_set_parent(join *j, const loom_trace_context *given, const loom_envelope *event);
/* Sets the outcome and the counts. */
loom_joined *join_finish(join *j, loom_join_outcome outcome);
/* The first contribution that is an event; NULL: there is none. */
loom_envelope *join_first_event(const join *j);

/* ---- join_span.c ---- */

/* A span that is current, or, when it is not recorded, the context that goes on instead. */
typedef struct current_span {
    loom_span *span;
    uint64_t token;
} current_span;

/* agent.join, of a join that is finished, from its first contribution on. */
current_span join_span_begin(loom_agent *a, const join *j);
/* agent.fanout, below what is current. */
current_span fanout_span_begin(loom_agent *a, size_t targets);
void current_span_end(current_span *s);

#endif
