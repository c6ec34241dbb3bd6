/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket frames on their way out (RFC 6455, section 5), masked as a client's have to be: binary messages of what the agent
 * sends, and between them at most one pong and one close.
 *
 * Frames are written here rather than by libwslay, which would mask byte by byte and hand over 4 KiB at a time. Guard: the
 * caller's. */
#ifndef LOOM_SDK_LINK_WS_WRITER_H
#define LOOM_SDK_LINK_WS_WRITER_H

#include "sdk-c/link/carrier.h"

enum {
    WS_CONTROL_MAX = 125,       /* bytes in a control frame */
    WS_HEADER_MAX = 14,
    WS_MESSAGE_MAX = 64 * 1024, /* bytes we put into one message */
    WS_CLOSE_NONE = 0           /* a close frame without a code */
};

typedef struct ws_writer {
    size_t begin, end;          /* of the message in out that is on its way; equal: there is none */
    uint8_t control[WS_HEADER_MAX + WS_CONTROL_MAX];
    size_t control_begin, control_end; /* of the control frame that is on its way */
    bool data_waits, pong_was_last; /* the agent has more than was taken; it has its turn */
    bool pong_waits, close_waits, closing; /* closing: nothing but the close frame leaves any more */
    uint8_t pong[WS_CONTROL_MAX];
    size_t pong_len;
    uint16_t close_code;
    uint8_t out[WS_HEADER_MAX + WS_MESSAGE_MAX];
} ws_writer;

/* As carrier_ops.send. Control frames that wait leave between two messages. */
LOOM_MUST_CHECK loom_status ws_writer_send(ws_writer *w, carrier *under, const struct iovec *iov, size_t count, size_t *sent);
/* A control frame is on its way and did not leave whole. */
static inline bool ws_writer_is_stuck(const ws_writer *w)
{
    return w->control_begin < w->control_end;
}
/* The newest ping is answered; one that was not answered yet need not be (RFC 6455, 5.5.3). */
void ws_writer_pong(ws_writer *w, const uint8_t *data, size_t len);
/* The last frame. */
void ws_writer_close(ws_writer *w, uint16_t code);
/* Writes the control frames that wait, unless a message is on its way: the agent sends the rest of that first.
 * LOOM_OK: none is left that the next send would not take along. LOOM_EBUSY: again when there is room. */
LOOM_MUST_CHECK loom_status ws_writer_control(ws_writer *w, carrier *under);

#endif
