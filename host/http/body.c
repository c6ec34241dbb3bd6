/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/body.h"

enum { SIZE_DIGITS_MAX = 15, OVERHEAD_MAX = 16 * 1024 };

void http_body_init(http_body *b, bool chunked, uint64_t length)
{
    *b = (http_body){.chunked = chunked, .left = chunked ? 0 : length};
    b->state = chunked ? BODY_SIZE : length > 0 ? BODY_DATA : BODY_DONE;
}

static int hex_value(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void read_size(http_body *b, uint8_t c)
{
    int value = hex_value(c);
    if (value >= 0 && b->digits < SIZE_DIGITS_MAX) {
        b->left = b->left << 4 | (unsigned)value;
        b->digits++;
    } else if (b->digits > 0 && c == '\r') {
        b->state = BODY_SIZE_END;
    } else if (b->digits > 0 && (c == ';' || c == ' ' || c == '\t')) {
        b->state = BODY_EXTENSION;
    } else {
        b->state = BODY_BAD;
    }
}

/* Skips what nobody here wants: extensions of a chunk, and trailers. */
static void skip(http_body *b, uint8_t c)
{
    if (c == '\n' || ++b->overhead > OVERHEAD_MAX) {
        b->state = BODY_BAD;
    } else if (c == '\r') {
        b->state = b->state == BODY_EXTENSION ? BODY_SIZE_END : BODY_TRAILER_LF;
    }
}

static void expect(http_body *b, uint8_t c, uint8_t expected, int next)
{
    b->state = c == expected ? next : BODY_BAD;
}

/* One byte of what stands between the pieces. */
static void read_frame(http_body *b, uint8_t c)
{
    switch (b->state) {
    case BODY_SIZE:
        read_size(b, c);
        break;
    case BODY_EXTENSION:
        skip(b, c);
        break;
    case BODY_SIZE_END:
        expect(b, c, '\n', b->left > 0 ? BODY_DATA : BODY_TRAILER);
        b->digits = 0;
        break;
    case BODY_DATA_CR:
        expect(b, c, '\r', BODY_DATA_LF);
        break;
    case BODY_DATA_LF:
        expect(b, c, '\n', BODY_SIZE);
        break;
    case BODY_TRAILER: /* at the start of a line, or within one */
        if (b->digits == 0 && c == '\r') {
            b->state = BODY_END_LF;
        } else {
            b->digits = 1;
            skip(b, c);
        }
        break;
    case BODY_TRAILER_LF:
        expect(b, c, '\n', BODY_TRAILER);
        b->digits = 0;
        break;
    case BODY_END_LF:
        expect(b, c, '\n', BODY_DONE);
        break;
    default:
        b->state = BODY_BAD;
        break;
    }
}

size_t http_body_read(http_body *b, loom_bytes bytes, loom_bytes *piece)
{
    size_t used = 0;
    *piece = (loom_bytes){bytes.data, 0};
    while (used < bytes.len && b->state != BODY_DONE && b->state != BODY_BAD) {
        if (b->state != BODY_DATA) {
            read_frame(b, bytes.data[used++]);
            continue;
        }
        size_t have = bytes.len - used;
        *piece = (loom_bytes){bytes.data + used, have < b->left ? have : (size_t)b->left};
        b->left -= piece->len;
        if (b->left == 0) {
            b->state = b->chunked ? BODY_DATA_CR : BODY_DONE;
        }
        return used + piece->len;
    }
    return used;
}
