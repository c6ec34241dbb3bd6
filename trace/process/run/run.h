/* SPDX-License-Identifier: Apache-2.0 */
/* Starts commands and waits for them. Used by `loom exec` and `loom provide`.
 *
 *     process p;
 *     int error = process_start(&p, &(process_options){.argv = argv, .environment = environment,
 *                                                      .fds = {PROCESS_INHERIT, PROCESS_INHERIT, PROCESS_INHERIT}});
 *
 * Threads: any; one process is used by one thread at a time, several processes at once by several. */
#ifndef LOOM_TRACE_PROCESS_RUN_RUN_H
#define LOOM_TRACE_PROCESS_RUN_RUN_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "trace/process/run/guard.h"

#define PROCESS_INHERIT (-1)

/* Traces the command and therefore waits for it in our place: ptrace reports a process to its tracer only. */
typedef struct process_tracer {
    void (*in_child)(void *user); /* in the forked child right before exec; async-signal-safe */
    /* In the parent right after the fork, while the child goes towards in_child. 0, or an errno value: the command runs
     * without it, and its end is waited for as if there were no tracer. */
    int (*started)(void *user, pid_t pid);
    int (*fd)(void *user); /* readable once the command has ended */
    /* As waitpid() has the status. timeout_ms: -1 waits. 1: it has ended, 0: not yet, below: a negative errno. */
    int (*wait)(void *user, int timeout_ms, int *status);
    void *user;
} process_tracer;

typedef struct process_options {
    char *const *argv;              /* argv[0] is looked for in PATH, as a shell does */
    char *const *environment;       /* NULL-terminated, the whole of it */
    int fds[3];                     /* what becomes its standard streams; PROCESS_INHERIT: ours */
    bool own_group;                 /* it leads a process group of its own */
    const sigset_t *mask;           /* signals blocked in it; NULL: none */
    const sigset_t *defaults;       /* signals whose disposition becomes the default; NULL: those stay that are ignored */
    const process_tracer *tracer;   /* NULL: nobody follows it; has to outlive the process */
    const guard *guard;             /* is told of its group, which needs own_group; the caller takes it out; NULL: none */
} process_options;

typedef struct process {
    pid_t pid;
    int fd; /* readable once it has ended */
    const process_tracer *tracer; /* NULL: it is ours to wait for */
} process;

/* 0, or an errno value (ENOENT, EACCES …): nothing runs, and there is nothing to close. A file that execve() does not
 * recognize (ENOEXEC) is run by /bin/sh, as execvp() does. */
int process_start(process *p, const process_options *options);
/* Whether it has ended; *status as waitpid() has it. timeout_ms: -1 waits. *stopped, which may be NULL, becomes the signal that
 * has stopped it meanwhile, or stays as it is; a tracer tells nothing of that. */
bool process_wait(process *p, int timeout_ms, int *status, int *stopped);
/* Of one that has ended. */
void process_close(process *p);

/* The exit code a shell would give it: 128 + n for a signal. */
int process_exit_code(int status);

#endif
