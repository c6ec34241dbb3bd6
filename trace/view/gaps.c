/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/view/gaps.h"

#include "base/str.h"
#include "envelope/gateway_name.h"

#include <loom/trace.h>

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

bool span_tree_has_gaps(const span_tree *tree)
{
    bool missing = false, kept = false;
    for (size_t i = 0; i < tree->count && !(missing && kept); i++) {
        const tree_node *node = &tree->nodes[i];
        kept = kept || otlp_span_string(node->span->otlp.span, "loom.kept").len > 0;
        missing = missing || node->fault == TREE_ORPHAN || span_gap_of(node) != GAP_NONE;
    }
    return missing && kept;
}
