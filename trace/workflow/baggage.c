/* SPDX-License-Identifier: Apache-2.0 */
/* The ids of a workflow on their way to another process. */
#include "trace/workflow/attributes.h"

#include "base/last_error.h"
#include "base/str.h"

#include <stdio.h>

enum { DEPTH_MAX = 1000000 };

loom_str workflow_baggage_id(const loom_baggage *baggage, const char *key)
{
    const loom_baggage_member *member = loom_baggage_find(baggage, str_of(key));
    return member != NULL ? member->value : (loom_str){0};
}

uint32_t workflow_baggage_depth(const loom_baggage *baggage)
{
    const loom_str text = workflow_baggage_id(baggage, "workflow_depth");
    uint32_t depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || depth >= DEPTH_MAX) {
            return 0; /* not ours */
        }
        depth = depth * 10 + (uint32_t)(text.data[i] - '0');
    }
    return depth;
}

/* Replaces *baggage by itself with one more member. */
static loom_status put_id(loom_baggage **baggage, const char *key, loom_str id)
{
    if (id.len == 0) {
        return LOOM_OK;
    }
    const loom_baggage_member member = {.key = str_of(key), .value = id};
    loom_baggage *with;
    loom_status st = loom_baggage_set(&with, *baggage, &member);
    if (st == LOOM_EINVAL) { /* no UTF-8: what cannot travel is done without */
        return LOOM_OK;
    }
    if (st == LOOM_OK) {
        loom_baggage_unref(*baggage);
        *baggage = with;
    }
    return st;
}

/* That of an execution is none: a member of base would be of other work. */
static loom_status put_depth(loom_baggage **baggage, uint32_t depth)
{
    char digits[12];
    loom_baggage *without;
    if (depth > 0) {
        snprintf(digits, sizeof digits, "%u", depth);
        return put_id(baggage, "workflow_depth", str_of(digits));
    }
    if (loom_baggage_find(*baggage, str_of("workflow_depth")) == NULL) {
        return LOOM_OK;
    }
    loom_status st = loom_baggage_remove(&without, *baggage, str_of("workflow_depth"));
    if (st == LOOM_OK) {
        loom_baggage_unref(*baggage);
        *baggage = without;
    }
    return st;
}

loom_status loom_workflow_baggage(loom_baggage **out, const loom_workflow *work, const loom_baggage *base)
{
    static const loom_workflow none;
    if (out == NULL) {
        return last_error_null("the place for the baggage");
    }
    work = work != NULL ? work : &none;
    loom_baggage *baggage = loom_baggage_ref((loom_baggage *)(uintptr_t)base);
    loom_status st = put_id(&baggage, "tenant_id", work->tenant_id);
    st = st == LOOM_OK ? put_id(&baggage, "workflow_id", work->workflow_id) : st;
    st = st == LOOM_OK ? put_id(&baggage, "execution_id", work->execution_id) : st;
    st = st == LOOM_OK ? put_depth(&baggage, work->depth) : st;
    if (st != LOOM_OK) {
        loom_baggage_unref(baggage);
        baggage = NULL;
    }
    *out = baggage;
    return st;
}
