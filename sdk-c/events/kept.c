/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/events/kept.h"

#include <stdlib.h>
#include <string.h>

loom_status kept_add(kept_list *list, uint64_t subscription, uint64_t links, const envelope_view *view)
{
    kept_delivery *kept = malloc(sizeof *kept + view->len);
    if (kept == NULL) {
        return LOOM_ENOMEM;
    }
    kept->next = NULL;
    kept->subscription = subscription;
    kept->links = links;
    kept->len = view->len;
    memcpy(kept->data, view->data, view->len);
    if (list->last != NULL) {
        list->last->next = kept;
    } else {
        list->first = kept;
    }
    list->last = kept;
    list->bytes += kept->len;
    return LOOM_OK;
}

kept_delivery *kept_take(kept_list *list)
{
    kept_delivery *kept = list->first;
    if (kept != NULL) {
        list->first = kept->next;
        list->bytes -= kept->len;
        if (list->first == NULL) {
            list->last = NULL;
        }
    }
    return kept;
}

void kept_free(kept_list *list)
{
    for (kept_delivery *kept; (kept = kept_take(list)) != NULL;) {
        free(kept);
    }
}

loom_status held_buffers_add(held_buffer **list, uint8_t *data)
{
    held_buffer *held = malloc(sizeof *held);
    if (held == NULL) {
        return LOOM_ENOMEM;
    }
    *held = (held_buffer){*list, data};
    *list = held;
    return LOOM_OK;
}

void held_buffers_free(held_buffer **list, const held_buffer *until)
{
    while (*list != until) {
        held_buffer *held = *list;
        *list = held->next;
        free(held->data);
        free(held);
    }
}
