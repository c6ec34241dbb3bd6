/* SPDX-License-Identifier: Apache-2.0 */
/* Writes frames of the agent link into one growing buffer.
 *
 * A batch frame is written with room for its length and its count, which are filled in when it is sealed. So an
 * envelope is encoded once, in its place in the outgoing bytes, and whatever collects while a write is in flight leaves
 * as one frame. */
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "envelope/frame/frame.h"
#include "envelope/frame/keys.h"
#include "envelope/msgpack_bytes.h"

enum { BATCH_HEADER_SIZE = FRAME_HEADER_SIZE + 1 + 1 + 5 }; /* length, fixarray 2, type, array32 */

void frame_writer_init(frame_writer *w)
{
    *w = (frame_writer){0};
}

void frame_writer_fini(frame_writer *w)
{
    free(w->data);
    *w = (frame_writer){0};
}

void frame_writer_clear(frame_writer *w)
{
    w->len = 0;
    w->batch_type = 0;
}

bool frame_writer_reserve(frame_writer *w, size_t more)
{
    if (w->cap - w->len >= more) {
        return true;
    }
    size_t cap = w->cap > 0 ? w->cap : 512;
    while (cap - w->len < more) {
        cap *= 2;
    }
    uint8_t *data = realloc(w->data, cap);
    if (data == NULL) {
        return false;
    }
    w->data = data;
    w->cap = cap;
    return true;
}

void frame_writer_seal(frame_writer *w)
{
    if (w->batch_type != 0) {
        mp_store32(w->data + w->batch_at, (uint32_t)(w->len - w->batch_at - FRAME_HEADER_SIZE));
        mp_store32(w->data + w->batch_at + BATCH_HEADER_SIZE - 4, w->batch_count);
        w->batch_type = 0;
    }
}

/* Room in a batch of this type: the open one if it fits there, else a new one. */
static uint8_t *batch_room(frame_writer *w, frame_type type, size_t size)
{
    if (w->batch_type != 0 && (w->batch_type != type || w->len - w->batch_at > FRAME_BATCH_TARGET)) {
        frame_writer_seal(w);
    }
    if (!frame_writer_reserve(w, BATCH_HEADER_SIZE + size)) {
        return NULL;
    }
    if (w->batch_type == 0) {
        uint8_t *p = w->data + w->len + FRAME_HEADER_SIZE;
        p[0] = MP_FIXARRAY | 2;
        p[1] = (uint8_t)type;
        p[2] = MP_ARRAY32;
        w->batch_at = w->len;
        w->batch_type = type;
        w->batch_count = 0;
        w->len += BATCH_HEADER_SIZE;
    }
    return w->data + w->len;
}

uint8_t *frame_publish_begin(frame_writer *w, size_t size)
{
    uint8_t *p = batch_room(w, FRAME_PUBLISH, size);
    if (p != NULL) {
        w->batch_count++;
    }
    return p;
}

uint8_t *frame_deliver_begin(frame_writer *w, uint64_t subscription, size_t size)
{
    uint8_t *p = batch_room(w, FRAME_DELIVER, size + 9);
    if (p == NULL) {
        return NULL;
    }
    uint8_t *end = mp_put_uint(p, subscription);
    w->len += (size_t)(end - p);
    w->batch_count += 2;
    return end;
}

uint8_t *frame_deliver_head(frame_writer *w, uint64_t subscription, loom_bytes head, size_t size)
{
    frame_writer_seal(w);
    uint8_t *room = frame_deliver_begin(w, subscription, head.len);
    if (room != NULL) {
        memcpy(room, head.data, head.len);
        w->len += size;
        frame_writer_seal(w);
        w->len -= size - head.len;
    }
    return room;
}

void frame_batch_commit(frame_writer *w, size_t size)
{
    w->len += size;
}

/* ---- frames that are written whole ---- */

typedef struct appender {
    frame_writer *w;
    bool failed;
} appender;

static int append(void *user, const char *data, size_t len)
{
    appender *a = user;
    if (a->failed || !frame_writer_reserve(a->w, len)) {
        a->failed = true;
        return -1;
    }
    mp_put_raw(a->w->data + a->w->len, data, len);
    a->w->len += len;
    return 0;
}

/* Room for the length, then [type, …count - 1 more]. */
static size_t open_frame(appender *a, msgpack_packer *pk, frame_writer *w, frame_type type, size_t count)
{
    *a = (appender){w, false};
    frame_writer_seal(w);
    size_t at = w->len;
    append(a, "\0\0\0\0", FRAME_HEADER_SIZE);
    msgpack_packer_init(pk, a, append);
    msgpack_pack_array(pk, count);
    msgpack_pack_uint8(pk, (uint8_t)type);
    return at;
}

static loom_status close_frame(appender *a, size_t at)
{
    if (a->failed) {
        a->w->len = at;
        return LOOM_ENOMEM;
    }
    size_t len = a->w->len - at - FRAME_HEADER_SIZE;
    if (len > FRAME_MAX) {
        a->w->len = at;
        return LOOM_ETOOBIG;
    }
    mp_store32(a->w->data + at, (uint32_t)len);
    return LOOM_OK;
}

static void pack_str(msgpack_packer *pk, loom_str s)
{
    msgpack_pack_str_with_body(pk, s.data != NULL ? s.data : "", s.len);
}

static void pack_bin(msgpack_packer *pk, loom_bytes b)
{
    msgpack_pack_bin_with_body(pk, b.data != NULL ? (const void *)b.data : "", b.len);
}

/* Whether a key's value differs from what a reader assumes when the key is missing. */
static bool has_value(const frame_key *key, const void *from)
{
    const void *field = (const char *)from + key->offset;
    switch (key->kind) {
    case KEY_UINT: return *(const uint64_t *)field != 0;
    case KEY_BOOL: return *(const bool *)field;
    case KEY_STR: return ((const loom_str *)field)->len > 0;
    case KEY_BIN:
    case KEY_TEXTS: return ((const loom_bytes *)field)->len > 0;
    case KEY_TYPES: return ((const frame_subscribe *)from)->type_count > 0;
    }
    return false;
}

static void pack_value(msgpack_packer *pk, const frame_key *key, const void *from)
{
    const void *field = (const char *)from + key->offset;
    const frame_subscribe *subscribe = from;
    switch (key->kind) {
    case KEY_UINT: msgpack_pack_uint64(pk, *(const uint64_t *)field); break;
    case KEY_BOOL: *(const bool *)field ? msgpack_pack_true(pk) : msgpack_pack_false(pk); break;
    case KEY_STR: pack_str(pk, *(const loom_str *)field); break;
    case KEY_BIN: pack_bin(pk, *(const loom_bytes *)field); break;
    case KEY_TEXTS: append(pk->data, (const char *)((const loom_bytes *)field)->data, ((const loom_bytes *)field)->len); break;
    case KEY_TYPES:
        msgpack_pack_array(pk, subscribe->type_count);
        for (uint32_t i = 0; i < subscribe->type_count; i++) {
            pack_str(pk, subscribe->types[i]);
        }
        break;
    }
}

static loom_status put_map(frame_writer *w, frame_type type, const void *from)
{
    appender a;
    msgpack_packer pk;
    frame_keys keys = frame_keys_of(type);
    size_t pairs = 0;
    for (size_t i = 0; i < keys.count; i++) {
        pairs += has_value(&keys.keys[i], from);
    }
    size_t at = open_frame(&a, &pk, w, type, 2);
    msgpack_pack_map(&pk, pairs);
    for (size_t i = 0; i < keys.count; i++) {
        if (has_value(&keys.keys[i], from)) {
            pack_str(&pk, str_of(keys.keys[i].name));
            pack_value(&pk, &keys.keys[i], from);
        }
    }
    return close_frame(&a, at);
}

loom_status frame_put_hello(frame_writer *w, const frame_hello *f)
{
    return put_map(w, FRAME_HELLO, f);
}

loom_status frame_put_welcome(frame_writer *w, const frame_welcome *f)
{
    return put_map(w, FRAME_WELCOME, f);
}

loom_status frame_put_subscribe(frame_writer *w, const frame_subscribe *f)
{
    return put_map(w, FRAME_SUBSCRIBE, f);
}

loom_status frame_put_unsubscribe(frame_writer *w, const frame_unsubscribe *f)
{
    return put_map(w, FRAME_UNSUBSCRIBE, f);
}

loom_status frame_put_provide(frame_writer *w, const frame_provide *f)
{
    return put_map(w, FRAME_PROVIDE, f);
}

loom_status frame_put_outcome(frame_writer *w, frame_type type, const frame_outcome *f)
{
    return put_map(w, type, f);
}

loom_status frame_put_credit(frame_writer *w, uint64_t messages, uint64_t bytes)
{
    appender a;
    msgpack_packer pk;
    size_t at = open_frame(&a, &pk, w, FRAME_CREDIT, 3);
    msgpack_pack_uint64(&pk, messages);
    msgpack_pack_uint64(&pk, bytes);
    return close_frame(&a, at);
}

loom_status frame_put_number(frame_writer *w, frame_type type, uint64_t number)
{
    appender a;
    msgpack_packer pk;
    size_t at = open_frame(&a, &pk, w, type, 2);
    msgpack_pack_uint64(&pk, number);
    return close_frame(&a, at);
}
