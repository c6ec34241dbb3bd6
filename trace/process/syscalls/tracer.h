/* SPDX-License-Identifier: Apache-2.0 */
/* The tracer: a process with one thread, which ptraces (ptrace(2), PTRACE_SEIZE) and tells what it sees through the ring.
 *
 * It is forked from a program that may have threads, so it starts none, logs nothing, and of what others may hold a lock of it
 * uses malloc() alone, which glibc keeps usable in the child of a fork(). */
#ifndef LOOM_TRACE_PROCESS_TRACER_H
#define LOOM_TRACE_PROCESS_TRACER_H

#include <signal.h>

#include "trace/process/syscalls/plan.h"
#include "trace/process/syscalls/ring.h"
#include "trace/process/syscalls/tally.h"
#include "trace/process/syscalls/tracee.h"

/* What both processes see. */
typedef struct tracer_shared {
    tally tally;
    _Atomic int32_t status; /* wait status of the first process that was followed; EXIT_PENDING until it has ended */
    ring ring;
} tracer_shared;
enum { EXIT_PENDING = -1 };

/* Over the socket, and each is answered with an int: 0 or an errno value. */
typedef enum tracer_order {
    TRACER_SEIZE,  /* a process that waits to be followed */
    TRACER_ATTACH, /* one that runs, with its threads */
    TRACER_STOP    /* tell nothing more, and let go what it attached to; answered before it does */
} tracer_order;

typedef struct tracer_request {
    int32_t order, pid;
    bool muted; /* no events: the trace is not sampled */
} tracer_request;

typedef struct tracer {
    const syscall_plan *plan;
    tracer_shared *shared;
    struct caller_finder *callers; /* NULL: --source is not wanted */
    tracee_table tracees;
    number_table early; /* children that stopped before their parents told of them, by id; some may have ended by then */
    int bell, socket;
    pid_t first;    /* whose status is wanted */
    bool spans;     /* events are wanted */
    bool passing;   /* nobody listens: calls pass */
    bool deserted;  /* loom has gone */
    bool is_brisk;  /* it did not wait long for the last stop */
    bool unfiltered; /* what it follows has no filter, and needs nobody */
    pid_t current;  /* has stopped with current_status, and waits to go on; 0: none */
    int current_status;
    volatile sig_atomic_t looks_left; /* ticks of the timer until a look at the source is given up; 0: none is under way */
} tracer;

/* Runs in the forked child and never returns. Everything else that the process has open is closed. */
_Noreturn void tracer_run(const syscall_plan *plan, tracer_shared *shared, int bell, int socket);

/* ---- between the files of the tracer ---- */

/* tracer_crash.c: from now on a crash ends what is traced, and nothing else. */
void tracer_survive_crashes(tracer *t);

/* tracer_stop.c: what waitpid() said of a thread. */
void tracer_on_status(tracer *t, pid_t tid, int status);
bool tracer_is_stop_signal(int sig);
/* 0 or an errno value. */
int tracer_seize(tracer *t, pid_t pid);
int tracer_attach(tracer *t, pid_t pid);

/* tracer_call.c: a thread stopped at its seccomp filter, or at a system call when it has none. Returns whether it is to stop
 * at the next system call stop. */
bool tracer_on_filter(tracer *t, tracee *e);
bool tracer_on_call(tracer *t, tracee *e);
/* At a seccomp stop: the call may not make children that nobody traces. */
void tracer_keep_children(pid_t tid);
/* Counts a process of another architecture. */
void tracer_note_architecture(tracer *t, tracee *e);
/* What e->to_look and e->to_tell ask for, once the thread goes on. */
void tracer_follow_up(tracer *t, tracee *e);
/* Writes e->event. */
void tracer_tell(tracer *t, const tracee *e, ring_urgency urgency);

/* capture.c: what the arguments point to, put behind e->event; when the call is made, and after it. */
void capture_before(tracee *e, const syscall_spec *spec);
void capture_after(tracee *e, const syscall_spec *spec);
/* Where the process is and what it runs. */
void capture_program(tracee *e);

#endif
