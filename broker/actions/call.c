/* SPDX-License-Identifier: Apache-2.0 */
/* A running call from its begin to its outcome: attempts at providers, time, and the end that everything leads to. */
#include "broker/actions/internal.h"

#include <stdlib.h>

enum { ROOM_MIN = 16 };

uint64_t action_key_hash(const actionbroker *broker, const action_key *key)
{
    uint8_t text[LOOM_AGENT_ID_MAX + ACTION_CALL_ID_MAX];
    memcpy(text, key->agent.data, key->agent.len);
    memcpy(text + key->agent.len, key->call_id.data, key->call_id.len);
    return hash_under_secret(broker->key, text, key->agent.len + key->call_id.len);
}

running_call *running_call_find(const actionbroker *broker, const action_key *key, uint64_t hash)
{
    for (hash_node *node = hash_index_first(&broker->by_key, hash); node != NULL; node = hash_index_next(node)) {
        running_call *call = (running_call *)(void *)((char *)node - offsetof(running_call, by_key));
        if (action_key_same_id(&call->key, key)) {
            return call;
        }
    }
    return NULL;
}

/* ---- time ---- */

static bool reserve_deadline(actionbroker *broker)
{
    deadline_heap *heap = &broker->deadlines;
    return heap->count < heap->capacity || deadline_heap_reserve(heap, heap->capacity == 0 ? ROOM_MIN : heap->capacity * 2);
}

static void remove_deadline(running_call *call)
{
    deadline_heap *heap = &call->broker->deadlines;
    deadline_heap_remove(heap, &call->deadline);
    if (heap->capacity > ROOM_MIN && heap->count < heap->capacity / 8) {
        (void)deadline_heap_reserve(heap, heap->capacity / 2); /* without the memory to move it just stays */
    }
}

static uint64_t ends_after(const actionbroker *broker, uint64_t deadline_ms)
{
    if (deadline_ms == 0) {
        deadline_ms = broker->default_deadline_ms;
    }
    return broker->clock->now_ms + (deadline_ms < broker->max_deadline_ms ? deadline_ms : broker->max_deadline_ms);
}

static uint64_t next_deadline(const running_call *call)
{
    const uint64_t now_ms = call->broker->clock->now_ms;
    const uint64_t left_ms = call->ends_ms > now_ms ? call->ends_ms - now_ms : 0;
    return call->idle_ms > 0 && call->idle_ms < left_ms ? now_ms + call->idle_ms : call->ends_ms;
}

void running_call_touch(running_call *call)
{
    if (call->idle_ms > 0) {
        deadline_heap_remove(&call->broker->deadlines, &call->deadline);
        deadline_heap_add(&call->broker->deadlines, &call->deadline, next_deadline(call));
    }
}

void running_call_expire(running_call *call)
{
    const action_result result = call->ends_ms <= call->broker->clock->now_ms
                                     ? action_result_of(FRAME_CALL_TIMEOUT, "deadline_exceeded", "the deadline has passed")
                                     : action_result_of(FRAME_CALL_TIMEOUT, "idle", "the provider was silent for too long");
    running_call_abort(call, &result);
}

/* ---- attempts ---- */

static void attempt(running_call *call, action_offer *offer, const envelope_view *view)
{
    actionbroker *broker = call->broker;
    action_party *provider = offer->party;
    call->ref = ++broker->last_ref;
    hash_index_insert(&broker->by_ref, &call->by_ref, call->ref);
    call->provider = provider;
    call->offer = offer;
    call->prev = NULL;
    call->next = provider->working;
    if (call->next != NULL) {
        call->next->prev = call;
    }
    provider->working = call;
    if (call->next == NULL) {
        provider->oldest_working = call;
    }
    provider->outstanding++;
    provider->outstanding_bytes += call->size;
    offer->outstanding++;
    offer->calls++;
    flow_counts_recall(&broker->flow, provider->flow, FLOW_IN, call->key.capability, &offer->flow)->total++;
    action_offer_use(offer);
    broker->stats.attempts++;
    call->attempts++;
    action_span_attempt(call->span, offer, call->attempts);
    provider->handlers.request(provider->user, &(action_request){
        .ref = call->ref,
        .capability = offer->info.name,
        .version = offer->info.version,
        .deadline_ms = call->ends_ms - broker->clock->now_ms,
        .streams = call->streams,
        .view = view,
    });
    if (call->credit_chunks > 0 || call->credit_bytes > 0) {
        call->credit_chunks = call->credit_bytes = 0; /* another provider knew of it */
        running_call_pass_credit(call);
    }
}

static void end_attempt(running_call *call, frame_call_outcome outcome)
{
    action_party *provider = call->provider;
    if (provider == NULL) {
        return;
    }
    if (outcome != FRAME_CALL_OK) {
        action_party_flow(provider, FLOW_IN, call->key.capability)->lost[outcome]++;
    }
    *(call->prev != NULL ? &call->prev->next : &provider->working) = call->next;
    *(call->next != NULL ? &call->next->prev : &provider->oldest_working) = call->prev;
    call->broker->leaving_calls -= provider->leaving;
    provider->outstanding--;
    provider->outstanding_bytes -= call->size;
    action_offer_done(call->offer);
    call->offer = NULL;
    hash_index_remove(&call->broker->by_ref, &call->by_ref);
    call->provider = NULL;
}

static action_offer *another_provider(const running_call *call)
{
    if (call->envelope == NULL || call->used_chunks > 0 || call->attempts >= ACTION_ATTEMPTS_MAX) {
        return NULL;
    }
    const action_version *version =
        action_registry_resolve(&call->broker->registry, call->key.capability, call->key.version);
    action_offer *offer = version != NULL ? action_version_pick(version) : NULL;
    return offer != NULL && action_party_has_room(offer->party, call->size) ? offer : NULL;
}

void running_call_leave_provider(running_call *call)
{
    if (running_call_waited_for(call) == NULL) {
        return;
    }
    end_attempt(call, FRAME_CALL_ERROR);
    if (running_call_is_overdue(call)) {
        running_call_expire(call);
        return;
    }
    action_offer *offer = another_provider(call);
    if (offer != NULL) {
        running_call_touch(call);
        attempt(call, offer, envelope_as_view(call->envelope));
        return;
    }
    const action_result gone = action_result_of(FRAME_CALL_ERROR, "provider_gone", "the provider has gone");
    running_call_end(call, &gone);
}

/* ---- begin and end ---- */

static running_call *make_call(const invocation *in)
{
    actionbroker *broker = in->party->broker;
    running_call *call = malloc(sizeof *call + action_key_size(&in->key));
    if (call == NULL) {
        return NULL;
    }
    memset(call, 0, sizeof *call);
    call->broker = broker;
    call->key = action_key_copy(&in->key, call->bytes);
    call->ends_ms = ends_after(broker, in->call->deadline_ms);
    call->idle_ms = in->call->idle_ms;
    call->size = in->view->len;
    call->streams = in->call->streams;
    return call;
}

/* Keeps the envelope of a call that may be tried again, if there is room for it. False: out of memory. */
static bool keep_envelope(running_call *call, const invocation *in)
{
    actionbroker *broker = call->broker;
    if (!in->call->idempotent || broker->stats.kept_bytes + in->view->len > broker->max_kept_bytes) {
        return true;
    }
    call->envelope = envelope_from_view(in->view);
    if (call->envelope == NULL) {
        return false;
    }
    broker->stats.kept_bytes += in->view->len;
    return true;
}

static void drop_envelope(running_call *call)
{
    if (call->envelope != NULL) {
        call->broker->stats.kept_bytes -= loom_envelope_wire(call->envelope).len;
        loom_envelope_unref(call->envelope);
    }
}

loom_status running_call_begin(const invocation *in, action_offer *offer)
{
    actionbroker *broker = in->party->broker;
    if (!reserve_deadline(broker)) {
        return LOOM_ENOMEM;
    }
    running_call *call = make_call(in);
    if (call == NULL) {
        return LOOM_ENOMEM;
    }
    call->span = action_span_start(in, ACTION_SPAN_CALL, NULL);
    if (call->span != NULL) {
        hop_patch(in->wire, loom_span_context(call->span));
    }
    /* After the patch: every attempt is below the same span. */
    if (!keep_envelope(call, in)) {
        const action_result failed = action_result_of(FRAME_CALL_ERROR, "out_of_memory", "no memory for the call");
        action_span_end(call->span, &failed);
        free(call);
        return LOOM_ENOMEM;
    }
    hash_index_insert(&broker->by_key, &call->by_key, in->hash);
    deadline_heap_add(&broker->deadlines, &call->deadline, next_deadline(call));
    action_waiter_add(&call->own, call, in->party);
    attempt(call, offer, in->view);
    return LOOM_OK;
}

/* Chunks are not kept, so the result of a call that had some does not say all. */
static void remember(running_call *call, const action_result *result)
{
    if (result->outcome == FRAME_CALL_OK && call->used_chunks == 0) {
        static const loom_trace_context none;
        const loom_trace_context *context = call->span != NULL ? loom_span_context(call->span) : &none;
        action_cache_put(&call->broker->cache, &call->key, call->by_key.hash, result, context, call->broker->clock->now_ms);
    }
}

/* A large result for many is a copy for each: some of those who have joined have to ask again. */
static void tell_waiters(running_call *call, const action_result *result)
{
    const action_result refusal =
        action_result_of(FRAME_CALL_DENIED, "too_many_calls", "the result is too large for all who wait for it");
    uint64_t joined_bytes = 0;
    for (bool joined = false; call->waiters != NULL; joined = true) {
        action_party *party = call->waiters->party;
        joined_bytes += joined ? result->payload.len : 0;
        const action_result *told = joined_bytes <= ACTION_JOINED_BYTES ? result : &refusal;
        if (joined) {
            actionbroker_count_work(call->broker, told);
        }
        action_waiter_remove(call->waiters);
        action_party_tell(party, &call->key, told);
    }
}

void running_call_end(running_call *call, const action_result *result)
{
    if (call->offer != NULL && result->outcome != FRAME_CALL_OK && result->outcome != FRAME_CALL_CANCELLED) {
        call->offer->errors++;
    }
    end_attempt(call, result->outcome);
    hash_index_remove(&call->broker->by_key, &call->by_key);
    remove_deadline(call);
    remember(call, result);
    tell_waiters(call, result);
    action_span_end(call->span, result);
    drop_envelope(call);
    free(call);
}

void running_call_abort(running_call *call, const action_result *result)
{
    action_party *provider = call->provider;
    if (provider != NULL && provider->handlers.cancel != NULL) {
        /* The caller's own words, or the code of why the broker gives up. */
        const bool cancelled = result->outcome == FRAME_CALL_CANCELLED && result->text.len > 0;
        provider->handlers.cancel(provider->user, call->ref, cancelled ? result->text : result->code);
    }
    running_call_end(call, result);
}
