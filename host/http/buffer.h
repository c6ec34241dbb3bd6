/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that grow at their end. A zeroed one is empty. */
#ifndef LOOM_HOST_HTTP_BUFFER_H
#define LOOM_HOST_HTTP_BUFFER_H

#include <loom/api.h>
#include <stdlib.h>
#include <string.h>

typedef struct byte_buffer {
    uint8_t *data;
    size_t len, cap;
} byte_buffer;

static inline void buffer_fini(byte_buffer *b)
{
    free(b->data);
    *b = (byte_buffer){0};
}

/* Makes room for more bytes behind len; false: out of memory, and nothing has changed. */
static inline bool buffer_reserve(byte_buffer *b, size_t more)
{
    if (b->cap - b->len >= more) {
        return true;
    }
    size_t cap = b->cap > 0 ? b->cap * 2 : 256;
    cap = cap < b->len + more ? b->len + more : cap;
    uint8_t *grown = realloc(b->data, cap);
    if (grown == NULL) {
        return false;
    }
    b->data = grown;
    b->cap = cap;
    return true;
}

static inline bool buffer_put(byte_buffer *b, const void *data, size_t len)
{
    if (!buffer_reserve(b, len)) {
        return false;
    }
    if (len > 0) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
    return true;
}

#endif
