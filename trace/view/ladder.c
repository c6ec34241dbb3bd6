/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/view/ladder.h"

#include "base/str.h"
#include "trace/collect/gaps.h"
#include "trace/view/text.h"
#include "trace/collect/tree.h"

#include <loom/trace.h>
#include <stdlib.h>
#include <string.h>

#define NAME_COLUMNS 60u
#define USER_SPANS_MAX 64u /* levels of user spans between two steps; bounds the climb in a hostile trace */

typedef struct check {
    FILE *out;
    const ladder *expected;
    span_tree tree;
    size_t matched[LADDER_STEPS_MAX]; /* the node of each step; TREE_NONE while it has none */
    size_t *step_of;                  /* the step of each node; LADDER_NONE while it has none */
    size_t differences;
} check;

/* "  agent.emit 00f067aa0ba902b7 (producer, agent-sensor): ", to be completed to a sentence. */
static void differ(check *c, size_t node)
{
    const trace_span *span = c->tree.nodes[node].span;
    char id[LOOM_SPAN_ID_HEX_SIZE];
    loom_span_id_to_hex(id, span->otlp.span_id);
    c->differences++;
    fputs("  ", c->out);
    text_put(c->out, span->otlp.name, NAME_COLUMNS);
    fprintf(c->out, " %s (%s, ", id, span_kind_name(span->otlp.kind));
    text_put(c->out, span->service, NAME_COLUMNS);
    fputs("): ", c->out);
}

/* ---- one connected tree ---- */

static void check_gap(check *c, size_t node)
{
    const span_gap gap = span_gap_of(&c->tree.nodes[node]);
    if (gap != GAP_NONE) {
        differ(c, node);
        fprintf(c->out, "%s\n", span_gap_text(gap));
    }
}

static void check_faults(check *c)
{
    for (size_t i = 0; i < c->tree.count; i++) {
        const tree_node *node = &c->tree.nodes[i];
        if (span_id_is_zero(node->span->otlp.span_id)) {
            differ(c, i);
            fputs("its span id is zero\n", c->out);
        }
        if (node->duplicate_id) {
            differ(c, i);
            fputs("its span id is used by another span, too\n", c->out);
        }
        if (node->fault == TREE_ORPHAN) {
            char parent[LOOM_SPAN_ID_HEX_SIZE];
            loom_span_id_to_hex(parent, node->span->otlp.parent_span_id);
            differ(c, i);
            fprintf(c->out, "orphan, its parent %s is not in the trace\n", parent);
        } else if (node->fault == TREE_CYCLE) {
            differ(c, i);
            fputs("it is its own ancestor\n", c->out);
        }
        check_gap(c, i);
    }
}

static void check_roots(check *c)
{
    size_t roots = 0;
    for (size_t i = 0; i < c->tree.count; i++) {
        if (c->tree.nodes[i].depth > 0 || c->tree.nodes[i].fault != TREE_SOUND) {
            continue;
        }
        if (++roots > 1) {
            differ(c, i);
            fputs("a second root\n", c->out);
        }
    }
    if (roots == 0) {
        c->differences++;
        fputs("  no span is a root\n", c->out);
    }
}

/* ---- the ladder ---- */

static bool has_name(const trace_span *span, const ladder_step *step)
{
    return str_is(span->otlp.name, step->name);
}

static bool has_service(const trace_span *span, const ladder_step *step)
{
    return str_is(span->service, step->service);
}

static bool is_user_span(const check *c, size_t node, const char *service)
{
    const trace_span *span = c->tree.nodes[node].span;
    return c->step_of[node] == LADDER_NONE && span->otlp.kind == LOOM_SPAN_INTERNAL && str_is(span->service, service);
}

/* Whether node hangs on the node of a step: directly, or through user spans where the step allows them. */
static bool hangs_on(const check *c, size_t node, size_t step)
{
    const ladder_step *above = &c->expected->steps[step];
    size_t at = c->tree.nodes[node].parent;
    for (size_t level = 0; at != TREE_NONE && level <= USER_SPANS_MAX; level++) {
        if (at == c->matched[step]) {
            return true;
        }
        if (!above->user_spans || !is_user_span(c, at, above->service)) {
            return false;
        }
        at = c->tree.nodes[at].parent;
    }
    return false;
}

static bool are_alike(const ladder_step *a, const ladder_step *b)
{
    return a->kind == b->kind && strcmp(a->name, b->name) == 0 && strcmp(a->service, b->service) == 0;
}

static bool is_placed(const check *c, size_t node, const ladder_step *step)
{
    const ladder_step *steps = c->expected->steps;
    if (hangs_on(c, node, step->parent)) {
        return true;
    }
    for (size_t i = 0; step->any_parent && i < c->expected->count; i++) {
        if (are_alike(&steps[i], &steps[step->parent]) && c->matched[i] != TREE_NONE && hangs_on(c, node, i)) {
            return true;
        }
    }
    return false;
}

static bool is_candidate(const check *c, size_t node, const ladder_step *step)
{
    const tree_node *n = &c->tree.nodes[node];
    if (c->step_of[node] != LADDER_NONE || !has_name(n->span, step)) {
        return false;
    }
    return step->parent == LADDER_NONE ? n->parent == TREE_NONE && n->fault == TREE_SOUND : is_placed(c, node, step);
}

/* Whether a span right below node is what a step right below this one asks for: it tells apart spans that are alike, as
 * those of a message with several subscribers are. */
static bool leads_on(const check *c, size_t node, size_t index)
{
    for (size_t i = index + 1; i < c->expected->count; i++) {
        const ladder_step *next = &c->expected->steps[i];
        for (size_t n = 0; next->parent == index && n < c->tree.count; n++) {
            const trace_span *span = c->tree.nodes[n].span;
            if (c->tree.nodes[n].parent == node && has_name(span, next) && has_service(span, next)) {
                return true;
            }
        }
    }
    return false;
}

/* The span that fits best: of the right name at the right place, and if possible of the right kind and service, and with
 * the right one below it. */
static size_t best_candidate(const check *c, size_t index)
{
    const ladder_step *step = &c->expected->steps[index];
    size_t best = TREE_NONE;
    int best_score = -1;
    for (size_t i = 0; i < c->tree.count && best_score < 3; i++) {
        const trace_span *span = c->tree.nodes[i].span;
        if (!has_name(span, step)) {
            continue;
        }
        int score = (span->otlp.kind == step->kind) + has_service(span, step) + leads_on(c, i, index);
        if (score > best_score && is_candidate(c, i, step)) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

/* A span that is what the step asks for, but hangs somewhere else: one difference then, instead of one for every span
 * below it. */
static size_t misplaced_candidate(check *c, const ladder_step *step)
{
    for (size_t i = 0; i < c->tree.count; i++) {
        const tree_node *node = &c->tree.nodes[i];
        if (c->step_of[i] != LADDER_NONE || !has_name(node->span, step) || node->span->otlp.kind != step->kind ||
            !has_service(node->span, step)) {
            continue;
        }
        if (node->fault == TREE_SOUND) { /* the others have been reported */
            differ(c, i);
            fputs("it is below ", c->out);
            text_put(c->out, node->parent == TREE_NONE ? str_of("nothing") : c->tree.nodes[node->parent].span->otlp.name,
                     NAME_COLUMNS);
            if (step->parent == LADDER_NONE) {
                fputs(", expected below nothing\n", c->out);
            } else {
                const ladder_step *above = &c->expected->steps[step->parent];
                fprintf(c->out, ", expected below %s of %s\n", above->name, above->service);
            }
        }
        return i;
    }
    return TREE_NONE;
}

static void report_missing(check *c, const ladder_step *step)
{
    c->differences++;
    fprintf(c->out, "  missing: %s (%s, %s)", step->name, span_kind_name(step->kind), step->service);
    if (step->parent == LADDER_NONE) {
        fputs(" as the root\n", c->out);
    } else {
        fprintf(c->out, " below %s of %s\n", c->expected->steps[step->parent].name,
                c->expected->steps[step->parent].service);
    }
}

typedef struct link_check {
    check *c;
    size_t node;
    uint64_t missing; /* steps whose link has not been seen */
} link_check;

/* The step in mask whose span the link names. */
static size_t linked_step(const check *c, uint64_t mask, const otlp_link *link)
{
    for (size_t i = 0; i < c->expected->count; i++) {
        const otlp_span *target = (mask >> i & 1) == 0 || c->matched[i] == TREE_NONE ? NULL : &c->tree.nodes[c->matched[i]].span->otlp;
        if (target != NULL && memcmp(link->trace_id, target->trace_id, LOOM_TRACE_ID_SIZE) == 0 &&
            memcmp(link->span_id, target->span_id, LOOM_SPAN_ID_SIZE) == 0) {
            return i;
        }
    }
    return LADDER_NONE;
}

/* A link that is not among those missing stands for the first of them, so that one fault is one difference. */
static void report_link(link_check *l, const otlp_link *link)
{
    const check *c = l->c;
    char is[LOOM_SPAN_ID_HEX_SIZE];
    loom_span_id_to_hex(is, link->span_id);
    differ(l->c, l->node);
    fprintf(c->out, "its link points to %s, expected ", is);
    size_t step = 0;
    while (step < c->expected->count && (l->missing >> step & 1) == 0) {
        step++;
    }
    if (step == c->expected->count) {
        fputs("none more\n", c->out);
        return;
    }
    l->missing &= ~(UINT64_C(1) << step);
    if (c->matched[step] != TREE_NONE) {
        loom_span_id_to_hex(is, c->tree.nodes[c->matched[step]].span->otlp.span_id);
        fprintf(c->out, "%s\n", is);
    } else {
        fprintf(c->out, "%s of %s\n", c->expected->steps[step].name, c->expected->steps[step].service);
    }
}

static bool visit_link(void *user, const otlp_link *link)
{
    link_check *l = user;
    size_t step = linked_step(l->c, l->missing, link);
    if (step != LADDER_NONE) {
        l->missing &= ~(UINT64_C(1) << step);
    } else {
        report_link(l, link);
    }
    return true;
}

static void check_links(check *c, size_t node, const ladder_step *step)
{
    link_check l = {.c = c, .node = node, .missing = step->links};
    otlp_read_span_links(c->tree.nodes[node].span->otlp.span, visit_link, &l);
    for (size_t i = 0; i < c->expected->count; i++) {
        if ((l.missing >> i & 1) != 0) {
            differ(c, node);
            fprintf(c->out, "it has no link to %s of %s\n", c->expected->steps[i].name, c->expected->steps[i].service);
        }
    }
}

typedef struct attr_check {
    const ladder_attr *wanted;
    char is[64];
    size_t len;
    bool found;
} attr_check;

static bool visit_attr(void *user, otlp_attr attr)
{
    attr_check *a = user;
    if (!str_is(attr.key, a->wanted->key)) {
        return true;
    }
    a->found = span_value_text(a->is, sizeof a->is, &a->len, attr.value);
    return false;
}

static void check_attrs(check *c, size_t node, const ladder_step *step)
{
    for (size_t i = 0; i < LADDER_ATTRS_MAX && step->attrs[i].key != NULL; i++) {
        attr_check a = {.wanted = &step->attrs[i]};
        otlp_read_span_attrs(c->tree.nodes[node].span->otlp.span, visit_attr, &a);
        if (!a.found || !str_is((loom_str){a.is, a.len}, a.wanted->value)) {
            differ(c, node);
            fprintf(c->out, "its attribute %s is ", a.wanted->key);
            text_put(c->out, a.found ? (loom_str){a.is, a.len} : str_of("missing"), NAME_COLUMNS);
            fprintf(c->out, ", expected %s\n", a.wanted->value);
        }
    }
}

static void check_step(check *c, size_t index)
{
    const ladder_step *step = &c->expected->steps[index];
    size_t node = best_candidate(c, index);
    if (node == TREE_NONE) {
        node = misplaced_candidate(c, step);
    }
    c->matched[index] = node;
    if (node == TREE_NONE) {
        report_missing(c, step);
        return;
    }
    c->step_of[node] = index;
    const trace_span *span = c->tree.nodes[node].span;
    if (span->otlp.kind != step->kind) {
        differ(c, node);
        fprintf(c->out, "its kind is %s, expected %s\n", span_kind_name(span->otlp.kind), span_kind_name(step->kind));
    }
    if (!has_service(span, step)) {
        differ(c, node);
        fputs("its service is ", c->out);
        text_put(c->out, span->service.len > 0 ? span->service : str_of("(none)"), NAME_COLUMNS);
        fprintf(c->out, ", expected %s\n", step->service);
    }
    if (step->links != 0) {
        check_links(c, node, step);
    }
    check_attrs(c, node, step);
}

/* What no step asked for has to be a user span below a step that allows them. Nodes stand after their parents, so one
 * pass hands down the step whose user spans may stand here. */
static loom_status check_leftovers(check *c)
{
    size_t *home = calloc(c->tree.count + 1, sizeof *home);
    if (home == NULL) {
        return LOOM_ENOMEM;
    }
    for (size_t i = 0; i < c->tree.count; i++) {
        size_t parent = c->tree.nodes[i].parent;
        home[i] = c->step_of[i];
        if (home[i] != LADDER_NONE) {
            continue;
        }
        size_t above = parent == TREE_NONE ? LADDER_NONE : home[parent];
        if (above != LADDER_NONE && c->expected->steps[above].user_spans &&
            is_user_span(c, i, c->expected->steps[above].service)) {
            home[i] = above;
            continue;
        }
        differ(c, i);
        fputs("not expected here", c->out);
        if (parent != TREE_NONE) {
            fputs(", below ", c->out);
            text_put(c->out, c->tree.nodes[parent].span->otlp.name, NAME_COLUMNS);
        }
        fputc('\n', c->out);
    }
    free(home);
    return LOOM_OK;
}

loom_status ladder_check(FILE *out, const ladder *expected, span_range trace, size_t *differences)
{
    check c = {.out = out, .expected = expected};
    *differences = 0;
    loom_status st = span_tree_init(&c.tree, trace);
    if (st != LOOM_OK) {
        return st;
    }
    c.step_of = calloc(trace.count + 1, sizeof *c.step_of);
    if (c.step_of == NULL) {
        st = LOOM_ENOMEM;
        goto fini_tree;
    }
    for (size_t i = 0; i < trace.count; i++) {
        c.step_of[i] = LADDER_NONE;
    }
    check_faults(&c);
    check_roots(&c);
    if (expected != NULL) {
        for (size_t i = 0; i < expected->count; i++) {
            check_step(&c, i);
        }
        st = check_leftovers(&c);
    }
    *differences = c.differences;
    free(c.step_of);
fini_tree:
    span_tree_fini(&c.tree);
    return st;
}
