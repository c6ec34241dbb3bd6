/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of one SP connection, all at once and in pieces: the same messages come out, and the same end. The first byte of
 * the input says which carrier and protocol, and how large the pieces are. */
#include <stdlib.h>
#include <string.h>

#include "host/net/sp/stream.h"

enum { SHARED = 512, MESSAGE_MAX = 2000 };

typedef struct result {
    uint64_t hash;
    size_t messages, bytes;
    bool greeted;
    loom_status status;
} result;

static void note(result *r, const sp_buffer *body)
{
    size_t ids = 0;
    r->messages++;
    r->bytes += body->size;
    for (size_t i = 0; i < body->size; i++) {
        r->hash = (r->hash ^ body->data[i]) * 1099511628211u;
        body->data[i] = 0xa5; /* its bytes may be changed */
    }
    if (sp_backtrace(body->data, body->size, &ids) == LOOM_OK && (ids == 0 || ids > body->size || ids % 4 != 0)) {
        abort();
    }
}

/* Everything that is there; with stop, one message and then the rest again from what was kept. False: broken. */
static bool take(sp_stream *s, sp_buffer shared, result *r, bool stop)
{
    for (;;) {
        sp_buffer body;
        char why[SP_WHY_SIZE] = "";
        sp_event event = sp_stream_next(s, &body, &r->status, why);
        if (event == SP_EVENT_BROKEN) {
            if (why[0] == '\0' || r->status == LOOM_OK) {
                abort();
            }
            return false;
        }
        if (event == SP_EVENT_GREETED) {
            if (r->greeted) {
                abort();
            }
            r->greeted = true;
        } else if (event == SP_EVENT_MESSAGE) {
            note(r, &body);
        }
        if (event == SP_EVENT_MORE) {
            return sp_stream_rest(s, shared);
        }
        if (stop && sp_stream_left(s) > 0) {
            if (!sp_stream_rest(s, shared)) {
                return false;
            }
            sp_stream_again(s);
        }
    }
}

static result run(const uint8_t *data, size_t size, bool ipc, sp_protocol own, size_t piece, bool stop)
{
    result r = {.hash = 14695981039346656037u};
    sp_buffer shared = {malloc(SHARED), SHARED};
    sp_stream s;
    if (shared.data == NULL) {
        abort();
    }
    sp_stream_init(&s, ipc, own, MESSAGE_MAX);
    for (bool going = true; going && size > 0;) {
        sp_buffer room = sp_stream_room(&s, shared);
        if (room.data == NULL || room.size == 0) {
            abort();
        }
        size_t some = size < piece ? size : piece;
        some = some < room.size ? some : room.size;
        memcpy(room.data, data, some);
        sp_stream_received(&s, shared, some);
        data += some;
        size -= some;
        going = take(&s, shared, &r, stop);
    }
    sp_stream_fini(&s);
    free(shared.data);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sp_protocol protocols[4] = {SP_PULL, SP_PUB, SP_REP, SP_PAIR};
    if (size == 0) {
        return 0;
    }
    bool ipc = (data[0] & 1) != 0;
    sp_protocol own = protocols[data[0] >> 1 & 3];
    size_t piece = 1 + (data[0] >> 3);
    result whole = run(data + 1, size - 1, ipc, own, SIZE_MAX, false);
    result pieces = run(data + 1, size - 1, ipc, own, piece, false);
    result stops = run(data + 1, size - 1, ipc, own, SIZE_MAX, true);
    if (whole.bytes > size || memcmp(&whole.hash, &pieces.hash, sizeof whole.hash) != 0 || whole.hash != stops.hash ||
        whole.messages != pieces.messages || whole.messages != stops.messages || whole.greeted != pieces.greeted ||
        whole.status != pieces.status || whole.status != stops.status) {
        abort();
    }
    return 0;
}
