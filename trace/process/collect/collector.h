/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the spans of one command: its standard error in, what is left of that out, spans to the SDK's exporter.
 *
 *     collector_open(&c, &(collector_options){.tracer = tracer, .command = span_context, .text = pass_on, .counts = &counts});
 *     collector_feed(c, bytes) …  collector_end(c);  collector_close(c);
 *
 * Of a command that is not sampled lines are taken out, and nothing is exported.
 *
 * Threads: one at a time, whose callbacks run in the call; counts may be shared by several, and read by any. */
#ifndef LOOM_TRACE_PROCESS_COLLECT_COLLECTOR_H
#define LOOM_TRACE_PROCESS_COLLECT_COLLECTOR_H

#include "base/counters.h"
#include "trace/process/collect/span_json.h"

#include <loom/trace.h>

#include <stdatomic.h>

#define COLLECTOR_RATE_DEFAULT 2000u   /* spans a second */
#define COLLECTOR_BURST_DEFAULT 10000u /* spans at once */

/* What came of the lines. Each is in exactly one of collected, unsampled, parse_errors, oversize, rate_limited, duplicates and
 * library_errors; restamped and tenant_violations are among the collected. */
typedef struct collector_stats {
    uint64_t collected, unsampled, parse_errors, oversize, rate_limited, restamped, tenant_violations, duplicates, library_errors;
    uint64_t parse_errors_by[SPAN_PROBLEMS];
} collector_stats;
extern const counter_group collector_counters;

/* The same while it is counted; all zero at first. */
typedef struct collector_counts {
    atomic_uint_fast64_t collected, unsampled, parse_errors, oversize, rate_limited, restamped, tenant_violations, duplicates,
        library_errors, parse_errors_by[SPAN_PROBLEMS];
} collector_counts;
collector_stats collector_read(const collector_counts *counts);

typedef struct collector_options {
    loom_tracer *tracer;        /* NULL: nothing is exported, as of an unsampled command */
    loom_trace_context command; /* the span that was handed out; a copy */
    loom_str baggage;           /* that was handed out: the tenant is in it */
    /* The id of the container that the command runs in, NULL while it is not known; NULL: it runs in none. */
    const char *(*container_id)(void *user);
    uint32_t rate, burst;       /* spans a second, and at once; 0: the defaults */
    collector_counts *counts;
    void (*text)(void *user, loom_bytes text); /* what goes on; never empty */
    void (*tell)(void *user, const char *line); /* what is wrong with a line: once in ten seconds for each kind. NULL: nobody */
    void *user;
} collector_options;

typedef struct collector collector;

/* LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status collector_open(collector **out, const collector_options *options);
void collector_feed(collector *c, loom_bytes bytes);
/* span_stream_idle() and span_stream_waits(). */
void collector_idle(collector *c);
bool collector_waits(const collector *c);
/* The stream has ended: what is left goes on. */
void collector_end(collector *c);
/* Lines are still taken out, but nothing is exported, counted or told any more: for the child of a fork(). */
void collector_mute(collector *c);
/* What has come of an unfinished line is left to somebody else. */
void collector_forget(collector *c);
void collector_close(collector *c); /* NULL is allowed */

#endif
