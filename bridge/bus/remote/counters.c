/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/bus/remote/remote.h"

#define ROW(field, kind, metric, help) COUNTER(bus_remote_stats, field, kind, "loom_bus_" metric, help)

static const counter rows[] = {
    ROW(connected, COUNTER_FLAG, "connected", "1 while the broker is connected."),
    ROW(draining, COUNTER_FLAG, "draining", "1 while the broker is being drained: new agents are refused."),
    ROW(ports, COUNTER_GAUGE, "ports", "Agents on the bus."),
    ROW(sent, COUNTER_TOTAL, "sent_total", "Messages sent to the broker."),
    ROW(received, COUNTER_TOTAL, "received_total", "Messages received from the broker."),
    ROW(attachments, COUNTER_TOTAL, "attachments_total", "Times the broker was connected."),
    ROW(malformed, COUNTER_TOTAL, "malformed_total", "Connections closed because of malformed data from the broker."),
    ROW(lost_memory, COUNTER_TOTAL, "memory_lost_total", "Connections closed because memory ran out."),
    ROW(not_restored, COUNTER_TOTAL, "not_restored_total", "Subscriptions and capabilities that a later broker refused."),
    ROW(unconfirmed, COUNTER_TOTAL, "unconfirmed_total", "Events that may have been lost with a broker connection."),
    ROW(refused, COUNTER_TOTAL, "refused_total", "Events refused because too much was waiting for the broker."),
    ROW(calls_lost, COUNTER_TOTAL, "calls_lost_total", "Calls that failed because the broker was not connected."),
    ROW(undeliverable, COUNTER_TOTAL, "undeliverable_total", "Events that came for an agent that had left."),
    ROW(keeps_dropped, COUNTER_TOTAL, "keeps_dropped_total", "Traces to be kept of which the broker was not told: it was away, or too much waited for it."),
    ROW(late, COUNTER_TOTAL, "late_total", "Results and reports for calls that were already over."),
    ROW(unsent_bytes, COUNTER_GAUGE, "unsent_bytes", "Bytes waiting to be sent to the broker."),
};

const counter_group bus_remote_counters = COUNTER_GROUP("bus", bus_remote_stats, rows);

static void read_stats(const void *remote, void *stats)
{
    *(bus_remote_stats *)stats = bus_remote_get_stats(remote);
}

counter_source bus_remote_counter_source(const bus_remote *remote)
{
    return (counter_source){&bus_remote_counters, remote, read_stats};
}
