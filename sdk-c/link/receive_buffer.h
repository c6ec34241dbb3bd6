/* SPDX-License-Identifier: Apache-2.0 */
/* What has been read from a link and not been handled yet, as whole frames and the start of another.
 *
 * A frame is handled where it lies. When its handler waits, and more is read meanwhile, the bytes it lies in are held until
 * that handler has returned, and reading goes on in other ones. Owned by the loop; zeroed before its first use. */
#ifndef LOOM_SDK_LINK_RECEIVE_BUFFER_H
#define LOOM_SDK_LINK_RECEIVE_BUFFER_H

#include "envelope/frame/frame.h"

typedef struct held_bytes held_bytes;

typedef struct receive_buffer {
    uint8_t *data;
    size_t capacity, begin, end;
    bool parsing;     /* a frame in it is being handled: it stays where it is */
    held_bytes *held; /* of outer handlers, the innermost first */
} receive_buffer;

void receive_buffer_fini(receive_buffer *in);
/* Room for the rest of the frame that has begun, and for a read that is worth its system call. False: out of memory. */
bool receive_buffer_reserve(receive_buffer *in);
/* Takes the next frame if it is whole; body is valid until the next call. */
frame_piece receive_buffer_next(receive_buffer *in, loom_bytes *body);
/* Whatever has been read belongs to a connection that has ended. */
void receive_buffer_drop(receive_buffer *in);

/* Frees what has been set aside, down to mark. */
void receive_buffer_free_held(receive_buffer *in, const held_bytes *mark);

/* Around the handling of a frame. end frees what handlers inside it have set aside. */
static inline held_bytes *receive_buffer_begin(receive_buffer *in)
{
    in->parsing = true;
    return in->held;
}

static inline void receive_buffer_end(receive_buffer *in, const held_bytes *mark)
{
    in->parsing = false;
    if (in->held != mark) {
        receive_buffer_free_held(in, mark);
    }
}
/* A handler waits: what follows its frame goes on in other memory. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status receive_buffer_set_aside(receive_buffer *in);

#endif
