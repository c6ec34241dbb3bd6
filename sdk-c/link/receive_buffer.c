/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/link/receive_buffer.h"

#include "sdk-c/link/carrier.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE_FIRST = 128 * 1024, ROOM_MIN = CARRIER_ROOM_MIN, KEPT_MAX = 512 * 1024 };

struct held_bytes {
    held_bytes *outer;
    uint8_t *data;
};

void receive_buffer_free_held(receive_buffer *in, const held_bytes *mark)
{
    while (in->held != mark) {
        held_bytes *held = in->held;
        in->held = held->outer;
        free(held->data);
        free(held);
    }
}

void receive_buffer_fini(receive_buffer *in)
{
    receive_buffer_free_held(in, NULL);
    free(in->data);
    *in = (receive_buffer){0};
}

static loom_bytes unread(const receive_buffer *in)
{
    return (loom_bytes){in->data + in->begin, in->end - in->begin};
}

/* What has come of a frame is moved only when there is too little room behind it. */
bool receive_buffer_reserve(receive_buffer *in)
{
    if (in->begin == in->end) {
        in->begin = in->end = 0;
        if (in->capacity > KEPT_MAX) { /* one large message is over */
            free(in->data);
            in->data = NULL;
            in->capacity = 0;
        }
    }
    const size_t have = in->end - in->begin;
    size_t need = 0, frame_size;
    loom_bytes body;
    if (have > 0 && frame_split(unread(in), &body, &frame_size) == FRAME_PARTIAL) {
        need = frame_size;
    }
    if (need < have + ROOM_MIN) {
        need = have + ROOM_MIN;
    }
    if (in->begin > 0 && in->capacity - in->begin < need) {
        memmove(in->data, in->data + in->begin, have);
        in->end = have;
        in->begin = 0;
    }
    if (in->capacity < need) {
        const size_t capacity = need > SIZE_FIRST ? need : SIZE_FIRST;
        uint8_t *data = realloc(in->data, capacity);
        if (data == NULL) {
            return false;
        }
        in->data = data;
        in->capacity = capacity;
    }
    return true;
}

frame_piece receive_buffer_next(receive_buffer *in, loom_bytes *body)
{
    size_t size;
    const frame_piece piece = frame_split(unread(in), body, &size);
    in->begin += piece == FRAME_WHOLE ? size : 0;
    return piece;
}

void receive_buffer_drop(receive_buffer *in)
{
    in->begin = in->end = 0;
}

loom_status receive_buffer_set_aside(receive_buffer *in)
{
    if (!in->parsing) {
        return LOOM_OK;
    }
    const size_t rest = in->end - in->begin;
    held_bytes *held = malloc(sizeof *held);
    uint8_t *data = malloc(in->capacity);
    if (held == NULL || data == NULL) {
        free(held);
        free(data);
        return LOOM_ENOMEM;
    }
    memcpy(data, in->data + in->begin, rest);
    *held = (held_bytes){in->held, in->data};
    in->held = held;
    in->data = data;
    in->begin = 0;
    in->end = rest;
    in->parsing = false;
    return LOOM_OK;
}
