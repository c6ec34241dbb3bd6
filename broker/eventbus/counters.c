/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/eventbus/eventbus.h"

#define ROW(field, kind, metric, help) COUNTER(eventbus_stats, field, kind, "loom_eventbus_" metric, help)

static const char *drop_name(unsigned i)
{
    return eventbus_drop_name((eventbus_drop)i);
}

static const counter rows[] = {
    ROW(published, COUNTER_TOTAL, "published_total", "Events published."),
    ROW(published_bytes, COUNTER_TOTAL, "published_bytes_total", "Bytes of the envelopes published."),
    ROW(matched, COUNTER_TOTAL, "matched_total", "Subscriptions that published events matched."),
    ROW(unmatched, COUNTER_TOTAL, "unmatched_total", "Events that matched no subscription."),
    ROW(delivered, COUNTER_TOTAL, "delivered_total", "Deliveries handed over."),
    ROW(delivered_bytes, COUNTER_TOTAL, "delivered_bytes_total", "Bytes of the envelopes delivered."),
    ROW(pressure, COUNTER_TOTAL, "pressure_total", "Times a publisher was told to wait."),
    ROW(given_back, COUNTER_TOTAL, "given_back_total", "Deliveries that a member of a group had not been sent when it ended."),
    COUNTER_FAMILY(eventbus_stats, dropped, "dropped", "loom_eventbus_dropped_total", "reason", EVENTBUS_DROP_REASONS,
                   drop_name, "Deliveries lost, by reason."),
    ROW(queued, COUNTER_GAUGE, "queued", "Messages waiting in queues."),
    ROW(queued_bytes, COUNTER_GAUGE, "queued_bytes", "Bytes waiting in queues."),
    ROW(publishers, COUNTER_GAUGE, "publishers", "Publishers connected."),
    ROW(subscribers, COUNTER_GAUGE, "subscribers", "Subscribers connected."),
    ROW(subscriptions, COUNTER_GAUGE, "subscriptions", "Subscriptions in force."),
    ROW(groups, COUNTER_GAUGE, "groups", "Groups that share subscriptions."),
    ROW(topics, COUNTER_GAUGE, "topics", "Topics with statistics of their own."),
};

const counter_group eventbus_counters = COUNTER_GROUP("eventbus", eventbus_stats, rows);

static void read_stats(const void *bus, void *stats)
{
    *(eventbus_stats *)stats = eventbus_get_stats(bus);
}

counter_source eventbus_counter_source(const eventbus *bus)
{
    return (counter_source){&eventbus_counters, bus, read_stats};
}
