/* SPDX-License-Identifier: Apache-2.0 */
/* llhttp counts the bytes and reads the chunks; ours is what they may cost, and that every line ends with CR and LF. */
#include "host/http/body.h"

enum { OVERHEAD_MAX = 16 * 1024, CHUNK_OVERHEAD = 32 };

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    http_body *b = parser->data;
    b->piece = (loom_bytes){(const uint8_t *)at, len};
    return b->chunked ? HPE_PAUSED : HPE_OK; /* the next chunk is another piece */
}

static int on_chunk(llhttp_t *parser)
{
    http_body *b = parser->data;
    b->allowance += CHUNK_OVERHEAD;
    b->announced = parser->content_length;
    return 0;
}

static int on_end(llhttp_t *parser)
{
    http_body *b = parser->data;
    b->state = BODY_DONE;
    return HPE_PAUSED;
}

void http_body_init(http_body *b, http_head *h)
{
    static const llhttp_settings_t settings = {.on_body = on_body, .on_chunk_header = on_chunk, .on_message_complete = on_end};
    *b = (http_body){.parser = &h->parser, .chunked = h->chunked, .allowance = OVERHEAD_MAX + CHUNK_OVERHEAD};
    b->state = h->chunked || h->length > 0 ? BODY_MORE : BODY_DONE;
    h->parser.data = b;
    h->parser.settings = (void *)(uintptr_t)&settings;
}

/* Of the bytes between the pieces. */
static bool is_sound(http_body *b, loom_bytes bytes, size_t used)
{
    if (used == 0) {
        return true;
    }
    uint8_t before = used > 1 ? bytes.data[used - 2] : b->last;
    b->last = bytes.data[used - 1];
    b->overhead += used - b->piece.len;
    return b->overhead <= b->allowance && (b->state != BODY_DONE || before == '\r'); /* llhttp takes a bare LF as the end */
}

size_t http_body_read(http_body *b, loom_bytes bytes, loom_bytes *piece)
{
    size_t used = 0;
    b->piece = (loom_bytes){bytes.data, 0};
    b->announced = 0;
    if (b->state == BODY_MORE) {
        const char *data = (const char *)bytes.data;
        llhttp_resume(b->parser);
        llhttp_errno_t error = llhttp_execute(b->parser, data, bytes.len);
        used = error == HPE_PAUSED ? (size_t)(llhttp_get_error_pos(b->parser) - data) : bytes.len;
        if ((error != HPE_OK && error != HPE_PAUSED) || (b->chunked && !is_sound(b, bytes, used))) {
            b->state = BODY_BAD;
            b->piece.len = 0;
        }
    }
    *piece = b->piece;
    return used;
}
