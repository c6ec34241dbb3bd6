/* SPDX-License-Identifier: Apache-2.0 */
/* From begin to end of a piece of work: whose child it is, what it inherits, what its outcome says. */
#include "trace/workflow/attributes.h"

#include "base/last_error.h"
#include "base/str.h"

#include <string.h>

/* The first that is there: said, inherited, in the baggage. */
static loom_str find_id(const char *said, loom_str inherited, const loom_baggage *baggage, const char *key)
{
    if (said != NULL && said[0] != '\0') {
        return str_of(said);
    }
    return inherited.len > 0 ? inherited : workflow_baggage_id(baggage, key);
}

static void inherit(loom_workflow *w, const loom_workflow_options *o)
{
    static const loom_workflow none = {0};
    const loom_workflow *parent = o->parent != NULL ? o->parent : &none;
    w->tracer = o->parent != NULL ? parent->tracer : o->tracer;
    w->depth = o->parent != NULL ? parent->depth : workflow_baggage_depth(o->baggage);
    w->depth += o->kind == LOOM_WORKFLOW_SUB ? 1 : 0;
    w->tenant_id = find_id(o->tenant_id, parent->tenant_id, o->baggage, "tenant_id");
    w->workflow_id = find_id(o->workflow_id, parent->workflow_id, o->baggage, "workflow_id");
    w->execution_id = find_id(o->execution_id, parent->execution_id, o->baggage, "execution_id");
}

/* A thread that works for the parent may have no current span, or one of a trace that it was in before. */
static bool continues_current(const loom_workflow_options *o)
{
    const loom_trace_context *current = loom_context_current();
    return o->kind != LOOM_WORKFLOW_BRANCH && current != NULL &&
           memcmp(current->trace_id, o->parent->context.trace_id, sizeof current->trace_id) == 0;
}

static loom_span *start_span(const loom_workflow *w, const loom_workflow_options *o)
{
    loom_span_options span = {.kind = o->kind == LOOM_WORKFLOW_MESSAGE ? LOOM_SPAN_CONSUMER : LOOM_SPAN_INTERNAL};
    if (o->parent == NULL) {
        span.parent = o->context;
        span.parent_is_remote = o->context != NULL;
        span.tracestate = o->tracestate;
    } else if (!continues_current(o)) {
        span.parent = &o->parent->context;
        span.tracestate = o->parent->tracestate;
    }
    loom_attr attrs[WORKFLOW_ATTRS_MAX];
    span.attrs = attrs;
    span.attr_count = workflow_attributes(attrs, w, o);
    return loom_span_start(w->tracer, workflow_span_name(o), &span);
}

/* The user's, but for names that are ours on this span. */
static void add_attrs(loom_span *span, const loom_workflow_options *o)
{
    for (size_t i = 0; o->attrs != NULL && i < o->attr_count && loom_span_is_recording(span); i++) {
        if (o->attrs[i].key != NULL && !workflow_owns_attribute(o->attrs[i].key)) {
            loom_span_set_attr(span, &o->attrs[i]);
        }
    }
}

void loom_workflow_begin(loom_workflow *out, const loom_workflow_options *options)
{
    static const loom_workflow_options none;
    if (out == NULL) {
        return;
    }
    options = options != NULL ? options : &none;
    *out = (loom_workflow){.kind = options->kind};
    inherit(out, options);
    out->span = start_span(out, options);
    add_attrs(out->span, options);
    out->context = *loom_span_context(out->span);
    out->tracestate = loom_span_tracestate(out->span);
    loom_span_make_current(out->span);
}

void loom_workflow_fail(loom_workflow *work, const char *type, const char *message)
{
    if (work == NULL || work->failed) {
        return;
    }
    work->failed = true;
    loom_span_record_error(work->span, type, message);
}

void loom_workflow_end(loom_workflow *work, loom_status outcome)
{
    if (work == NULL) {
        return;
    }
    if (outcome != LOOM_OK) {
        loom_workflow_fail(work, loom_status_name(outcome), loom_status_text(outcome));
    } else if (!work->failed) {
        loom_span_set_status(work->span, LOOM_SPAN_OK, NULL);
    }
    if (work->kind == LOOM_WORKFLOW_ATTEMPT) {
        loom_span_set_bool(work->span, "retry_needed", work->failed);
    }
    loom_span_end(work->span);
    work->span = NULL;
    work->tracestate = (loom_str){0}; /* was the span's */
}

loom_status loom_workflow_run(const loom_workflow_options *options, loom_workflow_fn fn, void *user)
{
    loom_workflow work;
    if (options == NULL || fn == NULL) {
        return last_error_null(options == NULL ? "the options" : "the work's function");
    }
    loom_workflow_begin(&work, options);
    loom_status outcome = fn(&work, user);
    loom_workflow_end(&work, outcome);
    return outcome;
}

loom_span *loom_workflow_span(const loom_workflow *work)
{
    return work != NULL ? work->span : NULL;
}
