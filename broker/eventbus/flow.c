/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the edges that messages count on, and remembering them while they are sure to be there: until the bus has another
 * generation. */
#include "base/str.h"
#include "broker/eventbus/internal.h"

void eventbus_tidy_flow(eventbus *bus)
{
    if (flow_table_tidy(&bus->flow)) {
        bus->generation++; /* every topic finds its matches anew when it is next published to */
    }
}

/* The topic was hashed when it was looked up in the table of topics. */
static flow_counts *find_edge(eventbus *bus, flow_agent *agent, flow_direction direction, const topic_entry *entry,
                              loom_str topic)
{
    const uint64_t hash = entry != NULL ? entry->node.hash : hash_under_secret(bus->topics.key, topic.data, topic.len);
    return flow_counts_of(&bus->flow, agent, direction, topic, hash);
}

static bool is_current(const eventbus *bus, const topic_entry *entry)
{
    return entry != NULL && entry->generation == bus->generation;
}

flow_counts *subscription_flow(const subscription *s, const topic_entry *entry, loom_str topic)
{
    return find_edge(s->subscriber->bus, s->subscriber->flow, FLOW_IN, entry, topic);
}

flow_counts *subscription_flow_slow(subscription *s, const topic_entry *entry, loom_str topic)
{
    flow_counts *counts = subscription_flow(s, entry, topic);
    if (is_current(s->subscriber->bus, entry)) {
        s->queued = (flow_mark){entry->ticket, counts};
    }
    return counts;
}

static flow_counts *flow_of_sender(eventbus *bus, const topic_entry *entry, const envelope_view *view)
{
    const loom_str name = envelope_view_str(view, ENV_SENDER), topic = envelope_view_str(view, ENV_TOPIC);
    const bool current = is_current(bus, entry);
    if (current && bus->named.ticket == entry->ticket && str_equal(name, bus->sender->name)) {
        return bus->named.counts;
    }
    flow_agent *agent = flow_agent_named(&bus->flow, name);
    flow_counts *counts = find_edge(bus, agent, FLOW_OUT, entry, topic);
    if (current) {
        bus->sender = agent;
        bus->named = (flow_mark){entry->ticket, counts};
    }
    return counts;
}

flow_counts *publisher_flow(eventbus *bus, const eventbus_publisher *publisher, topic_entry *entry, const envelope_view *view)
{
    if (publisher == NULL || publisher->flow == NULL) {
        return flow_of_sender(bus, entry, view);
    }
    flow_counts *counts = find_edge(bus, publisher->flow, FLOW_OUT, entry, envelope_view_str(view, ENV_TOPIC));
    if (is_current(bus, entry)) {
        entry->publisher = publisher->number;
        entry->flow = counts;
    }
    return counts;
}

const flow_table *eventbus_flow(const eventbus *bus)
{
    return &bus->flow;
}
