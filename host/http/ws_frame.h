/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket frames (RFC 6455, section 5) as a server reads and writes them, without any I/O. */
#ifndef LOOM_HOST_HTTP_WS_FRAME_H
#define LOOM_HOST_HTTP_WS_FRAME_H

#include <loom/api.h>

enum { WS_HEAD_MAX = 10, WS_CONTROL_MAX = 125 };
enum { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
/* Close codes (section 7.4.1); TRY_LATER is IANA's. */
enum { WS_CODE_PROTOCOL = 1002, WS_CODE_UNSUPPORTED = 1003, WS_CODE_NONE = 1005, WS_CODE_TOO_BIG = 1009,
       WS_CODE_TRY_LATER = 1013 };

/* What a peer sends. A zeroed one with its message_max set is at the beginning. */
typedef struct ws_reader {
    uint64_t message_max; /* bytes of one message, whatever frames it comes in */
    uint8_t head[14];     /* of the frame, until it is whole */
    unsigned head_len;
    uint64_t left;        /* of the frame's payload; head_len > 0 too while it is read */
    uint64_t message;     /* bytes of the message so far */
    bool in_message;      /* a fragment with FIN has not come */
    bool in_frame;
    uint8_t opcode;
    uint8_t mask[4];
    unsigned mask_at;
    uint8_t control[WS_CONTROL_MAX]; /* payload of a control frame */
    unsigned control_len;
} ws_reader;

typedef enum ws_event {
    WS_MORE,    /* all bytes are used, nothing has happened */
    WS_DATA,    /* a piece of a binary message */
    WS_CONTROL, /* a whole control frame: opcode, control, control_len */
    WS_BROKEN   /* what came cannot be: *code says how to close */
} ws_event;

/* Takes the next bytes, and takes the mask off in their place. used: how many were taken. piece: of WS_DATA. */
ws_event ws_read(ws_reader *r, uint8_t *bytes, size_t len, size_t *used, loom_bytes *piece, uint16_t *code);

/* The head of an unmasked frame with FIN. Returns its length. */
size_t ws_head(uint8_t out[WS_HEAD_MAX], uint8_t opcode, uint64_t payload_len);
/* The code of a close frame's payload; WS_CODE_NONE when there is none. False: it breaks the protocol. */
bool ws_close_code(const uint8_t *payload, size_t len, uint16_t *code);

#endif
