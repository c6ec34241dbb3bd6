/* SPDX-License-Identifier: Apache-2.0 */
/* The bridges that are connected: what they send, what is sent to them, and how their end is noticed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/endpoints/internal.h"

enum { TELL_EVERY = 64 /* messages, before what was taken is told without anything else to say */ };

static loom_str str(const char *text)
{
    return (loom_str){text, strlen(text)};
}

static bus_bridge *find(bus_server *s, loom_str id)
{
    for (bus_bridge *b = s->bridges.first; b != NULL; b = b->next) {
        if (b->greeted && b->failed == LOOM_OK && b->id_len == id.len && memcmp(b->id, id.data, id.len) == 0) {
            return b;
        }
    }
    return NULL;
}

/* ---- its end ---- */

static void fail(bus_bridge *b, loom_status why, const char *text)
{
    if (b->failed == LOOM_OK) {
        b->failed = why;
        b->failure = text;
    }
}

static void leave_bus(bus_bridge *b, loom_status why)
{
    void *session;
    for (size_t at = 0; number_table_next(&b->sessions, &at, &session);) {
        bus_session_close(session, why);
    }
    number_table_fini(&b->sessions);
}

static void forget(bus_bridge *b)
{
    for (bus_bridge **at = &b->server->bridges.first; *at != NULL; at = &(*at)->next) {
        if (*at == b) {
            *at = b->next;
            break;
        }
    }
    b->server->bridges.count -= b->greeted;
    frame_writer_fini(&b->out.w);
    free(b);
}

/* After it nothing of the bridge is left here. */
static void end(bus_bridge *b, loom_status status, const char *why)
{
    bus_server *s = b->server;
    if (b->greeted) {
        uint64_t lost = b->delivered - b->confirmed;
        bus_log(s, 2, "bridge is gone bridge=%.*s sessions=%zu unconfirmed=%llu reason=\"%s\"", (int)b->id_len, b->id,
                b->sessions.count, (unsigned long long)lost, why);
        s->stats.unconfirmed += lost;
        s->stats.bridges_lost++;
    } else {
        bus_log_limited(s, &s->malformed_log, 1, "no bridge came of a connection peer=%s reason=\"%s\"",
                        b->peer != NULL ? sp_peer_name(b->peer) : "?", why);
    }
    leave_bus(b, status);
    if (b->peer != NULL) {
        frame_writer w = {0}; /* of its own: what else there was to say does not matter any more */
        if (frame_put_outcome(&w, FRAME_ERROR, &(frame_outcome){.status = (uint64_t)status, .text = str(why)}) == LOOM_OK) {
            (void)!sp_peer_send(b->peer, &(loom_bytes){w.data, w.len}, 1);
        }
        frame_writer_fini(&w);
        sp_peer_close(b->peer);
    }
    forget(b);
}

/* ---- out ---- */

static void send_message(bus_bridge *b)
{
    frame_writer_seal(&b->out.w);
    /* Without a connection its sessions are just being ended, and what one leaves behind is told to the next. */
    loom_status st = b->peer != NULL ? sp_peer_send(b->peer, &(loom_bytes){b->out.w.data, b->out.w.len}, 1) : LOOM_ENOTCONN;
    if (st == LOOM_OK) {
        b->server->stats.bridge_sent++;
    } else if (st != LOOM_ENOTCONN) { /* then its end is about to be told */
        bus_bridge_wrote(b, st);
    }
    bus_outgoing_clear(&b->out);
}

bus_outgoing *bus_bridge_out(bus_bridge *b)
{
    if (b->out.w.len > BUS_MESSAGE_TARGET) {
        send_message(b);
    }
    return &b->out;
}

frame_writer *bus_bridge_writer(bus_bridge *b, uint64_t session)
{
    frame_writer *w = bus_outgoing_to(bus_bridge_out(b), session);
    if (w == NULL) {
        bus_bridge_wrote(b, LOOM_ENOMEM);
    }
    return w;
}

void bus_bridge_wrote(bus_bridge *b, loom_status st)
{
    if (st != LOOM_OK && b->failed == LOOM_OK) {
        b->server->stats.lost_memory++;
        fail(b, LOOM_ENOMEM, "the broker is out of memory");
    }
}

static void tell_taken(bus_bridge *b, bool answer)
{
    bus_bridge_wrote(b, bus_put_taken(&bus_bridge_out(b)->w, b->taken, answer));
    b->told_taken = b->taken;
    b->unanswered = 0;
    b->asked = false;
}

/* A bridge that does not keep up gets no more than it has been granted already; one that does not read at all goes. */
static void watch_unsent(bus_bridge *b)
{
    const bus_server_options *o = &b->server->options;
    size_t unsent = sp_peer_unsent(b->peer);
    if (unsent > o->bridge_end_bytes) {
        fail(b, LOOM_EFULL, "it does not read what is sent to it");
    } else if (!b->held && unsent > o->bridge_hold_bytes) {
        b->held = true;
        b->server->stats.held++;
    } else if (b->held && unsent <= o->bridge_hold_bytes / 2) {
        void *value;
        b->held = false;
        for (size_t at = 0; number_table_next(&b->sessions, &at, &value);) {
            const bus_session *session = value;
            port_grant(session->port, session->messages, session->bytes);
        }
    }
}

static void flush(bus_bridge *b)
{
    bool more = b->out.w.len > 0;
    if (b->asked || (b->taken != b->told_taken && (more || b->unanswered >= TELL_EVERY))) {
        tell_taken(b, false);
    }
    if (b->out.w.len > 0) {
        send_message(b);
        sp_peer_flush(b->peer);
    }
}

void bridge_bus_flush(bus_server *s)
{
    for (bus_bridge *b = s->bridges.first, *next; b != NULL; b = next) {
        next = b->next;
        if (b->failed == LOOM_OK) {
            flush(b);
            watch_unsent(b);
        }
        if (b->failed != LOOM_OK) {
            end(b, b->failed, b->failure);
        }
    }
}

void bridge_bus_tick(bus_server *s)
{
    for (bus_bridge *b = s->bridges.first; b != NULL; b = b->next) {
        /* counted in ticks, not in time: a broker that was stopped itself has not been waiting for anybody */
        b->silent = b->heard ? 0 : b->silent + 1;
        b->heard = false;
        if ((uint64_t)b->silent * s->options.ping_ms >= s->options.silence_ms) {
            fail(b, LOOM_EEXPIRED, "nothing was heard of it");
        } else if (b->greeted && b->silent > 0 && b->failed == LOOM_OK) {
            tell_taken(b, true);
        }
    }
}

/* ---- in ---- */

static loom_status greet(bus_bridge *b, const bus_frame *f, char reason[FRAME_REASON_SIZE])
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
    bus_bridge *older = find(s, g->id);
    if (older != NULL) {
        end(older, LOOM_EREPLACED, "a newer connection of the same bridge id took its place");
    }
    if (s->bridges.count >= s->options.max_bridges) {
        snprintf(reason, FRAME_REASON_SIZE, "too many bridges");
        return LOOM_EFULL;
    }
    b->greeted = true;
    b->id_len = g->id.len;
    memcpy(b->id, g->id.data, g->id.len);
    s->bridges.count++;
    s->stats.attachments++;
    bus_bridge_wrote(b, bus_put_greeting(&b->out.w, &(bus_greeting){BUS_PROTOCOL, str("broker"), str(s->software)}));
    bus_log(s, 2, "bridge is connected bridge=%.*s software=\"%.*s\" peer=%s", (int)b->id_len, b->id, (int)g->software.len,
            g->software.data, sp_peer_name(b->peer));
    return LOOM_OK;
}

static loom_status on_frame(bus_bridge *b, bus_frame *f, uint64_t *session, char reason[FRAME_REASON_SIZE])
{
    if (!b->greeted) {
        return greet(b, f, reason);
    }
    switch (f->type) {
    case BUS_FRAME_SESSION: *session = f->number; return LOOM_OK;
    case BUS_FRAME_TAKEN:
        if (f->number < b->confirmed || f->number > b->delivered) {
            snprintf(reason, FRAME_REASON_SIZE, "it confirms what was never sent");
            return LOOM_EPROTO;
        }
        b->confirmed = f->number;
        b->asked = b->asked || f->answer;
        return LOOM_OK;
    default: return bus_session_frame(b, *session, f, reason);
    }
}

static loom_status on_frames(bus_bridge *b, loom_bytes frames, char reason[FRAME_REASON_SIZE])
{
    uint64_t session = 0;
    bus_frame f;
    while (b->failed == LOOM_OK) {
        loom_status st = bus_frame_next(&frames, &f, reason);
        if (st == LOOM_ENOTFOUND) {
            break;
        }
        if (st != LOOM_EVERSION) { /* unknown frames are stepped over */
            st = st == LOOM_OK ? on_frame(b, &f, &session, reason) : st;
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
    bus_bridge *b = sp_peer_user(peer);
    char reason[FRAME_REASON_SIZE] = "";
    (void)reply_to;
    if (b == NULL) {
        return; /* there was no memory for it; it is about to be closed */
    }
    bus_set_time(s);
    b->heard = true;
    b->unanswered++;
    s->stats.bridge_received++;
    loom_status st = on_frames(b, (loom_bytes){data, len}, reason);
    if (st != LOOM_OK) {
        s->stats.bridge_malformed++;
        end(b, st, reason);
    }
}

/* ---- life ---- */

static void on_opened(void *user, sp_peer *peer)
{
    bus_server *s = user;
    bus_bridge *b = calloc(1, sizeof *b);
    if (b == NULL) {
        s->stats.lost_memory++;
        sp_peer_close(peer);
        return;
    }
    b->server = s;
    b->peer = peer;
    b->heard = true;
    b->next = s->bridges.first;
    s->bridges.first = b;
    sp_peer_set_user(peer, b);
}

static void on_closed(void *user, sp_peer *peer, loom_status status, const char *why)
{
    bus_bridge *b = sp_peer_user(peer);
    (void)user;
    if (b != NULL) {
        bus_set_time(b->server);
        b->peer = NULL;
        end(b, status != LOOM_OK ? status : LOOM_ECLOSED, why);
    }
}

loom_status bridge_bus_open(bus_server *s)
{
    static const sp_handlers handlers = {.opened = on_opened, .message = on_message, .closed = on_closed};
    sp_options options = {.protocol = SP_PAIR, .handlers = &handlers, .message_max = BUS_MESSAGE_MAX};
    return bus_listen(s, &s->bridges.server, s->options.bus_bridge, options);
}

void bridge_bus_close(bus_server *s)
{
    while (s->bridges.first != NULL) {
        end(s->bridges.first, LOOM_ECLOSED, "the broker ends"); /* NOLINT(clang-analyzer-unix.Malloc): end() unlinks it */
    }
    bus_unlisten(s, &s->bridges.server);
}
