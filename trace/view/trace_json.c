/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/view/trace_json.h"

#include "base/str.h"
#include "trace/collect/gaps.h"
#include "trace/collect/regroup.h"
#include "trace/otlp/json.h"

#include <loom/trace.h>

static void put_missing(pb_buf *json, const span_tree *tree)
{
    const char *separator = "";
    json_put_format(json, ",\"incomplete\":true,\"missing\":[");
    for (size_t i = 0; i < tree->count; i++) {
        char id[LOOM_SPAN_ID_HEX_SIZE], text[SPAN_MISSING_SIZE];
        if (span_missing(&tree->nodes[i], text)) {
            loom_span_id_to_hex(id, tree->nodes[i].span->otlp.span_id);
            json_put_format(json, "%s{\"spanId\":\"%s\",\"text\":", separator, id);
            json_put_string(json, str_of(text));
            json_put_format(json, "}");
            separator = ",";
        }
    }
    json_put_format(json, "]");
}

static loom_status put_gaps(pb_buf *json, span_range trace)
{
    span_tree tree;
    if (!span_range_is_kept(trace)) {
        return LOOM_OK;
    }
    const loom_status st = span_tree_init(&tree, trace);
    if (st == LOOM_OK && span_tree_has_gaps(&tree)) {
        put_missing(json, &tree);
    }
    span_tree_fini(&tree);
    return st;
}

static loom_status put_trace(pb_buf *json, regrouping *r, span_range trace, uint64_t total)
{
    loom_bytes request;
    for (size_t i = 0; i < trace.count; i++) {
        regrouping_add(r, &trace.spans[i].otlp);
    }
    loom_status st = regrouping_finish(r, &request);
    st = st == LOOM_OK ? otlp_json_request(json, request) : st;
    if (st != LOOM_OK || json->len == 0) {
        return st;
    }
    pb_rollback(json, json->len - 1); /* the last brace */
    if (trace.count < total) {
        json_put_format(json, ",\"truncated\":true,\"total\":%llu", (unsigned long long)total);
    } else {
        st = put_gaps(json, trace);
    }
    json_put_format(json, "}\n");
    return st == LOOM_OK && json->failed ? LOOM_ENOMEM : st;
}

loom_status trace_print_otlp_json(FILE *out, span_range trace, uint64_t total, size_t max)
{
    pb_buf json;
    regrouping r;
    pb_init(&json, NULL, 0, max);
    regrouping_init(&r);
    const loom_status st = put_trace(&json, &r, trace, total);
    if (st == LOOM_OK) {
        fwrite(json.data, 1, json.len, out);
    }
    regrouping_fini(&r);
    pb_fini(&json);
    return st;
}
