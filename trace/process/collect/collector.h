/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the spans of one command: takes its standard error, passes on what is not a span, and exports the spans.
 *
 *     collector_open(&c, &(collector_options){.tracer = tracer, .command = span_context, .text = pass_on, .counts = &counts});
 *     collector_feed(c, bytes) …  collector_end(c);  collector_close(c);
 *
 * If the command is not sampled, span lines are still removed, but nothing is exported.
 *
 * Threads: one at a time; callbacks run inside the calls. counts may be shared by several collectors and read by any thread. */
#ifndef LOOM_TRACE_PROCESS_COLLECT_COLLECTOR_H
#define LOOM_TRACE_PROCESS_COLLECT_COLLECTOR_H

#include "base/counters.h"
#include "base/rate_limit.h"
#include "trace/process/collect/span_json.h"

#include <loom/trace.h>

#include <pthread.h>
#include <stdatomic.h>

#define COLLECTOR_RATE_DEFAULT 2000u   /* spans a second */
#define COLLECTOR_BURST_DEFAULT 10000u /* spans at once */

/* The fate of each line: it is counted in exactly one of collected, unsampled, parse_errors, oversize, rate_limited, duplicates and
 * library_errors; restamped and tenant_violations are among the collected. library_lost counts spans of which there is no line. */
typedef struct collector_stats {
    uint64_t collected, unsampled, parse_errors, oversize, rate_limited, restamped, tenant_violations, duplicates, library_errors,
        library_lost;
    uint64_t parse_errors_by[SPAN_PROBLEMS];
} collector_stats;
extern const counter_group collector_counters;

/* The live counters behind collector_stats; initially all zero. */
typedef struct collector_counts {
    atomic_uint_fast64_t collected, unsampled, parse_errors, oversize, rate_limited, restamped, tenant_violations, duplicates,
        library_errors, library_lost, parse_errors_by[SPAN_PROBLEMS];
} collector_counts;
collector_stats collector_read(const collector_counts *counts);

/* What is told of lines: the problems of a span, and five more. */
enum { COLLECTOR_TELLS = SPAN_PROBLEMS + 5 };

/* When what was told last, by the commands of a process that runs many. All zero but for its lock. */
typedef struct collector_tells {
    pthread_mutex_t lock;
    rate_limit kinds[COLLECTOR_TELLS]; /* guarded by lock */
} collector_tells;

typedef struct collector_options {
    loom_tracer *tracer;        /* NULL: nothing is exported, as of an unsampled command */
    loom_trace_context command; /* the command's span, copied */
    loom_str baggage;           /* given to the command; names its tenant */
    /* The id of the command's container, NULL until it is known; callback NULL: no container. */
    const char *(*container_id)(void *user);
    uint32_t rate, burst;       /* spans a second, and at once; 0: the defaults */
    collector_counts *counts;
    void (*text)(void *user, loom_bytes text); /* output to pass on; never empty */
    void (*tell)(void *user, const char *line); /* a problem with a line, one of a kind in ten seconds; may be NULL */
    collector_tells *tells;     /* shared with other commands; NULL: one of a kind of this command */
    void *user;
} collector_options;

typedef struct collector collector;

/* LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status collector_open(collector **out, const collector_options *options);
void collector_feed(collector *c, loom_bytes bytes);
/* span_stream_idle() and span_stream_waits(). */
void collector_idle(collector *c);
bool collector_waits(const collector *c);
/* End of the stream: flushes what was held back. */
void collector_end(collector *c);
/* From now on span lines are removed, but not exported, counted or reported: for the child of a fork(). */
void collector_mute(collector *c);
/* What has come of an unfinished line is left to somebody else. */
void collector_forget(collector *c);
void collector_close(collector *c); /* NULL is allowed */

#endif
