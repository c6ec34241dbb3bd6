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
    BACKOFF_REPLACED_MS = 10000 /* two bridges of one id must not throw each other out all the time */
};

static void on_timer(uv_timer_t *timer)
{
    remote_tick(timer->data);
}

/* ---- the end of a connection ---- */

void remote_lost(bus_remote *b, const char *why)
{
    bool was_up = b->state == REMOTE_UP;
    sp_peer *peer = b->peer;
    b->peer = NULL;
    b->state = REMOTE_WAITING;
    b->must_reattach = b->lane_goes_on = false;
    bus_parts_clear(&b->parts);
    sp_peer_close(peer);
    bool tell = was_up || b->replaced || b->attempts == 0; /* the first failure; the attempts after it are for debugging */
    log_to(&b->log, tell ? LOG_WARN : LOG_DEBUG, "%s url=%s reason=%s",
           was_up ? "lost the connection to the broker, reconnecting" : "cannot reach the broker", b->url, why);
    uint64_t wait = b->replaced ? BACKOFF_REPLACED_MS : backoff_delay(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, b->attempts++);
    b->replaced = false;
    if (!b->closing) {
        uv_timer_start(&b->timer, on_timer, wait, 0);
    }
    if (was_up) {
        remote_become_down(b);
    }
}

/* ---- its beginning ---- */

static void on_opened(void *user, sp_peer *peer)
{
    bus_remote *b = user;
    frame_writer_clear(&b->scratch);
    loom_status st = bus_put_greeting(&b->scratch, &(bus_greeting){BUS_PROTOCOL, {b->bridge_id, strlen(b->bridge_id)},
                                                                  {b->software, strlen(b->software)}, .parts = true});
    if (st != LOOM_OK || (st = sp_peer_send(peer, &(loom_bytes){b->scratch.data, b->scratch.len}, 1)) != LOOM_OK) {
        remote_lost(b, loom_status_text(st));
        return;
    }
    b->state = REMOTE_GREETING;
    b->ledger = (bus_ledger){.heard = true};
    b->idle_asked = b->broker_idle = false;
    uv_timer_start(&b->timer, on_timer, b->options.ping_ms, b->options.ping_ms);
}

static void on_message(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    bus_remote *b = user;
    char reason[FRAME_REASON_SIZE] = "";
    (void)peer;
    (void)reply_to;
    b->stats.received++;
    bus_ledger_received(&b->ledger);
    loom_status st = remote_take_frames(b, (loom_bytes){data, len}, reason);
    if (st != LOOM_OK) {
        b->stats.malformed += st == LOOM_EMALFORMED || st == LOOM_ETOOBIG || st == LOOM_EPROTO;
        b->stats.lost_memory += st == LOOM_ENOMEM;
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

/* Without memory it is left to the next round. */
static void report(bus_remote *b, bool ask)
{
    remote_chunk *chunk = remote_queue_open(&b->queue);
    if (chunk != NULL) {
        (void)!bus_ledger_report(&b->ledger, &chunk->out.w, ask, 0);
    }
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
    shared_pool_tidy(b->blocks);
    const bus_life life = bus_ledger_tick(&b->ledger, b->options.ping_ms, b->options.silence_ms);
    if (life == BUS_LIFE_GONE) {
        remote_lost(b, "no sign of life from the broker");
    } else if (b->state == REMOTE_UP && (life == BUS_LIFE_QUIET || b->closing)) {
        report(b, true);
        remote_flush(b);
    }
}

bool bus_remote_connected(const bus_remote *b)
{
    return b->state == REMOTE_UP;
}

bool bus_remote_idle(bus_remote *b)
{
    const size_t unsent = remote_unsent(b);
    if (b->state != REMOTE_UP) {
        return unsent == 0;
    }
    const bool idle = b->broker_idle && unsent == 0;
    if (!b->idle_asked) {
        b->idle_asked = true;
        b->broker_idle = false;
        report(b, true);
        remote_flush(b);
    }
    return idle;
}

bool remote_drained(const bus_remote *b)
{
    const size_t waiting = remote_queue_bytes(&b->queue) + bus_lane_bytes(&b->lane) + remote_queue_bytes(&b->held);
    return b->state != REMOTE_UP || (waiting == 0 && bus_ledger_unconfirmed(&b->ledger) == 0);
}

void remote_flush(bus_remote *b)
{
    if (b->hold_until_ms != 0 && uv_now(b->loop) >= b->hold_until_ms) {
        remote_end_hold(b);
    }
    if (b->state == REMOTE_UP) {
        remote_mark_send(b);
        remote_spans_send(b);
        if (bus_ledger_report_due(&b->ledger, remote_queue_bytes(&b->queue) > 0)) {
            report(b, false);
        }
        if (b->must_reattach) {
            b->stats.lost_memory++;
            remote_lost(b, "out of memory, starting over");
        } else if (remote_queue_send(b) != LOOM_OK || (remote_say_due(b) && remote_queue_send(b) != LOOM_OK)) {
            b->stats.lost_memory++; /* what was written stays; another connection has room again */
            remote_lost(b, "out of memory");
        }
    }
    if (b->pressing) {
        if (remote_unsent(b) <= b->options.buffer_bytes / 2) {
            b->pressing = false;
            b->pressure_changed = true;
        }
    }
    if (b->pressure_changed && b->state != REMOTE_CLOSED) {
        remote_tell_pressure(b);
    }
}
