/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/otlp/protobuf_write.h"

#include "base/str.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_HEAP_SIZE 256u
#define REPAIR_FACTOR 3u /* U+FFFD takes three bytes and may stand for one */

void pb_init(pb_buf *b, void *storage, size_t cap, size_t max)
{
    *b = (pb_buf){.data = storage, .cap = cap, .max = max};
}

void pb_fini(pb_buf *b)
{
    if (b->on_heap) {
        free(b->data);
    }
    *b = (pb_buf){0};
}

static bool grow(pb_buf *b, size_t need)
{
    size_t cap = b->cap > FIRST_HEAP_SIZE ? b->cap : FIRST_HEAP_SIZE;
    while (cap < need) {
        cap *= 2;
    }
    if (cap > b->max) { /* what is reserved is compared with cap alone */
        cap = b->max;
    }
    uint8_t *data = b->on_heap ? realloc(b->data, cap) : malloc(cap);
    if (data == NULL) {
        return false;
    }
    if (!b->on_heap && b->len > 0) {
        memcpy(data, b->data, b->len);
    }
    b->data = data;
    b->cap = cap;
    b->on_heap = true;
    return true;
}

bool pb_make_room(pb_buf *b, size_t extra)
{
    if (b->failed) {
        return false;
    }
    if (extra > b->max || b->len + b->slack > b->max - extra || !grow(b, b->len + extra + b->slack)) {
        b->failed = true;
        return false;
    }
    return true;
}

void pb_rollback(pb_buf *b, size_t mark)
{
    b->len = mark;
    b->failed = false;
}

void pb_raw(pb_buf *b, const void *data, size_t len)
{
    if (len > 0 && pb_reserve(b, len)) {
        memcpy(b->data + b->len, data, len);
        b->len += len;
    }
}

void pb_double_field(pb_buf *b, uint32_t field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    pb_fixed64_field(b, field, bits);
}

/* There is room. */
static void put_repaired(pb_buf *b, loom_str text)
{
    while (text.len > 0) {
        uint32_t code_point;
        size_t step = utf8_next(text, &code_point);
        if (code_point == UTF8_INVALID) {
            memcpy(b->data + b->len, "\xef\xbf\xbd", 3);
            b->len += 3;
        } else {
            memcpy(b->data + b->len, text.data, step);
            b->len += step;
        }
        text = str_tail(text, step);
    }
}

void pb_string_field(pb_buf *b, uint32_t field, loom_str text)
{
    if (utf8_valid(text)) {
        pb_bytes_field(b, field, text.data, text.len);
        return;
    }
    size_t mark = pb_open(b, field);
    if (text.len > b->max || !pb_reserve(b, REPAIR_FACTOR * text.len)) {
        b->failed = true;
        return;
    }
    put_repaired(b, text);
    pb_close(b, mark);
}

size_t pb_open(pb_buf *b, uint32_t field)
{
    if (pb_reserve(b, PB_VARINT_MAX + 1)) {
        b->len += pb_put_tag(b->data + b->len, field, PB_LENGTH);
        b->data[b->len++] = 0; /* nearly every message is shorter than 128 bytes: room for a length of one byte */
    }
    return b->len;
}

void pb_close(pb_buf *b, size_t mark)
{
    if (b->failed) {
        return;
    }
    size_t body = b->len - mark;
    size_t more = pb_varint_size(body) - 1;
    if (more > 0) {
        if (!pb_reserve(b, more)) {
            return;
        }
        memmove(b->data + mark + more, b->data + mark, body);
        b->len += more;
    }
    (void)pb_put_varint(b->data + mark - 1, body);
}
