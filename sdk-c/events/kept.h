/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries that stand aside while a handler waits and the loop goes on inside it. The loop's. */
#ifndef LOOM_SDK_EVENTS_KEPT_H
#define LOOM_SDK_EVENTS_KEPT_H

#include "base/list.h"
#include "envelope/view.h"

typedef struct kept_delivery {
    list_node node;
    uint64_t subscription;
    uint64_t connection; /* that it came by: whose credit it has used */
    uint32_t len;
    uint8_t data[];  /* one envelope, scanned */
} kept_delivery;

typedef struct kept_list {
    linked_list deliveries;
    size_t bytes; /* of envelopes */
} kept_list;

/* LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status kept_add(kept_list *list, uint64_t subscription, uint64_t connection, const envelope_view *view);
/* The oldest, which is the caller's to free; NULL: there is none. */
kept_delivery *kept_take(kept_list *list);
void kept_free(kept_list *list);

#endif
