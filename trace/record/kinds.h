/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of traces that somebody wants kept for a while, whether they fail or not: those of messages on a topic, or of calls of a
 * capability. Each may cause so many traces a second to be kept, beside what the recorder finds worth keeping by itself.
 *
 * A span is looked at only while there are any, and a definition of records once: it remembers which kind it is of.
 *
 * Under the recorder's lock, if nothing else is said. */
#ifndef LOOM_TRACE_RECORD_KINDS_H
#define LOOM_TRACE_RECORD_KINDS_H

#include <loom/context.h>
#include <loom/recorder.h>
#include <loom/topic.h>

enum { KINDS_MAX = 16, KINDS_PER_SECOND_MAX = 100 };

typedef struct trace_kind {
    uint32_t number; /* never 0, and never that of another one */
    bool capability; /* the filter is of capabilities, else of topics */
    char filter[LOOM_TOPIC_MAX + 1];
    char reason[LOOM_KEEP_REASON_MAX + 1];
    uint32_t per_second; /* traces; 1 to KINDS_PER_SECOND_MAX */
    uint64_t until_ns;   /* monotonic */
    uint64_t paid_ns;    /* the time that traces are paid up to (GCRA) */
    uint64_t kept, limited; /* traces; limited: there were more than allowed */
} trace_kind;

typedef struct trace_kinds {
    trace_kind items[KINDS_MAX]; /* the oldest first */
    size_t count;
    uint32_t last_number;
} trace_kinds;

/* One more, until then; of one with the same filter only the rest is new. LOOM_EBUSY: there are KINDS_MAX. *number is given.
 * LOOM_EINVAL: no filter, no such rate. */
LOOM_MUST_CHECK loom_status trace_kinds_add(trace_kinds *kinds, const trace_kind *what, uint32_t *number);
bool trace_kinds_remove(trace_kinds *kinds, uint32_t number);
/* Those whose time is over go. Whether there were any. */
bool trace_kinds_expire(trace_kinds *kinds, uint64_t now_ns);
/* The first that this topic or capability is of; NULL: none. */
trace_kind *trace_kinds_find(trace_kinds *kinds, bool capability, loom_str name);
trace_kind *trace_kinds_get(trace_kinds *kinds, uint32_t number);
/* Whether one more trace of it may be kept now; counted. */
bool trace_kind_take(trace_kind *kind, uint64_t now_ns);

#endif
