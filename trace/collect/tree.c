/* SPDX-License-Identifier: Apache-2.0 */
/* Built without recursion: a hostile trace may be a hundred thousand spans deep. */
#include "trace/collect/tree.h"

#include <stdlib.h>
#include <string.h>

/* What placing needs about a span of the range, by its index there. */
typedef struct draft {
    size_t parent, first_child, next_sibling;
    size_t place; /* index of its node; TREE_NONE until it is placed */
    tree_fault fault;
    bool duplicate_id;
} draft;

typedef struct builder {
    span_range trace;
    draft *drafts;
    size_t *by_id; /* span indexes */
    size_t *stack;
    span_tree *tree;
} builder;

static int compare_ids(const void *left, const void *right, void *user)
{
    const span_range *trace = user;
    size_t a = *(const size_t *)left;
    size_t b = *(const size_t *)right;
    int order = memcmp(trace->spans[a].otlp.span_id, trace->spans[b].otlp.span_id, LOOM_SPAN_ID_SIZE);
    return order != 0 ? order : (a > b) - (a < b);
}

/* The first position in by_id whose span id is not below the one wanted. */
static size_t lower_bound(const builder *b, const uint8_t *span_id)
{
    size_t low = 0;
    size_t high = b->trace.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(b->trace.spans[b->by_id[middle]].otlp.span_id, span_id, LOOM_SPAN_ID_SIZE) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t find_span(const builder *b, const uint8_t *span_id)
{
    size_t at = lower_bound(b, span_id);
    if (at == b->trace.count) {
        return TREE_NONE;
    }
    size_t span = b->by_id[at];
    return memcmp(b->trace.spans[span].otlp.span_id, span_id, LOOM_SPAN_ID_SIZE) == 0 ? span : TREE_NONE;
}

static void index_ids(builder *b)
{
    for (size_t i = 0; i < b->trace.count; i++) {
        b->by_id[i] = i;
        b->drafts[i] = (draft){.parent = TREE_NONE, .first_child = TREE_NONE, .next_sibling = TREE_NONE,
                               .place = TREE_NONE};
    }
    qsort_r(b->by_id, b->trace.count, sizeof *b->by_id, compare_ids, &b->trace);
    for (size_t i = 1; i < b->trace.count; i++) {
        const uint8_t *before = b->trace.spans[b->by_id[i - 1]].otlp.span_id;
        b->drafts[b->by_id[i]].duplicate_id =
            memcmp(before, b->trace.spans[b->by_id[i]].otlp.span_id, LOOM_SPAN_ID_SIZE) == 0;
    }
}

/* From the last span to the first, so that pushing in front leaves siblings in the order of their start. */
static void link_children(builder *b)
{
    for (size_t i = b->trace.count; i-- > 0;) {
        const otlp_span *span = &b->trace.spans[i].otlp;
        if (span_id_is_zero(span->parent_span_id)) {
            continue;
        }
        size_t parent = find_span(b, span->parent_span_id);
        if (parent == TREE_NONE) {
            b->drafts[i].fault = TREE_ORPHAN;
            continue;
        }
        b->drafts[i].parent = parent;
        b->drafts[i].next_sibling = b->drafts[parent].first_child;
        b->drafts[parent].first_child = i;
    }
}

static void place(builder *b, size_t span, size_t parent_span)
{
    draft *d = &b->drafts[span];
    tree_node *node = &b->tree->nodes[b->tree->count];
    *node = (tree_node){.span = &b->trace.spans[span], .parent = TREE_NONE, .fault = d->fault,
                        .duplicate_id = d->duplicate_id, .last_child = true};
    if (parent_span != TREE_NONE) {
        node->parent = b->drafts[parent_span].place;
        tree_node *parent = &b->tree->nodes[node->parent];
        node->depth = parent->depth + 1;
        parent->child_count++;
    }
    d->place = b->tree->count++;
}

/* Places a span and everything below it that has no place yet. Each span on the stack has a place; what follows is its
 * next child without one. */
static void place_with_descendants(builder *b, size_t top)
{
    size_t depth = 0;
    place(b, top, TREE_NONE);
    b->stack[depth++] = top;
    while (depth > 0) {
        size_t span = b->stack[depth - 1];
        size_t child = b->drafts[span].first_child;
        while (child != TREE_NONE && b->drafts[child].place != TREE_NONE) {
            child = b->drafts[child].next_sibling;
        }
        b->drafts[span].first_child = child; /* placed children are never looked at again */
        if (child == TREE_NONE) {
            depth--;
            continue;
        }
        place(b, child, span);
        b->stack[depth++] = child;
    }
}

static void place_all(builder *b)
{
    for (size_t i = 0; i < b->trace.count; i++) {
        if (b->drafts[i].parent == TREE_NONE && b->drafts[i].fault == TREE_SOUND) {
            place_with_descendants(b, i);
        }
    }
    for (size_t i = 0; i < b->trace.count; i++) {
        if (b->drafts[i].fault == TREE_ORPHAN) {
            place_with_descendants(b, i);
        }
    }
    for (size_t i = 0; i < b->trace.count; i++) {
        if (b->drafts[i].place == TREE_NONE) { /* only a cycle keeps a span from every root and orphan */
            b->drafts[i].fault = TREE_CYCLE;
            place_with_descendants(b, i);
        }
    }
}

static void finish(builder *b)
{
    span_tree *tree = b->tree;
    /* A later sibling takes the mark away from the one before it; stack holds the last child seen of each node. */
    for (size_t i = 0; i < tree->count; i++) {
        b->stack[i] = TREE_NONE;
    }
    for (size_t i = 0; i < tree->count; i++) {
        size_t parent = tree->nodes[i].parent;
        if (parent == TREE_NONE) {
            continue;
        }
        if (b->stack[parent] != TREE_NONE) {
            tree->nodes[b->stack[parent]].last_child = false;
        }
        b->stack[parent] = i;
    }
    for (size_t i = 0; i < tree->count; i++) {
        tree->by_id[i] = b->drafts[b->by_id[i]].place;
    }
}

loom_status span_tree_init(span_tree *tree, span_range trace)
{
    *tree = (span_tree){0};
    size_t count = trace.count > 0 ? trace.count : 1;
    builder b = {.trace = trace, .tree = tree};
    loom_status st = LOOM_ENOMEM;
    b.drafts = calloc(count, sizeof *b.drafts);
    b.by_id = calloc(count, sizeof *b.by_id);
    b.stack = calloc(count, sizeof *b.stack);
    tree->nodes = calloc(count, sizeof *tree->nodes);
    tree->by_id = calloc(count, sizeof *tree->by_id);
    if (b.drafts != NULL && b.by_id != NULL && b.stack != NULL && tree->nodes != NULL && tree->by_id != NULL) {
        index_ids(&b);
        link_children(&b);
        place_all(&b);
        finish(&b);
        st = LOOM_OK;
    } else {
        span_tree_fini(tree);
    }
    free(b.stack);
    free(b.by_id);
    free(b.drafts);
    return st;
}

void span_tree_fini(span_tree *tree)
{
    free(tree->nodes);
    free(tree->by_id);
    *tree = (span_tree){0};
}

size_t span_tree_find(const span_tree *tree, const uint8_t span_id[LOOM_SPAN_ID_SIZE])
{
    size_t low = 0;
    size_t high = tree->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(tree->nodes[tree->by_id[middle]].span->otlp.span_id, span_id, LOOM_SPAN_ID_SIZE) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == tree->count) {
        return TREE_NONE;
    }
    size_t node = tree->by_id[low];
    return memcmp(tree->nodes[node].span->otlp.span_id, span_id, LOOM_SPAN_ID_SIZE) == 0 ? node : TREE_NONE;
}
