/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an HTTP connection, all at once and in pieces: the same request and the same body are read, or the same
 * refusal. The first byte of the input says how large the pieces are. */
#include <stdlib.h>
#include <string.h>

#include "host/http/body.h"
#include "host/http/head.h"

enum { HEAD_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct result {
    uint16_t status;
    size_t used;         /* by the head */
    int body_state;
    size_t body, rest;
    uint64_t hash;
} result;

static void read_body(result *r, http_head *h, const uint8_t *data, size_t size, size_t step)
{
    http_body b;
    http_body_init(&b, h);
    size_t at = 0;
    while (at < size && b.state != BODY_DONE && b.state != BODY_BAD) {
        loom_bytes piece;
        size_t used = http_body_read(&b, (loom_bytes){data + at, size - at < step ? size - at : step}, &piece);
        if (used == 0 || piece.len > used) {
            abort(); /* it would go on for ever */
        }
        for (size_t i = 0; i < piece.len; i++) {
            r->hash = (r->hash ^ piece.data[i]) * 1099511628211u;
        }
        r->body += piece.len;
        at += used;
    }
    r->body_state = (int)b.state;
    r->rest = b.state == BODY_BAD ? 0 : size - at;
}

static result read_request(const uint8_t *data, size_t size, size_t step)
{
    result r = {.status = HTTP_HEAD_MORE};
    http_head h;
    const char *why = NULL;
    http_head_init(&h);
    for (size_t have = 0; have < size && r.status == HTTP_HEAD_MORE;) {
        have = size - have < step ? size : have + step;
        r.status = http_head_read(&h, (loom_str){(const char *)data, have}, HEAD_MAX, &r.used, &why);
    }
    if (r.status > HTTP_HEAD_MORE) {
        if (why == NULL || r.status < 400) {
            abort();
        }
        r.used = 0;
    } else if (r.status == HTTP_HEAD_DONE) {
        if (r.used > size || h.path.len == 0 || h.path.data[0] != '/' || (h.chunked && h.has_length)) {
            abort();
        }
        read_body(&r, &h, data + r.used, size - r.used, step);
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    /* exactly as large as it is, so that the address sanitizer sees what reads beyond */
    uint8_t *copy = malloc(size - 1);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data + 1, size - 1);
    result whole = read_request(copy, size - 1, size - 1), pieces = read_request(copy, size - 1, (size_t)data[0] + 1);
    bool limit = whole.status == 431 || pieces.status == 431; /* which of two faults is seen first depends on the pieces */
    if (!limit && (whole.status != pieces.status || whole.used != pieces.used || whole.body != pieces.body ||
                   whole.hash != pieces.hash || whole.body_state != pieces.body_state || whole.rest != pieces.rest)) {
        abort();
    }
    free(copy);
    return 0;
}
