/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/bus/refused_calls.h"

#include <stdlib.h>
#include <string.h>

typedef struct refused_call {
    list_node node;
    void *owner;
    size_t len;
    uint8_t call_id[FRAME_CALL_ID_MAX];
} refused_call;

bool refused_calls_add(linked_list *calls, void *owner, loom_bytes call_id)
{
    refused_call *call = call_id.len <= FRAME_CALL_ID_MAX ? malloc(sizeof *call) : NULL;
    if (call == NULL) {
        return false;
    }
    call->owner = owner;
    call->len = call_id.len;
    if (call_id.len > 0) {
        memcpy(call->call_id, call_id.data, call_id.len);
    }
    list_append(calls, &call->node);
    return true;
}

void refused_calls_answer(linked_list *calls, loom_str text, void (*say)(void *owner, const frame *result))
{
    static const char code[] = "provider_busy";
    const list_node *last = calls->last;
    for (bool more = last != NULL; more;) {
        list_node *node = list_take_first(calls);
        refused_call *call = list_item(node, refused_call, node);
        more = node != NULL && node != last;
        if (call != NULL) {
            say(call->owner, &(frame){.type = FRAME_RESULT, .u.result = {
                .call_id = {call->call_id, call->len},
                .outcome = FRAME_CALL_ERROR,
                .code = {code, sizeof code - 1},
                .text = text,
            }});
            free(call);
        }
    }
}

void refused_calls_drop(linked_list *calls, const void *owner)
{
    for (list_node *node = calls->first, *next; node != NULL; node = next) {
        next = node->next;
        refused_call *call = list_item(node, refused_call, node);
        if (call->owner == owner) {
            list_remove(calls, node);
            free(call);
        }
    }
}
