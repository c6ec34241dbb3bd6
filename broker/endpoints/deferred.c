/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of sessions that have had their turn.
 *
 * One connection carries the frames of all agents of a bridge, and a few bytes of one of them may be much work: a message that
 * thousands of subscriptions match. A session that has cost a turn so is put off: the rest of what has come of it waits
 * here, in its order, while others' frames go by, and its bridge is told to send nothing more. In each round one such session of
 * a bridge has its next turn, unless the bridge has much to read: then that comes first.
 *
 * So is an agent that comes or goes when the news of others has cost a turn in this round; and one that comes anew while frames
 * of its last session wait comes behind them. What a session may have here is bounded, as
 * is the number of sessions; beyond that its frames wait no longer. */
#include <stdlib.h>
#include <string.h>

#include "broker/endpoints/internal.h"

enum {
    FRAME_COST = 2048,             /* of any but a publish, as in a bridge's turns */
    SESSIONS_MAX = 1024,           /* of one bridge */
    BYTES_MAX = 1024 * 1024,       /* of one session; a bridge that listens sends half of that ahead */
    BYTES_WAIT = 8 * 1024,         /* when its bridge is told */
    LAST_COST = 4 * 1024 * 1024,   /* of what is done of it all when its bridge has gone: some 0.1 s of work */
    SPARE_BYTES = 64 * 1024        /* of frames that are done, before the rest is moved to the front */
};

typedef struct deferred {
    list_node node; /* of the bridge's; whoever had a turn goes to the end */
    uint64_t number;
    frame_writer frames;
    size_t at;      /* of the first that is not done */
    uint32_t done;  /* envelopes of it that are, when it is a publish */
    size_t done_bytes;
    loom_str agent; /* in name */
    char name[LOOM_AGENT_ID_MAX];
} deferred;

static deferred *item(list_node *node)
{
    return list_item(node, deferred, node);
}

static deferred *find(const bridge_peer *b, uint64_t number)
{
    for (list_node *node = b->deferred.first; node != NULL; node = node->next) {
        if (item(node)->number == number) {
            return item(node);
        }
    }
    return NULL;
}

/* A session of this agent before that number. */
static deferred *find_before(const bridge_peer *b, loom_str agent, uint64_t number)
{
    for (list_node *node = b->deferred.first; node != NULL; node = node->next) {
        deferred *d = item(node);
        if (d->number < number && d->agent.len == agent.len && memcmp(d->name, agent.data, agent.len) == 0) {
            return d;
        }
    }
    return NULL;
}

static size_t waiting(const deferred *d)
{
    return d->frames.len - d->at;
}

/* ---- adding ---- */

/* NULL: there are as many as there may be, or no memory. */
static deferred *begin(bridge_peer *b, uint64_t number, loom_str agent)
{
    deferred *d = b->deferred_count < SESSIONS_MAX ? calloc(1, sizeof *d) : NULL;
    if (d == NULL) {
        return NULL;
    }
    d->number = number;
    d->agent = (loom_str){d->name, agent.len < sizeof d->name ? agent.len : sizeof d->name};
    memcpy(d->name, agent.data, d->agent.len);
    list_append(&b->deferred, &d->node);
    b->deferred_count++;
    b->server->stats.deferred++;
    return d;
}

static void end(bridge_peer *b, deferred *d)
{
    peer_session *session = number_table_get(&b->sessions, d->number);
    if (session != NULL) {
        peer_session_wait(session, false);
    }
    list_remove(&b->deferred, &d->node);
    b->deferred_count--;
    frame_writer_fini(&d->frames);
    free(d);
}

static bool append(bridge_peer *b, deferred *d, loom_bytes bytes)
{
    if (d->at >= SPARE_BYTES && d->at >= waiting(d)) {
        memmove(d->frames.data, d->frames.data + d->at, waiting(d));
        d->frames.len -= d->at;
        d->at = 0;
    }
    if (waiting(d) + bytes.len > BYTES_MAX || bus_put_raw(&d->frames, bytes) != LOOM_OK) {
        return false;
    }
    peer_session *session = waiting(d) >= BYTES_WAIT ? number_table_get(&b->sessions, d->number) : NULL;
    if (session != NULL) {
        peer_session_wait(session, true);
    }
    return true;
}

/* ---- their turns ---- */

/* count: the envelopes of it, when it is a publish; else 0. */
static void note_done(deferred *d, const bus_frame *f, uint32_t count)
{
    const frame_batch *left = &f->link.u.batch;
    if (count == 0) {
        return;
    }
    d->done = count - left->count;
    d->done_bytes = (size_t)(left->items.data - f->whole.data);
}

/* The first of its frames. *over: its turn is over before the end of it. */
static loom_status take_first(bridge_peer *b, deferred *d, bool *over)
{
    char reason[FRAME_REASON_SIZE];
    loom_bytes rest = {d->frames.data + d->at, waiting(d)};
    bus_frame f;
    loom_status st = bus_frame_next(&rest, &f, reason); /* it was read when it came */
    if (st != LOOM_OK) {
        return st;
    }
    const bool publish = f.type == FRAME_PUBLISH;
    const uint32_t count = publish ? f.link.u.batch.count : 0;
    if (publish && d->done > 0) {
        const size_t skip = d->done_bytes - (size_t)(f.link.u.batch.items.data - f.whole.data);
        f.link.u.batch.count -= d->done;
        f.link.u.batch.items = (loom_bytes){f.link.u.batch.items.data + skip, f.link.u.batch.items.len - skip};
    }
    st = peer_session_frame(b, d->number, &f, reason);
    *over = st == LOOM_EBUSY;
    if (*over) {
        note_done(d, &f, count);
        return LOOM_OK;
    }
    d->at += f.whole.len;
    d->done = 0;
    peer_session *session = publish ? NULL : number_table_get(&b->sessions, d->number);
    if (session != NULL) {
        session->turn.spent += FRAME_COST;
    }
    return st;
}

static bool has_turn(const bridge_peer *b, const deferred *d)
{
    peer_session *session = number_table_get(&b->sessions, d->number);
    return session == NULL || work_turn_is_left(&session->turn, b->server);
}

static void give_new_turn(const bridge_peer *b, const deferred *d)
{
    peer_session *session = number_table_get(&b->sessions, d->number);
    if (session != NULL) {
        session->turn.spent = 0;
    }
}

/* all: whatever it costs. */
static void work_off(bridge_peer *b, deferred *d, bool all)
{
    shared_bytes *const whole = b->parts.whole; /* of another frame */
    b->parts.whole = NULL;
    while (waiting(d) > 0 && b->failed == LOOM_OK && (all || has_turn(b, d))) {
        bool over;
        const loom_status st = take_first(b, d, &over);
        if (st != LOOM_OK) {
            bridge_peer_fail(b, st, "a frame that had to wait cannot be read");
        } else if (over && all) {
            give_new_turn(b, d);
        }
    }
    b->parts.whole = whole;
    if (waiting(d) == 0) {
        end(b, d);
    }
}

static void finish_one(bridge_peer *b, deferred *d)
{
    deferred *before = find_before(b, d->agent, d->number);
    while (before != NULL) { /* at most one of them has been attached */
        work_off(b, before, true);
        before = b->failed == LOOM_OK ? find_before(b, d->agent, d->number) : NULL;
    }
    if (b->failed == LOOM_OK) {
        work_off(b, d, true);
    }
}

static bool may_take_turn(const bridge_peer *b, const deferred *d)
{
    return find_before(b, d->agent, d->number) == NULL;
}

bool deferred_is_due(const bridge_peer *b)
{
    return b->deferred.first != NULL && !b->server->takes_no_publishes && b->failed == LOOM_OK && bridge_peer_unsent(b) < DEFERRED_AHEAD;
}

void deferred_take_turn(bridge_peer *b)
{
    if (!deferred_is_due(b)) {
        return;
    }
    list_node *node = b->deferred.first;
    while (node != NULL && !may_take_turn(b, item(node))) {
        node = node->next;
    }
    if (node != NULL) {
        list_remove(&b->deferred, node);
        list_append(&b->deferred, node);
        work_off(b, item(node), false);
    }
}

/* Envelopes of it that are not published. */
static uint64_t count_left(const deferred *d)
{
    char reason[FRAME_REASON_SIZE];
    loom_bytes rest = {d->frames.data + d->at, waiting(d)};
    uint64_t count = 0;
    bus_frame f;
    while (bus_frame_next(&rest, &f, reason) == LOOM_OK) {
        count += f.type == FRAME_PUBLISH ? f.link.u.batch.count : 0;
    }
    return count - d->done;
}

void deferred_finish(bridge_peer *b)
{
    const uint64_t before = work_done(b->server);
    uint64_t lost = 0;
    for (list_node *node = b->deferred.first; node != NULL; node = node->next) { /* agents of several sessions in their order */
        deferred *d = item(node);
        bool over;
        while (waiting(d) > 0 && work_since(b->server, before) < LAST_COST) {
            give_new_turn(b, d);
            if (take_first(b, d, &over) != LOOM_OK) {
                break;
            }
        }
        lost += count_left(d);
    }
    if (lost > 0) {
        b->server->stats.deferred_lost += lost;
        log_to(&b->server->log, LOG_WARN, "lost messages of a bridge that has gone, which were put off bridge=%.*s count=%llu",
               (int)b->id_len, b->id, (unsigned long long)lost);
    }
}

void deferred_drop(bridge_peer *b)
{
    for (list_node *node; (node = list_take_first(&b->deferred)) != NULL;) {
        frame_writer_fini(&item(node)->frames);
        free(item(node));
    }
    b->deferred_count = 0;
}

/* ---- as they come ---- */

/* An agent comes, or goes. */
static bool is_news(const bus_frame *f)
{
    return f->type == BUS_FRAME_ATTACH || f->type == FRAME_BYE;
}

/* NULL: it need not wait, or cannot. */
static deferred *begin_with_news(bridge_peer *b, uint64_t number, const bus_frame *f)
{
    const peer_session *session = number_table_get(&b->sessions, number);
    if (session != NULL) {
        return !work_turn_is_left(&b->news, b->server) ? begin(b, number, port_agent(session->port)) : NULL;
    }
    if (f->type != BUS_FRAME_ATTACH) {
        return NULL;
    }
    deferred *before = find_before(b, f->attach.agent, number);
    if (before == NULL && work_turn_is_left(&b->news, b->server)) {
        return NULL;
    }
    deferred *d = begin(b, number, f->attach.agent);
    if (d == NULL && before != NULL) {
        finish_one(b, before);
    }
    return d;
}

/* False: it is to be handled now. */
static bool must_wait(bridge_peer *b, uint64_t number, const bus_frame *f)
{
    deferred *d = b->deferred.first != NULL ? find(b, number) : NULL;
    if (d == NULL && is_news(f)) {
        d = begin_with_news(b, number, f);
    }
    if (d == NULL || f->type == FRAME_CREDIT) {
        return false;
    }
    if (!append(b, d, f->whole)) {
        finish_one(b, d);
        return false;
    }
    return true;
}

/* The turn of the session is over before f, or within its batch of count envelopes. False: it cannot wait. */
static bool put_off(bridge_peer *b, uint64_t number, const bus_frame *f, uint32_t count)
{
    const peer_session *session = number_table_get(&b->sessions, number);
    deferred *d = begin(b, number, port_agent(session->port));
    if (d == NULL) {
        return false;
    }
    if (!append(b, d, f->whole)) {
        end(b, d);
        return false;
    }
    note_done(d, f, count);
    return true;
}

loom_status deferred_pass(bridge_peer *b, uint64_t number, bus_frame *f, char reason[FRAME_REASON_SIZE])
{
    if (b->server->takes_no_publishes && f->type == FRAME_PUBLISH) {
        return LOOM_OK; /* it is not taken, and so not confirmed */
    }
    if ((b->deferred.first != NULL || is_news(f)) && must_wait(b, number, f)) {
        return LOOM_OK;
    }
    const uint64_t before = work_done(b->server);
    const uint32_t count = f->type == FRAME_PUBLISH ? f->link.u.batch.count : 0;
    loom_status st;
    while ((st = peer_session_frame(b, number, f, reason)) == LOOM_EBUSY) {
        if (put_off(b, number, f, count)) {
            return LOOM_OK;
        }
        peer_session *session = number_table_get(&b->sessions, number);
        session->turn.spent = 0; /* it cannot wait */
    }
    b->news.spent += is_news(f) ? work_since(b->server, before) : 0;
    return st;
}
