/* SPDX-License-Identifier: Apache-2.0 */
/* Events become spans: "process: NAME" for each process, below its parent's, and "syscall: NAME" below that of its process.
 * On the reader's thread. */
#ifndef LOOM_TRACE_PROCESS_SPANS_H
#define LOOM_TRACE_PROCESS_SPANS_H

#include <loom/trace.h>

#include "base/number_table.h"
#include "trace/process/syscalls/event.h"

typedef struct span_maker {
    loom_tracer *tracer;
    const syscall_spec *const *specs; /* by number */
    const struct source_map *map;     /* NULL: none */
    int64_t unix_minus_monotonic_ns;
    loom_trace_context root;          /* of the command's span */
    number_table processes;           /* those that run, by id */
    char *names[SYSCALL_NUMBERS_MAX]; /* of the calls' spans, made when they are first needed */
    struct decoded *decoded;          /* one at a time; too large for a stack */
    uint64_t made;                    /* spans of calls */
} span_maker;

LOOM_MUST_CHECK loom_status span_maker_init(span_maker *m, loom_tracer *tracer, const syscall_spec *const *specs,
                                            const struct source_map *map);
void span_maker_take(span_maker *m, const event *e);
/* Ends the spans of processes that still run. */
void span_maker_fini(span_maker *m);

#endif
