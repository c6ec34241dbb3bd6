/* SPDX-License-Identifier: Apache-2.0 */
/* keep: a trace that matters to somebody. Every recorder on the bus is told: that of this process, those of the other agents here, and
 * by the bus those elsewhere. Nothing here makes a span. */
#include "bridge/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "trace/messaging/parties.h"
#include "trace/record/recorder.h"

enum {
    KEEPS_PER_SECOND = 2000, /* of all agents of this bridge together */
    KEEPS_BURST = 4000,
    KEEPS_VISITS_A_ROUND = 4096, /* sessions that are looked at for one trace after the other: some 0.2 ms */
    KEEPS_DUE_MAX = 8192,
    KEEPS_UNREAD_MAX = 64 * 1024 /* bytes of them that an agent has not read, after which it is told of no more */
};

static bool may_keep(bridge *b)
{
    const uint64_t now = b->clock->now_ms;
    const uint64_t earned = (now - b->keeps_ms) * KEEPS_PER_SECOND / 1000;
    if (earned > 0) {
        b->keeps_left = b->keeps_left + earned < KEEPS_BURST ? b->keeps_left + earned : KEEPS_BURST;
        b->keeps_ms = now;
    }
    if (b->keeps_left == 0) {
        return false;
    }
    b->keeps_left--;
    return true;
}

static void tell_one(session *s, const frame_keep *f)
{
    if (s->recorder < (f->last > 0 ? 2 : 1) || s->state != SESSION_OPEN || s->doom != LOOM_OK) {
        return;
    }
    if (s->keeps.older + s->keeps.newer >= KEEPS_UNREAD_MAX) {
        s->bridge->stats.keeps_dropped++;
        return;
    }
    const size_t mark = session_begin(s);
    const loom_status st = frame_put_keep(&s->out, f);
    s->keeps.newer += s->out.len - mark;
    session_commit(s, mark, SESSION_OTHER, st);
}

typedef struct due_keep {
    list_node node;
    frame_keep frame;
    uint64_t except;
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    char reason[FRAME_KEEP_REASON_MAX];
} due_keep;

static void tell_all(bridge *b, const frame_keep *f, uint64_t except)
{
    for (session *s = b->sessions; s != NULL; s = s->next) {
        if (s->id != except) {
            tell_one(s, f);
        }
    }
    b->keep_visits += b->stats.sessions;
}

static bool tell_later(bridge *b, const frame_keep *f, uint64_t except)
{
    due_keep *d = b->keeps_due_count < KEEPS_DUE_MAX && f->reason.len <= FRAME_KEEP_REASON_MAX ? malloc(sizeof *d) : NULL;
    if (d == NULL) {
        return false;
    }
    *d = (due_keep){.frame = *f, .except = except};
    if (f->trace_id != NULL) {
        memcpy(d->trace_id, f->trace_id, sizeof d->trace_id);
        d->frame.trace_id = d->trace_id;
    }
    if (f->reason.len > 0) {
        memcpy(d->reason, f->reason.data, f->reason.len);
        d->frame.reason.data = d->reason;
    }
    list_append(&b->keeps_due, &d->node);
    b->keeps_due_count++;
    return true;
}

static due_keep *take_due(bridge *b)
{
    due_keep *d = list_item(list_take_first(&b->keeps_due), due_keep, node);
    b->keeps_due_count -= d != NULL;
    return d;
}

/* except: the id of a session that knows already; 0: none. With thousands of agents, a burst is more than a round's work. */
static void tell(bridge *b, const frame_keep *f, uint64_t except)
{
    if (b->keeps_due.first == NULL && b->keep_visits < KEEPS_VISITS_A_ROUND) {
        tell_all(b, f, except);
    } else if (!tell_later(b, f, except)) {
        b->stats.keeps_dropped++;
    }
}

void bridge_tell_keeps_due(bridge *b)
{
    b->keep_visits = 0;
    while (b->keeps_due.first != NULL && b->keep_visits < KEEPS_VISITS_A_ROUND) {
        due_keep *d = take_due(b);
        tell_all(b, &d->frame, d->except);
        free(d);
    }
}

void bridge_drop_keeps_due(bridge *b)
{
    for (due_keep *d; (d = take_due(b)) != NULL;) {
        free(d);
    }
}

void session_tell_kept(session *s)
{
    recorder_recent kept[RECORDER_RECENT];
    for (size_t i = s->recorder > 0 ? recorder_list_kept_now(kept) : 0; i > 0; i--) {
        tell_one(s, &(frame_keep){.trace_id = kept[i - 1].trace_id, .reason = str_of(kept[i - 1].reason)});
    }
}

void on_keep(session *s, const frame_keep *f)
{
    bridge *b = s->bridge;
    if (!may_keep(b)) {
        b->stats.keeps_dropped++;
        recorder_note_limited(f->trace_id, f->reason); /* whoever found it has its part alone, until it is asked for */
        return;
    }
    b->stats.keeps++;
    recorder_keep_here(f->trace_id, f->reason);
    tell(b, f, s->id);
    b->options.bus->ops->keep(b->options.bus, f);
}

void bridge_keep(bridge *b, const frame_keep *f)
{
    tell(b, f, 0);
    b->options.bus->ops->keep(b->options.bus, f);
}

void bridge_keeps_dropped(bridge *b, uint64_t count)
{
    b->stats.keeps_dropped += count;
}

/* What this process's recorder has of it. */
static void answer(bridge *b, const frame_keep *f)
{
    trace_parties all;
    trace_parties_find(&all, f->trace_id);
    frame_held held = {.trace_id = f->trace_id, .spans = all.found.spans, .cut = all.found.cut, .off = !recorder_is_running()};
    for (size_t i = 0; i < all.count && held.party_count < FRAME_PARTIES_MAX; i++) {
        held.parties[held.party_count].agent = (loom_str){all.items[i].id, all.items[i].len};
        held.parties[held.party_count].start_unix_ns = all.items[i].start_unix_ns;
        held.parties[held.party_count++].here = all.items[i].here;
    }
    b->options.bus->ops->held(b->options.bus, &held);
}

void bridge_told_to_keep(bridge *b, const frame_keep *f)
{
    if (f->last > 0) {
        recorder_keep_limited(f->last);
    } else {
        recorder_keep_here(f->trace_id, f->reason);
    }
    frame_keep plain = *f;
    plain.asks = false;
    tell(b, &plain, 0);
    if (f->asks && b->options.bus->ops->held != NULL) {
        answer(b, f);
    }
}

void bridge_bus_is_up(bridge *b)
{
    recorder_recent kept[RECORDER_RECENT];
    for (size_t i = recorder_list_kept_now(kept); i > 0; i--) {
        b->options.bus->ops->keep(b->options.bus, &(frame_keep){.trace_id = kept[i - 1].trace_id, .reason = str_of(kept[i - 1].reason)});
    }
}
