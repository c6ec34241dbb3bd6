/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/session/bridge.h"

#include <stdlib.h>

#include "bridge/session/attempts.h"
#include "bridge/session/unsent.h"

static void told_to_keep(void *b, const frame_keep *f)
{
    bridge_told_to_keep(b, f);
}

static void bus_is_up(void *b)
{
    bridge_bus_is_up(b);
}

loom_status bridge_create(bridge **out, const loop_clock *clock, const bridge_options *options)
{
    *out = NULL;
    bridge *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return LOOM_ENOMEM;
    }
    b->clock = clock;
    b->options = *options;
    bridge_options *o = &b->options;
    o->heartbeat_ms = o->heartbeat_ms != 0 ? o->heartbeat_ms : 15000;
    bridge_set_envelope_limits(b, o->payload_max, o->ttl);
    bridge_set_max_sessions(b, o->max_sessions);
    o->publish_window = o->publish_window != 0 ? o->publish_window : 1024 * 1024;
    if (o->bus != NULL) {
        o->bus->bridge = b;
        o->bus->told_to_keep = told_to_keep;
        o->bus->is_up = bus_is_up;
    }
    *out = b;
    return LOOM_OK;
}

void bridge_destroy(bridge *b)
{
    if (b != NULL) {
        if (b->options.bus != NULL) {
            b->options.bus->told_to_keep = NULL;
            b->options.bus->is_up = NULL;
        }
        while (b->gone_attempts.first != NULL) {
            attempts_take_turn(b);
        }
        bridge_drop_keeps_due(b);
        free(b->scratch[0]);
        free(b->scratch[1]);
        free(b);
    }
}

/* What the bus knows of an agent's life is as old as a heartbeat: it is told, unless there is nothing new. */
static void tell_heard(session *s, uint64_t now)
{
    if (s->heard_ms > s->told_ms && now >= s->told_ms + s->bridge->options.heartbeat_ms) {
        s->told_ms = s->heard_ms;
        session_pass_up(s, &(frame){.type = FRAME_PING, .u.number = now > s->heard_ms ? now - s->heard_ms : 0});
    }
}

static void tick_session(session *s, uint64_t now)
{
    uint64_t silent = now > s->heard_ms && !s->waits ? now - s->heard_ms : 0; /* nothing is read of one that waits */
    uint32_t interval = s->bridge->options.heartbeat_ms;
    if (s->doom != LOOM_OK) {
        session_end_doomed(s);
    } else if (s->state == SESSION_OPEN && silent > (uint64_t)interval * SESSION_SILENT_INTERVALS) {
        s->bridge->stats.expired++;
        session_end(s, FRAME_ERROR, LOOM_EEXPIRED, "no heartbeat in time");
    } else if (s->state == SESSION_OPEN && silent > interval && !s->pinged) {
        const size_t mark = session_begin(s);
        s->pinged = true;
        session_commit(s, mark, SESSION_OTHER, frame_put_number(&s->out, FRAME_PING, now));
    }
    if (s->state == SESSION_OPEN) {
        tell_heard(s, now);
    }
}

static uint64_t later(uint64_t at_ms, uint64_t by_ms, uint64_t now_ms)
{
    return now_ms - at_ms > by_ms ? at_ms + by_ms : now_ms; /* it may have been after the pause */
}

/* A process that was stopped, or a machine that slept, has heard nobody: no session is to blame. */
static void forgive(bridge *b, uint64_t slept_ms, uint64_t now_ms)
{
    for (session *s = b->sessions; s != NULL; s = s->next) {
        s->heard_ms = later(s->heard_ms, slept_ms, now_ms);
        s->told_ms = later(s->told_ms, slept_ms, now_ms);
        s->opened_ms = later(s->opened_ms, slept_ms, now_ms);
    }
}

/* By the time at which the walk began: a pause in the middle of it is nobody's silence either. */
static void tick_some(bridge *b)
{
    for (int left = SESSIONS_A_ROUND; left > 0 && b->to_tick != NULL; left--) {
        session *s = b->to_tick;
        b->to_tick = s->next; /* ending a session may close it */
        tick_session(s, b->ticked_ms);
    }
}

static void ask_some_to_move(bridge *b)
{
    const uint64_t now_ms = b->clock->now_ms, left_ms = b->move_by_ms > now_ms ? b->move_by_ms - now_ms : 0;
    for (int left = SESSIONS_A_ROUND; left > 0 && b->to_move != NULL; left--) {
        session *s = b->to_move;
        b->to_move = s->next;
        if (s->state == SESSION_OPEN) {
            session_answer(s, &(frame){.type = FRAME_MOVE, .u.number = left_ms});
        }
    }
}

void bridge_tick(bridge *b)
{
    const uint64_t now_ms = b->clock->now_ms, since_ms = now_ms - b->ticked_ms;
    if (b->ticked_ms != 0 && since_ms > b->options.heartbeat_ms) {
        forgive(b, since_ms, now_ms);
    }
    b->ticked_ms = now_ms;
    bridge_expire_strangers(b);
    b->to_tick = b->to_tick != NULL ? b->to_tick : b->sessions;
    tick_some(b);
}

void bridge_ask_to_move(bridge *b, uint32_t within_ms)
{
    b->move_by_ms = b->clock->now_ms + within_ms;
    b->to_move = b->sessions;
    ask_some_to_move(b);
}

bool bridge_goes_on(const bridge *b)
{
    return b->to_tick != NULL || b->to_move != NULL || b->owed.first != NULL || b->gone_attempts.first != NULL ||
           b->keeps_due.first != NULL || b->refusals.first != NULL;
}

void bridge_wind_down(bridge *b)
{
    b->winding_down = true;
}

void bridge_end_sessions(bridge *b, loom_status why, const char *text)
{
    for (session *s = b->sessions, *next; s != NULL; s = next) {
        next = s->next;
        session_end(s, FRAME_BYE, why, text);
    }
}

void bridge_lend(bridge *b, shared_bytes *block)
{
    b->lent = block;
}

void bridge_new_round(bridge *b)
{
    b->round++;
    b->hello_cost = 0;
    b->goodbyes = 0;
    tick_some(b);
    ask_some_to_move(b);
    bridge_pay_owed(b);
    attempts_take_turn(b);
    bridge_tell_keeps_due(b);
    if (b->refusals.first != NULL) {
        unsent_answer(b);
    }
    if (b->options.spans != NULL) {
        span_intake_resume(b->options.spans);
    }
}

bool bridge_holds_spans(const bridge *b)
{
    return b->options.spans != NULL && span_intake_waits(b->options.spans);
}

bridge_stats bridge_get_stats(const bridge *b)
{
    return b->stats;
}

void bridge_set_envelope_limits(bridge *b, uint32_t payload_max, uint8_t ttl)
{
    b->options.payload_max = payload_max != 0 && payload_max < LOOM_PAYLOAD_MAX ? payload_max : LOOM_PAYLOAD_MAX;
    b->options.ttl = ttl != 0 ? ttl : LOOM_TTL_DEFAULT;
}

void bridge_set_max_sessions(bridge *b, uint32_t max_sessions)
{
    b->options.max_sessions = max_sessions != 0 ? max_sessions : 10000;
}

void bridge_visit_sessions(const bridge *b, bool (*visit)(void *user, const session_info *info), void *user)
{
    for (const session *s = b->sessions; s != NULL; s = s->next) {
        session_info info = session_describe(s);
        if (!visit(user, &info)) {
            return;
        }
    }
}
