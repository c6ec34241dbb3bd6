/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command with its system calls as spans, as plainly as can be: what loom exec --syscalls does, without the rest.
 *
 *     traced_command [OPTION]… -- COMMAND [ARGUMENT]…
 *     traced_command [OPTION]… --pid PID       until that ends, or SIGTERM comes
 *
 * Spans go where the environment says (OTEL_*, LOOM_SPANS_FILE), below a span "command". Ends as the command did. Counts are
 * a line of JSON on standard error. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <loom/propagation.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trace/process/syscalls/syscall_trace.h"

enum { FLUSH_MS = 20000 };

typedef struct settings {
    syscall_trace_options trace;
    pid_t pid;
    bool json, unsampled, quiet;
    char **argv;
} settings;

static settings read_settings(int argc, char **argv)
{
    static const struct option options[] = {{"set", 1, NULL, 's'},         {"min-duration-ns", 1, NULL, 'm'}, {"errors-only", 0, NULL, 'e'},
                                            {"sample", 1, NULL, 'r'},      {"summary", 0, NULL, 'c'},         {"json", 0, NULL, 'j'},
                                            {"source", 0, NULL, 'f'},      {"source-map", 1, NULL, 'M'},      {"pid", 1, NULL, 'p'},
                                            {"unsampled", 0, NULL, 'u'},   {"quiet", 0, NULL, 'q'},           {NULL, 0, NULL, 0}};
    settings s = {.trace.set = NULL};
    for (int o; (o = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        switch (o) {
        case 's': s.trace.set = optarg; break;
        case 'm': s.trace.min_duration_ns = strtoull(optarg, NULL, 10); break;
        case 'e': s.trace.errors_only = true; break;
        case 'r': s.trace.sample = strtod(optarg, NULL); break;
        case 'c': s.trace.summary = true; break;
        case 'j': s.trace.summary = s.json = true; break;
        case 'f': s.trace.source = true; break;
        case 'M': s.trace.source_map = optarg; break;
        case 'p': s.pid = (pid_t)strtol(optarg, NULL, 10); break;
        case 'u': s.unsampled = true; break;
        case 'q': s.quiet = true; break;
        default: exit(2);
        }
    }
    s.argv = argv + optind;
    return s;
}

static int run(syscall_trace *trace, char **argv, const loom_trace_context *parent)
{
    char problem[SYSCALL_TRACE_PROBLEM_SIZE];
    int status;
    const pid_t pid = fork();
    if (pid == 0) {
        syscall_trace_child(trace);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (trace != NULL && syscall_trace_start(trace, pid, parent, problem) != LOOM_OK) {
        fprintf(stderr, "traced_command: %s\n", problem);
    }
    if (trace == NULL) {
        waitpid(pid, &status, 0);
    } else if (syscall_trace_wait(trace, -1, &status) != LOOM_OK) {
        fprintf(stderr, "traced_command: the command was not there to wait for\n");
        return 125 << 8;
    }
    return status;
}

/* Until the process ends, or somebody asks for the end. */
static int attach(syscall_trace *trace, pid_t pid, const loom_trace_context *parent, int signals)
{
    char problem[SYSCALL_TRACE_PROBLEM_SIZE];
    int status = 0;
    if (syscall_trace_attach(trace, pid, parent, problem) != LOOM_OK) {
        fprintf(stderr, "traced_command: %s\n", problem);
        return 1 << 8;
    }
    fprintf(stderr, "attached\n");
    struct pollfd wait[] = {{.fd = syscall_trace_fd(trace), .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (poll(wait, 2, -1) < 0 && errno == EINTR) {
    }
    (void)!syscall_trace_wait(trace, 0, &status);
    return status;
}

static void report(const settings *s, syscall_trace *trace)
{
    syscall_trace_stop(trace, FLUSH_MS);
    const syscall_trace_counts c = syscall_trace_count(trace);
    if (s->trace.summary) {
        (void)!syscall_trace_summary(trace, stderr, s->json ? SYSCALL_SUMMARY_JSON : SYSCALL_SUMMARY_TABLE, 120);
    }
    if (!s->quiet) {
        fprintf(stderr,
                "{\"calls\":%" PRIu64 ",\"spans\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"processes\":%" PRIu64 ",\"threads\":%" PRIu64
                ",\"foreign\":%" PRIu64 ",\"unfiltered\":%" PRIu64 ",\"debuggers\":%" PRIu64 ",\"crashed\":%" PRIu64 "}\n",
                c.calls, c.spans, c.lost, c.processes, c.threads, c.foreign, c.unfiltered, c.debuggers, c.crashed);
    }
}

int main(int argc, char **argv)
{
    settings s = read_settings(argc, argv);
    char problem[SYSCALL_TRACE_PROBLEM_SIZE];
    sigset_t ends;
    int signals = -1;
    if (s.pid != 0) {
        sigemptyset(&ends);
        sigaddset(&ends, SIGTERM);
        sigprocmask(SIG_BLOCK, &ends, NULL);
        signals = signalfd(-1, &ends, SFD_CLOEXEC);
    }
    loom_span_processor_options options;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_span_processor_options_from_env(&options, NULL);
    if (loom_span_processor_create(&processor, &options) != LOOM_OK ||
        loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.processor = processor, .default_service_name = "traced_command"}) != LOOM_OK) {
        fprintf(stderr, "traced_command: the exporter could not be set up\n");
        return 125;
    }
    const loom_trace_context unsampled = {.trace_id = {1}, .span_id = {2}};
    loom_tracer *tracer = loom_tracer_get(provider, "traced_command", NULL);
    loom_span *span = loom_span_start(tracer, "command", &(loom_span_options){.parent = s.unsampled ? &unsampled : NULL});
    syscall_trace *trace = NULL;
    s.trace.tracer = tracer;
    s.trace.processor = processor;
    s.trace.queue_size = options.max_queue_size;
    if (syscall_trace_open(&trace, &s.trace, problem) != LOOM_OK) {
        fprintf(stderr, "traced_command: %s\n", problem);
        if (s.pid != 0) {
            return 2;
        }
    }
    const loom_trace_context parent = *loom_span_context(span);
    const int status = s.pid != 0 ? attach(trace, s.pid, &parent, signals) : run(trace, s.argv, &parent);
    if (trace != NULL) {
        report(&s, trace);
        syscall_trace_close(trace, FLUSH_MS);
    }
    loom_span_end(span);
    (void)!loom_span_processor_shutdown(processor, FLUSH_MS);
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
