/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/link/ws_reader.h"

#include <stdio.h>
#include <string.h>

#include "envelope/frame/frame.h"

#define FRAME_SIZE_MAX ((uint64_t)FRAME_HEADER_SIZE + FRAME_MAX) /* a message may hold more: its bytes are a stream */

static ssize_t give_raw(uint8_t *into, size_t room, int flags, void *user)
{
    (void)flags;
    ws_reader *r = user;
    size_t len = r->raw_len < room ? r->raw_len : room;
    if (len == 0) {
        return -1; /* libwslay will want more */
    }
    memcpy(into, r->raw, len);
    r->raw += len;
    r->raw_len -= len;
    return (ssize_t)len;
}

loom_status ws_reader_init(ws_reader *r, const ws_library *lib)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = give_raw};
    *r = (ws_reader){.lib = lib};
    return lib->wslay_frame_context_init(&r->frames, &callbacks, r) == 0 ? LOOM_OK : LOOM_ENOMEM;
}

void ws_reader_fini(ws_reader *r)
{
    if (r->frames != NULL) {
        r->lib->wslay_frame_context_free(r->frames);
    }
}

static void fail(ws_reader *r, uint16_t code, const char *what)
{
    r->ended = LOOM_EPROTO;
    r->close_code = code;
    (void)snprintf(r->why, sizeof r->why, "the bridge broke the WebSocket protocol: %s", what);
}

static const char *meaning(uint16_t code)
{
    switch (code) {
    case WSLAY_CODE_GOING_AWAY: return "going away";
    case WSLAY_CODE_PROTOCOL_ERROR: return "protocol error";
    case WSLAY_CODE_UNSUPPORTED_DATA: return "unsupported data";
    case WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA: return "invalid data";
    case WSLAY_CODE_POLICY_VIOLATION: return "policy violation";
    case WSLAY_CODE_MESSAGE_TOO_BIG: return "message too big";
    case WSLAY_CODE_INTERNAL_SERVER_ERROR: return "internal error";
    case 1012: return "restarting"; /* of IANA's registry */
    case 1013: return "try again later";
    default: return "for a reason of its own";
    }
}

/* RFC 6455, 7.4: what may stand in a frame. */
static bool code_is_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) || (code >= 3000 && code <= 4999);
}

static void on_close(ws_reader *r)
{
    uint16_t code = WS_CLOSE_NONE;
    if (r->control_len >= 2) {
        code = (uint16_t)(r->control[0] << 8 | r->control[1]);
    }
    if (r->control_len == 1 || (r->control_len >= 2 && !code_is_valid(code))) {
        fail(r, WSLAY_CODE_PROTOCOL_ERROR, "a close frame without a valid code");
        return;
    }
    r->ended = LOOM_ECLOSED;
    r->close_code = code;
    if (code == WS_CLOSE_NONE || code == WSLAY_CODE_NORMAL_CLOSURE) {
        (void)snprintf(r->why, sizeof r->why, "the bridge closed the connection");
        return;
    }
    for (size_t i = 2; i < r->control_len; i++) { /* its words are untrusted, too */
        r->control[i] = r->control[i] >= ' ' && r->control[i] < 0x7f ? r->control[i] : '?';
    }
    int reason_len = (int)r->control_len - 2;
    (void)snprintf(r->why, sizeof r->why, "the bridge closed the connection: %s (%u)%s%.*s", meaning(code), (unsigned)code,
                   reason_len > 0 ? ": " : "", reason_len, (const char *)r->control + 2);
}

static void on_control(ws_reader *r, uint8_t opcode)
{
    if (opcode == WSLAY_PING) {
        memcpy(r->ping, r->control, r->control_len);
        r->ping_len = r->control_len;
        r->pinged = true;
    } else if (opcode == WSLAY_CONNECTION_CLOSE) {
        on_close(r);
    }
}

/* The header of a frame that has just begun. */
static void check(ws_reader *r, const struct wslay_frame_iocb *f)
{
    if (f->rsv != 0 || f->mask) {
        fail(r, WSLAY_CODE_PROTOCOL_ERROR, f->mask ? "a server's frame is masked" : "a reserved bit is set");
        return;
    }
    switch (f->opcode) {
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG: r->control_len = 0; return; /* libwslay has checked that it is short and whole */
    case WSLAY_TEXT_FRAME: fail(r, WSLAY_CODE_UNSUPPORTED_DATA, "a text message, where frames are binary"); return;
    case WSLAY_BINARY_FRAME:
    case WSLAY_CONTINUATION_FRAME: break;
    default: fail(r, WSLAY_CODE_PROTOCOL_ERROR, "a frame of an unknown kind"); return;
    }
    if ((f->opcode == WSLAY_CONTINUATION_FRAME) != r->in_message) {
        fail(r, WSLAY_CODE_PROTOCOL_ERROR, "the frames of two messages are mixed");
    } else if (f->payload_length > FRAME_SIZE_MAX) {
        fail(r, WSLAY_CODE_MESSAGE_TOO_BIG, "a frame is larger than any of the link");
    } else {
        r->in_message = !f->fin;
    }
}

size_t ws_reader_decode(ws_reader *r, uint8_t *into, const uint8_t *raw, size_t raw_len)
{
    size_t got = 0;
    r->raw = raw;
    r->raw_len = raw_len;
    while (r->ended == LOOM_OK) {
        struct wslay_frame_iocb f = {0};
        ssize_t n = r->lib->wslay_frame_recv(r->frames, &f);
        if (n == WSLAY_ERR_WANT_READ) {
            break; /* it has taken everything: an unfinished header at most is in it */
        }
        if (n < 0) {
            fail(r, WSLAY_CODE_PROTOCOL_ERROR, "a frame's header is not valid");
            break;
        }
        if (!r->in_frame) {
            r->in_frame = true;
            r->left = f.payload_length;
            check(r, &f);
            if (r->ended != LOOM_OK) {
                break;
            }
        }
        r->left -= (uint64_t)n;
        bool control = wslay_is_ctrl_frame(f.opcode);
        if (n > 0) {
            memcpy(control ? r->control + r->control_len : into + got, f.data, (size_t)n);
            *(control ? &r->control_len : &got) += (size_t)n;
        }
        if (r->left == 0) {
            r->in_frame = false;
            if (control) {
                on_control(r, f.opcode);
            }
        }
    }
    r->raw_len = 0;
    return got;
}
