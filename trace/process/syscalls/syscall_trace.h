/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of a command, and of all it starts, as spans.
 *
 * Threads: open, child, start, wait and close belong to one thread, that of the runner. Between start and close a tracer
 * thread follows the command; it is the only one that waits for the command's processes. */
#ifndef LOOM_TRACE_PROCESS_SYSCALLS_SYSCALL_TRACE_H
#define LOOM_TRACE_PROCESS_SYSCALLS_SYSCALL_TRACE_H

#include <loom/trace.h>

#include <sys/types.h>

typedef struct syscall_trace syscall_trace;

#define SYSCALL_TRACE_PROBLEM_SIZE 256 /* bytes, with the NUL */

typedef struct syscall_trace_options {
    loom_tracer *tracer;      /* of the spans; NULL: none are made, local output stays */
    const char *set;          /* as strace -e has it; NULL: calls that wait or open something */
    uint64_t min_duration_ns; /* shorter calls are no spans */
    double sample;            /* 0 to 1; the fraction of calls that are spans. 0 in a zeroed struct: all */
    bool errors_only;
    bool summary;             /* counts and times by call, for syscall_trace_close() */
    void (*tell)(void *user, const char *line); /* lines of the summary, from close; NULL: none */
    void *user;
} syscall_trace_options;

/* 0, or an errno value: *trace is NULL then, and problem says what is wrong, in English. */
int syscall_trace_open(const syscall_trace_options *options, syscall_trace **trace,
                       char problem[SYSCALL_TRACE_PROBLEM_SIZE]);
/* In the forked child, right before exec: lets itself be seized and installs the filter. Async-signal-safe. */
void syscall_trace_child(syscall_trace *trace);
/* In the parent, right after the fork. parent: the span of the command. 0, or an errno value: the command is not traced and
 * runs on. */
int syscall_trace_start(syscall_trace *trace, pid_t pid, const loom_trace_context *parent);
/* Readable once the command has ended. */
int syscall_trace_fd(const syscall_trace *trace);
/* The command's status, as waitpid() has it. timeout_ms: -1 waits. 1: it has ended, 0: not yet, below: a negative errno. */
int syscall_trace_wait(syscall_trace *trace, int timeout_ms, int *status);
/* Detaches from what is left. NULL is allowed. */
void syscall_trace_close(syscall_trace *trace);

#endif
