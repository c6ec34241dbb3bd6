/* SPDX-License-Identifier: Apache-2.0 */
/* A message that waits: the encoded envelope and where its fields are, shared by the queues it waits in.
 *
 * The fields are kept in half the width of an envelope_view: every field but the payload starts and ends within the
 * first 64 KiB, since all their limits together are less. That is 64 bytes beside a message of 260, and widening
 * them is a dozen vector instructions, where scanning again costs as much as the rest of the way through the queue.
 * A large message lies in a block of its own, which the bridge may have had already, and which its deliveries share.
 * One thread at a time, as all of the bus. */
#ifndef LOOM_BROKER_EVENTBUS_QUEUED_MESSAGE_H
#define LOOM_BROKER_EVENTBUS_QUEUED_MESSAGE_H

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/block_pool.h"
#include "envelope/view.h"

/* Ten texts and maps at their limits; their headers of up to five bytes and the fields of fixed length are in the 256. */
static_assert(2 * LOOM_TOPIC_MAX + LOOM_TYPE_MAX + LOOM_AGENT_ID_MAX + 2 * LOOM_THREAD_ID_MAX + LOOM_TRACESTATE_MAX +
              LOOM_BAGGAGE_MAX + LOOM_CONTENT_TYPE_MAX + LOOM_HEADERS_MAX + 256 <= UINT16_MAX,
              "offsets of fields fit into 16 bits");

typedef struct narrow_slice {
    uint16_t off, len;
} narrow_slice;

typedef struct queued_message {
    uint32_t refs;
    uint32_t len;
    uint32_t payload_len;
    uint32_t headers_count;
    narrow_slice field[ENVELOPE_FIELDS]; /* the length of the payload is above */
    union {
        uint8_t wire[1]; /* len of them */
        struct {
            shared_bytes *block;
            const uint8_t *data;
        } large;
    } at;
} queued_message;

static inline bool queued_message_is_large(uint32_t len)
{
    return len >= SHARED_BYTES_MIN;
}

static inline size_t queued_message_size(uint32_t len)
{
    return queued_message_is_large(len) ? sizeof(queued_message) : offsetof(queued_message, at) + len;
}

/* False: out of memory. */
static inline bool queued_message_hold(queued_message *m, const envelope_view *view)
{
    m->at.large.data = view->data;
    m->at.large.block = view->shared != NULL ? shared_bytes_ref(view->shared) : shared_bytes_create(NULL, view->len);
    if (view->shared == NULL && m->at.large.block != NULL) {
        m->at.large.data = memcpy(m->at.large.block->data, view->data, view->len);
    }
    return m->at.large.block != NULL;
}

static inline queued_message *queued_message_create(block_pool *pool, const envelope_view *view)
{
    assert(view->hop_in_place && view->field[ENV_PAYLOAD].off <= UINT16_MAX);
    queued_message *m = block_pool_take(pool, queued_message_size(view->len));
    if (m != NULL && queued_message_is_large(view->len) && !queued_message_hold(m, view)) {
        block_pool_give(pool, m, queued_message_size(view->len));
        return NULL;
    }
    if (m != NULL) {
        m->refs = 1;
        m->len = view->len;
        m->payload_len = view->field[ENV_PAYLOAD].len;
        m->headers_count = view->headers_count;
        for (size_t i = 0; i < ENVELOPE_FIELDS; i++) {
            m->field[i] = (narrow_slice){(uint16_t)view->field[i].off, (uint16_t)view->field[i].len};
        }
        if (!queued_message_is_large(view->len)) {
            memcpy(m->at.wire, view->data, view->len);
        }
    }
    return m;
}

static inline void queued_message_unref(block_pool *pool, queued_message *m)
{
    if (m != NULL && --m->refs == 0) {
        if (queued_message_is_large(m->len)) {
            shared_bytes_unref(m->at.large.block);
        }
        block_pool_give(pool, m, queued_message_size(m->len));
    }
}

/* Valid as long as the message. */
static inline void queued_message_view(const queued_message *m, envelope_view *view)
{
    const bool large = queued_message_is_large(m->len);
    view->data = large ? m->at.large.data : m->at.wire;
    view->shared = large ? m->at.large.block : NULL;
    view->len = m->len;
    view->headers_count = m->headers_count;
    view->hop_in_place = true;
    for (size_t i = 0; i < ENVELOPE_FIELDS; i++) {
        view->field[i] = (envelope_slice){m->field[i].off, m->field[i].len};
    }
    view->field[ENV_PAYLOAD].len = m->payload_len;
}

#endif
