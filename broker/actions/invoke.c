/* SPDX-License-Identifier: Apache-2.0 */
/* One invoke: a duplicate of a call that runs or has ended, a call that nobody may or can take, or a new one. */
#include "broker/actions/internal.h"

#include <stdlib.h>

#include "envelope/id.h"

static void count_invoked(const invocation *in)
{
    in->party->broker->stats.invoked++;
    flow_counts_recall(&in->party->broker->flow, in->party->flow, FLOW_OUT, in->key.capability, &in->party->called)->total++;
}

/* Ends at once, with a span of its own. */
static void finish_at_once(const invocation *in, loom_span *span, const action_result *result)
{
    count_invoked(in);
    action_party_tell(in->party, &in->key, result);
    action_span_end(span, result);
}

static void refuse(const invocation *in, frame_call_outcome outcome, const char *code, const char *text)
{
    const action_result result = action_result_of(outcome, code, text);
    finish_at_once(in, action_span_start(in, ACTION_SPAN_CALL, NULL), &result);
}

/* The same at a limit, which the operator may want to raise; agent is the one that is at its limit. */
static void refuse_at_limit(const invocation *in, const action_party *agent, frame_call_outcome outcome, const char *code,
                            const char *text)
{
    actionbroker *broker = in->party->broker;
    log_to_limited(&broker->log, &broker->refused, 1, broker->clock->now_ms, LOG_WARN,
                   "call refused at_limit=%.*s caller=%.*s capability=%.*s code=%s reason=%s", (int)agent->agent_len, agent->agent,
                   (int)in->party->agent_len, in->party->agent, (int)in->key.capability.len, in->key.capability.data, code, text);
    refuse(in, outcome, code, text);
}

static void refuse_reused_id(const invocation *in)
{
    refuse(in, FRAME_CALL_DENIED, "call_id_reused", "this call id was used for another capability, version or payload");
}

/* True: the party is at its limit, and this invoke was refused. */
static bool refuse_too_many(const invocation *in)
{
    if (in->party->pending < in->party->broker->max_pending) {
        return false;
    }
    refuse_at_limit(in, in->party, FRAME_CALL_DENIED, "too_many_calls", "the caller has too many calls without an outcome");
    return true;
}

static loom_status join(const invocation *in, running_call *call)
{
    if (!action_key_same(&call->key, &in->key)) {
        refuse_reused_id(in);
        return LOOM_OK;
    }
    if (refuse_too_many(in)) {
        return LOOM_OK;
    }
    action_waiter *waiter = malloc(sizeof *waiter);
    if (waiter == NULL) {
        return LOOM_ENOMEM;
    }
    action_waiter_add(waiter, call, in->party);
    count_invoked(in);
    in->party->broker->stats.joined++;
    const loom_trace_context *original = call->span != NULL ? loom_span_context(call->span) : NULL;
    loom_span_end(action_span_start(in, ACTION_SPAN_JOINED, original));
    return LOOM_OK;
}

static void answer_from_cache(const invocation *in, const action_cache_entry *entry)
{
    if (!action_key_same(&entry->key, &in->key)) {
        refuse_reused_id(in);
        return;
    }
    in->party->broker->stats.cached++;
    actionbroker_count_work(in->party->broker, &entry->result);
    finish_at_once(in, action_span_start(in, ACTION_SPAN_CACHED, &entry->context), &entry->result);
}

static loom_status start_new(const invocation *in)
{
    if (refuse_too_many(in)) {
        return LOOM_OK;
    }
    const uint8_t ttl = hop_ttl(in->wire);
    if (ttl == 0) {
        refuse(in, FRAME_CALL_DENIED, "ttl_exhausted", "the call's hops are used up");
        return LOOM_OK;
    }
    hop_set_ttl(in->wire, (uint8_t)(ttl - 1));
    const action_version *version =
        action_registry_resolve(&in->party->broker->registry, in->key.capability, in->key.version);
    if (version == NULL) {
        refuse(in, FRAME_CALL_NO_RESPONDERS, "no_provider", "nobody provides this capability in this version");
        return LOOM_OK;
    }
    action_offer *offer = action_version_pick(version);
    if (!action_party_has_room(offer->party, in->view->len)) {
        refuse_at_limit(in, offer->party, FRAME_CALL_ERROR, "provider_busy",
                        "the provider has too many bytes of calls without an answer");
        return LOOM_OK;
    }
    const loom_status st = running_call_begin(in, offer);
    if (st == LOOM_OK) {
        count_invoked(in);
    }
    return st;
}

static loom_status invoke(const invocation *in)
{
    actionbroker *broker = in->party->broker;
    running_call *running = running_call_find(broker, &in->key, in->hash);
    if (running != NULL) {
        running = running_call_waited_for(running);
    }
    if (running != NULL && running_call_is_overdue(running)) {
        running_call_expire(running);
        running = NULL;
    }
    if (running != NULL) {
        return join(in, running);
    }
    action_cache_expire(&broker->cache, broker->clock->now_ms);
    const action_cache_entry *entry = action_cache_find(&broker->cache, &in->key, in->hash);
    if (entry != NULL) {
        answer_from_cache(in, entry);
        return LOOM_OK;
    }
    return start_new(in);
}

/* Whoever names an idempotent call again may well have changed what it asks for, and would take the old result for the new. */
static uint64_t payload_hash(const actionbroker *broker, const action_call *call, const envelope_view *view)
{
    const loom_bytes payload = envelope_view_bytes(view, ENV_PAYLOAD);
    return call->idempotent ? hash_under_secret(broker->key, payload.data, payload.len) : 0;
}

loom_status action_invoke(action_party *caller, const action_call *call, const envelope_view *view, uint8_t *wire,
                          uint8_t *call_id_out, size_t *call_id_len)
{
    assert(view->data == wire && view->hop_in_place);
    if (call->call_id.len > ACTION_CALL_ID_MAX) {
        return LOOM_EINVAL;
    }
    uint8_t given[LOOM_UUID_SIZE];
    invocation in = {
        .party = caller,
        .call = call,
        .view = view,
        .wire = wire,
        .key = {.agent = action_party_agent(caller), .call_id = call->call_id, .capability = call->capability,
                .version = call->version, .payload = payload_hash(caller->broker, call, view)},
    };
    if (call->call_id.len == 0) {
        loom_uuid7_generate(given);
        in.key.call_id = (loom_bytes){given, sizeof given};
    }
    in.hash = action_key_hash(caller->broker, &in.key);
    if (call_id_out != NULL) {
        memcpy(call_id_out, in.key.call_id.data, in.key.call_id.len);
    }
    if (call_id_len != NULL) {
        *call_id_len = in.key.call_id.len;
    }
    (void)flow_table_tidy(&caller->broker->flow);
    actionbroker_enter(caller->broker);
    const loom_status st = invoke(&in);
    actionbroker_leave(caller->broker);
    return st;
}
