/* SPDX-License-Identifier: Apache-2.0 */
/* keep: a trace that matters to somebody. Every recorder on the bus is told: that of this process, those of the other agents here, and
 * by the bus those elsewhere. Nothing here makes a span. */
#include "bridge/session/session.h"

#include "base/str.h"
#include "trace/messaging/parties.h"
#include "trace/record/recorder.h"

enum {
    KEEPS_PER_SECOND = 2000, /* of all agents of this bridge together */
    KEEPS_BURST = 4000,
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

static void tell(bridge *b, const frame_keep *f, const session *except)
{
    for (session *s = b->sessions; s != NULL; s = s->next) {
        if (s != except) {
            tell_one(s, f);
        }
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
    tell(b, f, s);
    b->options.bus->ops->keep(b->options.bus, f);
}

void bridge_keep(bridge *b, const frame_keep *f)
{
    tell(b, f, NULL);
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
    tell(b, &plain, NULL);
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
