/* SPDX-License-Identifier: Apache-2.0 */
/* Where in its source a call was made. In the tracer. */
#ifndef LOOM_TRACE_PROCESS_CALLER_H
#define LOOM_TRACE_PROCESS_CALLER_H

#include "trace/process/syscalls/tracee.h"

typedef struct caller_finder caller_finder;

/* NULL: no memory, or no libdw. */
caller_finder *caller_finder_create(void);
/* Puts file, line and function of the first frame outside the C library behind e->event. The thread is stopped. */
void caller_find(caller_finder *f, tracee *e);
/* The process runs another program, or has ended. finder NULL does nothing. */
void caller_forget(caller_finder *f, pid_t pid);

#endif
