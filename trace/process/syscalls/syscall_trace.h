/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of a command, as spans.
 *
 *     syscall_trace *trace;
 *     char problem[SYSCALL_TRACE_PROBLEM_SIZE];
 *     if (syscall_trace_open(&trace, &options, problem) != LOOM_OK) { print problem; run the command untraced }
 *     pid_t pid = fork();
 *     if (pid == 0) {
 *         syscall_trace_child(trace);          // nothing after it but execve() and _exit()
 *         execvpe(…);
 *     }
 *     syscall_trace_start(trace, pid, context_of_the_command's_span, problem);
 *     poll(syscall_trace_fd(trace)) …; syscall_trace_wait(trace, 0, &status);
 *     syscall_trace_close(trace);
 *
 * The tracer is a process of its own, forked by open. A command whose calls are filtered by seccomp must not outlive its
 * tracer: filtered calls would fail with ENOSYS (seccomp(2), SECCOMP_RET_TRACE). So the tracer outlives whoever opened it, also
 * after SIGKILL: it then only lets calls pass, until the last process it follows has ended. Nothing helps against
 * a SIGKILL to the tracer itself. What it sees goes through a ring in shared memory to a thread of this process, which
 * makes the spans. A full ring loses calls and counts them; the command never waits for it.
 *
 * Threads: one at a time, but for fd, wait and child. */
#ifndef LOOM_TRACE_PROCESS_SYSCALL_TRACE_H
#define LOOM_TRACE_PROCESS_SYSCALL_TRACE_H

#include <loom/trace.h>

#include <stdio.h>
#include <sys/types.h>

typedef struct syscall_trace syscall_trace;

enum { SYSCALL_TRACE_PROBLEM_SIZE = 512 };

typedef struct syscall_trace_options {
    const char *set;           /* which calls, in strace's syntax: "file,network,!stat"; NULL or "": those that wait or open something */
    uint64_t min_duration_ns;  /* only calls that took at least this long; 0: all */
    bool errors_only;          /* only calls whose failure is an error to their caller (docs/SYSCALLS.md) */
    double sample;             /* fraction of the calls, above 0 and below 1; 0: all */
    bool summary;              /* count every call of the set, also those without a span: syscall_trace_summary() */
    bool source;               /* file, line and function of the caller, by libdw */
    const char *source_map;    /* a source map (revision 3) for programs of a transpiler; implies source; NULL: none */
    loom_tracer *tracer;       /* whose spans they are; NULL: no spans, just the summary */
    const loom_span_processor *processor; /* of that tracer: spans wait in the ring while its queue is nearly full. NULL: they do not */
    size_t queue_size;         /* its max_queue_size; 0: 2048 */
} syscall_trace_options;

/* Checks the options and starts the tracer. options is read during the call, but for tracer and processor, which stay as long.
 * A command whose trace is not sampled needs one only for its summary.
 * On any error *trace is NULL and problem a sentence that says why and what to do.
 * LOOM_EINVAL: the set, the sample or the source map makes no sense. LOOM_ENOTFOUND: a library is missing. LOOM_ENOMEM, LOOM_EIO. */
LOOM_MUST_CHECK loom_status syscall_trace_open(syscall_trace **trace, const syscall_trace_options *options,
                                               char problem[SYSCALL_TRACE_PROBLEM_SIZE]);

/* In the forked child, right before execve(): waits until it is followed, and installs the filter, which needs
 * no_new_privs unless the process has CAP_SYS_ADMIN: set-user-ID programs then run without their privilege, as under
 * strace. Async-signal-safe. When it cannot be followed, it returns and the command runs untraced. trace NULL does nothing. */
void syscall_trace_child(syscall_trace *trace);

/* In the parent after fork(), once: follows pid, which waits in syscall_trace_child(), with all its children and threads.
 * pid stays the caller's child. parent: the context of the command's span.
 * LOOM_EDENIED: it may not be traced; problem says why. The command then runs, and fd and wait work all the same. */
LOOM_MUST_CHECK loom_status syscall_trace_start(syscall_trace *trace, pid_t pid, const loom_trace_context *parent,
                                                char problem[SYSCALL_TRACE_PROBLEM_SIZE]);

/* Instead of child and start: follows a process that runs already, all its threads, and what they start from now on. No filter
 * can be put into it from outside, so every call of it stops twice. Ends with syscall_trace_close(), which leaves it as it was.
 * LOOM_ENOTFOUND: there is no such process. LOOM_EDENIED: it may not be traced; problem says why. */
LOOM_MUST_CHECK loom_status syscall_trace_attach(syscall_trace *trace, pid_t pid, const loom_trace_context *parent,
                                                 char problem[SYSCALL_TRACE_PROBLEM_SIZE]);

/* Readable once the process has ended. Borrowed; -1 before start or attach. */
int syscall_trace_fd(const syscall_trace *trace);
/* Has POLLHUP once the tracer has gone, before it was stopped. */
int syscall_trace_tracer_fd(const syscall_trace *t);

/* Waits for the process to end, timeout_ms at most (-1: for ever), and reaps it. LOOM_OK: *status is as from waitpid(), of an
 * attached process what its tracer saw (0 if it did not). LOOM_ETIMEDOUT: it runs. LOOM_ECLOSED: not started, or somebody
 * else has reaped it. */
LOOM_MUST_CHECK loom_status syscall_trace_wait(syscall_trace *trace, int timeout_ms, int *status);

typedef struct syscall_trace_counts {
    uint64_t calls;          /* of the set that ended */
    uint64_t spans;          /* of calls that were made */
    uint64_t lost;           /* calls that were to be a span, and found the ring full, or no time left in syscall_trace_stop() */
    uint64_t processes, threads;
    uint64_t foreign;        /* processes of another architecture (32-bit), whose calls pass unseen */
    uint64_t unfiltered;     /* no filter could be installed: nothing was seen */
    uint64_t crashed;        /* the signal that the tracer died of, 0: none; what came after was not seen. SIGKILL: the command has
                                lost its tracer, all others: it has not. SIGALRM: the source of a call could not be found in time */
    uint64_t debuggers;      /* calls of ptrace() that failed since the program is traced already */
} syscall_trace_counts;

syscall_trace_counts syscall_trace_count(const syscall_trace *trace);

/* Detaches what it is attached to. Of a command that was started, what still runs keeps its tracer, which lets calls pass.
 * Waits up to timeout_ms until what has ended is handed to the tracer's processor, and frees trace, unless that is NULL. */
void syscall_trace_close(syscall_trace *trace, int timeout_ms);
/* The first half of it, after which counts and summary no longer change. Idempotent. */
void syscall_trace_stop(syscall_trace *trace, int timeout_ms);

typedef enum syscall_summary_form { SYSCALL_SUMMARY_TABLE, SYSCALL_SUMMARY_JSON } syscall_summary_form;

/* Calls, errors, total, p50, p99, longest and share of each call, most time first. columns: how wide the table may be.
 * LOOM_EIO: out could not be written. Any time; with options.summary false there is none. */
LOOM_MUST_CHECK loom_status syscall_trace_summary(const syscall_trace *trace, FILE *out, syscall_summary_form form,
                                                  unsigned columns);

#endif
