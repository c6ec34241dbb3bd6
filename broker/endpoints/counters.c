/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/endpoints/internal.h"

#define ROW(field, kind, metric, help) COUNTER(bus_server_stats, field, kind, "loom_bus_" metric, help)

static const counter rows[] = {
    ROW(bridges, COUNTER_GAUGE, "bridges", "Bridge processes connected."),
    ROW(sessions, COUNTER_GAUGE, "bridge_sessions", "Agents behind bridge processes."),
    ROW(attachments, COUNTER_TOTAL, "bridge_attachments_total", "Bridge connections that completed their greeting."),
    ROW(bridges_lost, COUNTER_TOTAL, "bridges_lost_total", "Bridge connections that ended after their greeting."),
    ROW(bridge_received, COUNTER_TOTAL, "bridge_received_total", "Messages received from bridges."),
    ROW(bridge_sent, COUNTER_TOTAL, "bridge_sent_total", "Messages sent to bridges."),
    ROW(bridge_malformed, COUNTER_TOTAL, "bridge_malformed_total", "Bridge connections closed because of malformed data."),
    ROW(unconfirmed, COUNTER_TOTAL, "bridge_unconfirmed_total", "Deliveries that may have been lost with a bridge connection."),
    ROW(held, COUNTER_TOTAL, "bridge_held_total", "Times credit was withheld because a bridge fell behind."),
    ROW(deferred, COUNTER_TOTAL, "bridge_deferred_total",
        "Times the rest of what an agent had sent was put off because its events match many subscriptions."),
    ROW(deferred_lost, COUNTER_TOTAL, "bridge_deferred_lost_total", "Events that were put off, and lost with the bridge they came from."),
    ROW(refused_calls, COUNTER_TOTAL, "bridge_calls_refused_total", "Calls refused because their provider's bridge was not reading."),
    ROW(dropped_progress, COUNTER_TOTAL, "bridge_progress_dropped_total",
        "Progress reports dropped because their caller's bridge was not reading."),
    ROW(keeps_dropped, COUNTER_TOTAL, "bridge_keeps_dropped_total", "Traces to be kept of which a bridge that fell behind was not told."),
    ROW(lost_memory, COUNTER_TOTAL, "bridge_memory_lost_total", "Bridge connections closed because memory ran out."),
    ROW(open_peers, COUNTER_GAUGE, "open_peers", "nng subscribers on the open bus."),
    ROW(open_received, COUNTER_TOTAL, "open_received_total", "Events received on the open bus."),
    ROW(open_malformed, COUNTER_TOTAL, "open_malformed_total", "Messages on the open bus that could not be parsed."),
    ROW(open_denied, COUNTER_TOTAL, "open_denied_total", "Events on the open bus refused: their topics are the broker's own."),
    ROW(open_sent, COUNTER_TOTAL, "open_sent_total", "Messages sent on the open bus."),
    ROW(open_dropped, COUNTER_TOTAL, "open_dropped_total", "Copies dropped because a subscriber of the open bus fell behind."),
    ROW(open_lost_memory, COUNTER_TOTAL, "open_memory_lost_total", "Messages not sent on the open bus because memory ran out."),
    ROW(open_waiting, COUNTER_FLAG, "open_waiting", "1 while the open bus is not read because a queue is full."),
    ROW(control_requests, COUNTER_TOTAL, "control_requests_total", "Requests on the control socket."),
    ROW(system_calls, COUNTER_TOTAL, "system_calls_total", "Calls of the broker's own capabilities."),
};

const counter_group bus_server_counters = COUNTER_GROUP("bus", bus_server_stats, rows);

bus_server_stats bus_server_get_stats(const bus_server *s)
{
    bus_server_stats stats = s->stats;
    stats.bridges = s->bridges.count;
    for (const bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        stats.sessions += (uint32_t)b->sessions.count;
    }
    if (s->open.pub != NULL) {
        sp_stats pub = sp_server_get_stats(s->open.pub);
        stats.open_peers = pub.peers;
        stats.open_dropped = pub.dropped;
    }
    stats.open_waiting = s->open.pressing;
    return stats;
}

static void read_stats(const void *server, void *stats)
{
    *(bus_server_stats *)stats = bus_server_get_stats(server);
}

counter_source bus_server_counter_source(const bus_server *server)
{
    return (counter_source){&bus_server_counters, server, read_stats};
}
