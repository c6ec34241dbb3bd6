/* SPDX-License-Identifier: Apache-2.0 */
/* A party that goes. Nobody talks to it from then on, and its invokes have their outcome; but what it had under way may be ten
 * thousand calls, each with somebody who is to hear of its end. Those end in slices, the oldest party's first, one in each
 * turn of the broker. */
#include "broker/actions/internal.h"

#include <stdlib.h>

enum {
    CALL_COST = 1024,             /* some 0.3 µs; a call that is sent again costs its bytes besides */
    AT_ONCE = 16 * CALL_COST,     /* when the party goes */
    A_TURN = 64 * CALL_COST,
    LEAVING_CALLS_MAX = 64 * 1024 /* what is more ends at once: it is memory of nobody's */
};

/* Ends something that it had under way. Returns what that cost; 0: there was nothing. */
static uint64_t end_one(action_party *party)
{
    running_call *call = party->oldest_working;
    if (call != NULL) { /* first: somebody waits for these */
        const uint64_t cost = CALL_COST + (call->envelope != NULL ? call->size : 0);
        running_call_leave_provider(call);
        return cost;
    }
    if (party->waiters != NULL) {
        action_waiter_abandon(party->waiters);
        return CALL_COST;
    }
    return 0;
}

static void forget(action_party *party)
{
    actionbroker *broker = party->broker;
    assert(party->pending == 0 && party->outstanding == 0);
    list_remove(&broker->leaving, &party->node);
    flow_agent_leave(&broker->flow, party->flow);
    free(party);
}

static void work_off(actionbroker *broker, uint64_t budget)
{
    uint64_t spent = 0;
    while (broker->leaving.first != NULL && (spent < budget || broker->leaving_calls > LEAVING_CALLS_MAX)) {
        action_party *oldest = list_item(broker->leaving.first, action_party, node); /* NOLINT(clang-analyzer-unix.Malloc): forget() unlinks it */
        const uint64_t cost = end_one(oldest);
        spent += cost;
        if (cost == 0) {
            forget(oldest);
        }
    }
}

void action_party_leave(action_party *party)
{
    actionbroker *broker = party->broker;
    const bool alone = broker->leaving.first == NULL;
    party->handlers = (action_handlers){0};
    party->leaving = true;
    broker->stats.outcomes[FRAME_CALL_CANCELLED] += party->pending;
    broker->stats.pending -= party->pending;
    broker->leaving_calls += party->pending + party->outstanding;
    list_append(&broker->leaving, &party->node);
    work_off(broker, alone ? AT_ONCE : 0);
}

void action_parties_take_turn(actionbroker *broker)
{
    work_off(broker, A_TURN);
}

void action_parties_finish(actionbroker *broker)
{
    work_off(broker, UINT64_MAX);
}

running_call *running_call_waited_for(running_call *call)
{
    while (call->waiters->party->leaving) {
        const bool last = call->waiters->next == NULL;
        action_waiter_abandon(call->waiters);
        if (last) {
            return NULL;
        }
    }
    return call;
}
