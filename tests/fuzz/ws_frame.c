/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a WebSocket, all at once and in pieces: the same messages, control frames and end are read. The first byte
 * of the input says how large the pieces are. */
#include <stdlib.h>
#include <string.h>

#include "host/http/ws_frame.h"

enum { MESSAGE_MAX = 2000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct result {
    uint64_t hash;
    size_t data, controls;
    uint16_t code;
} result;

static void note(result *r, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        r->hash = (r->hash ^ data[i]) * 1099511628211u;
    }
}

static result read_frames(const uint8_t *data, size_t size, size_t step)
{
    result r = {0};
    ws_reader reader = {.message_max = MESSAGE_MAX};
    uint8_t *copy = malloc(size); /* the mask is taken off in place */
    if (copy == NULL) {
        return r;
    }
    memcpy(copy, data, size);
    for (size_t at = 0, used; at < size && r.code == 0; at += used) {
        loom_bytes piece;
        uint16_t code;
        size_t have = size - at < step ? size - at : step;
        switch (ws_read(&reader, copy + at, have, &used, &piece, &code)) {
        case WS_DATA:
            if (piece.len == 0 || piece.data < copy + at || piece.data + piece.len > copy + at + have) {
                abort();
            }
            note(&r, piece.data, piece.len);
            r.data += piece.len;
            break;
        case WS_CONTROL:
            note(&r, reader.control, reader.control_len);
            if (reader.opcode == WS_CLOSE && !ws_close_code(reader.control, reader.control_len, &code) && code == 1000) {
                abort();
            }
            r.controls++;
            break;
        case WS_MORE:
            if (used != have) {
                abort(); /* it would go on for ever, or lose bytes */
            }
            break;
        case WS_BROKEN:
            if (code < 1002 || code > 1009) {
                abort();
            }
            r.code = code;
            break;
        }
    }
    free(copy);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    result whole = read_frames(data + 1, size - 1, size - 1), pieces = read_frames(data + 1, size - 1, (size_t)data[0] + 1);
    if (whole.hash != pieces.hash || whole.data != pieces.data || whole.controls != pieces.controls || whole.code != pieces.code) {
        abort();
    }
    return 0;
}
