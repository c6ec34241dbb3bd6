/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller says about its call: how much of the stream it takes, and that it does not wait any more. */
#include "broker/actions/internal.h"

void action_waiter_abandon(action_waiter *waiter)
{
    running_call *call = waiter->call;
    action_party_count(waiter->party, &call->key, FRAME_CALL_CANCELLED);
    action_waiter_remove(waiter);
    if (call->waiters != NULL) {
        running_call_pass_credit(call);
        return;
    }
    const action_result gone = action_result_of(FRAME_CALL_CANCELLED, "caller_gone", "the caller has gone");
    running_call_abort(call, &gone);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool others_wait(const running_call *call, const action_party *party)
{
    const action_waiter *waiter = call->waiters;
    while (waiter != NULL && waiter->party == party) {
        waiter = waiter->next;
    }
    return waiter != NULL;
}

static running_call *find_own(const action_party *caller, loom_bytes call_id, action_waiter **waiter)
{
    *waiter = NULL;
    if (call_id.len == 0 || call_id.len > ACTION_CALL_ID_MAX) {
        return NULL;
    }
    const action_key key = {.agent = action_party_agent(caller), .call_id = call_id};
    running_call *call = running_call_find(caller->broker, &key, action_key_hash(caller->broker, &key));
    if (call != NULL) {
        *waiter = running_call_waiter_of(call, caller);
    }
    if (*waiter != NULL && running_call_is_overdue(call)) {
        actionbroker_enter(caller->broker);
        running_call_expire(call);
        actionbroker_leave(caller->broker);
        *waiter = NULL;
    }
    return *waiter != NULL ? call : NULL;
}

loom_status action_grant(action_party *caller, loom_bytes call_id, uint64_t chunks, uint64_t bytes)
{
    action_waiter *waiter;
    running_call *call = find_own(caller, call_id, &waiter);
    if (call == NULL) {
        return LOOM_ENOTFOUND;
    }
    actionbroker_enter(caller->broker);
    waiter->granted_chunks = larger(waiter->granted_chunks, chunks);
    waiter->granted_bytes = larger(waiter->granted_bytes, bytes);
    running_call_pass_credit(call);
    actionbroker_leave(caller->broker);
    return LOOM_OK;
}

loom_status action_cancel(action_party *caller, loom_bytes call_id, loom_str reason)
{
    action_waiter *waiter;
    running_call *call = find_own(caller, call_id, &waiter);
    if (call == NULL) {
        return LOOM_ENOTFOUND;
    }
    actionbroker_enter(caller->broker);
    const action_result result = {.outcome = FRAME_CALL_CANCELLED, .code = {"cancelled", 9}, .text = action_text_cut(reason)};
    if (!others_wait(call, caller)) {
        running_call_abort(call, &result);
    } else {
        while (waiter != NULL) {
            action_waiter *next = waiter->next;
            if (waiter->party == caller) {
                action_waiter_remove(waiter);
                action_party_tell(caller, &call->key, &result);
            }
            waiter = next;
        }
        running_call_pass_credit(call);
    }
    actionbroker_leave(caller->broker);
    return LOOM_OK;
}
