/* SPDX-License-Identifier: Apache-2.0 */
/* Workflows as traces: spans with the names and attributes that people search for, and a status that comes from the outcome
 * of what they wrap.
 *
 *     static loom_status fetch(loom_workflow *step, void *user) { … }
 *
 *     static loom_status order(loom_workflow *flow, void *user)
 *     {
 *         return loom_workflow_run(&(loom_workflow_options){.kind = LOOM_WORKFLOW_STEP, .parent = flow,
 *                                                           .node_id = "fetch", .node_type = "http"}, fetch, user);
 *     }
 *
 *     loom_workflow_run(&(loom_workflow_options){.tracer = tracer, .tenant_id = "acme", .workflow_id = "order",
 *                                                .execution_id = "ex-17"}, order, NULL);
 *
 * makes
 *     workflow.execute              tenant_id=acme workflow_id=order execution_id=ex-17 component=executor
 *     └ workflow.step.execute       the same, and node_id=fetch node_type=http
 *
 * | kind      | span                     | attributes beside the three ids and component
 * | EXECUTION | workflow.execute         |
 * | STEP      | workflow.step.execute    | node_id, node_type
 * | SUB       | workflow.sub_workflow    | parent_workflow_id, child_workflow_id, depth
 * | ITERATION | workflow.loop.iteration  | node_id, node_type, iteration, iteration_count
 * | BRANCH    | workflow.parallel.branch | node_id, node_type, branch_index, branch_name
 * | ATTEMPT   | action.retry             | action_name, attempt, retry_count, retry_needed
 * | ACTION    | its name                 | node_id, node_type
 * | MESSAGE   | queue.process_message    | queue.name, queue.message_id, retry_count; a CONSUMER span
 *
 * Threads: a loom_workflow is its thread's, but any thread may begin work under it, by naming it as the parent, until it ends.
 * Nothing here blocks, but for the pauses of loom_workflow_retry(); tracing never makes work fail. */
#ifndef LOOM_WORKFLOW_H
#define LOOM_WORKFLOW_H

#include <loom/baggage.h>
#include <loom/trace.h>

LOOM_BEGIN_DECLS

typedef enum loom_workflow_kind {
    LOOM_WORKFLOW_EXECUTION, /* all of a workflow */
    LOOM_WORKFLOW_STEP,
    LOOM_WORKFLOW_SUB,       /* a workflow that another one (its parent, or that of baggage) runs; what is below has its id */
    LOOM_WORKFLOW_ITERATION, /* one round of a loop */
    LOOM_WORKFLOW_BRANCH,    /* one of several at once, mostly on a thread of its own */
    LOOM_WORKFLOW_ATTEMPT,   /* one try of something that may be tried again */
    LOOM_WORKFLOW_ACTION,    /* what a step does: "http.action", "transform.action" */
    LOOM_WORKFLOW_MESSAGE    /* a message of a queue is handled */
} loom_workflow_kind;

/* Work under way, in its caller's storage: must stay where it is, with the texts of its options, until it has ended and
 * all work below it has. Fields are private. */
typedef struct loom_workflow {
    loom_span *span;
    loom_tracer *tracer;
    loom_trace_context context;
    loom_str tracestate;
    loom_str tenant_id, workflow_id, execution_id;
    loom_workflow_kind kind;
    uint32_t depth;
    bool failed;
} loom_workflow;

/* Texts are borrowed until the work ends. NULL and empty: none. */
typedef struct loom_workflow_options {
    loom_workflow_kind kind;
    loom_workflow *parent;  /* what this is part of: its span, ids and tracer are inherited. NULL: a beginning */
    loom_tracer *tracer;    /* of a beginning; NULL: spans that do nothing */
    const char *tenant_id, *workflow_id, *execution_id; /* none: those of the parent, then those in baggage */
    const loom_baggage *baggage;         /* that came with a message or request, to inherit ids from; borrowed as well */
    const char *component;               /* none: "executor"; "retry_strategy" of an attempt; "queue_consumer" of a message */
    const char *node_id, *node_type;     /* none: an iteration, a branch and an action have none */
    const char *name;                    /* the branch's, the action that is attempted, or an ACTION's span */
    uint32_t index;                      /* of an iteration or a branch, from 0; of an attempt, from 1 (0 counts as 1) */
    uint32_t count;                      /* of iterations, when it is known; else 0 */
    uint32_t retry_count;                /* of a message: how often it was delivered before */
    const char *queue_name, *message_id; /* of a message */
    const loom_trace_context *context;   /* that the beginning continues, from another process; NULL: the current span */
    loom_str tracestate;                 /* that came with it */
    const loom_attr *attrs;              /* more; they cannot take the names above */
    size_t attr_count;
} loom_workflow_options;

/* Does the work. A status other than LOOM_OK makes the span fail, with error.type the status's name (ETIMEDOUT) and its text
 * as the description, unless loom_workflow_fail() said something better. */
typedef loom_status (*loom_workflow_fn)(loom_workflow *work, void *user);

/* Calls fn with its span current, and ends the span by what fn returns, which is returned. LOOM_EINVAL without options or fn. */
LOOM_API loom_status loom_workflow_run(const loom_workflow_options *options, loom_workflow_fn fn, void *user);

/* For work that is not a function of its own: between the two its span is current on this thread. Begin never fails;
 * options NULL: an execution under the current span. The others do nothing with a work that is NULL. Under a
 * parent, work is a child of this thread's current span if that is of the same trace, else of the parent's; a branch always
 * of the parent's. */
LOOM_API void loom_workflow_begin(loom_workflow *out, const loom_workflow_options *options);
/* Any thread, once. LOOM_OK sets the span's status to OK, unless the work has failed. */
LOOM_API void loom_workflow_end(loom_workflow *work, loom_status outcome);
/* The work fails: an exception event, error.type, status ERROR with message. Either may be NULL. The first one counts. */
LOOM_API void loom_workflow_fail(loom_workflow *work, const char *type, const char *message);

/* Its span: for attributes of one's own (output_size_bytes) and events ("step.started"). Valid until it ends. */
LOOM_API loom_span *loom_workflow_span(const loom_workflow *work);

/* The ids as members of base (tenant_id, workflow_id, execution_id, and workflow_depth below a sub-workflow), to be sent with
 * a message or a request, so that work in another process inherits them (options.baggage). base may be NULL. An id that is
 * not UTF-8 is left out.
 * On LOOM_OK the caller owns one reference in *out, which is NULL for the empty baggage.
 * LOOM_ETOOBIG: over the limits of baggage.  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_workflow_baggage(loom_baggage **out, const loom_workflow *work,
                                                           const loom_baggage *base);

typedef struct loom_retry_policy {
    uint32_t max_attempts;   /* 0: 3 */
    uint32_t first_delay_ms; /* 0: 100; then twice as long each time, between half and all of it by chance */
    uint32_t max_delay_ms;   /* 0: 10000 */
    bool (*may_retry)(void *user, loom_status outcome);     /* NULL: everything but LOOM_EINVAL, LOOM_EDENIED, LOOM_ECANCELED */
    void (*pause)(void *user, uint32_t delay_ms);           /* NULL: the thread sleeps */
    void *user;
} loom_retry_policy;

/* Runs fn until it is LOOM_OK, may not be retried, or the attempts are used up; each is an ATTEMPT of its own under
 * options->parent, whatever options->kind and index say. Returns the last outcome. policy NULL: all defaults. */
LOOM_API loom_status loom_workflow_retry(const loom_workflow_options *options, const loom_retry_policy *policy,
                                         loom_workflow_fn fn, void *user);

LOOM_END_DECLS
#endif
