/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a trace of system calls: plan, tracer, reader; the command's side of the fork; the end. */
#include "trace/process/syscalls/syscall_trace.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "trace/process/syscalls/denied.h"
#include "trace/process/syscalls/dw_library.h"
#include "trace/process/syscalls/link.h"
#include "trace/process/syscalls/reader.h"
#include "trace/process/syscalls/source_map.h"
#include "trace/process/syscalls/summary.h"

enum { QUEUE_SIZE_DEFAULT = 2048, REAP_NS = 1000000 };

struct syscall_trace {
    syscall_plan plan;
    tracer_link link;
    reader reader;
    bool reading;  /* the reader runs */
    bool attached; /* the process is not ours to wait for */
    bool stopped;
    source_map *map;
    int gate[2];   /* the child waits at [1]; -1: closed */
    int pidfd;     /* -1: not started */
    pid_t pid;
    uint64_t unfiltered;
};

/* ---- opening ---- */

static loom_status take_options(syscall_trace *t, const syscall_trace_options *o, char *problem)
{
    syscall_set set;
    if (o->sample < 0 || o->sample > 1 || o->sample != o->sample) {
        (void)snprintf(problem, SYSCALL_TRACE_PROBLEM_SIZE, "the share of system calls to keep must be between 0 and 1");
        return LOOM_EINVAL;
    }
    loom_status st = syscall_set_parse(&set, o->set, problem, SYSCALL_TRACE_PROBLEM_SIZE);
    if (st == LOOM_OK) {
        st = syscall_plan_init(&t->plan, &set, problem, SYSCALL_TRACE_PROBLEM_SIZE);
    }
    if (st == LOOM_OK && (o->source || o->source_map != NULL) && dw_library_get() == NULL) {
        (void)snprintf(problem, SYSCALL_TRACE_PROBLEM_SIZE, "%s", dw_library_problem());
        st = LOOM_ENOTFOUND;
    }
    if (st == LOOM_OK && o->source_map != NULL) {
        st = source_map_open(&t->map, o->source_map, problem, SYSCALL_TRACE_PROBLEM_SIZE);
    }
    t->plan.min_duration_ns = o->min_duration_ns;
    t->plan.errors_only = o->errors_only;
    t->plan.summary = o->summary;
    t->plan.spans = o->tracer != NULL;
    t->plan.source = o->source || o->source_map != NULL;
    if (o->sample > 0 && o->sample < 1) {
        t->plan.sample = (uint64_t)(o->sample * 18446744073709549568.0); /* the largest double below 2^64 */
    }
    return st;
}

static loom_status start_reader(syscall_trace *t, const syscall_trace_options *o)
{
    t->reader.ring = &t->link.shared->ring;
    t->reader.bell = t->link.bell;
    t->reader.processor = o->processor;
    t->reader.queue_size = o->queue_size != 0 ? o->queue_size : QUEUE_SIZE_DEFAULT;
    return span_maker_init(&t->reader.spans, o->tracer, t->plan.by_number, t->map);
}

static void free_trace(syscall_trace *t)
{
    for (int i = 0; i < 2; i++) {
        if (t->gate[i] >= 0) {
            close(t->gate[i]);
        }
    }
    if (t->pidfd >= 0) {
        close(t->pidfd);
    }
    span_maker_fini(&t->reader.spans);
    tracer_link_close(&t->link);
    source_map_free(t->map);
    syscall_plan_fini(&t->plan);
    free(t);
}

loom_status syscall_trace_open(syscall_trace **trace, const syscall_trace_options *options, char problem[SYSCALL_TRACE_PROBLEM_SIZE])
{
    *trace = NULL;
    problem[0] = '\0';
    syscall_trace *t = calloc(1, sizeof *t);
    if (t == NULL) {
        (void)snprintf(problem, SYSCALL_TRACE_PROBLEM_SIZE, "out of memory");
        return LOOM_ENOMEM;
    }
    t->link = (tracer_link){.socket = -1, .bell = -1, .pid = -1};
    t->gate[0] = t->gate[1] = t->pidfd = -1;
    loom_status st = take_options(t, options, problem);
    if (st == LOOM_OK && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, t->gate) != 0) {
        st = LOOM_EIO;
    }
    if (st == LOOM_OK) {
        st = tracer_link_open(&t->link, &t->plan);
    }
    if (st == LOOM_OK) {
        st = start_reader(t, options);
    }
    if (st != LOOM_OK) {
        if (problem[0] == '\0') {
            (void)snprintf(problem, SYSCALL_TRACE_PROBLEM_SIZE, "the tracer of system calls could not be started: %s", loom_status_text(st));
        }
        free_trace(t);
        return st;
    }
    *trace = t;
    return LOOM_OK;
}

/* ---- the child ---- */

static int install_filter(const syscall_plan *plan)
{
    const struct sock_fprog program = {.len = plan->filter_len, .filter = plan->filter};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0) {
        return 0;
    }
    if (errno != EACCES || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return errno;
    }
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ? 0 : errno;
}

void syscall_trace_child(syscall_trace *t)
{
    char word = 0;
    ssize_t got;
    if (t == NULL) {
        return;
    }
    close(t->gate[0]); /* or it would wait for itself, if its parent died */
    (void)prctl(PR_SET_PTRACER, t->link.pid, 0, 0, 0); /* Yama lets none but ancestors trace, otherwise */
    do {
        got = read(t->gate[1], &word, 1);
    } while (got < 0 && errno == EINTR);
    const int problem = got == 1 && word == 'f' ? install_filter(&t->plan) : 0;
    if (problem != 0) {
        (void)send(t->gate[1], &problem, sizeof problem, MSG_NOSIGNAL);
    }
}

/* ---- the parent ---- */

/* 'f': followed, install the filter; 'n': do not. */
static void open_gate(syscall_trace *t, char word)
{
    (void)send(t->gate[0], &word, 1, MSG_NOSIGNAL);
    close(t->gate[1]);
    t->gate[1] = -1;
}

static int ask(syscall_trace *t, tracer_order order, pid_t pid, const loom_trace_context *parent)
{
    const bool muted = parent != NULL && loom_trace_context_valid(parent) && (parent->trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0;
    t->pid = pid;
    t->reader.spans.root = parent != NULL ? *parent : (loom_trace_context){0};
    return tracer_link_ask(&t->link, &(tracer_request){.order = (int32_t)order, .pid = pid, .muted = muted});
}

/* After the first process is followed: what comes of it is read. Without a thread nothing is, which the ring survives. */
static void begin_reading(syscall_trace *t)
{
    t->reading = t->plan.spans && reader_start(&t->reader) == 0;
}

loom_status syscall_trace_start(syscall_trace *t, pid_t pid, const loom_trace_context *parent, char problem[SYSCALL_TRACE_PROBLEM_SIZE])
{
    t->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    const int error = ask(t, TRACER_SEIZE, pid, parent);
    if (error == 0) {
        begin_reading(t);
        open_gate(t, t->plan.filter != NULL ? 'f' : 'n');
        return LOOM_OK;
    }
    denied_explain(pid, error, problem, SYSCALL_TRACE_PROBLEM_SIZE); /* while it waits */
    open_gate(t, 'n');
    return LOOM_EDENIED;
}

loom_status syscall_trace_attach(syscall_trace *t, pid_t pid, const loom_trace_context *parent, char problem[SYSCALL_TRACE_PROBLEM_SIZE])
{
    t->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (t->pidfd < 0) {
        (void)snprintf(problem, SYSCALL_TRACE_PROBLEM_SIZE, "cannot follow process %d: %s", (int)pid, strerror(errno));
        return errno == ESRCH || errno == EINVAL ? LOOM_ENOTFOUND : LOOM_EIO;
    }
    t->attached = true;
    const int error = ask(t, TRACER_ATTACH, pid, parent);
    if (error != 0) {
        denied_explain(pid, error, problem, SYSCALL_TRACE_PROBLEM_SIZE);
        return error == ESRCH ? LOOM_ENOTFOUND : LOOM_EDENIED;
    }
    begin_reading(t);
    return LOOM_OK;
}

int syscall_trace_fd(const syscall_trace *t)
{
    return t->pidfd;
}

int syscall_trace_tracer_fd(const syscall_trace *t)
{
    return t->link.socket;
}

/* Its tracer hears of its end first, and only when it has taken note can it be reaped. */
static loom_status reap(const syscall_trace *t, int *status)
{
    for (;;) {
        const pid_t got = waitpid(t->pid, status, WNOHANG | __WALL);
        if (got == t->pid) {
            return LOOM_OK;
        }
        if (got < 0 && errno != EINTR) {
            return LOOM_ECLOSED;
        }
        nanosleep(&(struct timespec){.tv_nsec = REAP_NS / 10}, NULL);
    }
}

loom_status syscall_trace_wait(syscall_trace *t, int timeout_ms, int *status)
{
    *status = 0;
    if (t->pidfd < 0) {
        return LOOM_ECLOSED;
    }
    struct pollfd ended = {.fd = t->pidfd, .events = POLLIN};
    const uint64_t from = clock_monotonic_ms();
    int left = timeout_ms, got;
    while ((got = poll(&ended, 1, left)) < 0 && errno == EINTR) {
        const uint64_t gone = clock_monotonic_ms() - from;
        left = timeout_ms < 0 ? -1 : gone < (uint64_t)timeout_ms ? timeout_ms - (int)gone : 0;
    }
    if (got <= 0) {
        return LOOM_ETIMEDOUT;
    }
    if (!t->attached) {
        return reap(t, status);
    }
    const int seen = atomic_load(&t->link.shared->status);
    *status = seen != EXIT_PENDING ? seen : 0;
    return LOOM_OK;
}

/* ---- the end ---- */

syscall_trace_counts syscall_trace_count(const syscall_trace *t)
{
    tracer_shared *s = t->link.shared;
    return (syscall_trace_counts){.calls = atomic_load(&s->tally.calls),
                                  .spans = atomic_load(&t->reader.made),
                                  .lost = atomic_load(&s->ring.lost) + atomic_load(&t->reader.lost),
                                  .processes = atomic_load(&s->tally.processes),
                                  .threads = atomic_load(&s->tally.threads),
                                  .foreign = atomic_load(&s->tally.foreign),
                                  .unfiltered = t->unfiltered,
                                  .crashed = atomic_load(&s->tally.crashed),
                                  .debuggers = atomic_load(&s->tally.debuggers)};
}

loom_status syscall_trace_summary(const syscall_trace *t, FILE *out, syscall_summary_form form, unsigned columns)
{
    return syscall_summary_write(&t->link.shared->tally, t->plan.by_number, out, form, columns);
}

void syscall_trace_stop(syscall_trace *t, int timeout_ms)
{
    int problem;
    if (t->stopped) {
        return;
    }
    t->stopped = true;
    uint64_t alive = 0;
    if (tracer_link_ask(&t->link, &(tracer_request){.order = TRACER_STOP}) == EPIPE) {
        (void)atomic_compare_exchange_strong(&t->link.shared->tally.crashed, &alive, SIGKILL);
    }
    if (t->reading) {
        reader_stop(&t->reader, timeout_ms);
    }
    if (t->gate[0] >= 0 && recv(t->gate[0], &problem, sizeof problem, MSG_DONTWAIT) == sizeof problem) {
        t->unfiltered = 1;
    }
}

void syscall_trace_close(syscall_trace *t, int timeout_ms)
{
    if (t != NULL) {
        syscall_trace_stop(t, timeout_ms);
        free_trace(t);
    }
}
