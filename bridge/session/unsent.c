/* SPDX-License-Identifier: Apache-2.0 */
/* A broker knows its calls by eight bytes, which are the key here. Their places are only kept while the socket is behind: a
 * call that leaves in the round in which it came costs nothing.
 *
 * A dead frame is marked in place, and cut out with others before the bytes are sent or when they are a good part of all:
 * so each byte is moved a few times at most, however many calls die. Bytes with splices between them are not moved: of calls
 * behind a splice no place is kept, and none is made behind a place. */
#include "bridge/session/unsent.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "bridge/bus/refused_calls.h"
#include "envelope/msgpack_bytes.h"

enum {
    REF_SIZE = 8,
    ROOM = SESSION_CALLS_MAX - 4 * 1024 * 1024, /* the rest is for results and cancels, which cannot be refused */
    DEAD = 0xc1,                                /* begins no msgpack value */
    BODY_CALL = 0x98, BODY_BIN8 = 0xc4          /* how a call frame's body begins: eight values, the type, the id */
};

static uint64_t ref_of(const uint8_t *id)
{
    return (uint64_t)mp_load32(id) << 32 | mp_load32(id + 4);
}

/* Its reference, if the frame is a call of a broker; 0 otherwise. */
static uint64_t call_ref(const uint8_t *body, size_t len)
{
    bool is_call = len > 4 + REF_SIZE && body[0] == BODY_CALL && body[1] == FRAME_CALL && body[2] == BODY_BIN8 &&
                   body[3] == REF_SIZE;
    return is_call ? ref_of(body + 4) : 0;
}

static void *place(size_t at)
{
    return (void *)(uintptr_t)(at + 1); /* the table has no NULL in it */
}

/* What was dropped does not count as appended any more. */
static void uncount(session *s, size_t bytes)
{
    session_unread *u = &s->calls;
    s->appended -= bytes;
    uint64_t newer = u->newer < bytes ? u->newer : bytes, older = bytes - newer;
    u->newer -= newer;
    u->older -= u->older < older ? u->older : older;
    u->mark = u->mark < s->appended ? u->mark : s->appended;
    s->replies.mark = s->replies.mark < s->appended ? s->replies.mark : s->appended;
    s->keeps.mark = s->keeps.mark < s->appended ? s->keeps.mark : s->appended;
}

static void cut_out_dead(session *s)
{
    frame_writer *w = &s->out;
    frame_writer_seal(w);
    size_t to = 0;
    for (size_t from = 0, size; from < w->len; from += size) {
        uint8_t *body = w->data + from + FRAME_HEADER_SIZE;
        size = FRAME_HEADER_SIZE + mp_load32(w->data + from);
        if (body[0] == DEAD) {
            continue;
        }
        uint64_t ref = call_ref(body, size - FRAME_HEADER_SIZE);
        if (ref != 0 && from != to && number_table_remove(&s->unsent, ref) != NULL) {
            (void)!number_table_add(&s->unsent, ref, place(to)); /* one has just gone: there is room */
        }
        memmove(w->data + to, w->data + from, size);
        to += size;
    }
    uncount(s, w->len - to);
    w->len = to;
    s->dead_bytes = 0;
}

bool unsent_has_room(session *s, size_t size)
{
    if (s->dead_bytes > s->out.len / 4) {
        cut_out_dead(s);
    }
    return session_waiting(s) - s->dead_bytes + size <= ROOM;
}

void unsent_add(session *s, loom_bytes call_id, size_t at)
{
    if (s->backlog > 0 && call_id.len == REF_SIZE && s->spliced.first == NULL) {
        (void)!number_table_add(&s->unsent, ref_of(call_id.data), place(at)); /* without memory it is just sent */
    }
}

bool unsent_drop(session *s, loom_bytes call_id)
{
    void *at = call_id.len == REF_SIZE ? number_table_remove(&s->unsent, ref_of(call_id.data)) : NULL;
    if (at == NULL) {
        return false;
    }
    uint8_t *dead = s->out.data + ((uintptr_t)at - 1);
    assert((uintptr_t)at <= s->out.len && call_ref(dead + FRAME_HEADER_SIZE, mp_load32(dead)) == ref_of(call_id.data));
    dead[FRAME_HEADER_SIZE] = DEAD;
    s->dead_bytes += FRAME_HEADER_SIZE + mp_load32(dead);
    s->bridge->stats.calls_dropped++;
    return true;
}

void session_before_send(session *s)
{
    if (s->dead_bytes > 0) {
        cut_out_dead(s);
    }
    if (s->unsent.count > 0) {
        number_table_fini(&s->unsent);
    }
}

/* ---- refusals ---- */

void unsent_refuse(session *s, loom_bytes call_id)
{
    if (!refused_calls_add(&s->bridge->refusals, s, call_id)) {
        session_append_failed(s, LOOM_ENOMEM);
        return;
    }
    s->bridge->stats.refused++;
}

static void pass_refusal_up(void *owner, const frame *result)
{
    session_pass_up(owner, result);
}

void unsent_answer(bridge *b)
{
    refused_calls_answer(&b->refusals, str_of("the provider has not read the calls it was given before"), pass_refusal_up);
}

void unsent_fini(session *s)
{
    refused_calls_drop(&s->bridge->refusals, s);
    session_before_send(s);
}
