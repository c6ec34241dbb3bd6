/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/collect/collector.h"

/* The first problem is that there is none. */
static const char *reason_word(unsigned i)
{
    return span_problem_word(i + 1);
}

static const counter rows[] = {
    COUNTER(collector_stats, collected, COUNTER_TOTAL, "loom_command_spans_collected_total", "Spans from inside commands."),
    COUNTER(collector_stats, unsampled, COUNTER_TOTAL, "loom_command_spans_unsampled_total", "Spans of commands that are not sampled."),
    COUNTER(collector_stats, parse_errors, COUNTER_TOTAL, "loom_command_spans_parse_errors_total", "Lines that are no span."),
    COUNTER_FAMILY(collector_stats, parse_errors_by[1], "parse_errors_by_reason",
                   "loom_command_spans_parse_errors_by_reason_total", "reason", SPAN_PROBLEMS - 1, reason_word,
                   "Lines that are no span, by reason."),
    COUNTER(collector_stats, oversize, COUNTER_TOTAL, "loom_command_spans_oversize_total", "Lines of spans over 256 KiB."),
    COUNTER(collector_stats, rate_limited, COUNTER_TOTAL, "loom_command_spans_rate_limited_total", "Spans beyond the rate limit of a command."),
    COUNTER(collector_stats, restamped, COUNTER_TOTAL, "loom_command_spans_restamped_total", "Spans of another trace, moved under their command's."),
    COUNTER(collector_stats, tenant_violations, COUNTER_TOTAL, "loom_command_spans_tenant_violations_total", "Spans that named another tenant."),
    COUNTER(collector_stats, duplicates, COUNTER_TOTAL, "loom_command_spans_duplicates_total", "Spans whose id was there before."),
    COUNTER(collector_stats, library_errors, COUNTER_TOTAL, "loom_command_library_errors_total", "Complaints of trace libraries."),
    COUNTER(collector_stats, library_lost, COUNTER_TOTAL, "loom_command_library_spans_lost_total",
            "Spans that trace libraries say they lost."),
};
const counter_group collector_counters = COUNTER_GROUP("command_spans", collector_stats, rows);

collector_stats collector_read(const collector_counts *counts)
{
    collector_stats stats = {
        .collected = atomic_load_explicit(&counts->collected, memory_order_relaxed),
        .unsampled = atomic_load_explicit(&counts->unsampled, memory_order_relaxed),
        .parse_errors = atomic_load_explicit(&counts->parse_errors, memory_order_relaxed),
        .oversize = atomic_load_explicit(&counts->oversize, memory_order_relaxed),
        .rate_limited = atomic_load_explicit(&counts->rate_limited, memory_order_relaxed),
        .restamped = atomic_load_explicit(&counts->restamped, memory_order_relaxed),
        .tenant_violations = atomic_load_explicit(&counts->tenant_violations, memory_order_relaxed),
        .duplicates = atomic_load_explicit(&counts->duplicates, memory_order_relaxed),
        .library_errors = atomic_load_explicit(&counts->library_errors, memory_order_relaxed),
        .library_lost = atomic_load_explicit(&counts->library_lost, memory_order_relaxed),
    };
    for (int i = 0; i < SPAN_PROBLEMS; i++) {
        stats.parse_errors_by[i] = atomic_load_explicit(&counts->parse_errors_by[i], memory_order_relaxed);
    }
    return stats;
}
