/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the broker: dialling, greetings, signs of life, and starting over.
 *
 * WAITING → DIALLING → GREETING → UP, and from anywhere back to WAITING. A connection is an ordered stream that loses
 * nothing while it lasts; what it may have lost when it ends is known by what the broker had confirmed. */
#include <string.h>

#include "base/backoff.h"
#include "bridge/bus/remote/internal.h"

enum {
    DIAL_MS = 5000,
    BACKOFF_FIRST_MS = 20,
    BACKOFF_MAX_MS = 2000,
    BACKOFF_REPLACED_MS = 10000, /* two bridges of one id must not throw each other out all the time */
    TELL_EVERY = 64              /* messages, before what was taken is told without anything else to say */
};

static void on_timer(uv_timer_t *timer)
{
    remote_tick(timer->data);
}

/* ---- the end of a connection ---- */

static void count_losses(bus_remote *b, uint64_t lost)
{
    if (lost > 0) {
        b->stats.unconfirmed += lost;
        remote_log(b, LOG_WARN, "messages may have been lost with the connection to the broker count=%llu",
                   (unsigned long long)lost);
    }
}

static void end_calls(bus_remote *b)
{
    void *port;
    for (size_t at = 0; number_table_next(&b->ports, &at, &port);) {
        remote_port_lost(port);
    }
}

void remote_lost(bus_remote *b, const char *why)
{
    bool was_up = b->state == REMOTE_UP;
    sp_peer *peer = b->peer;
    b->peer = NULL;
    b->state = REMOTE_WAITING;
    b->must_reattach = false;
    sp_peer_close(peer);
    remote_log(b, was_up || b->replaced ? LOG_WARN : LOG_DEBUG, "broker is not reached url=%s reason=\"%s\"", b->url, why);
    uint64_t wait = b->replaced ? BACKOFF_REPLACED_MS : backoff_delay(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, b->attempts++);
    b->replaced = false;
    if (!b->closing) {
        uv_timer_start(&b->timer, on_timer, wait, 0);
    }
    if (was_up) {
        count_losses(b, b->published - b->confirmed);
        end_calls(b);
        if (b->options.connected != NULL) {
            b->options.connected(b->options.user, false);
        }
    }
}

/* ---- its beginning ---- */

void remote_become_up(bus_remote *b, const bus_greeting *greeting)
{
    remote_queue old = b->queue;
    void *port;
    b->queue = (remote_queue){0};
    b->state = REMOTE_UP;
    b->attempts = 0;
    b->published = b->confirmed = b->taken = b->told_taken = 0;
    b->unanswered = 0;
    b->asked = false;
    for (size_t at = 0; number_table_next(&b->ports, &at, &port);) {
        ((bus_port *)port)->broker_pressing = false;
        if (remote_port_replay(port) != LOOM_OK) {
            b->must_reattach = true;
        }
    }
    b->pressure_changed = true;
    b->stats.attachments++;
    remote_log(b, LOG_INFO, "broker is reached url=%s software=\"%.*s\" ports=%zu", b->url, (int)greeting->software.len,
               greeting->software.data, b->ports.count);
    count_losses(b, remote_queue_carry(b, &old));
    if (b->options.connected != NULL) {
        b->options.connected(b->options.user, true);
    }
}

static void on_opened(void *user, sp_peer *peer)
{
    bus_remote *b = user;
    frame_writer_clear(&b->scratch);
    loom_status st = bus_put_greeting(&b->scratch, &(bus_greeting){BUS_PROTOCOL, {b->bridge_id, strlen(b->bridge_id)},
                                                                  {b->software, strlen(b->software)}});
    if (st != LOOM_OK || (st = sp_peer_send(peer, &(loom_bytes){b->scratch.data, b->scratch.len}, 1)) != LOOM_OK) {
        remote_lost(b, loom_status_text(st));
        return;
    }
    b->state = REMOTE_GREETING;
    b->silent = 0;
    b->heard = true;
    uv_timer_start(&b->timer, on_timer, b->options.ping_ms, b->options.ping_ms);
}

static void on_message(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    bus_remote *b = user;
    char reason[FRAME_REASON_SIZE] = "";
    (void)peer;
    (void)reply_to;
    b->heard = true;
    b->stats.received++;
    b->unanswered++;
    loom_status st = remote_take_frames(b, (loom_bytes){data, len}, reason);
    if (st != LOOM_OK) {
        b->stats.malformed += st == LOOM_EMALFORMED || st == LOOM_ETOOBIG || st == LOOM_EPROTO;
        remote_lost(b, reason);
    }
}

static void on_closed(void *user, sp_peer *peer, loom_status status, const char *why)
{
    bus_remote *b = user;
    (void)peer;
    (void)status;
    b->peer = NULL;
    remote_lost(b, why);
}

loom_status remote_dial(bus_remote *b)
{
    static const sp_handlers handlers = {.opened = on_opened, .message = on_message, .closed = on_closed};
    sp_options options = {
        .protocol = SP_PAIR,
        .handlers = &handlers,
        .user = b,
        .message_max = BUS_MESSAGE_MAX,
    };
    b->state = REMOTE_DIALLING;
    loom_status st = sp_dial(&b->peer, b->loop, b->url, &options, DIAL_MS);
    if (st != LOOM_OK) {
        b->peer = NULL;
        b->state = REMOTE_WAITING;
    }
    return st;
}

/* ---- rounds ---- */

/* Tells what was taken, and so that this side lives. answer: the broker shall, too. */
static void tell_taken(bus_remote *b, bool answer)
{
    remote_chunk *chunk = remote_queue_open(&b->queue);
    if (chunk == NULL || bus_put_taken(&chunk->out.w, b->taken, answer) != LOOM_OK) {
        return; /* the next one will do */
    }
    b->told_taken = b->taken;
    b->unanswered = 0;
    b->asked = false;
}

void remote_tick(bus_remote *b)
{
    if (b->state == REMOTE_WAITING && !b->closing) {
        loom_status st = remote_dial(b);
        if (st != LOOM_OK) {
            remote_lost(b, loom_status_text(st));
        }
        return;
    }
    if (b->state != REMOTE_GREETING && b->state != REMOTE_UP) {
        return;
    }
    /* counted in ticks, not in time: a process that was stopped itself has not been waiting for anybody */
    b->silent = b->heard ? 0 : b->silent + 1;
    b->heard = false;
    if ((uint64_t)b->silent * b->options.ping_ms >= b->options.silence_ms) {
        remote_lost(b, "nothing is heard of the broker");
    } else if (b->state == REMOTE_UP && (b->silent > 0 || b->closing)) {
        tell_taken(b, true);
        remote_flush(b);
    }
}

bool remote_drained(const bus_remote *b)
{
    return b->state != REMOTE_UP || (remote_queue_bytes(&b->queue) == 0 && b->confirmed == b->published);
}

void remote_flush(bus_remote *b)
{
    if (b->state == REMOTE_UP) {
        bool more = remote_queue_bytes(&b->queue) > 0;
        if (b->asked || (b->taken != b->told_taken && (more || b->unanswered >= TELL_EVERY))) {
            tell_taken(b, false);
        }
        if (b->must_reattach) {
            b->stats.lost_memory++;
            remote_lost(b, "out of memory, starting over");
        } else if (remote_queue_send(b) != LOOM_OK) {
            b->stats.lost_memory++; /* what was written stays; another connection has room again */
            remote_lost(b, "out of memory");
        }
    }
    if (b->pressing) {
        size_t waits = remote_queue_bytes(&b->queue) + (b->peer != NULL ? sp_peer_unsent(b->peer) : 0);
        if (waits <= b->options.buffer_bytes / 2) {
            b->pressing = false;
            b->pressure_changed = true;
        }
    }
    if (b->pressure_changed && b->state != REMOTE_CLOSED) {
        remote_tell_pressure(b);
    }
}
