/* SPDX-License-Identifier: Apache-2.0 */
/* How many subscriptions a message matched: asked before it comes, answered when it was published. */
#include <stdlib.h>

#include "broker/port/internal.h"

enum {
    ASKS_FIRST = 16,
    ASKS_MAX = 4096, /* without their messages; what is over it is not answered */
    ASKS_SEEN = 64   /* of them are compared with a message: those before its own have lost theirs on the way */
};

static port_ask *at(const port_asks *asks, uint32_t i)
{
    return &asks->ring[(asks->first + i) % asks->capacity];
}

static bool grow(port_asks *asks)
{
    const uint32_t capacity = asks->capacity > 0 ? 2 * asks->capacity : ASKS_FIRST;
    port_ask *ring = capacity <= ASKS_MAX ? malloc(capacity * sizeof *ring) : NULL;
    if (ring == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < asks->count; i++) {
        ring[i] = *at(asks, i);
    }
    free(asks->ring);
    *asks = (port_asks){.ring = ring, .count = asks->count, .capacity = capacity};
    return true;
}

void port_ask_add(port *p, const frame_ask *f)
{
    port_asks *asks = &p->asks;
    if (asks->count == asks->capacity && !grow(asks)) {
        return;
    }
    port_ask *ask = at(asks, asks->count++);
    memcpy(ask->message_id, f->message_id.data, sizeof ask->message_id);
    ask->number = f->number;
    ask->how = f->how;
}

static bool take(port_asks *asks, loom_bytes message_id, port_ask *out)
{
    const uint32_t seen = asks->count < ASKS_SEEN ? asks->count : ASKS_SEEN;
    for (uint32_t i = 0; i < seen && message_id.len == LOOM_UUID_SIZE; i++) {
        const port_ask *ask = at(asks, i);
        if (memcmp(ask->message_id, message_id.data, LOOM_UUID_SIZE) == 0) {
            *out = *ask;
            asks->first = (asks->first + i + 1) % asks->capacity;
            asks->count -= i + 1;
            return true;
        }
    }
    return false;
}

loom_status port_publish_asked(port *p, const envelope_view *view, uint8_t *wire)
{
    port_ask ask;
    eventbus_result result;
    const bool asked = take(&p->asks, envelope_view_bytes(view, ENV_ID), &ask);
    const loom_status st = eventbus_publish(p->cores.events, p->publisher, view, wire, &result);
    if (asked && st == LOOM_OK && (result.matched == 0 || ask.how != FRAME_ASK_IF_NONE)) {
        port_say(p, &(frame){.type = FRAME_MATCHED, .u.matched = {ask.number, result.matched}});
    }
    return st;
}
