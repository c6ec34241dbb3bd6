/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that empties the ring. */
#ifndef LOOM_TRACE_PROCESS_READER_H
#define LOOM_TRACE_PROCESS_READER_H

#include <pthread.h>

#include "trace/process/syscalls/ring.h"
#include "trace/process/syscalls/spans.h"

typedef struct reader {
    ring *ring;
    int bell;
    const loom_span_processor *processor; /* NULL: spans are not held back */
    uint64_t queue_size;
    _Atomic uint64_t stop_at_ms; /* monotonic; 0: not yet. It goes on until the ring is empty or that time has come */
    _Atomic uint64_t made;       /* spans of calls, for others to read */
    _Atomic uint64_t lost;       /* calls that were still in the ring when it had to end */
    span_maker spans;            /* the thread's own while it runs */
    pthread_t thread;
} reader;

/* spans is ready. Returns an errno value, or 0. */
int reader_start(reader *r);
/* Waits until what is in the ring has become spans, timeout_ms at most. */
void reader_stop(reader *r, int timeout_ms);

#endif
