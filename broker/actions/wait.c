/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for a running call, and how much of its stream they take. */
#include "broker/actions/internal.h"

#include <stdlib.h>

void action_party_count(action_party *party, const action_key *key, frame_call_outcome outcome)
{
    if (party->leaving) {
        outcome = FRAME_CALL_CANCELLED;
    } else {
        party->broker->stats.outcomes[outcome]++;
    }
    if (outcome != FRAME_CALL_OK) {
        action_party_flow(party, FLOW_OUT, key->capability)->lost[outcome]++;
    }
}

void action_party_tell(action_party *party, const action_key *key, const action_result *result)
{
    action_party_count(party, key, result->outcome);
    if (party->handlers.result != NULL) {
        party->handlers.result(party->user, key->call_id, result);
    }
}

void action_waiter_add(action_waiter *waiter, running_call *call, action_party *party)
{
    waiter->call = call;
    waiter->party = party;
    waiter->granted_chunks = waiter->granted_bytes = 0;
    waiter->next = NULL;
    waiter->prev = call->last_waiter;
    *(waiter->prev != NULL ? &waiter->prev->next : &call->waiters) = waiter;
    call->last_waiter = waiter;
    waiter->prev_of_party = NULL;
    waiter->next_of_party = party->waiters;
    if (party->waiters != NULL) {
        party->waiters->prev_of_party = waiter;
    }
    party->waiters = waiter;
    party->pending++;
    party->broker->stats.pending++;
}

void action_waiter_remove(action_waiter *waiter)
{
    running_call *call = waiter->call;
    action_party *party = waiter->party;
    *(waiter->prev != NULL ? &waiter->prev->next : &call->waiters) = waiter->next;
    *(waiter->next != NULL ? &waiter->next->prev : &call->last_waiter) = waiter->prev;
    *(waiter->prev_of_party != NULL ? &waiter->prev_of_party->next_of_party : &party->waiters) = waiter->next_of_party;
    if (waiter->next_of_party != NULL) {
        waiter->next_of_party->prev_of_party = waiter->prev_of_party;
    }
    party->pending--;
    if (party->leaving) {
        party->broker->leaving_calls--;
    } else {
        party->broker->stats.pending--;
    }
    if (waiter != &call->own) {
        free(waiter);
    }
}

action_waiter *running_call_waiter_of(const running_call *call, const action_party *party)
{
    action_waiter *waiter = call->waiters;
    while (waiter != NULL && waiter->party != party) {
        waiter = waiter->next;
    }
    return waiter;
}

void running_call_pass_credit(running_call *call)
{
    const action_waiter *owner = call->waiters;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a waiter that was removed is no longer on the list */
    if (!call->streams || (owner->granted_chunks <= call->credit_chunks && owner->granted_bytes <= call->credit_bytes)) {
        return;
    }
    if (owner->granted_chunks > call->credit_chunks) {
        call->credit_chunks = owner->granted_chunks;
    }
    if (owner->granted_bytes > call->credit_bytes) {
        call->credit_bytes = owner->granted_bytes;
    }
    const action_handlers *handlers = &call->provider->handlers;
    if (handlers->stream_credit != NULL) {
        handlers->stream_credit(call->provider->user, call->ref, call->credit_chunks, call->credit_bytes);
    }
}
