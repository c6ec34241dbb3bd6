/* SPDX-License-Identifier: Apache-2.0 */
/* The part of an agent that actions.h is about. Guard: the agent's lock, unless it says otherwise. */
#ifndef LOOM_SDK_ACTIONS_STATE_H
#define LOOM_SDK_ACTIONS_STATE_H

#include "sdk-c/actions/id_table.h"

typedef struct actions_state {
    struct capability **capabilities; /* in the order in which they were provided */
    size_t capability_count, capability_capacity;
    uint64_t last_capability;
    struct action_home *home;         /* NULL: nothing has been provided yet */
    id_table worked_on;

    id_table by_id, by_number;        /* open calls */
    struct open_call *first, *last;
    uint64_t made, failed, late;

    /* the loop's */
    struct waiting_calls {
        struct loom_action *first, *last;
    } waiting, strangers; /* calls to be handled when handlers wait less deep */
    struct loom_action *ended, *last_ended;     /* actions whose caller cannot be answered any more, to be told */
    struct open_call *ended_calls, *last_ended_call; /* calls without an answer, to be told */
} actions_state;

#endif
