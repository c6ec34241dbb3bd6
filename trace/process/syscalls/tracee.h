/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that are followed, and the record of the call that each is in. In the tracer only. */
#ifndef LOOM_TRACE_PROCESS_TRACEE_H
#define LOOM_TRACE_PROCESS_TRACEE_H

#include <sys/types.h>

#include "base/number_table.h"
#include "trace/process/syscalls/event.h"
#include "trace/process/syscalls/memory.h"

typedef struct tracee {
    pid_t tid, pid;
    bool in_call;  /* at its seccomp stop a call was begun; the next system call stop is its end */
    bool to_look;  /* what its arguments point to is to be captured, now that it goes on */
    bool to_tell;  /* its call has ended, and is to be told of, now that it goes on */
    bool kept;     /* the call is to become a span, if what came of it is wanted */
    bool attached; /* has no filter: all its calls stop */
    bool interrupted; /* was asked to stop, and has not yet */
    bool foreign;  /* of another architecture; counted once */
    memory_view view;
    event *event;  /* of the call, with its parts; capacity bytes */
    uint32_t capacity;
} tracee;

typedef struct tracee_table {
    number_table by_tid; /* of tracee */
} tracee_table; /* all zero: empty */

tracee *tracee_find(const tracee_table *t, pid_t tid);
/* NULL: no memory. The thread is then let pass. */
tracee *tracee_add(tracee_table *t, pid_t tid, pid_t pid);
void tracee_remove(tracee_table *t, pid_t tid);
/* After the execve() of a thread that was not the first of its process: it has the process's id from then on. */
void tracee_rename(tracee_table *t, pid_t from, pid_t to);
void tracee_clear(tracee_table *t);

/* Begins the record of a call or process. */
event *tracee_begin(tracee *e, event_type type);
/* Room for a part of up to len bytes; NULL: none left. The part counts once tracee_end_part() says how long it became; of 0
 * bytes it does not. Invalidates e->event. */
uint8_t *tracee_part(tracee *e, part_kind kind, unsigned arg, size_t len);
void tracee_end_part(tracee *e, size_t len);
void tracee_put(tracee *e, part_kind kind, unsigned arg, const void *data, size_t len);

#endif
