/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/actions/actionbroker.h"
#include "trace/messaging/call_span.h"

#define ROW(field, kind, metric, help) COUNTER(action_stats, field, kind, "loom_action_" metric, help)

static const char *outcome_name(unsigned i)
{
    return call_outcome_name(i);
}

static const counter rows[] = {
    ROW(invoked, COUNTER_TOTAL, "invoked_total", "Invocations of capabilities."),
    COUNTER_FAMILY(action_stats, outcomes, "outcomes", "loom_action_outcomes_total", "outcome", ACTION_OUTCOMES, outcome_name,
                   "Invocations that ended, by outcome."),
    ROW(attempts, COUNTER_TOTAL, "attempts_total", "Requests handed to providers."),
    ROW(joined, COUNTER_TOTAL, "joined_total", "Invocations that joined a running call with the same id."),
    ROW(cached, COUNTER_TOTAL, "cached_total", "Invocations answered from the result cache."),
    ROW(late, COUNTER_TOTAL, "late_total", "Results and reports for calls that were already over."),
    ROW(invalid, COUNTER_TOTAL, "invalid_total", "Results and reports that were malformed or over a limit."),
    ROW(pending, COUNTER_GAUGE, "pending", "Invocations without an outcome yet."),
    ROW(running, COUNTER_GAUGE, "running", "Calls in progress, each with every invocation that joined it."),
    ROW(parties, COUNTER_GAUGE, "parties", "Agents that may call or provide."),
    ROW(capabilities, COUNTER_GAUGE, "capabilities", "Capabilities provided, counted once per provider."),
    ROW(capability_bytes, COUNTER_GAUGE, "capability_bytes", "Bytes of what is said about capabilities."),
    ROW(cache_entries, COUNTER_GAUGE, "cache_entries", "Results kept for duplicates."),
    ROW(cache_bytes, COUNTER_GAUGE, "cache_bytes", "Bytes of the results kept for duplicates."),
    ROW(kept_bytes, COUNTER_GAUGE, "kept_bytes", "Bytes of envelopes kept for another attempt."),
};

const counter_group action_counters = COUNTER_GROUP("actions", action_stats, rows);

static void read_stats(const void *broker, void *stats)
{
    *(action_stats *)stats = actionbroker_get_stats(broker);
}

counter_source actionbroker_counter_source(const actionbroker *broker)
{
    return (counter_source){&action_counters, broker, read_stats};
}
