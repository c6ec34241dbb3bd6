/* SPDX-License-Identifier: Apache-2.0 */
/* Stops of tracees that are no system calls: births, programs, signals, job control, ends (ptrace(2), "Death under ptrace",
 * "Group-stop", "execve(2) under ptrace"). A request to a tracee that was killed meanwhile fails with ESRCH, which is no
 * problem: its end is the next thing we hear. */
#include "trace/process/syscalls/tracer.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "trace/process/syscalls/caller.h"
#include "trace/process/syscalls/memory.h"
#include "trace/process/syscalls/restart.h"

enum {
    FOLLOW = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC,
    STATUS_MAX = 2048,
    SCANS_MAX = 64
};

static void add(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- who is there ---- */

/* A number of /proc/TID/status, or 0. */
static pid_t status_number(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at != NULL ? (pid_t)strtol(at + strlen(key), NULL, 10) : 0;
}

/* A thread that is new to us. parent 0: whoever /proc says. */
static tracee *adopt(tracer *t, pid_t tid, pid_t parent, bool surely_process)
{
    char text[STATUS_MAX + 1];
    pid_t pid = tid;
    if (!surely_process || parent == 0) {
        text[memory_file(tid, "status", text, STATUS_MAX)] = '\0';
        const pid_t group = status_number(text, "\nTgid:");
        pid = group > 0 ? group : tid;
        parent = parent != 0 ? parent : status_number(text, "\nPPid:");
    }
    tracee *e = tracee_add(&t->tracees, tid, pid);
    if (e == NULL) {
        return NULL;
    }
    if (pid != tid) {
        add(&t->shared->tally.threads);
        return e;
    }
    add(&t->shared->tally.processes);
    event *record = tracee_begin(e, EVENT_PROCESS);
    record->start_ns = record->end_ns = clock_monotonic_ns();
    record->args[0] = (uint64_t)parent;
    tracer_tell(t, e, RING_MUST_BE_HEARD);
    return e;
}

/* In a record of its own: the call that started the program has not ended. */
static void tell_program(tracer *t, const tracee *e)
{
    tracee of = {.tid = e->pid, .pid = e->pid, .capacity = EVENT_SIZE_MAX};
    of.event = malloc(EVENT_SIZE_MAX);
    if (of.event == NULL) {
        return;
    }
    event *record = tracee_begin(&of, EVENT_EXEC);
    record->start_ns = record->end_ns = clock_monotonic_ns();
    capture_program(&of);
    tracer_tell(t, &of, RING_MUST_BE_HEARD);
    free(of.event);
}

int tracer_seize(tracer *t, pid_t pid)
{
    const long options = FOLLOW | (t->plan->filter != NULL ? PTRACE_O_TRACESECCOMP : 0);
    if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)options) != 0) {
        return errno;
    }
    tracee *e = adopt(t, pid, 0, true);
    if (e == NULL) {
        (void)ptrace(PTRACE_INTERRUPT, pid, NULL, NULL); /* stops, and is let pass */
        return ENOMEM;
    }
    if (t->plan->filter == NULL) {
        e->attached = true;
        (void)ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
    }
    return 0;
}

/* One pass over the threads of a process; how many were new, or -1 with errno. */
static int attach_threads(tracer *t, pid_t pid)
{
    char path[64];
    int found = 0, problem = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (threads == NULL) {
        errno = ESRCH;
        return -1;
    }
    for (const struct dirent *d = readdir(threads); d != NULL; d = readdir(threads)) {
        const pid_t tid = (pid_t)strtol(d->d_name, NULL, 10);
        if (tid <= 0 || tracee_find(&t->tracees, tid) != NULL) {
            continue;
        }
        if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)(long)FOLLOW) != 0) {
            problem = errno != ESRCH ? errno : problem;
            continue;
        }
        tracee *e = adopt(t, tid, 0, tid == pid);
        if (e != NULL) {
            e->attached = e->interrupted = true;
        }
        (void)ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
        found++;
    }
    closedir(threads);
    errno = problem;
    return found == 0 && problem != 0 ? -1 : found;
}

int tracer_attach(tracer *t, pid_t pid)
{
    int found = attach_threads(t, pid); /* the first is first: it makes the process */
    if (found < 0) {
        return errno;
    }
    for (int i = 0; i < SCANS_MAX && found > 0; i++) { /* threads that were started meanwhile by ones not yet followed */
        found = attach_threads(t, pid);
    }
    tracee *e = tracee_find(&t->tracees, pid);
    if (e != NULL) {
        tell_program(t, e);
    }
    return 0;
}

/* ---- going on ---- */

static void go_on(tracer *t, tracee *e, pid_t tid, int sig)
{
    t->current = 0;
    if (e == NULL) {
        (void)ptrace(PTRACE_CONT, tid, NULL, (void *)(long)sig);
    } else {
        (void)ptrace(e->in_call || e->attached ? PTRACE_SYSCALL : PTRACE_CONT, tid, NULL, (void *)(long)sig);
    }
}

/* ---- what has happened ---- */

static void on_end(tracer *t, pid_t tid, int status)
{
    tracee *e = tracee_find(&t->tracees, tid);
    if (tid == t->first) {
        atomic_store(&t->shared->status, status);
    }
    if (e != NULL && e->tid == e->pid) {
        event *record = tracee_begin(e, EVENT_EXIT);
        record->start_ns = record->end_ns = clock_monotonic_ns();
        record->result = status;
        tracer_tell(t, e, RING_MUST_BE_HEARD);
        caller_forget(t->callers, tid);
    }
    tracee_remove(&t->tracees, tid);
}

static void on_birth(tracer *t, const tracee *parent, bool process)
{
    unsigned long child = 0;
    if (ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &child) != 0 || number_table_remove(&t->early, child) != NULL ||
        tracee_find(&t->tracees, (pid_t)child) != NULL) {
        return; /* killed meanwhile; or we know it already, and it may even have ended */
    }
    tracee *e = adopt(t, (pid_t)child, parent->pid, process);
    if (e != NULL) {
        e->attached = parent->attached;
    }
}

/* All other threads have gone, and the one that did it has the process's id now, whichever it was. */
static tracee *on_exec(tracer *t, pid_t pid)
{
    unsigned long former = 0;
    if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &former) == 0) {
        tracee_rename(&t->tracees, (pid_t)former, pid);
    }
    tracee *e = tracee_find(&t->tracees, pid);
    if (e != NULL) {
        e->pid = pid;
        e->foreign = false;
        memory_view_close(&e->view);
        caller_forget(t->callers, pid);
        tracer_note_architecture(t, e);
        tell_program(t, e);
    }
    return e;
}

bool tracer_is_stop_signal(int sig)
{
    return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/* PTRACE_EVENT_STOP: the first stop of a child, one we asked for, or a group-stop, in which it stays until SIGCONT. */
static void on_stop_event(tracer *t, tracee *e, pid_t tid, int sig)
{
    if (tracer_is_stop_signal(sig)) {
        (void)ptrace(PTRACE_LISTEN, tid, NULL, NULL);
        return;
    }
    if (e != NULL && e->interrupted) {
        restart_interrupted_call(tid);
        e->interrupted = false;
    }
    go_on(t, e, tid, 0);
}

static tracee *stranger(tracer *t, pid_t tid)
{
    tracee *e = adopt(t, tid, 0, false);
    if (e != NULL) { /* its creator is one of ours, and as it is so is the child */
        (void)!number_table_add(&t->early, (uint64_t)tid, t); /* there already: of an earlier one, whose parent was killed */
        const tracee *sibling = tracee_find(&t->tracees, e->pid);
        e->attached = sibling != NULL && sibling != e ? sibling->attached : t->plan->filter == NULL;
    }
    return e;
}

void tracer_on_status(tracer *t, pid_t tid, int status)
{
    if (!WIFSTOPPED(status)) {
        on_end(t, tid, status);
        return;
    }
    tracee *e = tracee_find(&t->tracees, tid);
    const int sig = WSTOPSIG(status), what = status >> 16;
    if (e == NULL) {
        e = stranger(t, tid);
    }
    if (e == NULL) {
        go_on(t, NULL, tid, what == 0 && sig != (SIGTRAP | 0x80) ? sig : 0);
        return;
    }
    switch (what) {
    case PTRACE_EVENT_SECCOMP: e->in_call = tracer_on_filter(t, e); break;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK: on_birth(t, e, true); break;
    case PTRACE_EVENT_CLONE: on_birth(t, e, false); break;
    case PTRACE_EVENT_EXEC: e = on_exec(t, tid); break;
    case PTRACE_EVENT_STOP: on_stop_event(t, e, tid, sig); return;
    case 0:
        if (sig != (SIGTRAP | 0x80)) {
            go_on(t, e, tid, sig); /* with the siginfo that it has */
            return;
        }
        e->in_call = tracer_on_call(t, e);
        break;
    default: break;
    }
    go_on(t, e, tid, 0);
    if (e != NULL) {
        tracer_follow_up(t, e);
    }
}
