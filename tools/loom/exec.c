/* SPDX-License-Identifier: Apache-2.0 */
/* loom exec: a command as a span of the trace. What there is to say about tracing is said on standard error and fails nothing:
 * the command runs, and its exit code is ours. */
#include <errno.h>
#include <loom/propagation.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "tools/loom/exec_collect.h"
#include "tools/loom/exec_container.h"
#include "tools/loom/exec_syscalls.h"
#include "tools/loom/exec_trace.h"
#include "tools/loom/message_options.h"
#include "tools/loom/verbs.h"
#include "trace/process/container/watch.h"
#include "trace/process/run/command_span.h"
#include "trace/process/run/foreground.h"

enum { ATTRIBUTES_MAX = 64, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

static const option_spec specs[] = {
    {.name = "name", .kind = OPTION_VALUE, .value = "NAME", .group = "Trace",
     .help = "Name of the command's span; default: the name of the program"},
    {.name = "attr", .kind = OPTION_VALUE, .repeatable = true, .value = "KEY=VALUE", .group = "Trace",
     .help = "Add an attribute to the command's span"},
    OPTIONS_TRACE,
    {.name = "no-trace-when-unsampled", .kind = OPTION_FLAG, .group = "Trace",
     .help = "If the trace is not sampled, neither collect spans nor trace system calls"},
    OPTIONS_COLLECT,
    OPTIONS_SYSCALLS,
    OPTIONS_CONTAINER,
    OPTIONS_EXPORT,
    OPTION_HELP,
};

static const command exec_command = {
    .manual = {.program = "loom exec",
               .synopsis = "[OPTION]… [--] COMMAND [ARGUMENT]…\n  or:  loom exec [OPTION]… --pid PID",
               .summary = "Runs a command as a span of the caller's trace, or of a new trace if there is none. The command "
                          "receives its trace context in the environment, and the spans it writes to standard error are "
                          "collected. Standard streams, signals and job control pass through. The exit code is the "
                          "command's: 128 + n if signal n killed it, 127 if it was not found, 126 if it could not be "
                          "executed; 125 if the container engine failed. Tracing never makes a command fail.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Environment of the command:\n"
                          "  TRACEPARENT, TRACESTATE, LOOM_TRACE_ID, LOOM_SPAN_ID\n"
                          "                               the command's span\n"
                          "  BAGGAGE, LOOM_TRACE_BAGGAGE  the caller's baggage\n"
                          "  LOOM_TRACE                   1, unless --no-collect\n\n"
                          "Examples:\n"
                          "  loom trace collect &                                      receive spans\n"
                          "  export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318  send them there\n"
                          "  loom exec -- make test                                    trace a command\n"
                          "  loom exec --name build --attr branch=main -- make -j4     name its span\n"
                          "  loom exec --syscalls=file,network -c -- ./tool            trace system calls\n"
                          "  loom exec --container web -- python3 tool.py              in a container\n"
                          "  loom exec --image python:3 --with-libs -- python3 -V      in a new one\n\n"
                          TRACE_ENVIRONMENT(BAGGAGE_ENVIRONMENT)},
    .operands_max = SIZE_MAX,
    .stops_at_operand = true,
    .own_exit_codes = true,
};

/* One run of one command. */
typedef struct execution {
    exec_trace trace;
    exec_collect collect;
    exec_syscalls syscalls;
    loom_propagation caller;
    loom_span *span;
    loom_child_environment *environment; /* NULL: ours as it is */
    char **argv;
    const options *options;
    engine *engine; /* the container's; NULL: none */
    container_watch watch;
} execution;

/* ---- before it runs ---- */

static bool set_attributes(const options *o, loom_span *span, int *exit_code)
{
    loom_str given[ATTRIBUTES_MAX];
    const size_t count = options_values(o, "attr", given, ATTRIBUTES_MAX);
    if (count > ATTRIBUTES_MAX) {
        *exit_code = command_misuse(&exec_command, "at most %d --attr options", ATTRIBUTES_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *equals = memchr(given[i].data, '=', given[i].len);
        if (equals == NULL || equals == given[i].data) {
            *exit_code = command_misuse(&exec_command, "--attr must be KEY=VALUE, not \"%.*s\"", (int)given[i].len, given[i].data);
            return false;
        }
        char *key = strndup(given[i].data, (size_t)(equals - given[i].data));
        if (key != NULL) {
            loom_span_set_string(span, key, equals + 1); /* values are strings of argv */
        }
        free(key);
    }
    return true;
}

static void make_environment(execution *x)
{
    const loom_propagation trace = {.context = *loom_span_context(x->span),
                                    .tracestate = loom_span_tracestate(x->span),
                                    .baggage = x->caller.baggage};
    if (loom_child_environment_create(&x->environment, NULL, &trace, loom_propagators_from_env()) != LOOM_OK) {
        (void)command_fail(&exec_command, "out of memory: the command runs without its trace context");
        return;
    }
    if (exec_collect_is_on(&x->collect)) { /* libraries write their spans, also where they find a terminal */
        (void)!loom_child_environment_set(x->environment, "LOOM_TRACE", str_of("1"));
    }
}

static bool open_collector(execution *x, const options *o, int *exit_code)
{
    const loom_trace_context *span = loom_span_context(x->span);
    const bool sampled = (span->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0;
    if (!sampled && options_is_on(o, "no-trace-when-unsampled")) {
        exec_collect_nothing(&x->collect, &exec_command, o);
        return true;
    }
    return exec_collect_open(&x->collect, &exec_command, o, x->trace.tracing.tracer, span, x->caller.baggage, exit_code);
}

/* argv[0] on is the command; it outlives this. */
static char **command_line(const options *o)
{
    char **argv = calloc(o->operand_count + 1, sizeof *argv);
    if (argv != NULL) {
        memcpy(argv, o->operands, o->operand_count * sizeof *argv);
    }
    return argv;
}

/* ---- the run ---- */

static int tell_not_started(const execution *x, int error)
{
    const char *name = x->argv[0];
    if (x->engine != NULL) {
        (void)command_fail(&exec_command, "cannot run the container engine %s: %s", engine_argv(x->engine)[0], strerror(error));
        return EXIT_ENGINE;
    }
    if (error == ENOENT) {
        const bool path = strchr(name, '/') != NULL;
        if (path && access(name, F_OK) == 0) {
            (void)command_fail(&exec_command, "cannot execute %s: the interpreter on its first line does not exist", name);
        } else {
            (void)command_fail(&exec_command, "command not found: %s%s", name, path ? "" : " (not in PATH)");
        }
        return EXIT_NOT_FOUND;
    }
    struct stat file;
    const bool folder = error == EACCES && stat(name, &file) == 0 && S_ISDIR(file.st_mode);
    (void)command_fail(&exec_command, "cannot execute %s: %s%s", name, strerror(folder ? EISDIR : error),
                       error == EACCES && !folder ? "; is it executable? (chmod +x)" : "");
    return EXIT_NOT_EXECUTABLE;
}

static void on_resized(void *user)
{
    exec_collect_resize(&((execution *)user)->collect);
}

static bool on_signal(void *user, int signal)
{
    return container_watch_signal(&((execution *)user)->watch, signal);
}

static char *const *environment_of(const execution *x)
{
    return x->environment != NULL ? loom_child_environment_list(x->environment) : environ;
}

/* What tracing needs to start a command, and starting it alone does not. */
static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN;
}

static int start(execution *x, process *p, const foreground *f)
{
    sigset_t mask = f->before;
    sigdelset(&mask, SIGPIPE); /* blocked by main(), for us alone */
    process_options with = {
        .argv = x->engine != NULL ? engine_argv(x->engine) : x->argv,
        .environment = x->engine != NULL ? engine_environment(x->engine) : environment_of(x),
        .fds = {PROCESS_INHERIT, exec_collect_stdout(&x->collect), exec_collect_stderr(&x->collect)},
        .mask = &mask,
        .tracer = exec_syscalls_tracer(&x->syscalls)};
    int error = process_start(p, &with);
    if (with.tracer != NULL && is_shortage(error)) {
        (void)command_fail(&exec_command, "system calls are not traced: %s", strerror(error));
        with.tracer = NULL;
        error = process_start(p, &with);
    }
    if (exec_collect_is_on(&x->collect) && is_shortage(error)) {
        exec_collect_give_up(&x->collect, strerror(error));
        with.fds[STDOUT_FILENO] = with.fds[STDERR_FILENO] = PROCESS_INHERIT;
        error = process_start(p, &with);
    }
    return error;
}

/* An errno value, or 0: then it has run to its end. */
static int run_to_end(execution *x, foreground *f, int *status)
{
    process p;
    exec_collect_start(&x->collect);
    const int error = start(x, &p, f);
    exec_collect_handed_over(&x->collect);
    if (error != 0) {
        return error;
    }
    command_span_started(x->span, p.pid);
    if (x->engine != NULL) {
        container_watch_start(&x->watch, x->engine, &p);
    }
    if (loom_span_is_recording(x->span)) {
        exec_trace_prepare(&x->trace);
    }
    foreground_attend(f, &p, status);
    container_watch_stop(&x->watch, f->told_to_end);
    process_close(&p);
    return 0;
}

/* Whoever reads our standard error has stopped, and we have been told to end: the thread that waits for it still uses all
 * that is here, so nothing is given back. */
static _Noreturn void leave(execution *x, foreground *f, int status)
{
    exec_trace_flush(&x->trace);
    foreground_close(f);
    _exit(foreground_finish(f, status));
}

static int run_command(execution *x)
{
    foreground f = {.fd = -1, .resized = on_resized, .forward = on_signal, .user = x};
    int status = 0;
    const int unattended = foreground_open(&f);
    if (unattended != 0) {
        (void)command_fail(&exec_command, "signals are not forwarded: %s", strerror(unattended));
    }
    const int error = run_to_end(x, &f, &status);
    if (x->engine != NULL) {
        exec_container_describe(x->engine, x->options, x->span);
    }
    if (error != 0) {
        command_span_fail(x->span, error);
    } else {
        command_span_end(x->span, status);
    }
    exec_syscalls_close(&x->syscalls, x->trace.flush_ms);
    if (!exec_collect_close(&x->collect, f.fd)) {
        leave(x, &f, status);
    }
    exec_trace_close(&x->trace);
    foreground_close(&f); /* last: what ends the command must not cost its spans */
    return error != 0 ? tell_not_started(x, error) : foreground_finish(&f, status);
}

/* No command has run. */
static int give_up(execution *x, int exit_code)
{
    exec_syscalls_close(&x->syscalls, 0);
    loom_span_end(x->span);
    exec_trace_close(&x->trace);
    return exit_code;
}

/* The span has begun, and says what came of it. */
static int run_where_asked(execution *x)
{
    int exit_code;
    make_environment(x);
    if (exec_container_is_wanted(x->options)) {
        x->engine = exec_container_open(&exec_command, x->options, x->argv, environment_of(x), &exit_code);
        if (x->engine == NULL) {
            command_span_abort(x->span, "container", "the command was not started");
            (void)exec_collect_close(&x->collect, -1); /* its thread has not started */
            return give_up(x, exit_code);
        }
        x->collect.container = x->engine;
    }
    exit_code = run_command(x);
    engine_close(x->engine);
    return exit_code;
}

/* A process that runs already: the span is the time that it was looked at. */
static int follow_process(execution *x, pid_t pid)
{
    int error = EPERM;
    command_span_started(x->span, pid);
    if (x->syscalls.trace != NULL) {
        error = exec_syscalls_attach(&x->syscalls, pid);
    }
    if (error != 0) {
        command_span_fail(x->span, error);
    } else {
        loom_span_end(x->span);
    }
    exec_syscalls_close(&x->syscalls, x->trace.flush_ms);
    exec_trace_close(&x->trace);
    return error == 0 ? VERB_OK : VERB_FAILED;
}

static int run_operation(execution *x, pid_t pid)
{
    const options *o = x->options;
    int exit_code;
    const loom_trace_context *span = loom_span_context(x->span);
    if (!set_attributes(o, x->span, &exit_code) || !exec_syscalls_open(&x->syscalls, &exec_command, o, &x->trace, span, &exit_code)) {
        return give_up(x, exit_code);
    }
    if (pid != 0) {
        return follow_process(x, pid);
    }
    return open_collector(x, o, &exit_code) ? run_where_asked(x) : give_up(x, exit_code);
}

/* Which of its forms the command line has. */
static bool read_form(const options *o, pid_t *pid, int *exit_code)
{
    if (options_has(o, "syscalls") && exec_container_is_wanted(o)) {
        *exit_code = command_misuse(&exec_command, "--syscalls would follow the engine's client, and not the command in the container; "
                                    "run `loom exec --syscalls` inside, or follow its process by --pid");
        return false;
    }
    if (!exec_syscalls_attaches(o)) {
        *exit_code = o->operand_count > 0 ? 0 : command_misuse(&exec_command, "missing command, as in: loom exec -- make test");
        return o->operand_count > 0;
    }
    if (o->operand_count > 0 || exec_container_is_wanted(o)) {
        *exit_code = command_misuse(&exec_command, "--pid follows a running process: it takes no command and no container");
        return false;
    }
    return exec_syscalls_pid(&exec_command, o, pid, exit_code);
}

static int run(const options *o)
{
    execution x = {.options = o};
    int exit_code;
    pid_t pid = 0;
    if (!exec_container_check(&exec_command, o, &exit_code) || !read_form(o, &pid, &exit_code) ||
        !exec_trace_open(&x.trace, &exec_command, o, &exit_code)) {
        return exit_code;
    }
    x.argv = pid != 0 ? exec_syscalls_command_line(pid) : command_line(o);
    if (x.argv == NULL) {
        exec_trace_close(&x.trace);
        return command_fail(&exec_command, "out of memory");
    }
    message_trace_read(&exec_command, o, &x.caller);
    const loom_span_options with = loom_propagation_span_options(&x.caller, LOOM_SPAN_CLIENT);
    x.span = command_span_begin(x.trace.tracing.tracer, options_value(o, "name"), x.argv, &with);
    exit_code = run_operation(&x, pid);
    loom_child_environment_free(x.environment);
    loom_propagation_fini(&x.caller);
    free(x.argv);
    return exit_code;
}

int verb_exec(int argc, char *const argv[])
{
    return command_run(&exec_command, argc, argv, run);
}
