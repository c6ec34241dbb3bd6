/* SPDX-License-Identifier: Apache-2.0 */
/* Both sides of actions in one agent: what it provides and is working on, and what it has invoked.
 *
 * Handlers and callbacks run on the loop. Only the loop takes an open call out of its tables; any other thread that wants
 * it to end sets its timer. */
#ifndef LOOM_SDK_ACTIONS_STATE_H
#define LOOM_SDK_ACTIONS_STATE_H

#include <loom/action.h>

#include "base/bytes_table.h"
#include "base/list.h"
#include "sdk-c/agent/parts.h"

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

typedef struct actions {
    /* guarded by the loop's lock */
    struct capability **capabilities; /* in the order in which they were provided */
    size_t capability_count, capability_capacity;
    uint64_t last_capability;
    struct action_home *home;         /* NULL: nothing has been provided yet */
    bytes_table worked_on;            /* loom_action, by id */
    bytes_table by_id;                /* open_call */
    hash_index by_number;             /* the same; the hash is the number */
    linked_list open;                        /* the same, the oldest first */
    uint64_t made, failed, late;

    _Atomic uint64_t last_call;       /* number of an open call */

    /* the loop's */
    linked_list related, strangers;         /* loom_action: to be handled when handlers wait less deep */
    linked_list ended_actions;               /* loom_action: their caller cannot be answered any more; on_cancel is due */
    linked_list ended_calls;                 /* open_call: without an answer; on_result is due */
} actions;

#endif
