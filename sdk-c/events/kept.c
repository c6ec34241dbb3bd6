/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/events/kept.h"

#include <stdlib.h>
#include <string.h>

loom_status kept_add(kept_list *list, uint64_t subscription, uint64_t connection, const envelope_view *view)
{
    kept_delivery *kept = malloc(sizeof *kept + view->len);
    if (kept == NULL) {
        return LOOM_ENOMEM;
    }
    kept->subscription = subscription;
    kept->connection = connection;
    kept->len = view->len;
    memcpy(kept->data, view->data, view->len);
    list_append(&list->deliveries, &kept->node);
    list->bytes += kept->len;
    return LOOM_OK;
}

kept_delivery *kept_take(kept_list *list)
{
    kept_delivery *kept = list_item(list_take_first(&list->deliveries), kept_delivery, node);
    list->bytes -= kept != NULL ? kept->len : 0;
    return kept;
}

void kept_free(kept_list *list)
{
    for (kept_delivery *kept; (kept = kept_take(list)) != NULL;) {
        free(kept);
    }
}
