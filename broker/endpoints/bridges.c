/* SPDX-License-Identifier: Apache-2.0 */
/* The bridges that are connected: how they greet, what they send, and how their end is noticed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/endpoints/internal.h"
#include "trace/record/recorder.h"

static bridge_peer *find(bus_server *s, loom_str id)
{
    for (bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        if (b->greeted && b->failed == LOOM_OK && b->id_len == id.len && memcmp(b->id, id.data, id.len) == 0) {
            return b;
        }
    }
    return NULL;
}

/* ---- its end ---- */

static void leave(bridge_peer *b)
{
    control_held_bridge_gone(b->server, b);
    for (bridge_peer **at = &b->server->bridges.first; *at != NULL; at = &(*at)->next) {
        if (*at == b) {
            *at = b->next;
            break;
        }
    }
    b->server->bridges.count -= b->greeted;
    deferred_drop(b);
    span_sender_close(b->spans);
    bus_lane_clear(&b->lane);
    bus_parts_clear(&b->parts);
}

/* Nothing of the bridge is left here when it returns, but sessions that leave in turns. */
static void end(bridge_peer *b, loom_status status, const char *why)
{
    bus_server *s = b->server;
    if (!s->closing) {
        deferred_finish(b);
    }
    if (b->greeted) {
        uint64_t lost = bus_ledger_unconfirmed(&b->ledger);
        log_to(&s->log, LOG_INFO, "bridge disconnected bridge=%.*s sessions=%zu unconfirmed=%llu reason=%s", (int)b->id_len,
               b->id, b->sessions.count, (unsigned long long)lost, why);
        s->stats.unconfirmed += lost;
        s->stats.bridges_lost++;
        absent_bridge_add(s, b);
    } else {
        bus_log_limited(s, &s->malformed_log, LOG_WARN, "bridge connection rejected before its greeting peer=%s reason=%s",
                        b->peer != NULL ? sp_peer_name(b->peer) : "?", why);
    }
    if (b->peer != NULL) {
        frame_writer w = {0}; /* its own: whatever else was waiting no longer matters */
        if (frame_put_outcome(&w, FRAME_ERROR, &(frame_outcome){.status = (uint64_t)status, .text = str_of(why)}) == LOOM_OK) {
            (void)!sp_peer_send(b->peer, &(loom_bytes){w.data, w.len}, 1);
        }
        frame_writer_fini(&w);
        sp_peer_close(b->peer);
        b->peer = NULL;
    }
    leave(b);
    bridge_gone(b, status);
}

/* ---- rounds ---- */

void bridge_endpoint_flush(bus_server *s)
{
    for (bridge_peer *b = s->bridges.first, *next; b != NULL; b = next) {
        next = b->next;
        if (b->failed == LOOM_OK) {
            peer_session_answer(b);
            bridge_peer_flush(b);
        }
        if (b->failed != LOOM_OK) {
            end(b, b->failed, b->failure);
        }
    }
}

void bridge_endpoint_hold_publishers(bus_server *s)
{
    for (bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        void *session;
        for (size_t at = 0; b->greeted && b->failed == LOOM_OK && number_table_next(&b->sessions, &at, &session);) {
            peer_session_tell_pressure(session);
        }
    }
}

void bridge_endpoint_take_turns(bus_server *s)
{
    bridge_gone_take_turn(s);
    for (bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        deferred_take_turn(b);
        credit_take_turn(b);
    }
}

/* It has been given something since it was flushed: one that ends tells the agents of others. */
static bool has_more_to_say(const bridge_peer *b)
{
    return b->failed != LOOM_OK || b->out.w.len > 0 || b->refusals.first != NULL || bridge_peer_takes_part(b);
}

bool bridge_endpoint_has_turns(const bus_server *s)
{
    if (s->bridges.gone != NULL) {
        return true;
    }
    for (const bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        if (deferred_is_due(b) || credit_is_due(b) || has_more_to_say(b)) {
            return true;
        }
    }
    return false;
}

void bridge_endpoint_tick(bus_server *s)
{
    control_held_tick(s);
    shared_pool_tidy(s->blocks);
    for (bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        const bus_life life = bus_ledger_tick(&b->ledger, s->options.ping_ms, s->options.silence_ms);
        if (life == BUS_LIFE_GONE) {
            bridge_peer_fail(b, LOOM_EEXPIRED, "no sign of life from the bridge");
        } else if (life == BUS_LIFE_QUIET && b->greeted && b->failed == LOOM_OK) {
            bridge_peer_report(b, true);
        }
    }
}

/* ---- in ---- */

static void tell_draining(bridge_peer *b, uint32_t within_ms)
{
    frame_writer *w = bridge_peer_writer(b, 0);
    if (w != NULL) {
        bridge_peer_wrote(b, frame_put_number(w, FRAME_MOVE, within_ms));
    }
}

/* A bridge that has just come: which traces are kept now. */
static void tell_kept(bridge_peer *b)
{
    recorder_recent kept[RECORDER_RECENT];
    frame_writer *w = bridge_peer_writer(b, 0);
    for (size_t i = w != NULL ? recorder_list_kept_now(kept) : 0; i > 0; i--) {
        bridge_peer_wrote(b, frame_put_keep(w, &(frame_keep){.trace_id = kept[i - 1].trace_id, .reason = str_of(kept[i - 1].reason)}));
    }
}

static loom_status greet(bridge_peer *b, const bus_frame *f, char reason[FRAME_REASON_SIZE])
{
    bus_server *s = b->server;
    const bus_greeting *g = &f->greeting;
    if (f->type != BUS_FRAME_GREETING) {
        snprintf(reason, FRAME_REASON_SIZE, "a bridge begins with its greeting");
        return LOOM_EPROTO;
    }
    if (g->protocol != BUS_PROTOCOL) {
        snprintf(reason, FRAME_REASON_SIZE, "version of the bridge bus must be %d", BUS_PROTOCOL);
        return LOOM_EVERSION;
    }
    if (!bus_bridge_id_valid(g->id)) {
        snprintf(reason, FRAME_REASON_SIZE, "bridge id must be 1 to 128 printable ASCII characters without spaces");
        return LOOM_EINVAL;
    }
    bridge_peer *older = find(s, g->id);
    if (older != NULL) {
        end(older, LOOM_EREPLACED, "replaced by a newer connection with the same bridge id");
    }
    bridge_gone_finish(s, &g->id); /* else its agents, which come back now, would find themselves here already */
    if (s->bridges.count >= s->options.max_bridges) {
        snprintf(reason, FRAME_REASON_SIZE, "too many bridges");
        return LOOM_EFULL;
    }
    b->greeted = true;
    b->takes_parts = g->parts;
    b->id_len = g->id.len;
    memcpy(b->id, g->id.data, g->id.len);
    s->bridges.count++;
    s->stats.attachments++;
    const uint64_t hold_ms = eventbus_hold_left_ms(s->cores.events), span_credit = bridge_spans_open(b);
    bridge_peer_wrote(b, bus_put_greeting(&b->out.w, &(bus_greeting){BUS_PROTOCOL, str_of("broker"), str_of(s->software), hold_ms,
                                                                     span_credit, true, s->options.payload_max, s->options.ttl}));
    if (directory_is_draining(s->cores.agents)) {
        tell_draining(b, 1);
    }
    b->awaited = absent_bridge_take(s, g->id);
    if (b->awaited > 0) {
        bridge_peer_report(b, true); /* which it answers behind all that it attaches */
    }
    tell_kept(b);
    log_to(&s->log, LOG_INFO, "bridge connected bridge=%.*s software=%.*s peer=%s", (int)b->id_len, b->id,
           (int)g->software.len, g->software.data, sp_peer_name(b->peer));
    return LOOM_OK;
}

static loom_status on_frame(void *user, bus_frame *f, uint64_t *session, char reason[FRAME_REASON_SIZE])
{
    bridge_peer *b = user;
    if (!b->greeted) {
        return greet(b, f, reason);
    }
    if (f->type == FRAME_SPANS && *session == 0) {
        bridge_spans_take(b, &f->link.u.spans);
        return LOOM_OK;
    }
    if (f->type == FRAME_KEEP && *session == 0) {
        bridge_endpoint_keep(b->server, &f->link.u.keep, b);
        return LOOM_OK;
    }
    if (f->type == FRAME_HELD && *session == 0) {
        control_held(b->server, b, &f->link.u.held);
        return LOOM_OK;
    }
    switch (f->type) {
    case BUS_FRAME_SESSION: *session = f->number; return LOOM_OK;
    case BUS_FRAME_TAKEN:
        b->awaited = 0; /* a bridge attaches its sessions before it says anything else */
        return bus_ledger_confirm(&b->ledger, f, reason);
    case BUS_FRAME_MARK: bridge_peer_wrote(b, bus_put_mark(&bridge_peer_out(b)->w, f->number)); return LOOM_OK;
    default: return deferred_pass(b, *session, f, reason);
    }
}

static void tell_bridges(bus_server *s, const frame_keep *f, const bridge_peer *except)
{
    for (bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        if (b == except || !b->greeted) {
            continue;
        }
        frame_writer *w = !bridge_peer_is_full(b) ? bridge_peer_writer(b, 0) : NULL;
        if (w != NULL) {
            bridge_peer_wrote(b, frame_put_keep(w, f));
        } else {
            s->stats.keeps_dropped++;
        }
    }
}

void bridge_endpoint_keep(bus_server *s, const frame_keep *f, const bridge_peer *from)
{
    tell_bridges(s, f, from);
    if (s->options.on_keep != NULL) {
        s->options.on_keep(s->options.user, f);
    }
}

void bridge_endpoint_tell_draining(bus_server *s, uint32_t within_ms)
{
    s->drain_until_ms = s->clock->now_ms + within_ms;
    for (bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        void *session;
        if (!b->greeted || b->failed != LOOM_OK) {
            continue;
        }
        tell_draining(b, within_ms);
        for (size_t at = 0; within_ms > 0 && number_table_next(&b->sessions, &at, &session);) {
            peer_session_ask_to_move(session, within_ms);
        }
    }
}

void bus_server_keep(bus_server *s, const frame_keep *f)
{
    tell_bridges(s, f, NULL);
}

static loom_status on_frames(bridge_peer *b, loom_bytes frames, char reason[FRAME_REASON_SIZE])
{
    uint64_t session = 0;
    bus_frame f;
    while (b->failed == LOOM_OK) {
        loom_status st = bus_frame_next(&frames, &f, reason);
        if (st == LOOM_ENOTFOUND) {
            break;
        }
        if (st != LOOM_EVERSION) { /* unknown frames are stepped over */
            if (st == LOOM_OK) {
                const bool part = f.type == BUS_FRAME_PART && b->greeted;
                st = part ? bus_parts_pass(&b->parts, b->server->blocks, session, &f, on_frame, b, reason) : on_frame(b, &f, &session, reason);
            }
            if (st != LOOM_OK) {
                return st;
            }
        }
    }
    return LOOM_OK;
}

static void on_message(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    bus_server *s = user;
    bridge_peer *b = sp_peer_user(peer);
    char reason[FRAME_REASON_SIZE] = "";
    (void)reply_to;
    if (b == NULL) {
        return; /* there was no memory for it; it is about to be closed */
    }
    bus_woke(s);
    bus_ledger_received(&b->ledger);
    s->stats.bridge_received++;
    loom_status st = on_frames(b, (loom_bytes){data, len}, reason);
    if (st != LOOM_OK) {
        s->stats.bridge_malformed += st != LOOM_ENOMEM;
        s->stats.lost_memory += st == LOOM_ENOMEM;
        end(b, st, reason);
    }
}

/* ---- life ---- */

static void on_opened(void *user, sp_peer *peer)
{
    bus_server *s = user;
    bridge_peer *b = calloc(1, sizeof *b);
    if (b == NULL) {
        s->stats.lost_memory++;
        sp_peer_close(peer);
        return;
    }
    b->server = s;
    b->peer = peer;
    b->ledger.heard = true;
    b->next = s->bridges.first;
    s->bridges.first = b;
    sp_peer_set_user(peer, b);
}

static void on_closed(void *user, sp_peer *peer, loom_status status, const char *why)
{
    bridge_peer *b = sp_peer_user(peer);
    (void)user;
    if (b != NULL) {
        bus_woke(b->server);
        b->peer = NULL;
        end(b, status != LOOM_OK ? status : LOOM_ECLOSED, why);
    }
}

loom_status bridge_endpoint_open(bus_server *s)
{
    static const sp_handlers handlers = {.opened = on_opened, .message = on_message, .closed = on_closed};
    sp_options options = {.protocol = SP_PAIR, .handlers = &handlers, .message_max = BUS_MESSAGE_MAX};
    return bus_listen(s, &s->bridges.server, s->options.bus_bridge, options);
}

void bridge_endpoint_close(bus_server *s)
{
    while (s->bridges.first != NULL) {
        end(s->bridges.first, LOOM_ECLOSED, "the broker is shutting down"); /* NOLINT(clang-analyzer-unix.Malloc): end() unlinks it */
    }
    bridge_gone_finish(s, NULL);
    bus_unlisten(s, &s->bridges.server);
}
