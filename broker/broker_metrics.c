/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/broker_metrics.h"

#include <string.h>

#include "bridge/metrics/metrics_server.h"

typedef struct subscription_writer {
    FILE *out;
    const char *name;
    bool queued; /* what waits; otherwise what was lost */
} subscription_writer;

/* Only those that have lost something or hold something back: who was slow. All others would be noise. */
static bool write_subscription(void *user, const eventbus_subscription_stats *s)
{
    const subscription_writer *w = user;
    char label[LOOM_AGENT_ID_MAX + LOOM_TOPIC_MAX + 2];
    if (s->dropped > 0 || s->queued > 0) {
        int len = snprintf(label, sizeof label, "%.*s %.*s", (int)s->subscriber.len, s->subscriber.data, (int)s->filter.len,
                           s->filter.data);
        metrics_sample(w->out, w->name, "subscription", (loom_str){label, (size_t)len}, w->queued ? s->queued : s->dropped);
    }
    return true;
}

static void write_subscriptions(const eventbus *bus, FILE *out, const char *name, bool queued)
{
    subscription_writer w = {out, name, queued};
    metrics_describe(out, name, queued ? "gauge" : "counter",
                     queued ? "Messages that wait, of slow subscriptions." : "Deliveries lost, of slow subscriptions.");
    eventbus_visit_subscriptions(bus, write_subscription, &w);
}

void eventbus_write_metrics(const eventbus *bus, FILE *out)
{
    eventbus_stats s = eventbus_get_stats(bus);
    static const char dropped[] = "loom_eventbus_dropped_total";
    metrics_counter(out, "loom_eventbus_published_total", "Events published.", s.published);
    metrics_counter(out, "loom_eventbus_published_bytes_total", "The same in bytes of envelopes.", s.published_bytes);
    metrics_counter(out, "loom_eventbus_matched_total", "Subscriptions that events matched.", s.matched);
    metrics_counter(out, "loom_eventbus_unmatched_total", "Events that no subscription wanted.", s.unmatched);
    metrics_counter(out, "loom_eventbus_delivered_total", "Deliveries handed over.", s.delivered);
    metrics_counter(out, "loom_eventbus_pressure_total", "Times a publisher was asked to wait.", s.pressure);
    metrics_describe(out, dropped, "counter", "Deliveries that were lost, by reason.");
    for (unsigned i = 0; i < EVENTBUS_DROP_REASONS; i++) {
        const char *name = eventbus_drop_name((eventbus_drop)i);
        metrics_sample(out, dropped, "reason", (loom_str){name, strlen(name)}, s.dropped[i]);
    }
    metrics_gauge(out, "loom_eventbus_queued", "Messages that wait in queues.", s.queued);
    metrics_gauge(out, "loom_eventbus_queued_bytes", "The same in bytes.", s.queued_bytes);
    metrics_gauge(out, "loom_eventbus_subscriptions", "Subscriptions.", s.subscriptions);
    metrics_gauge(out, "loom_eventbus_subscribers", "Subscribers.", s.subscribers);
    metrics_gauge(out, "loom_eventbus_topics", "Topics with statistics of their own.", s.topics);
    write_subscriptions(bus, out, "loom_subscription_dropped_total", false);
    write_subscriptions(bus, out, "loom_subscription_queued", true);
}

void bus_server_write_metrics(const bus_server *bus, FILE *out)
{
    bus_server_stats b = bus_server_get_stats(bus);
    metrics_gauge(out, "loom_bus_bridges", "Bridges in processes of their own, now.", b.bridges);
    metrics_gauge(out, "loom_bus_bridge_sessions", "Their agents, now.", b.sessions);
    metrics_counter(out, "loom_bus_bridge_received_total", "Messages from bridges.", b.bridge_received);
    metrics_counter(out, "loom_bus_bridge_sent_total", "Messages to bridges.", b.bridge_sent);
    metrics_counter(out, "loom_bus_bridge_malformed_total", "Messages from bridges that could not be read.", b.bridge_malformed);
    metrics_counter(out, "loom_bus_gaps_total", "Messages of bridges that did not follow: a loss.", b.gaps);
    metrics_counter(out, "loom_bus_bridges_lost_total", "Bridges that went without a word.", b.bridges_lost);
    metrics_gauge(out, "loom_bus_open_peers", "nng programs that subscribe to the open bus, now.", b.open_peers);
    metrics_counter(out, "loom_bus_open_received_total", "Events from the open bus.", b.open_received);
    metrics_counter(out, "loom_bus_open_malformed_total", "Messages of the open bus that could not be read.", b.open_malformed);
    metrics_counter(out, "loom_bus_open_sent_total", "Messages sent to the open bus.", b.open_sent);
}
