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

static void send_message(bridge_peer *b)
{
    frame_writer_seal(&b->out.w);
    /* Without a connection its sessions are being ended, and the bridge's next connection starts over. */
    loom_status st = b->peer != NULL ? sp_peer_send(b->peer, &(loom_bytes){b->out.w.data, b->out.w.len}, 1) : LOOM_ENOTCONN;
    if (st == LOOM_OK) {
        b->server->stats.bridge_sent++;
    } else if (st != LOOM_ENOTCONN) { /* otherwise on_closed() is about to be called */
        bridge_peer_wrote(b, st);
    }
    bus_outgoing_clear(&b->out);
}

bus_outgoing *bridge_peer_out(bridge_peer *b)
{
    if (b->out.w.len > BUS_MESSAGE_TARGET) {
        send_message(b);
    }
    return &b->out;
}

frame_writer *bridge_peer_writer(bridge_peer *b, uint64_t session)
{
    frame_writer *w = bus_outgoing_to(bridge_peer_out(b), session);
    if (w == NULL) {
        bridge_peer_wrote(b, LOOM_ENOMEM);
    }
    return w;
}

/* A bridge that asks may be about to end, and waits until nothing is queued for its agents. */
static uint64_t queued_for(const bridge_peer *b)
{
    uint64_t bytes = 0;
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

bool bridge_peer_is_full(const bridge_peer *b)
{
    const size_t unsent = b->peer != NULL ? sp_peer_unsent(b->peer) : 0;
    return unsent + b->out.w.len > b->server->options.bridge_end_bytes / FULL_SHARE;
}

/* A bridge that falls behind gets no credit beyond what it was granted already; one that does not read at all is dropped. */
static void watch_unsent(bridge_peer *b)
{
    const bus_server_options *o = &b->server->options;
    size_t unsent = sp_peer_unsent(b->peer);
    if (unsent > o->bridge_end_bytes) {
        bridge_peer_fail(b, LOOM_EFULL, "the bridge is not reading its connection");
    } else if (!b->held && unsent > o->bridge_hold_bytes) {
        b->held = true;
        b->server->stats.held++;
    } else if (b->held && unsent <= o->bridge_hold_bytes / 2) {
        void *value;
        b->held = false;
        for (size_t at = 0; number_table_next(&b->sessions, &at, &value);) {
            const peer_session *session = value;
            port_grant(session->port, session->granted_messages, session->granted_bytes);
        }
    }
}

void bridge_peer_flush(bridge_peer *b)
{
    if (bus_ledger_report_due(&b->ledger, b->out.w.len > 0)) {
        bridge_peer_report(b, false);
    }
    if (b->out.w.len > 0) {
        send_message(b);
        sp_peer_flush(b->peer);
    }
    watch_unsent(b);
}
