/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/ws_frame.h"

#include "base/utf8.h"

#include <string.h>

enum { FIN = 0x80, RESERVED = 0x70, OPCODE = 0x0f, MASKED = 0x80, LENGTH = 0x7f, CONTROL = 0x08 };

/* Bytes of the head, as far as they are known; len is at least 1. */
static unsigned head_size(const uint8_t *head, unsigned len)
{
    if (len < 2) {
        return 2;
    }
    unsigned length = head[1] & LENGTH;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + 4;
}

static uint64_t payload_length(const uint8_t *head)
{
    unsigned length = head[1] & LENGTH;
    if (length < 126) {
        return length;
    }
    unsigned width = length == 126 ? 2 : 8;
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++) {
        value = value << 8 | head[2 + i];
    }
    return value;
}

/* What can be said after two bytes. 0: go on. */
static uint16_t check_start(const ws_reader *r)
{
    uint8_t opcode = r->head[0] & OPCODE;
    bool final = (r->head[0] & FIN) != 0;
    if ((r->head[0] & RESERVED) != 0 || (r->head[1] & MASKED) == 0) { /* a client has to mask: section 5.1 */
        return WS_CODE_PROTOCOL;
    }
    switch (opcode) {
    case WS_TEXT:
        return r->in_message ? WS_CODE_PROTOCOL : WS_CODE_UNSUPPORTED;
    case WS_BINARY:
        return r->in_message ? WS_CODE_PROTOCOL : 0;
    case WS_CONTINUATION:
        return r->in_message ? 0 : WS_CODE_PROTOCOL;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        return final && (r->head[1] & LENGTH) <= WS_CONTROL_MAX ? 0 : WS_CODE_PROTOCOL;
    default:
        return WS_CODE_PROTOCOL;
    }
}

/* The head is whole. */
static uint16_t begin_frame(ws_reader *r)
{
    unsigned size = r->head_len;
    uint64_t length = payload_length(r->head);
    bool shorter = (size == 8 && length < 126) || (size == 14 && length <= UINT16_MAX);
    if (shorter || length >> 63 != 0) { /* the shortest form is the only one: section 5.2 */
        return WS_CODE_PROTOCOL;
    }
    r->opcode = r->head[0] & OPCODE;
    if ((r->opcode & CONTROL) == 0) {
        if (length > r->message_max - r->message) {
            return WS_CODE_TOO_BIG;
        }
        r->message += length;
        r->in_message = (r->head[0] & FIN) == 0;
    }
    memcpy(r->mask, r->head + size - 4, 4);
    r->mask_at = 0;
    r->left = length;
    r->control_len = 0;
    r->in_frame = true;
    return 0;
}

static void end_frame(ws_reader *r)
{
    r->in_frame = false;
    r->head_len = 0;
    if (!r->in_message) {
        r->message = 0;
    }
}

/* Eight bytes at a time; the compiler makes one wide exclusive-or of it. */
static void unmask(ws_reader *r, uint8_t *bytes, size_t len)
{
    size_t i = 0;
    for (; i < len && (r->mask_at & 3) != 0; i++) {
        bytes[i] ^= r->mask[r->mask_at++ & 3];
    }
    uint64_t wide, word;
    memcpy(&wide, r->mask, 4);
    memcpy((uint8_t *)&wide + 4, r->mask, 4);
    for (; len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        word ^= wide;
        memcpy(bytes + i, &word, sizeof word);
    }
    for (; i < len; i++) {
        bytes[i] ^= r->mask[r->mask_at++ & 3];
    }
}

/* False: more bytes are needed, or *code is not 0. */
static bool read_head(ws_reader *r, const uint8_t *bytes, size_t len, size_t *used, uint16_t *code)
{
    while (*used < len && *code == 0) {
        r->head[r->head_len++] = bytes[(*used)++];
        if (r->head_len == 2) {
            *code = check_start(r);
        }
        if (*code == 0 && r->head_len >= 2 && r->head_len == head_size(r->head, r->head_len)) {
            *code = begin_frame(r);
            return *code == 0;
        }
    }
    return false;
}

ws_event ws_read(ws_reader *r, uint8_t *bytes, size_t len, size_t *used, loom_bytes *piece, uint16_t *code)
{
    *used = 0;
    *code = 0;
    for (;;) {
        if (!r->in_frame && !read_head(r, bytes, len, used, code)) {
            return *code != 0 ? WS_BROKEN : WS_MORE;
        }
        size_t have = len - *used;
        size_t part = have < r->left ? have : (size_t)r->left;
        uint8_t *at = bytes + *used;
        unmask(r, at, part);
        *used += part;
        r->left -= part;
        bool control = (r->opcode & CONTROL) != 0;
        if (control) {
            memcpy(r->control + r->control_len, at, part);
            r->control_len += (unsigned)part;
        }
        bool over = r->left == 0;
        if (over) {
            end_frame(r);
        }
        if (control ? over : part > 0) {
            *piece = (loom_bytes){at, part};
            return control ? WS_CONTROL : WS_DATA;
        }
        if (!over) {
            return WS_MORE;
        }
    }
}

size_t ws_head(uint8_t out[WS_HEAD_MAX], uint8_t opcode, uint64_t payload_len)
{
    out[0] = (uint8_t)(FIN | opcode);
    if (payload_len < 126) {
        out[1] = (uint8_t)payload_len;
        return 2;
    }
    unsigned width = payload_len <= UINT16_MAX ? 2 : 8;
    out[1] = width == 2 ? 126 : 127;
    for (unsigned i = 0; i < width; i++) {
        out[2 + i] = (uint8_t)(payload_len >> (8 * (width - 1 - i)));
    }
    return 2 + width;
}

bool ws_close_code(const uint8_t *payload, size_t len, uint16_t *code)
{
    *code = WS_CODE_NONE;
    if (len == 0) {
        return true;
    }
    if (len == 1 || !utf8_valid((loom_str){(const char *)payload + 2, len - 2})) {
        return false;
    }
    unsigned read = (unsigned)payload[0] << 8 | payload[1];
    *code = (uint16_t)read;
    /* those of the protocol but the ones that never travel, those of IANA's registry, and the private ones */
    bool known = (*code >= 1000 && *code <= 1014 && *code != 1004 && *code != 1005 && *code != 1006);
    return known || (*code >= 3000 && *code <= 4999);
}
