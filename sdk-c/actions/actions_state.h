/* SPDX-License-Identifier: Apache-2.0 */
/* The part of an agent that actions.h is about. Guard: the agent's lock, unless it says otherwise. */
#ifndef LOOM_SDK_ACTIONS_STATE_H
#define LOOM_SDK_ACTIONS_STATE_H

#include "base/bytes_table.h"
#include "envelope/frame/frame.h"

/* What finds a call by its id. Sits inside the call. */
typedef struct call_id {
    bytes_node node; /* first; its key is bytes, and stays what it was when the call is found no more */
    uint8_t bytes[FRAME_CALL_ID_MAX];
} call_id;

static inline void call_id_add(bytes_table *table, call_id *entry, loom_bytes id)
{
    memcpy(entry->bytes, id.data, id.len);
    bytes_table_add(table, &entry->node, (loom_bytes){entry->bytes, id.len});
}

typedef struct actions_state {
    struct capability **capabilities; /* in the order in which they were provided */
    size_t capability_count, capability_capacity;
    uint64_t last_capability;
    struct action_home *home;         /* NULL: nothing has been provided yet */
    bytes_table worked_on;

    bytes_table by_id;                /* open calls */
    hash_index by_number;             /* the same; the hash is the number */
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
