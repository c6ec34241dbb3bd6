/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/directory/directory.h"

#define ROW(field, kind, metric, help) COUNTER(directory_stats, field, kind, "loom_directory_" metric, help)

static const counter rows[] = {
    ROW(agents, COUNTER_GAUGE, "agents", "Agents on the bus."),
    ROW(registered, COUNTER_TOTAL, "registered_total", "Agents that joined."),
    ROW(unregistered, COUNTER_TOTAL, "unregistered_total", "Agents that left."),
    ROW(expired, COUNTER_TOTAL, "expired_total", "Agents that left because their heartbeats stopped."),
    ROW(refused, COUNTER_TOTAL, "refused_total", "Agents refused because there were as many as there may be, or because the broker is being drained."),
    ROW(replaced, COUNTER_TOTAL, "replaced_total", "Sessions replaced by a newer one that came through another bridge."),
    ROW(guests, COUNTER_GAUGE, "guests", "Agents that a drain waits for."),
    ROW(draining, COUNTER_FLAG, "draining", "1 while the broker is being drained: it takes no new agents."),
};

const counter_group directory_counters = COUNTER_GROUP("directory", directory_stats, rows);

static void read_stats(const void *agents, void *stats)
{
    *(directory_stats *)stats = directory_get_stats(agents);
}

counter_source directory_counter_source(const directory *agents)
{
    return (counter_source){&directory_counters, agents, read_stats};
}
