/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/exec_syscalls.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/str.h"
#include "host/cli/term.h"
#include "host/config/units.h"

enum { COMMAND_LINE_SIZE = 4096, COMMAND_WORDS = 128 };

/* ---- the options ---- */

static bool is_wanted(const options *o)
{
    return options_has(o, "syscalls") || options_has(o, "pid");
}

bool exec_syscalls_attaches(const options *o)
{
    return options_has(o, "pid");
}

bool exec_syscalls_pid(const command *c, const options *o, pid_t *pid, int *exit_code)
{
    const char *text = options_value(o, "pid");
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < 1 || value > INT_MAX) {
        *exit_code = command_misuse(c, "--pid must be a process id, not \"%s\"", text);
        return false;
    }
    *pid = (pid_t)value;
    return true;
}

static size_t read_command_line(pid_t pid, char *text, size_t size)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    FILE *in = fopen(path, "re");
    const size_t len = in != NULL ? fread(text, 1, size - 1, in) : 0;
    if (in != NULL) {
        (void)fclose(in);
    }
    return len;
}

char **exec_syscalls_command_line(pid_t pid)
{
    char text[COMMAND_LINE_SIZE] = "?";
    size_t len = read_command_line(pid, text, sizeof text), count = 0;
    len = len > 0 ? len : 1;
    char **argv = malloc((COMMAND_WORDS + 1) * sizeof *argv + sizeof text);
    if (argv == NULL) {
        return NULL;
    }
    char *words = (char *)(argv + COMMAND_WORDS + 1);
    memcpy(words, text, len);
    words[len] = '\0';
    for (size_t at = 0; at < len && count < COMMAND_WORDS; at += strlen(words + at) + 1) {
        argv[count++] = words + at;
    }
    argv[count] = NULL;
    return argv;
}

/* What means nothing without --syscalls or --pid was meant for one of them. */
static bool check_alone(const command *c, const options *o, int *exit_code)
{
    static const char *const parts[] = {"min-duration", "errors-only", "sample", "summary", "json", "source", "source-map"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (options_has(o, parts[i])) {
            *exit_code = command_misuse(c, "--%s needs --syscalls or --pid", parts[i]);
            return false;
        }
    }
    return true;
}

static bool read_options(const command *c, const options *o, syscall_trace_options *with, int *exit_code)
{
    const char *min = options_value(o, "min-duration"), *sample = options_value(o, "sample");
    const char *set = options_value(o, "syscalls");
    if (min != NULL && !duration_parse(&with->min_duration_ns, str_of(min))) {
        *exit_code = command_misuse(c, "--min-duration must be a duration such as 100us or 2ms, not \"%s\"", min);
        return false;
    }
    if (sample != NULL && (!config_parse_double(&with->sample, str_of(sample)) || !(with->sample > 0) || with->sample > 1)) {
        *exit_code = command_misuse(c, "--sample must be a share above 0 and up to 1, not \"%s\"", sample);
        return false;
    }
    with->sample = with->sample < 1 ? with->sample : 0;
    with->set = set;
    with->errors_only = options_is_on(o, "errors-only");
    with->summary = options_is_on(o, "summary") || options_is_on(o, "json");
    with->source = options_is_on(o, "source");
    with->source_map = options_value(o, "source-map");
    return true;
}

/* ---- the hook of the runner ---- */

static void in_child(void *user)
{
    syscall_trace_child(((exec_syscalls *)user)->trace);
}

static int started(void *user, pid_t pid)
{
    exec_syscalls *x = user;
    char reason[SYSCALL_TRACE_PROBLEM_SIZE];
    if (syscall_trace_start(x->trace, pid, &x->parent, reason) != LOOM_OK) {
        (void)command_fail(x->command, "%s", reason);
    }
    return 0; /* what was not followed is waited for by it all the same */
}

static int wait_fd(void *user)
{
    return syscall_trace_fd(((exec_syscalls *)user)->trace);
}

static int wait_for(void *user, int timeout_ms, int *status)
{
    switch (syscall_trace_wait(((exec_syscalls *)user)->trace, timeout_ms, status)) {
    case LOOM_OK: return 1;
    case LOOM_ETIMEDOUT: return 0;
    default: return -ECHILD;
    }
}

const process_tracer *exec_syscalls_tracer(const exec_syscalls *x)
{
    return x->trace != NULL ? &x->tracer : NULL;
}

/* ---- from begin to end ---- */

bool exec_syscalls_open(exec_syscalls *x, const command *c, const options *o, const exec_trace *trace,
                        const loom_trace_context *span, int *exit_code)
{
    const bool sampled = (span->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0 && trace->tracing.processor != NULL;
    char reason[SYSCALL_TRACE_PROBLEM_SIZE];
    *x = (exec_syscalls){.command = c, .parent = *span, .json = options_is_on(o, "json")};
    x->tracer = (process_tracer){.in_child = in_child, .started = started, .fd = wait_fd, .wait = wait_for, .user = x};
    if (!is_wanted(o)) {
        return check_alone(c, o, exit_code);
    }
    syscall_trace_options with = {.set = NULL};
    if (!read_options(c, o, &with, exit_code)) {
        return false;
    }
    x->summary = with.summary;
    x->source = with.source || with.source_map != NULL;
    if (sampled) {
        with.tracer = trace->tracing.tracer;
        with.processor = trace->tracing.processor;
        with.queue_size = trace->queue_size;
    } else if (!with.summary || options_is_on(o, "no-trace-when-unsampled")) {
        if (exec_syscalls_attaches(o)) { /* a command would still run */
            const char *why = trace->tracing.processor == NULL ? "nothing is exported" : "the trace is not sampled";
            (void)command_fail(c, "process %s is not followed: %s%s", options_value(o, "pid"), why,
                               with.summary ? "" : " (-c prints a summary)");
        }
        return true; /* nobody would see anything of it */
    }
    switch (syscall_trace_open(&x->trace, &with, reason)) {
    case LOOM_OK: return true;
    case LOOM_EINVAL: *exit_code = command_misuse(c, "%s", reason); return false;
    default: (void)command_fail(c, "system calls are not traced: %s", reason); return true;
    }
}

/* From here on somebody's wish to end is read here, and ends nothing else. Below 0: it cannot be. */
static int wishes_to_end(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    return signalfd(-1, &ends, SFD_CLOEXEC);
}

int exec_syscalls_attach(exec_syscalls *x, pid_t pid)
{
    char reason[SYSCALL_TRACE_PROBLEM_SIZE];
    int status;
    const int end = wishes_to_end();
    const loom_status st = syscall_trace_attach(x->trace, pid, &x->parent, reason);
    if (st != LOOM_OK) {
        (void)command_fail(x->command, "system calls are not traced: %s", reason);
        close(end);
        return st == LOOM_EDENIED ? EPERM : ESRCH;
    }
    struct pollfd wait[] = {{syscall_trace_fd(x->trace), POLLIN, 0}, {end, POLLIN, 0}, {syscall_trace_tracer_fd(x->trace), 0, 0}};
    x->attached = true;
    while (wait[1].revents == 0 && wait[2].revents == 0 && syscall_trace_wait(x->trace, 0, &status) == LOOM_ETIMEDOUT) {
        (void)poll(wait, 3, -1);
    }
    close(end);
    return 0;
}

static void tell_crash(const exec_syscalls *x, int signal)
{
    const char *advice = x->source ? "; its debug information may be broken: run it without --source" : "";
    if (signal == SIGKILL && x->attached) {
        (void)command_fail(x->command, "system calls were traced in part only: the tracer was killed");
    } else if (signal == SIGKILL) {
        (void)command_fail(x->command, "the tracer was killed: system calls of the command failed from then on (ENOSYS)");
    } else if (signal == SIGALRM) {
        (void)command_fail(x->command, "system calls were traced in part only: the source of one was not found within 10 s%s", advice);
    } else if (signal != 0) {
        (void)command_fail(x->command, "system calls were traced in part only: the tracer crashed (signal %d)%s", signal, advice);
    }
}

/* What the numbers of a trace mean for who reads it. */
static void tell_gaps(const exec_syscalls *x, const syscall_trace_counts *n)
{
    if (n->lost > 0) {
        (void)command_fail(x->command, "%" PRIu64 " of %" PRIu64 " system calls have no span: the receiver fell behind; select fewer with "
                           "--min-duration, --errors-only or --sample", n->lost, n->calls);
    }
    if (n->unfiltered > 0) {
        (void)command_fail(x->command, "%" PRIu64 " processes could not be given a filter: their system calls were not traced", n->unfiltered);
    }
    if (n->foreign > 0) {
        (void)command_fail(x->command, "%" PRIu64 " processes are of another architecture: their system calls were not traced", n->foreign);
    }
    tell_crash(x, (int)n->crashed);
    if (n->debuggers > 0) {
        (void)command_fail(x->command, "%" PRIu64 " ptrace() calls of the command failed: a process can have one tracer only; run debuggers "
                           "without --syscalls", n->debuggers);
    }
}

void exec_syscalls_close(exec_syscalls *x, uint32_t timeout_ms)
{
    if (x->trace == NULL) {
        return;
    }
    syscall_trace_stop(x->trace, (int)timeout_ms);
    const syscall_trace_counts counts = syscall_trace_count(x->trace);
    if (x->summary) {
        (void)!syscall_trace_summary(x->trace, stderr, x->json ? SYSCALL_SUMMARY_JSON : SYSCALL_SUMMARY_TABLE,
                                     (unsigned)term_width(STDERR_FILENO));
    }
    tell_gaps(x, &counts);
    syscall_trace_close(x->trace, (int)timeout_ms);
    x->trace = NULL;
}
