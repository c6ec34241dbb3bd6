/* SPDX-License-Identifier: Apache-2.0 */
/* The ids of a workflow on their way to another process. */
#include <loom/workflow.h>

#include "base/str.h"

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

loom_status loom_workflow_baggage(loom_baggage **out, const loom_workflow *work, const loom_baggage *base)
{
    static const loom_workflow none;
    work = work != NULL ? work : &none;
    loom_baggage *baggage = loom_baggage_ref((loom_baggage *)(uintptr_t)base);
    loom_status st = put_id(&baggage, "tenant_id", work->tenant_id);
    st = st == LOOM_OK ? put_id(&baggage, "workflow_id", work->workflow_id) : st;
    st = st == LOOM_OK ? put_id(&baggage, "execution_id", work->execution_id) : st;
    if (st != LOOM_OK) {
        loom_baggage_unref(baggage);
        baggage = NULL;
    }
    *out = baggage;
    return st;
}
