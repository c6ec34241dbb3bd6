/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent to one bridge: the message being written, the report of what was taken, and what happens to a bridge that falls
 * behind. */
#include "broker/endpoints/internal.h"

enum { FULL_SHARE = 4 }; /* what is left of bridge_end_bytes is for results, cancels, and deliveries with credit */

void bridge_peer_fail(bridge_peer *b, loom_status why, const char *text)
{
    if (b->failed == LOOM_OK) {
        b->failed = why;
        b->failure = text;
    }
}

void bridge_peer_wrote(bridge_peer *b, loom_status st)
{
    if (st != LOOM_OK && b->failed == LOOM_OK) {
        b->server->stats.lost_memory++;
        bridge_peer_fail(b, LOOM_ENOMEM, "the broker is out of memory");
    }
}

/* False: it was not sent. */
static bool send_bytes(bridge_peer *b, const loom_bytes *parts, size_t count)
{
    /* Without a connection its sessions are being ended, and the bridge's next connection starts over. */
    loom_status st = b->peer != NULL ? sp_peer_send(b->peer, parts, count) : LOOM_ENOTCONN;
    if (st == LOOM_OK) {
        b->server->stats.bridge_sent++;
    } else if (st != LOOM_ENOTCONN) { /* otherwise on_closed() is about to be called */
        bridge_peer_wrote(b, st);
    }
    return st == LOOM_OK;
}

static void send_message(bridge_peer *b)
{
    frame_writer_seal(&b->out.w);
    (void)send_bytes(b, &(loom_bytes){b->out.w.data, b->out.w.len}, 1);
    b->lane_passed = b->lane.first != NULL ? b->lane_passed + b->out.w.len : 0;
    bus_outgoing_clear(&b->out);
}

bool bridge_peer_takes_part(const bridge_peer *b)
{
    return b->peer != NULL && b->lane.first != NULL && bus_lane_takes_part(sp_peer_unsent(b->peer), b->lane_passed);
}

/* Hands a part to the connection while it has little to send, or others have sent much since. */
static void send_lane(bridge_peer *b)
{
    const bool alone = b->server->clock->now_ms - b->small_ms > b->server->options.parts_ms; /* in nobody's way */
    const size_t ahead = b->lane.first != NULL && !alone ? BUS_PART_SIZE : 0;
    loom_bytes slices[BUS_LANE_SLICES];
    sp_peer_limit(b->peer, b->deferred.first != NULL ? DEFERRED_AHEAD : ahead);
    if (!bridge_peer_takes_part(b)) {
        return;
    }
    const size_t count = bus_lane_next(&b->lane, alone ? SIZE_MAX : BUS_PART_SIZE, UINT64_MAX, slices);
    if (count > 0 && send_bytes(b, slices, count)) {
        (void)bus_lane_sent(&b->lane);
        b->lane_passed -= b->lane_passed < BUS_PART_SIZE ? b->lane_passed : BUS_PART_SIZE;
        sp_peer_flush(b->peer); /* what the kernel does not take now it tells of when it can: the lane goes on then */
    }
}

bus_outgoing *bridge_peer_out(bridge_peer *b)
{
    if (b->out.w.len > BUS_MESSAGE_TARGET) {
        send_message(b);
    }
    return &b->out;
}

/* A session that has something in the lane goes on there: the message that is written there. Otherwise the one that
 * everybody's frames go to. NULL: out of memory. */
static bus_outgoing *out_of(bridge_peer *b, peer_session *session)
{
    if (session == NULL || !bus_lane_holds(&b->lane, session->lane_item)) {
        return bridge_peer_out(b);
    }
    lane_item *item = bus_lane_end(&b->lane);
    session->lane_item = item != NULL ? b->lane.added : session->lane_item;
    return item != NULL ? &item->after : NULL;
}

static frame_writer *writer(bridge_peer *b, uint64_t number, size_t size)
{
    const bool large = b->takes_parts && size >= SHARED_BYTES_MIN;
    peer_session *session = large || b->lane.first != NULL ? number_table_get(&b->sessions, number) : NULL;
    frame_writer *w;
    if (large && session != NULL) {
        lane_item *item = bus_lane_add(&b->lane, number, 0);
        session->lane_item = item != NULL ? b->lane.added : session->lane_item;
        w = item != NULL ? &item->frame : NULL;
    } else {
        bus_outgoing *out = out_of(b, session);
        w = out != NULL ? bus_outgoing_to(out, number) : NULL;
    }
    if (w == NULL) {
        bridge_peer_wrote(b, LOOM_ENOMEM);
    }
    return w;
}

frame_writer *bridge_peer_writer(bridge_peer *b, uint64_t session)
{
    return writer(b, session, 0);
}

frame_writer *bridge_peer_large_writer(bridge_peer *b, uint64_t session, size_t size)
{
    b->small_ms = size < SHARED_BYTES_MIN ? b->server->clock->now_ms : b->small_ms;
    return writer(b, session, size);
}

void bridge_peer_deliver(peer_session *session, uint64_t subscription, const envelope_view *view)
{
    bridge_peer *b = session->bridge;
    loom_status st;
    if (b->takes_parts && view->len >= SHARED_BYTES_MIN) {
        st = bus_lane_deliver(&b->lane, b->server->blocks, session->number, subscription, view);
        session->lane_item = st == LOOM_OK ? b->lane.added : session->lane_item;
    } else {
        bus_outgoing *out = out_of(b, session);
        b->small_ms = b->server->clock->now_ms;
        st = out != NULL ? bus_put_delivery(out, session->number, subscription, view) : LOOM_ENOMEM;
    }
    b->ledger.sent += st == LOOM_OK;
    bridge_peer_wrote(b, st);
}

/* A bridge that asks may be about to end, and waits until nothing is queued for its agents. */
static uint64_t queued_for(const bridge_peer *b)
{
    uint64_t bytes = bus_lane_bytes(&b->lane);
    void *value;
    for (size_t at = 0; number_table_next(&b->sessions, &at, &value);) {
        bytes += port_queued(((const peer_session *)value)->port);
    }
    return bytes;
}

void bridge_peer_report(bridge_peer *b, bool ask)
{
    const uint64_t queued = b->ledger.asked ? queued_for(b) : 0;
    bridge_peer_wrote(b, bus_ledger_report(&b->ledger, &bridge_peer_out(b)->w, ask, queued));
}

size_t bridge_peer_unsent(const bridge_peer *b)
{
    return (b->peer != NULL ? sp_peer_unsent(b->peer) : 0) + bus_lane_bytes(&b->lane);
}

bool bridge_peer_is_full(const bridge_peer *b)
{
    return bridge_peer_unsent(b) + b->out.w.len > b->server->options.bridge_end_bytes / FULL_SHARE;
}

/* A bridge that falls behind gets no credit beyond what it was granted already; one that does not read at all is dropped. */
static void watch_unsent(bridge_peer *b)
{
    const bus_server_options *o = &b->server->options;
    size_t unsent = bridge_peer_unsent(b);
    if (unsent > o->bridge_end_bytes) {
        bridge_peer_fail(b, LOOM_EFULL, "the bridge is not reading its connection");
    } else if (!b->held && unsent > o->bridge_hold_bytes) {
        b->held = true;
        b->server->stats.held++;
    } else if (b->held && unsent <= o->bridge_hold_bytes / 2) {
        b->held = false;
    }
}

void bridge_peer_flush(bridge_peer *b)
{
    if (bus_ledger_report_due(&b->ledger, b->out.w.len > 0)) {
        bridge_peer_report(b, false);
    }
    if (b->out.w.len > 0) {
        send_message(b);
    }
    sp_peer_flush(b->peer);
    send_lane(b);
    watch_unsent(b);
}
