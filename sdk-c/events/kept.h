/* SPDX-License-Identifier: Apache-2.0 */
/* What stands aside while a handler waits, and the loop goes on inside it: deliveries for later, and the bytes that outer
 * handlers were called from. The loop's. */
#ifndef LOOM_SDK_EVENTS_KEPT_H
#define LOOM_SDK_EVENTS_KEPT_H

#include "envelope/frame/frame.h"
#include "envelope/msgpack_bytes.h"
#include "envelope/view.h"

/* A deliver frame being handled; on the stack of who handles it. */
typedef struct batch_cursor {
    struct batch_cursor *outer;
    mp_reader r;
    uint32_t left; /* items */
} batch_cursor;

typedef struct kept_delivery {
    struct kept_delivery *next;
    uint64_t subscription;
    uint64_t links;  /* of the agent, as it came: whose credit it has used */
    uint32_t len;
    uint8_t data[];  /* one envelope, scanned */
} kept_delivery;

typedef struct kept_list {
    kept_delivery *first, *last;
    size_t bytes; /* of envelopes */
} kept_list;

/* LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status kept_add(kept_list *list, uint64_t subscription, uint64_t links, const envelope_view *view);
/* The oldest, which is the caller's to free; NULL: there is none. */
kept_delivery *kept_take(kept_list *list);
void kept_free(kept_list *list);

/* A receive buffer that is out of use but for the frames that outer handlers were called from. */
typedef struct held_buffer {
    struct held_buffer *next;
    uint8_t *data;
} held_buffer;

/* LOOM_ENOMEM; else the data is the list's. */
LOOM_MUST_CHECK loom_status held_buffers_add(held_buffer **list, uint8_t *data);
/* Frees those above until. */
void held_buffers_free(held_buffer **list, const held_buffer *until);

#endif
