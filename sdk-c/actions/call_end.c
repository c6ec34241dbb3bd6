/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/actions/call_end.h"

#define TEXT(literal) {literal, sizeof(literal) - 1}

const call_end_facts *call_end_facts_of(call_end end)
{
    static const call_end_facts facts[] = {
        [CALL_END_CANCELLED_UNSENT] = {LOOM_OUTCOME_CANCELLED, TEXT("cancelled"), TEXT("cancelled before it was sent")},
        [CALL_END_NOT_CONNECTED] = {LOOM_OUTCOME_TIMEOUT, TEXT("not_connected"),
                                    TEXT("there was no connection by the deadline")},
        [CALL_END_NO_ANSWER] = {LOOM_OUTCOME_TIMEOUT, TEXT("no_answer"),
                                TEXT("the broker has not answered by the deadline")},
        [CALL_END_DISCONNECTED] = {LOOM_OUTCOME_ERROR, TEXT("disconnected"),
                                   TEXT("the connection has broken, and what became of the call is not known")},
        [CALL_END_CANCELLED_DISCONNECTED] = {LOOM_OUTCOME_CANCELLED, TEXT("cancelled"),
                                             TEXT("the connection has broken, and what became of the call is not known")},
        [CALL_END_CLOSED] = {LOOM_OUTCOME_ERROR, TEXT("closed"), TEXT("the agent has been closed")},
        [CALL_END_DROPPED] = {LOOM_OUTCOME_ERROR, TEXT("no_answer"),
                              TEXT("the provider has dropped the call without an answer")},
        [CALL_END_CANCELLED_DROPPED] = {LOOM_OUTCOME_CANCELLED, TEXT("cancelled"),
                                        TEXT("the provider has dropped the call without an answer")},
        [CALL_END_SESSION_GONE] = {LOOM_OUTCOME_ERROR, TEXT("disconnected"), TEXT("the session of the call has gone")},
        [CALL_END_NOT_PROVIDED] = {LOOM_OUTCOME_ERROR, TEXT("not_found"), TEXT("this agent provides no such capability")},
        [CALL_END_NO_MEMORY] = {LOOM_OUTCOME_ERROR, TEXT("out_of_memory"), TEXT("the provider is out of memory")},
    };
    return &facts[end];
}
