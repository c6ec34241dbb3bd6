/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/gaps.h"

#include "base/str.h"
#include "envelope/gateway_name.h"

#include <loom/trace.h>
#include <stdio.h>

enum { AGENT_MAX = 128 }; /* bytes of its id that are told */

typedef struct facts {
    bool kept, cut;
    int64_t delivered;
} facts;

static bool note(void *user, otlp_attr attr)
{
    facts *f = user;
    if (str_is(attr.key, "loom.kept")) {
        f->kept = true;
    } else if (str_is(attr.key, "loom.kept.cut")) {
        f->cut = otlp_read_any(attr.value).boolean;
    } else if (str_is(attr.key, "loom.delivered")) {
        f->delivered = otlp_read_any(attr.value).integer;
    }
    return true;
}

/* The spans that end where the next process takes over. */
static bool is_handed_to_the_bus(loom_str name)
{
    return str_is(name, "agent.emit") || str_is(name, "bridge.publish") || str_is(name, "action.invoke");
}

span_gap span_gap_of(const tree_node *node)
{
    const otlp_span *span = &node->span->otlp;
    facts f = {.delivered = 0};
    otlp_read_span_attrs(span->span, note, &f);
    if (!f.kept || span->status == LOOM_SPAN_ERROR) { /* one that failed has passed nothing on */
        return f.kept && f.cut ? GAP_CUT : GAP_NONE;
    }
    if (is_handed_to_the_bus(span->name) && node->child_count == 0) {
        return GAP_BUS;
    }
    if (str_is(span->name, "bridge.forward") && node->child_count == 0 &&
        !is_gateway_listener(otlp_span_string(span->span, "agent_id"))) {
        return GAP_AGENT;
    }
    if (str_is(span->name, "eventbus.publish") && f.delivered > 0 && (uint64_t)f.delivered > node->child_count) {
        return GAP_DELIVERIES;
    }
    return f.cut ? GAP_CUT : GAP_NONE;
}

const char *span_gap_text(span_gap gap)
{
    static const char *const texts[] = {
        [GAP_NONE] = "nothing is missing",
        [GAP_BUS] = "where it went is not in the trace",
        [GAP_AGENT] = "nothing of the agent that it was passed to is in the trace",
        [GAP_DELIVERIES] = "it counts more deliveries than the trace has spans of",
        [GAP_CUT] = "a part of what its process recorded is gone",
    };
    return texts[gap];
}

bool span_missing(const tree_node *node, char text[SPAN_MISSING_SIZE])
{
    const otlp_span *span = &node->span->otlp;
    const span_gap gap = span_gap_of(node);
    text[0] = '\0';
    if (node->fault == TREE_ORPHAN) {
        char parent[LOOM_SPAN_ID_HEX_SIZE];
        loom_span_id_to_hex(parent, span->parent_span_id);
        snprintf(text, SPAN_MISSING_SIZE, "parent %s is not in the trace%s%s", parent, gap != GAP_NONE ? "; " : "",
                 gap != GAP_NONE ? span_gap_text(gap) : "");
    } else if (gap == GAP_AGENT) {
        const loom_str id = otlp_span_string(span->span, "agent_id"), agent = id.len > 0 ? id : str_of("the agent");
        snprintf(text, SPAN_MISSING_SIZE, "nothing of %.*s is in the trace", (int)(agent.len < AGENT_MAX ? agent.len : AGENT_MAX),
                 agent.data);
    } else if (gap != GAP_NONE) {
        snprintf(text, SPAN_MISSING_SIZE, "%s", span_gap_text(gap));
    }
    return text[0] != '\0';
}

static bool is_kept(const trace_span *span)
{
    return otlp_span_string(span->otlp.span, "loom.kept").len > 0;
}

bool span_tree_has_gaps(const span_tree *tree)
{
    bool missing = false, kept = false;
    for (size_t i = 0; i < tree->count && !(missing && kept); i++) {
        const tree_node *node = &tree->nodes[i];
        kept = kept || is_kept(node->span);
        missing = missing || node->fault == TREE_ORPHAN || span_gap_of(node) != GAP_NONE;
    }
    return missing && kept;
}

bool span_range_is_kept(span_range trace)
{
    size_t i = 0;
    while (i < trace.count && !is_kept(&trace.spans[i])) {
        i++;
    }
    return i < trace.count;
}

loom_status span_range_has_gaps(span_range trace, bool *has)
{
    span_tree tree;
    *has = false;
    if (!span_range_is_kept(trace)) {
        return LOOM_OK;
    }
    const loom_status st = span_tree_init(&tree, trace);
    *has = st == LOOM_OK && span_tree_has_gaps(&tree);
    span_tree_fini(&tree);
    return st;
}
