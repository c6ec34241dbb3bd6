/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/broker_metrics.h"

#include <string.h>

#include "host/metrics_text.h"
#include "trace/messaging/call_span.h"

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

void actionbroker_write_metrics(const actionbroker *broker, FILE *out)
{
    action_stats s = actionbroker_get_stats(broker);
    static const char outcomes[] = "loom_action_outcomes_total";
    metrics_counter(out, "loom_action_invoked_total", "Invocations of capabilities.", s.invoked);
    metrics_describe(out, outcomes, "counter", "Invocations that ended, by outcome.");
    for (unsigned i = 0; i < ACTION_OUTCOMES; i++) {
        const char *name = call_outcome_name(i);
        metrics_sample(out, outcomes, "outcome", (loom_str){name, strlen(name)}, s.outcomes[i]);
    }
    metrics_counter(out, "loom_action_attempts_total", "Requests handed to providers.", s.attempts);
    metrics_counter(out, "loom_action_joined_total", "Invocations that joined a running call of the same id.", s.joined);
    metrics_counter(out, "loom_action_cached_total", "Invocations answered with a result that was kept.", s.cached);
    metrics_counter(out, "loom_action_late_total", "Answers and reports of calls that were over.", s.late);
    metrics_counter(out, "loom_action_invalid_total", "Answers and reports that made no sense, or broke a limit.", s.invalid);
    metrics_gauge(out, "loom_action_pending", "Invocations without an outcome yet.", s.pending);
    metrics_gauge(out, "loom_action_running", "Calls that run, each with all that joined it.", s.running);
    metrics_gauge(out, "loom_action_capabilities", "Capabilities provided, each provider's own.", s.capabilities);
    metrics_gauge(out, "loom_action_cache_entries", "Results kept for duplicates.", s.cache_entries);
    metrics_gauge(out, "loom_action_cache_bytes", "The same in bytes.", s.cache_bytes);
    metrics_gauge(out, "loom_action_kept_bytes", "Bytes of envelopes kept for another attempt.", s.kept_bytes);
}

void directory_write_metrics(const directory *agents, FILE *out)
{
    directory_stats s = directory_get_stats(agents);
    metrics_gauge(out, "loom_directory_agents", "Agents on the bus, now.", s.agents);
    metrics_counter(out, "loom_directory_registered_total", "Agents that came.", s.registered);
    metrics_counter(out, "loom_directory_unregistered_total", "Agents that left.", s.unregistered);
    metrics_counter(out, "loom_directory_expired_total", "Of these, those that left for want of a heartbeat.", s.expired);
}

void bus_server_write_metrics(const bus_server *bus, FILE *out)
{
    bus_server_stats b = bus_server_get_stats(bus);
    metrics_gauge(out, "loom_bus_bridges", "Bridges in processes of their own, now.", b.bridges);
    metrics_gauge(out, "loom_bus_bridge_sessions", "Their agents, now.", b.sessions);
    metrics_counter(out, "loom_bus_bridge_received_total", "Messages from bridges.", b.bridge_received);
    metrics_counter(out, "loom_bus_bridge_sent_total", "Messages to bridges.", b.bridge_sent);
    metrics_counter(out, "loom_bus_bridge_malformed_total", "Connections of bridges ended for what they said.",
                    b.bridge_malformed);
    metrics_counter(out, "loom_bus_bridge_unconfirmed_total", "Deliveries that may have been lost with a bridge.", b.unconfirmed);
    metrics_counter(out, "loom_bus_bridge_held_total", "Times credit waited because a bridge did not keep up.", b.held);
    metrics_counter(out, "loom_bus_bridge_memory_lost_total", "Bridges given up for want of memory.", b.lost_memory);
    metrics_counter(out, "loom_bus_bridge_attachments_total", "Connections of bridges that greeted.", b.attachments);
    metrics_counter(out, "loom_bus_bridges_lost_total", "Of these, those that ended.", b.bridges_lost);
    metrics_gauge(out, "loom_bus_open_peers", "nng programs that subscribe to the open bus, now.", b.open_peers);
    metrics_counter(out, "loom_bus_open_received_total", "Events from the open bus.", b.open_received);
    metrics_counter(out, "loom_bus_open_malformed_total", "Messages of the open bus that could not be read.", b.open_malformed);
    metrics_counter(out, "loom_bus_open_denied_total", "Events from the open bus for topics of the broker.", b.open_denied);
    metrics_counter(out, "loom_bus_open_sent_total", "Messages sent to the open bus.", b.open_sent);
    metrics_counter(out, "loom_bus_open_dropped_total", "Copies that a peer of the open bus had no room for.", b.open_dropped);
    metrics_counter(out, "loom_bus_control_requests_total", "Questions on the control socket.", b.control_requests);
}
