/* SPDX-License-Identifier: Apache-2.0 */
/* What a provider says about a call: progress, chunks, and the answer. */
#include "broker/actions/internal.h"

/* The call under this number, if it is with this provider and there is time left; otherwise what is said comes too late. */
static running_call *find_attempt(action_party *provider, uint64_t ref)
{
    actionbroker *broker = provider->broker;
    running_call *call = (running_call *)hash_index_first(&broker->by_ref, ref);
    if (call == NULL || call->provider != provider || running_call_waited_for(call) == NULL) {
        broker->stats.late++;
        return NULL;
    }
    if (running_call_is_overdue(call)) {
        broker->stats.late++;
        running_call_expire(call);
        return NULL;
    }
    return call;
}

static loom_status answer(action_party *provider, uint64_t ref, const action_result *given)
{
    running_call *call = find_attempt(provider, ref);
    if (call == NULL) {
        return LOOM_ENOTFOUND;
    }
    actionbroker *broker = provider->broker;
    if ((unsigned)given->outcome >= ACTION_OUTCOMES) {
        broker->stats.invalid++;
        const action_result bad = action_result_of(FRAME_CALL_ERROR, "bad_result", "the provider gave no known outcome");
        running_call_end(call, &bad);
        return LOOM_EINVAL;
    }
    if (given->payload.len > broker->payload_max) {
        broker->stats.invalid++;
        const action_result large = action_result_of(FRAME_CALL_TOO_LARGE, "result_too_large", "the result is too large");
        running_call_end(call, &large);
        return LOOM_ETOOBIG;
    }
    const action_result result = {
        .outcome = given->outcome,
        .code = action_text_cut(given->code),
        .text = action_text_cut(given->text),
        .payload = given->payload,
    };
    running_call_end(call, &result);
    return LOOM_OK;
}

loom_status action_answer(action_party *provider, uint64_t ref, const action_result *result)
{
    actionbroker_enter(provider->broker);
    const loom_status st = answer(provider, ref, result);
    actionbroker_leave(provider->broker);
    return st;
}

/* ---- progress and chunks ---- */

static loom_status fail(running_call *call, loom_status st, frame_call_outcome outcome, const char *code, const char *text)
{
    call->broker->stats.invalid++;
    const action_result result = action_result_of(outcome, code, text);
    running_call_abort(call, &result);
    return st;
}

/* Whether the owner takes this chunk; if not, the call is over unless there should not have been any chunk at all. */
static loom_status take_chunk(running_call *call, uint64_t number, size_t len)
{
    if (!call->streams) {
        call->broker->stats.invalid++;
        return LOOM_EINVAL;
    }
    if (number != call->used_chunks) {
        return fail(call, LOOM_EINVAL, FRAME_CALL_ERROR, "stream_order", "a chunk came out of turn");
    }
    if (call->used_chunks >= call->credit_chunks || call->used_bytes >= call->credit_bytes) {
        return fail(call, LOOM_EFULL, FRAME_CALL_ERROR, "stream_overrun", "the provider sent more than the caller takes");
    }
    const action_waiter *owner = call->waiters;
    if (call->used_chunks >= owner->granted_chunks || call->used_bytes >= owner->granted_bytes) {
        return fail(call, LOOM_EFULL, FRAME_CALL_ERROR, "stream_moved", "the caller that had granted this chunk has gone");
    }
    call->used_chunks++;
    call->used_bytes += len;
    return LOOM_OK;
}

static loom_status report(action_party *provider, uint64_t ref, action_progress_kind kind, uint64_t number,
                          loom_bytes payload)
{
    running_call *call = find_attempt(provider, ref);
    if (call == NULL) {
        return LOOM_ENOTFOUND;
    }
    if (kind != ACTION_PROGRESS && kind != ACTION_CHUNK) {
        call->broker->stats.invalid++;
        return LOOM_EINVAL;
    }
    if (payload.len > call->broker->payload_max) {
        return fail(call, LOOM_ETOOBIG, FRAME_CALL_TOO_LARGE, "report_too_large", "a report of the provider is too large");
    }
    if (kind == ACTION_CHUNK) {
        const loom_status st = take_chunk(call, number, payload.len);
        if (st != LOOM_OK) {
            return st;
        }
    }
    running_call_touch(call);
    const action_party *owner = call->waiters->party;
    if (owner->handlers.progress != NULL) {
        owner->handlers.progress(owner->user, call->key.call_id, kind, number, payload);
    }
    return LOOM_OK;
}

loom_status action_report(action_party *provider, uint64_t ref, action_progress_kind kind, uint64_t number,
                          loom_bytes payload)
{
    actionbroker_enter(provider->broker);
    const loom_status st = report(provider, ref, kind, number, payload);
    actionbroker_leave(provider->broker);
    return st;
}
