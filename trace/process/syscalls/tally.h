/* SPDX-License-Identifier: Apache-2.0 */
/* How often each call was made, and how long it took: in shared memory, written by the tracer, so that calls without a span are
 * counted too, and none twice. Durations go into buckets of a quarter of a power of two, so that percentiles are within 13 %. */
#ifndef LOOM_TRACE_PROCESS_TALLY_H
#define LOOM_TRACE_PROCESS_TALLY_H

#include <stdatomic.h>

#include "trace/process/syscalls/table.h"

enum { TALLY_BUCKETS = 160 }; /* up to 2^40 ns, 18 minutes */

typedef struct call_tally {
    _Atomic uint64_t calls, errors, total_ns, longest_ns;
    _Atomic uint32_t buckets[TALLY_BUCKETS];
} call_tally;

typedef struct tally {
    _Atomic uint64_t calls, processes, threads, foreign, debuggers;
    _Atomic uint64_t crashed; /* the signal that ended the tracing; SIGALRM: a look at the source took too long */
    call_tally by_number[SYSCALL_NUMBERS_MAX];
} tally; /* all zero: nothing yet */

void tally_add(tally *t, unsigned number, uint64_t duration_ns, bool error);
/* The duration below which that share (0 to 1) of the calls is; between the bounds of its bucket, and no more than the longest. */
uint64_t tally_percentile(const call_tally *c, double share);

#endif
