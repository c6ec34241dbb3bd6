/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds what of a trace that is to be kept: this process's flight recorder knows its part, and bridges in processes of their own
 * are asked for theirs. The answer to "keep" is sent when all of them have said it, or at the next tick without those that have not. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/endpoints/control_internal.h"
#include "trace/messaging/parties.h"

enum { QUESTIONS_MAX = 64 }; /* at once; the next ones are answered with what is known here */

typedef struct held_question {
    struct held_question *next;
    sp_reply_to to;
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    trace_parties parties;
    bridge_peer *asked[FRAME_PARTIES_MAX]; /* that have not answered; NULL: nobody */
    size_t waits;                          /* how many they are */
    size_t bridges_off;                    /* that have no recorder */
    uint32_t own_spans;                    /* in this process's recorder */
    bool unsure;                           /* somebody was not asked, or does not answer */
    bool old;                              /* a tick has passed */
} held_question;

/* ---- the answer ---- */

enum { SLACK_NS = 2000000 }; /* by which the clocks of a span's process and ours may differ */

/* What has become of an agent of the trace that has handed over nothing of its part. */
typedef enum party_state { PARTY_IS_THERE, PARTY_HAS_LEFT, PARTY_HAS_NO_RECORDER } party_state;

/* One of the same id may have come since: another process, which knows nothing of it. */
static party_state state_of(const bus_server *s, const trace_party *p)
{
    directory_info info;
    if (p->here) {
        return PARTY_IS_THERE;
    }
    if (!directory_find(s->cores.agents, (loom_str){p->id, p->len}, &info)) {
        return PARTY_HAS_LEFT;
    }
    if (info.about.heartbeat_ms == 0 || info.about.own) {
        return PARTY_IS_THERE; /* it is in a process of the bus */
    }
    return p->start_unix_ns != 0 && p->start_unix_ns + SLACK_NS < directory_process_unix_ns(&info) ? PARTY_HAS_LEFT
           : info.about.unrecorded                                                      ? PARTY_HAS_NO_RECORDER
                                                                                        : PARTY_IS_THERE;
}

static void pack_parties(const bus_server *s, const trace_parties *all, party_state state, const char *key, control_buffer *answer)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        count += state_of(s, &all->items[i]) == state;
    }
    control_pack_key(&answer->pk, key);
    msgpack_pack_array(&answer->pk, count);
    for (size_t i = 0; i < all->count; i++) {
        if (state_of(s, &all->items[i]) == state) {
            control_pack_str(&answer->pk, (loom_str){all->items[i].id, all->items[i].len});
        }
    }
}

static void pack(const bus_server *s, const held_question *q, control_buffer *answer)
{
    const trace_parties *all = &q->parties;
    msgpack_pack_map(&answer->pk, 10);
    control_pack_uint(&answer->pk, "status", LOOM_OK);
    control_pack_bool(&answer->pk, "recorder", recorder_is_running());
    control_pack_uint(&answer->pk, "reach_ms", recorder_reach_ns() / 1000000);
    control_pack_uint(&answer->pk, "spans", all->found.spans);
    control_pack_uint(&answer->pk, "broker_spans", q->own_spans);
    control_pack_bool(&answer->pk, "cut", all->found.cut);
    control_pack_bool(&answer->pk, "unsure", q->unsure || q->waits > 0);
    control_pack_uint(&answer->pk, "bridges_unrecorded", q->bridges_off);
    pack_parties(s, all, PARTY_HAS_LEFT, "left", answer);
    pack_parties(s, all, PARTY_HAS_NO_RECORDER, "unrecorded", answer);
}

/* Takes it off the list: it is the caller's. */
static held_question *take_at(bus_server *s, held_question **at)
{
    held_question *q = *at;
    *at = q->next;
    s->control.question_count--;
    return q;
}

static void answer_at(bus_server *s, held_question **at)
{
    held_question *q = take_at(s, at);
    control_buffer answer;
    control_buffer_init(&answer);
    pack(s, q, &answer);
    control_reply(s, &q->to, &answer);
    control_buffer_fini(&answer);
    free(q);
}

/* ---- asking ---- */

static void ask(bus_server *s, held_question *q, const frame_keep *f)
{
    for (bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        if (b->greeted && b->failed == LOOM_OK && q->waits < FRAME_PARTIES_MAX) {
            q->asked[q->waits++] = b;
        } else {
            q->unsure = true;
        }
    }
    bridge_endpoint_keep(s, f, NULL);
}

control_outcome control_ask_who_holds(bus_server *s, const frame_keep *f, const sp_reply_to *to, control_buffer *answer)
{
    held_question here = {.unsure = s->bridges.first != NULL}, *q = NULL;
    trace_parties_find(&here.parties, f->trace_id);
    here.own_spans = here.parties.found.spans;
    if (here.unsure && to->peer != NULL && s->control.question_count < QUESTIONS_MAX) {
        q = calloc(1, sizeof *q);
    }
    if (q == NULL) {
        bridge_endpoint_keep(s, f, NULL);
        pack(s, &here, answer);
        return CONTROL_ANSWERED;
    }
    q->parties = here.parties;
    q->own_spans = here.own_spans;
    q->to = *to;
    memcpy(q->trace_id, f->trace_id, sizeof q->trace_id);
    q->next = s->control.questions;
    s->control.questions = q;
    s->control.question_count++;
    ask(s, q, f);
    if (q->waits == 0) {
        answer_at(s, &s->control.questions);
    }
    return CONTROL_LATER;
}

/* ---- what comes ---- */

/* Whether it waited for that bridge. */
static bool strike(held_question *q, const bridge_peer *b)
{
    for (size_t i = 0; i < q->waits; i++) {
        if (q->asked[i] == b) {
            q->asked[i] = q->asked[--q->waits];
            return true;
        }
    }
    return false;
}

void control_held(bus_server *s, const bridge_peer *b, const frame_held *f)
{
    for (held_question **at = &s->control.questions; *at != NULL;) {
        held_question *q = *at;
        if (memcmp(q->trace_id, f->trace_id, sizeof q->trace_id) != 0 || !strike(q, b)) {
            at = &q->next;
            continue;
        }
        q->parties.found.spans += (uint32_t)(f->spans < UINT32_MAX ? f->spans : UINT32_MAX);
        q->parties.found.cut |= f->cut != 0;
        q->bridges_off += f->off != 0;
        for (uint32_t i = 0; i < f->party_count; i++) {
            trace_parties_add(&q->parties, f->parties[i].agent, f->parties[i].here != 0, f->parties[i].start_unix_ns);
        }
        if (q->waits == 0) {
            answer_at(s, at);
        } else {
            at = &q->next;
        }
    }
}

void control_held_bridge_gone(bus_server *s, const bridge_peer *b)
{
    for (held_question **at = &s->control.questions; *at != NULL;) {
        held_question *q = *at;
        const bool waited = strike(q, b);
        q->unsure |= waited;
        if (waited && q->waits == 0) {
            answer_at(s, at);
        } else {
            at = &q->next;
        }
    }
}

void control_held_tick(bus_server *s)
{
    for (held_question **at = &s->control.questions; *at != NULL;) {
        held_question *q = *at;
        if (q->old) {
            answer_at(s, at);
        } else {
            q->old = true;
            at = &q->next;
        }
    }
}

void control_held_forget(bus_server *s, const sp_peer *peer)
{
    for (held_question **at = &s->control.questions; *at != NULL;) {
        if ((*at)->to.peer == peer) {
            free(take_at(s, at));
        } else {
            at = &(*at)->next;
        }
    }
}

void control_held_close(bus_server *s)
{
    while (s->control.questions != NULL) {
        answer_at(s, &s->control.questions);
    }
}
