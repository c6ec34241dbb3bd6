/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket frames on their way in (RFC 6455, section 5): libwslay finds them, this checks them and takes their bytes out.
 * Holds nothing back: bytes given to it are consumed whole. The agent's thread. */
#ifndef LOOM_SDK_LINK_WS_READER_H
#define LOOM_SDK_LINK_WS_READER_H

#include <loom/status.h>

#include "sdk-c/link/ws_library.h"
#include "sdk-c/link/ws_writer.h"

typedef struct ws_reader {
    const ws_library *lib;
    wslay_frame_context_ptr frames;
    const uint8_t *raw;         /* while decoding: what libwslay has not taken yet */
    size_t raw_len;

    uint64_t left;              /* bytes of the frame at hand that are to come */
    bool in_frame, in_message;  /* in_message: its last frame has not begun */
    uint8_t control[WS_CONTROL_MAX];
    size_t control_len;

    bool pinged;                /* control frames for the writer; the caller clears it */
    uint8_t ping[WS_CONTROL_MAX];
    size_t ping_len;
    loom_status ended;          /* LOOM_OK: it goes on. LOOM_ECLOSED: by the server. LOOM_EPROTO: by what it sent */
    uint16_t close_code;        /* to answer with, or WS_CLOSE_NONE */
    char why[LINK_WHY_SIZE];
} ws_reader;

LOOM_MUST_CHECK loom_status ws_reader_init(ws_reader *r, const ws_library *lib);
void ws_reader_fini(ws_reader *r);

/* Decodes untrusted bytes; payload goes to into, which may be raw itself, and is never longer. Returns its length.
 * After the end nothing is decoded any more. */
size_t ws_reader_decode(ws_reader *r, uint8_t *into, const uint8_t *raw, size_t raw_len);

#endif
