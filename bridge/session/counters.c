/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/session/bridge.h"

#define ROW(field, kind, metric, help) COUNTER(bridge_stats, field, kind, "loom_bridge_" metric, help)
#define FLOW(field, help)                                                                                                  \
    COUNTER_FAMILY(bridge_stats, field, #field, "loom_bridge_" #field "_total", "direction", 2, direction_name, help)

_Static_assert(sizeof(bridge_flow) == 2 * sizeof(uint64_t), "up and down lie side by side");

static const char *direction_name(unsigned i)
{
    return i == 0 ? "up" : "down";
}

static const counter rows[] = {
    ROW(sessions, COUNTER_GAUGE, "sessions", "Agent connections open."),
    ROW(agents, COUNTER_GAUGE, "agents", "Agent connections open that have said hello."),
    ROW(published, COUNTER_TOTAL, "published_total", "Events received from agents."),
    ROW(published_bytes, COUNTER_TOTAL, "published_bytes_total", "Bytes of the envelopes received from agents."),
    ROW(forwarded, COUNTER_TOTAL, "forwarded_total", "Events sent to agents."),
    ROW(forwarded_bytes, COUNTER_TOTAL, "forwarded_bytes_total", "Bytes of the envelopes sent to agents."),
    FLOW(calls, "Calls: up from callers, down to providers."),
    FLOW(results, "Results: up from providers, down to callers."),
    FLOW(reports, "Progress and chunks: up from providers, down to callers."),
    FLOW(cancels, "Cancels: up from callers, down to providers."),
    ROW(refused, COUNTER_TOTAL, "refused_total", "Messages answered with a notice and calls that were not accepted."),
    ROW(given_back, COUNTER_TOTAL, "given_back_total", "Deliveries of groups that an agent had not been sent when it ended."),
    ROW(calls_dropped, COUNTER_TOTAL, "calls_dropped_total", "Calls that ended before they were sent to their provider."),
    ROW(progress_dropped, COUNTER_TOTAL, "progress_dropped_total", "Progress reports dropped for callers that do not read."),
    ROW(invalid_contexts, COUNTER_TOTAL, "invalid_contexts_total", "Invalid trace contexts, treated as absent."),
    ROW(protocol_errors, COUNTER_TOTAL, "protocol_errors_total", "Sessions ended because of malformed data."),
    ROW(replaced, COUNTER_TOTAL, "replaced_total", "Sessions replaced by a newer one with the same agent id."),
    ROW(expired, COUNTER_TOTAL, "expired_total", "Sessions ended because heartbeats stopped."),
    ROW(keeps, COUNTER_TOTAL, "keeps_total", "Traces that agents asked to keep."),
    ROW(keeps_dropped, COUNTER_TOTAL, "keeps_dropped_total", "Requests to keep a trace not passed on: too many, or an agent that does not read."),
};

const counter_group bridge_counters = COUNTER_GROUP("bridge", bridge_stats, rows);

static void read_stats(const void *b, void *stats)
{
    *(bridge_stats *)stats = bridge_get_stats(b);
}

counter_source bridge_counter_source(const bridge *b)
{
    return (counter_source){&bridge_counters, b, read_stats};
}
