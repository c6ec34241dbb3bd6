/* SPDX-License-Identifier: Apache-2.0 */
/* The ways in which a call ends without the other side having said how. */
#ifndef LOOM_SDK_CALL_END_H
#define LOOM_SDK_CALL_END_H

#include <loom/action.h>

typedef enum call_end {
    /* for a caller */
    CALL_END_CANCELLED_UNSENT,
    CALL_END_NOT_CONNECTED,
    CALL_END_NO_ANSWER,
    CALL_END_DISCONNECTED,
    CALL_END_CANCELLED_DISCONNECTED,
    CALL_END_CLOSED,
    /* at a provider */
    CALL_END_DROPPED,
    CALL_END_CANCELLED_DROPPED,
    CALL_END_SESSION_GONE,
    CALL_END_NOT_PROVIDED,
    CALL_END_NO_MEMORY
} call_end;

typedef struct call_end_facts {
    loom_outcome outcome;
    loom_str code; /* for programs */
    loom_str text; /* for people */
} call_end_facts;

const call_end_facts *call_end_facts_of(call_end end);

#endif
