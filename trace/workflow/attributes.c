/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/workflow/attributes.h"

#include "base/str.h"

#include <string.h>

typedef struct attr_list {
    loom_attr *attrs;
    size_t count;
} attr_list;

static void add_str(attr_list *l, const char *key, loom_str value)
{
    if (value.len > 0) {
        l->attrs[l->count++] = (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = value};
    }
}

static void add(attr_list *l, const char *key, const char *value)
{
    add_str(l, key, str_of(value));
}

static void add_int(attr_list *l, const char *key, uint32_t value)
{
    l->attrs[l->count++] = (loom_attr){.key = key, .type = LOOM_ATTR_INT, .value.integer = value};
}

static void add_nothing(attr_list *l, const loom_workflow *w, const loom_workflow_options *o)
{
    (void)l;
    (void)w;
    (void)o;
}

static void add_node(attr_list *l, const loom_workflow *w, const loom_workflow_options *o)
{
    (void)w;
    add(l, "node_id", o->node_id);
    add(l, "node_type", o->node_type);
}

static void add_sub(attr_list *l, const loom_workflow *w, const loom_workflow_options *o)
{
    const loom_workflow *parent = o->parent;
    add_str(l, "parent_workflow_id", parent != NULL ? parent->workflow_id : workflow_baggage_id(o->baggage, "workflow_id"));
    add_str(l, "child_workflow_id", w->workflow_id);
    add_int(l, "depth", w->depth);
}

static void add_iteration(attr_list *l, const loom_workflow *w, const loom_workflow_options *o)
{
    add_node(l, w, o);
    add_int(l, "iteration", o->index);
    if (o->count > 0) {
        add_int(l, "iteration_count", o->count);
    }
}

static void add_branch(attr_list *l, const loom_workflow *w, const loom_workflow_options *o)
{
    add_node(l, w, o);
    add_int(l, "branch_index", o->index);
    add(l, "branch_name", o->name);
}

static void add_attempt(attr_list *l, const loom_workflow *w, const loom_workflow_options *o)
{
    const uint32_t attempt = o->index > 0 ? o->index : 1;
    (void)w;
    add(l, "action_name", o->name);
    add_int(l, "attempt", attempt);
    add_int(l, "retry_count", attempt - 1);
}

static void add_message(attr_list *l, const loom_workflow *w, const loom_workflow_options *o)
{
    (void)w;
    add(l, "queue.name", o->queue_name);
    add(l, "queue.message_id", o->message_id);
    add_int(l, "retry_count", o->retry_count);
}

typedef struct kind {
    const char *span, *component;
    void (*add)(attr_list *l, const loom_workflow *w, const loom_workflow_options *o);
} kind;

static const kind *kind_of(loom_workflow_kind k)
{
    static const kind kinds[] = {
        [LOOM_WORKFLOW_EXECUTION] = {"workflow.execute", "executor", add_nothing},
        [LOOM_WORKFLOW_STEP] = {"workflow.step.execute", "executor", add_node},
        [LOOM_WORKFLOW_SUB] = {"workflow.sub_workflow", "executor", add_sub},
        [LOOM_WORKFLOW_ITERATION] = {"workflow.loop.iteration", "executor", add_iteration},
        [LOOM_WORKFLOW_BRANCH] = {"workflow.parallel.branch", "executor", add_branch},
        [LOOM_WORKFLOW_ATTEMPT] = {"action.retry", "retry_strategy", add_attempt},
        [LOOM_WORKFLOW_ACTION] = {"workflow.action", "executor", add_node},
        [LOOM_WORKFLOW_MESSAGE] = {"queue.process_message", "queue_consumer", add_message},
    };
    return (unsigned)k < sizeof kinds / sizeof *kinds ? &kinds[k] : &kinds[LOOM_WORKFLOW_ACTION];
}

static bool is_said(const char *text)
{
    return text != NULL && text[0] != '\0';
}

const char *workflow_span_name(const loom_workflow_options *o)
{
    return o->kind == LOOM_WORKFLOW_ACTION && is_said(o->name) ? o->name : kind_of(o->kind)->span;
}

size_t workflow_attributes(loom_attr attrs[WORKFLOW_ATTRS_MAX], const loom_workflow *w, const loom_workflow_options *o)
{
    const kind *k = kind_of(o->kind);
    attr_list l = {.attrs = attrs};
    add_str(&l, "tenant_id", w->tenant_id);
    add_str(&l, "workflow_id", w->workflow_id);
    add_str(&l, "execution_id", w->execution_id);
    add(&l, "component", is_said(o->component) ? o->component : k->component);
    k->add(&l, w, o);
    return l.count;
}

bool workflow_owns_attribute(const char *key)
{
    static const char *const names[] = {
        "tenant_id",       "workflow_id",  "execution_id", "component",   "node_id", "node_type",   "parent_workflow_id",
        "child_workflow_id", "depth",      "iteration",    "iteration_count", "branch_index", "branch_name", "action_name",
        "attempt",         "retry_count",  "retry_needed", "queue.name",  "queue.message_id",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(key, names[i]) == 0) {
            return true;
        }
    }
    return false;
}
