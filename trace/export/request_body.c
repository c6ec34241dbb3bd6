/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/request_body.h"

#include "trace/otlp/json.h"

#define REQUEST_MAX (512u * 1024u * 1024u) /* bytes */
#define KEEP_MAX (4u * 1024u * 1024u)      /* bytes of a buffer that is kept for the next batch */
#define GZIP_WINDOW (15 + 16)              /* the largest window, and a gzip header instead of zlib's */
#define GZIP_MEMORY 8                      /* zlib's default */

void request_body_init(request_body *b, loom_exporter_kind kind, const zlib_library *zlib)
{
    *b = (request_body){.grpc = kind == LOOM_EXPORTER_OTLP_GRPC, .json = kind == LOOM_EXPORTER_OTLP_HTTP_JSON, .zlib = zlib};
    pb_init(&b->text, NULL, 0, REQUEST_MAX);
    pb_init(&b->wire, NULL, 0, REQUEST_MAX);
}

void request_body_fini(request_body *b)
{
    if (b->stream_ready) {
        (void)b->zlib->deflateEnd(&b->stream);
    }
    pb_fini(&b->text);
    pb_fini(&b->wire);
}

static bool prepare_stream(request_body *b)
{
    if (b->stream_ready) {
        return b->zlib->deflateReset(&b->stream) == Z_OK;
    }
    b->stream = (z_stream){.zalloc = Z_NULL};
    b->stream_ready = b->zlib->deflateInit2_(&b->stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                                             Z_DEFAULT_STRATEGY, ZLIB_VERSION, (int)sizeof b->stream) == Z_OK;
    return b->stream_ready;
}

/* Appends to wire. */
static bool compress_into_wire(request_body *b, loom_bytes plain)
{
    if (plain.len > REQUEST_MAX || !prepare_stream(b)) {
        return false;
    }
    const size_t room = b->zlib->deflateBound(&b->stream, plain.len);
    if (!pb_reserve(&b->wire, room)) {
        return false;
    }
    b->stream.next_in = (Bytef *)(uintptr_t)plain.data;
    b->stream.avail_in = (uInt)plain.len;
    b->stream.next_out = b->wire.data + b->wire.len;
    b->stream.avail_out = (uInt)room;
    if (b->zlib->deflate(&b->stream, Z_FINISH) != Z_STREAM_END) {
        return false;
    }
    b->wire.len += room - b->stream.avail_out;
    return true;
}

static void put_frame_head(request_body *b)
{
    const size_t len = b->wire.len - GRPC_FRAME_HEAD;
    const uint8_t head[GRPC_FRAME_HEAD] = {b->zlib != NULL, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                           (uint8_t)len};
    memcpy(b->wire.data, head, sizeof head);
}

bool request_body_make(request_body *b, loom_bytes request, loom_bytes *out)
{
    *out = request;
    if (b->json) {
        pb_rollback(&b->text, 0);
        if (otlp_json_request(&b->text, request) != LOOM_OK || b->text.failed) {
            return false;
        }
        *out = (loom_bytes){b->text.data, b->text.len};
    }
    if (!b->grpc && b->zlib == NULL) {
        return true;
    }
    pb_rollback(&b->wire, 0);
    if (b->grpc) {
        pb_raw(&b->wire, (const uint8_t[GRPC_FRAME_HEAD]){0}, GRPC_FRAME_HEAD);
    }
    if (b->zlib == NULL) {
        pb_raw(&b->wire, out->data, out->len);
    } else if (!compress_into_wire(b, *out)) {
        return false;
    }
    if (b->wire.failed) {
        return false;
    }
    if (b->grpc) {
        put_frame_head(b);
    }
    *out = (loom_bytes){b->wire.data, b->wire.len};
    return true;
}

static void give_back(pb_buf *b)
{
    if (b->cap > KEEP_MAX) {
        pb_fini(b);
        pb_init(b, NULL, 0, REQUEST_MAX);
    }
}

void request_body_sent(request_body *b)
{
    give_back(&b->text);
    give_back(&b->wire);
}
