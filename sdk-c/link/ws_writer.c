/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/link/ws_writer.h"

#include <string.h>

#include "base/random.h"

enum { FIN = 0x80, BINARY = 0x2, CLOSE = 0x8, PONG = 0xa, MASKED = 0x80, KEY_SIZE = 4 };

/* Writes the header that ends at end, key and all; returns where it begins. */
static uint8_t *put_header(uint8_t *end, uint8_t opcode, size_t len, const uint8_t key[KEY_SIZE])
{
    uint8_t *at = end - KEY_SIZE;
    memcpy(at, key, KEY_SIZE);
    unsigned more = len <= WS_CONTROL_MAX ? 0 : len <= UINT16_MAX ? 2 : 8; /* bytes of the length that follow */
    for (size_t left = len, i = 0; i < more; i++, left >>= 8) {
        *--at = (uint8_t)left;
    }
    *--at = (uint8_t)(MASKED | (more == 0 ? len : more == 2 ? 126 : 127));
    *--at = (uint8_t)(FIN | opcode);
    return at;
}

/* at: of these bytes in the message, which says where in the key they begin. */
static void mask(uint8_t *to, const uint8_t *from, size_t len, const uint8_t key[KEY_SIZE], size_t at)
{
    uint8_t turned[8];
    uint64_t key_word, word;
    for (size_t i = 0; i < sizeof turned; i++) {
        turned[i] = key[(at + i) % KEY_SIZE];
    }
    memcpy(&key_word, turned, sizeof key_word);
    for (; len >= sizeof word; len -= sizeof word, to += sizeof word, from += sizeof word) {
        memcpy(&word, from, sizeof word);
        word ^= key_word;
        memcpy(to, &word, sizeof word);
    }
    for (size_t i = 0; i < len; i++) {
        to[i] = from[i] ^ turned[i];
    }
}

/* Hands over what lies between *begin and end. LOOM_EBUSY: not all of it. */
static loom_status flush(carrier *under, uint8_t *data, size_t *begin, size_t end)
{
    struct iovec iov = {data + *begin, end - *begin};
    size_t sent;
    if (iov.iov_len == 0) {
        return LOOM_OK;
    }
    loom_status st = under->ops->send(under, &iov, 1, &sent);
    *begin += sent;
    return st == LOOM_OK && *begin < end ? LOOM_EBUSY : st;
}

/* ---- messages ---- */

static size_t payload_before(size_t at)
{
    return at > WS_HEADER_MAX ? at - WS_HEADER_MAX : 0;
}

/* Adds to *sent the bytes of the agent's that have left. */
static loom_status go_on(ws_writer *w, carrier *under, size_t *sent)
{
    size_t before = payload_before(w->begin);
    loom_status st = flush(under, w->out, &w->begin, w->end);
    *sent += payload_before(w->begin) - before;
    if (st == LOOM_OK) {
        w->begin = w->end = 0;
    }
    return st;
}

/* Makes a message of what follows the first `skip` bytes. */
static void begin_message(ws_writer *w, const struct iovec *iov, size_t count, size_t skip)
{
    uint8_t key[KEY_SIZE];
    size_t len = 0;
    random_take(key, sizeof key);
    for (size_t i = 0; i < count && len < WS_MESSAGE_MAX; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        size_t part = iov[i].iov_len - skip;
        part = part < WS_MESSAGE_MAX - len ? part : WS_MESSAGE_MAX - len;
        mask(w->out + WS_HEADER_MAX + len, (const uint8_t *)iov[i].iov_base + skip, part, key, len);
        len += part;
        skip = 0;
    }
    w->pong_was_last = false;
    w->begin = (size_t)(put_header(w->out + WS_HEADER_MAX, BINARY, len, key) - w->out);
    w->end = WS_HEADER_MAX + len;
}

loom_status ws_writer_send(ws_writer *w, carrier *under, const struct iovec *iov, size_t count, size_t *sent)
{
    size_t total = 0;
    *sent = 0;
    for (size_t i = 0; i < count; i++) {
        total += iov[i].iov_len;
    }
    if (w->closing) {
        return LOOM_EIO;
    }
    w->data_waits = true;
    loom_status st = go_on(w, under, sent);
    while (st == LOOM_OK && (st = ws_writer_control(w, under)) == LOOM_OK && *sent < total) {
        begin_message(w, iov, count, *sent);
        st = go_on(w, under, sent);
    }
    w->data_waits = *sent < total;
    return st == LOOM_EBUSY && *sent > 0 ? LOOM_OK : st;
}

/* ---- control frames ---- */

void ws_writer_pong(ws_writer *w, const uint8_t *data, size_t len)
{
    memcpy(w->pong, data, len);
    w->pong_len = len;
    w->pong_waits = !w->closing;
}

void ws_writer_close(ws_writer *w, uint16_t code)
{
    if (!w->closing) {
        w->closing = w->close_waits = true;
        w->pong_waits = false;
        w->close_code = code;
    }
}

static void put_control(ws_writer *w, uint8_t opcode, const uint8_t *data, size_t len)
{
    uint8_t key[KEY_SIZE];
    random_take(key, sizeof key);
    mask(w->control + WS_HEADER_MAX, data, len, key, 0);
    w->control_begin = (size_t)(put_header(w->control + WS_HEADER_MAX, opcode, len, key) - w->control);
    w->control_end = WS_HEADER_MAX + len;
}

/* A frame once written stays as it is until it has left: the carrier below may hold a part of it. Between two pongs the
 * agent has its turn, or a flood of pings would keep its messages back. */
static void next_control(ws_writer *w)
{
    if (w->pong_waits && !(w->pong_was_last && w->data_waits)) {
        put_control(w, PONG, w->pong, w->pong_len);
        w->pong_waits = false;
        w->pong_was_last = true;
    } else if (w->close_waits) {
        uint8_t code[2] = {(uint8_t)(w->close_code >> 8), (uint8_t)w->close_code};
        put_control(w, CLOSE, code, w->close_code == WS_CLOSE_NONE ? 0 : sizeof code);
        w->close_waits = false;
    } else {
        w->control_begin = w->control_end = 0;
    }
}

loom_status ws_writer_control(ws_writer *w, carrier *under)
{
    if (w->begin < w->end) {
        return LOOM_EBUSY;
    }
    for (;;) {
        loom_status st = flush(under, w->control, &w->control_begin, w->control_end);
        if (st != LOOM_OK) {
            return st;
        }
        next_control(w);
        if (w->control_begin == w->control_end) {
            return LOOM_OK;
        }
    }
}
