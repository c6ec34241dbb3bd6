/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net/sp/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROW_FROM = 64 * 1024 };

static const struct protocol {
    uint16_t number, counterpart;
    const char *name;
} protocols[] = {
    {SP_PAIR, SP_PAIR, "PAIR"}, {SP_PUB, SP_SUB, "PUB"},   {SP_SUB, SP_PUB, "SUB"},   {SP_REQ, SP_REP, "REQ"},
    {SP_REP, SP_REQ, "REP"},    {SP_PUSH, SP_PULL, "PUSH"}, {SP_PULL, SP_PUSH, "PULL"},
    /* known to be told from garbage in a log; not spoken here */
    {0x11, 0, "PAIR version 1"}, {0x62, 0, "SURVEYOR"}, {0x63, 0, "RESPONDENT"}, {0x70, 0, "BUS"},
};

static const struct protocol *describe(uint16_t number)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        if (protocols[i].number == number) {
            return &protocols[i];
        }
    }
    return NULL;
}

uint16_t sp_counterpart(sp_protocol own)
{
    const struct protocol *known = describe((uint16_t)own);
    return known != NULL ? known->counterpart : 0;
}

const char *sp_protocol_name(uint16_t protocol)
{
    const struct protocol *known = describe(protocol);
    return known != NULL ? known->name : "an unknown protocol";
}

/* ---- writing ---- */

void sp_greeting(uint8_t out[SP_GREETING_SIZE], sp_protocol own)
{
    const uint8_t greeting[SP_GREETING_SIZE] = {0, 'S', 'P', 0, (uint8_t)(own >> 8), (uint8_t)own, 0, 0};
    memcpy(out, greeting, sizeof greeting);
}

size_t sp_header(uint8_t out[SP_HEADER_MAX], bool ipc, uint64_t len)
{
    size_t at = 0;
    if (ipc) {
        out[at++] = 1;
    }
    for (int shift = 56; shift >= 0; shift -= 8) {
        out[at++] = (uint8_t)(len >> shift);
    }
    return at;
}

/* ---- reading ---- */

void sp_stream_init(sp_stream *s, bool ipc, sp_protocol own, size_t message_max)
{
    *s = (sp_stream){.ipc = ipc, .expected = sp_counterpart(own), .message_max = message_max};
}

static void drop_partial(sp_stream *s)
{
    free(s->partial);
    s->partial = NULL;
    s->partial_len = s->partial_cap = 0;
}

void sp_stream_fini(sp_stream *s)
{
    drop_partial(s);
}

/* Twice what has come, so that somebody who only announces a large message has not got its memory. */
static bool grow(sp_stream *s)
{
    if (s->partial_len < s->partial_cap) {
        return true;
    }
    size_t want = s->partial_len > GROW_FROM / 2 ? s->partial_len * 2 : GROW_FROM;
    if (want > s->need) {
        want = s->need;
    }
    uint8_t *grown = realloc(s->partial, want);
    if (grown == NULL) {
        return false;
    }
    s->partial = grown;
    s->partial_cap = want;
    return true;
}

sp_buffer sp_stream_room(sp_stream *s, sp_buffer shared)
{
    if (s->apart) {
        if (!grow(s)) {
            return (sp_buffer){NULL, 0};
        }
        size_t end = s->need < s->partial_cap ? s->need : s->partial_cap;
        return (sp_buffer){s->partial + s->partial_len, end - s->partial_len};
    }
    if (s->partial_len > 0) {
        memcpy(shared.data, s->partial, s->partial_len);
    }
    return (sp_buffer){shared.data + s->partial_len, shared.size - s->partial_len};
}

void sp_stream_received(sp_stream *s, sp_buffer shared, size_t len)
{
    s->data = s->apart ? s->partial : shared.data;
    s->kept = s->partial_len > 0;
    s->len = s->partial_len + len;
    s->used = 0;
    s->partial_len = 0;
}

void sp_stream_again(sp_stream *s)
{
    s->data = s->partial;
    s->kept = false;
    s->len = s->partial_len;
    s->used = 0;
    s->partial_len = 0;
}

size_t sp_stream_left(const sp_stream *s)
{
    return s->len - s->used;
}

static sp_event broken(loom_status *status, loom_status st)
{
    *status = st;
    return SP_EVENT_BROKEN;
}

static sp_event greeting(sp_stream *s, const uint8_t *at, size_t left, loom_status *status, char why[SP_WHY_SIZE])
{
    static const uint8_t start[4] = {0, 'S', 'P', 0};
    if (memcmp(at, start, left < sizeof start ? left : sizeof start) != 0) {
        snprintf(why, SP_WHY_SIZE, "it does not speak SP");
        return broken(status, LOOM_EPROTO);
    }
    if (left < SP_GREETING_SIZE) {
        s->need = SP_GREETING_SIZE;
        return SP_EVENT_MORE;
    }
    uint16_t protocol = (uint16_t)(at[4] << 8 | at[5]);
    if (protocol != s->expected || at[6] != 0 || at[7] != 0) {
        snprintf(why, SP_WHY_SIZE, "it speaks %s (0x%02x) where %s is needed", sp_protocol_name(protocol), protocol,
                 sp_protocol_name(s->expected));
        return broken(status, LOOM_EPROTO);
    }
    s->greeted = true;
    s->used += SP_GREETING_SIZE;
    return SP_EVENT_GREETED;
}

sp_event sp_stream_next(sp_stream *s, sp_buffer *body, loom_status *status, char why[SP_WHY_SIZE])
{
    uint8_t *at = s->data + s->used;
    size_t left = s->len - s->used, header = s->ipc ? SP_HEADER_MAX : SP_HEADER_MAX - 1;
    if (!s->greeted) {
        s->need = SP_GREETING_SIZE;
        return left == 0 ? SP_EVENT_MORE : greeting(s, at, left, status, why);
    }
    s->need = header;
    if (left > 0 && s->ipc && at[0] != 1) {
        snprintf(why, SP_WHY_SIZE, "a message of the unknown type %u", at[0]);
        return broken(status, LOOM_EPROTO);
    }
    if (left < header) {
        return SP_EVENT_MORE;
    }
    uint64_t len = 0;
    for (size_t i = header - 8; i < header; i++) {
        len = len << 8 | at[i];
    }
    if (len > s->message_max) {
        snprintf(why, SP_WHY_SIZE, "a message of %" PRIu64 " bytes, over the limit of %zu", len, s->message_max);
        return broken(status, LOOM_ETOOBIG);
    }
    s->need = header + (size_t)len;
    if (left < s->need) {
        return SP_EVENT_MORE;
    }
    *body = (sp_buffer){at + header, (size_t)len};
    s->used += s->need;
    return SP_EVENT_MESSAGE;
}

bool sp_stream_rest(sp_stream *s, sp_buffer shared)
{
    size_t left = s->len - s->used;
    const uint8_t *from = s->data + s->used;
    /* What the next bytes did not complete collects apart, so that each byte is moved a few times at most. */
    bool in_pieces = s->used == 0 && s->kept;
    s->len = s->used = 0;
    if (left == 0) {
        drop_partial(s);
        s->apart = false;
        return true;
    }
    s->apart = s->need > left && (s->need > shared.size / 2 || in_pieces);
    if (from == s->partial) {
        /* it stays where it is, however often this comes by */
    } else if (left <= s->partial_cap) {
        memmove(s->partial, from, left);
    } else { /* from lies in the shared buffer: what lies in partial fits partial */
        uint8_t *fresh = malloc(left);
        if (fresh == NULL) {
            return false;
        }
        memcpy(fresh, from, left);
        free(s->partial);
        s->partial = fresh;
        s->partial_cap = left;
    }
    s->partial_len = left;
    return true;
}

loom_status sp_backtrace(const uint8_t *request, size_t len, size_t *ids_len)
{
    for (size_t at = 0; at + 4 <= len; at += 4) {
        if (at == (size_t)4 * SP_BACKTRACE_MAX) {
            return LOOM_ETOOBIG;
        }
        if ((request[at] & 0x80) != 0) {
            *ids_len = at + 4;
            return LOOM_OK;
        }
    }
    return LOOM_EPROTO;
}
