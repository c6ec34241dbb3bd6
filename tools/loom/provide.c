/* SPDX-License-Identifier: Apache-2.0 */
/* loom provide: a capability made of a command. Calls wait in line for one of a few workers, each of which runs the command
 * to its end and answers; the agent's own thread only takes calls on. */
#include <errno.h>
#include <inttypes.h>
#include <loom/action.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/thread.h"
#include "host/metrics.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/command_end.h"
#include "tools/loom/interrupt.h"
#include "tools/loom/message_options.h"
#include "tools/loom/metrics_thread.h"
#include "trace/view/text.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"
#include "trace/process/collect/collector.h"
#include "trace/process/run/command_span.h"
#include "trace/process/run/guard.h"
#include "trace/process/run/piped.h"

enum { ARGUMENTS_MAX = 256, WORKERS_MAX = GUARD_GROUPS_MAX, SCHEMA_MAX = 16 * 1024, METADATA_MAX = 32 };

static const option_spec specs[] = {
    {.name = "version", .kind = OPTION_VALUE, .value = "VERSION", .group = "Capability", .help = "Version, such as 1.2.0"},
    {.name = "description", .kind = OPTION_VALUE, .value = "TEXT", .group = "Capability", .help = "Description, for people and models"},
    {.name = "kind", .kind = OPTION_VALUE, .value = "KIND", .choices = "plain|tool|agent", .group = "Capability", .help = "What kind of capability it is"},
    {.name = "input-schema", .kind = OPTION_VALUE, .value = "FILE", .group = "Capability", .help = "JSON Schema of the payload"},
    {.name = "output-schema", .kind = OPTION_VALUE, .value = "FILE", .group = "Capability", .help = "JSON Schema of the result"},
    {.name = "validate", .kind = OPTION_FLAG, .group = "Capability",
     .help = "Refuse payloads and results that the schemas do not allow (JSON Schema, draft 7 at most)"},
    {.name = "metadata", .letter = 'm', .kind = OPTION_VALUE, .repeatable = true, .value = "KEY=VALUE", .group = "Capability",
     .help = "Announce this with the capability; may be given several times"},
    {.name = "parallel", .letter = 'j', .kind = OPTION_VALUE, .value = "N", .fallback = "1", .group = "Running", .help = "Number of commands that may run at once"},
    {.name = "count", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .group = "Running", .help = "Exit after N calls"},
    {.name = "metrics", .kind = OPTION_VALUE, .value = "URL", .group = "Running",
     .help = "Serve counters of the spans from inside commands, as http://127.0.0.1:9464 (then /metrics)"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output", .help = "Do not print a line per call"},
    OPTION_TRACE_PARENT,
    OPTION_TRACE_UNSAMPLED,
    OPTIONS_BUS,
    OPTION_HELP,
};

static const command provide = {
    .manual = {.program = "loom provide",
               .synopsis = "[OPTION]… CAPABILITY -- COMMAND [ARGUMENT]…",
               .summary = "Provides a capability until interrupted. Each call runs the command with the payload on its "
                          "standard input; what it prints is the result. An exit code other than 0 is an error of that code "
                          "(exit_3, signal_9), with the last line of standard error as its text. A caller that accepts "
                          "chunks gets the output as it comes. The command, with its process group, is ended when its call is "
                          "cancelled or past its deadline and when the provider ends, however that may be: by SIGTERM, after "
                          "2 s by SIGKILL. Each call belongs to its caller's trace; with --trace-parent, or a trace in the "
                          "environment, the provider itself is a span of that one.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Environment of the command:\n"
                          "  TRACEPARENT, TRACESTATE, LOOM_TRACE_ID, LOOM_SPAN_ID\n"
                          "                               the call's span; what the command publishes or traces becomes\n"
                          "                               part of the caller's trace\n"
                          "  BAGGAGE, LOOM_TRACE_BAGGAGE  the caller's\n"
                          "  LOOM_CAPABILITY, LOOM_CALLER, LOOM_DEADLINE_MS, LOOM_CORRELATION_ID, LOOM_CONTENT_TYPE\n\n"
                          "Examples:\n"
                          "  loom provide text.upper -- tr a-z A-Z\n"
                          "  loom provide host.uptime --kind tool --description 'How long this host is up' -- uptime\n"
                          "  loom provide weather.lookup --input-schema in.json --validate -m team=sky -- ./lookup\n"
                          "  loom provide thumbnail.make --parallel 4 -- convert - -resize 200x200 png:-\n\n"
                          TRACE_ENVIRONMENT("")},
    .operands_max = ARGUMENTS_MAX,
    .masks_spans = true,
};

typedef struct waiting_call {
    struct waiting_call *next;
    loom_action *action;
} waiting_call;

typedef struct provider {
    const options *options;
    char *const *argv;
    bus_client client;
    loom_tracer *tracer;
    collector_counts spans; /* from inside commands */
    collector_tells tells;
    guard guard;
    bool quiet;
    unsigned propagators; /* of the command's environment */
    uint64_t wanted; /* 0: no end */
    pthread_t workers[WORKERS_MAX];
    unsigned worker_count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock: */
    waiting_call *first, **last;
    uint64_t done;
    bool over;
} provider;

/* ---- one call ---- */

typedef struct job {
    provider *p;
    loom_action *action;
    loom_span *span;      /* of the command */
    collector *collector; /* NULL: none */
    piped_end *end;
} job;

static bool is_over(provider *p)
{
    pthread_mutex_lock(&p->lock);
    bool over = p->over;
    pthread_mutex_unlock(&p->lock);
    return over;
}

static bool has_been_given_up(void *user)
{
    const job *j = user;
    return loom_action_cancelled(j->action) || loom_action_deadline_left_ms(j->action) == 0 || is_over(j->p);
}

static bool send_piece(void *user, loom_bytes piece)
{
    const job *j = user;
    return loom_action_chunk(j->action, piece, loom_action_deadline_left_ms(j->action)) == LOOM_OK;
}

/* The trace of the call and what else the command may want to know; NULL: no memory. An empty value hides what the provider
 * itself was given. */
static loom_child_environment *environment_of(const job *j)
{
    char deadline[24], buf[LOOM_UUID_TEXT_SIZE];
    const provider *p = j->p;
    const loom_action *action = j->action;
    const loom_envelope *call = loom_action_envelope(action);
    const loom_propagation trace = {.context = *loom_span_context(j->span),
                                    .tracestate = loom_span_tracestate(j->span),
                                    .baggage = loom_envelope_baggage(call)};
    snprintf(deadline, sizeof deadline, "%" PRIu32, loom_action_deadline_left_ms(action));
    const struct {
        const char *name;
        loom_str value;
    } variables[] = {
        {"LOOM_CAPABILITY", str_of(loom_action_capability(action))},
        {"LOOM_CALLER", loom_envelope_sender(call)},
        {"LOOM_DEADLINE_MS", str_of(deadline)},
        {"LOOM_CORRELATION_ID", loom_envelope_correlation_id(call, buf)},
        {"LOOM_CONTENT_TYPE", loom_envelope_content_type(call)},
        {"LOOM_TRACE", str_of("1")}, /* spans that it writes are collected */
    };
    loom_child_environment *env;
    loom_status st = loom_child_environment_create(&env, NULL, &trace, p->propagators);
    for (size_t i = 0; st == LOOM_OK && i < sizeof variables / sizeof variables[0]; i++) {
        st = loom_child_environment_set(env, variables[i].name, variables[i].value);
    }
    if (st != LOOM_OK) {
        loom_child_environment_free(env);
        return NULL;
    }
    return env;
}

static loom_status answer(const provider *p, loom_action *action, piped_end *end)
{
    char code[COMMAND_CODE_SIZE], text[PIPED_COMPLAINT_SIZE + 64];
    switch (end->how) {
    case PIPED_EXITED:
        if (end->number == 0) {
            loom_status st = loom_action_reply(action, (loom_bytes){end->output, end->output_len});
            return st == LOOM_EINVAL ? loom_action_fail(action, "invalid_output", loom_last_error()) : st;
        }
        command_end_code(code, end);
        return loom_action_fail(action, code, command_last_line(end->complaint));
    case PIPED_SIGNALLED:
        command_end_code(code, end);
        return loom_action_fail(action, code, command_last_line(end->complaint));
    case PIPED_TOO_MUCH:
        snprintf(text, sizeof text, "the command printed more than %u bytes; receive it in chunks (--stream)", LOOM_PAYLOAD_MAX);
        return loom_action_fail(action, "output_too_large", text);
    case PIPED_NOT_STARTED:
        snprintf(text, sizeof text, "%s: %s", p->argv[0], strerror(end->number));
        return loom_action_fail(action, "not_started", text);
    case PIPED_GIVEN_UP: break;
    }
    return loom_action_fail(action, "given_up", "the command was ended: the call was cancelled or past its deadline, or the provider was stopped");
}

static void print_call(const provider *p, const loom_action *action, const piped_end *end)
{
    static const char *const how[] = {[PIPED_SIGNALLED] = "signal", [PIPED_GIVEN_UP] = "given up",
                                      [PIPED_TOO_MUCH] = "too much output", [PIPED_NOT_STARTED] = "not started"};
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    if (p->quiet) {
        return;
    }
    const char *trace_id = message_trace_id(hex, p->options, loom_action_context(action));
    flockfile(stdout);
    text_put(stdout, loom_envelope_sender(loom_action_envelope(action)), SIZE_MAX);
    if (end->how == PIPED_EXITED) {
        printf("  exit %d", end->number);
    } else {
        printf("  %s", how[end->how]);
    }
    printf("  trace %s\n", trace_id != NULL ? trace_id : "-");
    fflush(stdout);
    funlockfile(stdout);
}

/* What the command complains about, without the spans in between. */
static void on_errors(void *user, piped_end *end, loom_bytes bytes)
{
    job *j = user;
    j->end = end;
    if (j->collector != NULL) {
        collector_feed(j->collector, bytes);
    } else {
        piped_complain(end, bytes);
    }
}

static void on_complaint(void *user, loom_bytes text)
{
    const job *j = user;
    piped_complain(j->end, text);
}

static void on_tell(void *user, const char *line)
{
    (void)user;
    (void)command_fail(&provide, "%s", line);
}

static void on_started(void *user, pid_t pid)
{
    const job *j = user;
    command_span_started(j->span, pid);
}

static void end_span(const job *j, const piped_end *end)
{
    switch (end->how) {
    case PIPED_EXITED:
    case PIPED_SIGNALLED:
        command_span_end(j->span, end->status);
        return;
    case PIPED_NOT_STARTED:
        command_span_fail(j->span, end->number);
        return;
    case PIPED_TOO_MUCH:
        command_span_abort(j->span, "output_too_large", "killed: it printed more than a message may hold");
        return;
    case PIPED_GIVEN_UP:
        command_span_abort(j->span, "given_up", "killed: the call was cancelled or past its deadline, or the provider was stopped");
        return;
    }
}

static void begin(job *j)
{
    const loom_envelope *call = loom_action_envelope(j->action);
    const loom_span_options with = {.parent = loom_action_context(j->action), .tracestate = loom_envelope_tracestate(call)};
    j->span = command_span_begin(j->p->tracer, NULL, j->p->argv, &with);
    const collector_options collect = {.tracer = j->p->tracer, .command = *loom_span_context(j->span),
                                       .baggage = loom_envelope_baggage(call), .counts = &j->p->spans,
                                       .text = on_complaint, .tell = on_tell, .tells = &j->p->tells, .user = j};
    if (collector_open(&j->collector, &collect) != LOOM_OK) {
        (void)command_fail(&provide, "out of memory: spans of a command are not collected");
    }
}

static void run_command(job *j, char *const *environment, piped_end *end)
{
    j->end = end;
    piped_run_to_end(&(piped_run){.argv = j->p->argv,
                                  .environment = environment,
                                  .input = loom_action_payload(j->action),
                                  .output_max = LOOM_PAYLOAD_MAX,
                                  .guard = &j->p->guard,
                                  .give_up = has_been_given_up,
                                  .piece = loom_action_streams(j->action) ? send_piece : NULL,
                                  .started = on_started,
                                  .errors = on_errors,
                                  .user = j}, end);
    if (j->collector != NULL) {
        collector_end(j->collector);
    }
    end_span(j, end);
}

static void work(provider *p, loom_action *action)
{
    piped_end end;
    job j = {.p = p, .action = action};
    begin(&j);
    loom_child_environment *env = environment_of(&j);
    if (env == NULL) {
        command_span_abort(j.span, "out_of_memory", "no memory to start the command");
        (void)loom_action_fail(action, "out_of_memory", "no memory to start the command");
        collector_close(j.collector);
        return;
    }
    run_command(&j, loom_child_environment_list(env), &end);
    loom_status st = answer(p, action, &end);
    if (st != LOOM_OK && st != LOOM_ENOTCONN && end.how != PIPED_GIVEN_UP) {
        command_fail(&provide, "cannot answer a call: %s", loom_status_text(st));
    }
    print_call(p, action, &end);
    collector_close(j.collector);
    free(end.output);
    loom_child_environment_free(env);
}

/* ---- workers ---- */

static void *run_worker(void *user)
{
    provider *p = user;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->first == NULL && !p->over) {
            pthread_cond_wait(&p->changed, &p->lock);
        }
        if (p->first == NULL) {
            break;
        }
        waiting_call *call = p->first;
        p->first = call->next;
        p->last = p->first == NULL ? &p->first : p->last;
        pthread_mutex_unlock(&p->lock);
        work(p, call->action);
        loom_action_unref(call->action);
        free(call);
        pthread_mutex_lock(&p->lock);
        if (++p->done == p->wanted) {
            bus_client_wake(&p->client);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Consumes the call. It was answered already, or its caller has gone: then nobody needs to know. */
static void refuse_stopped(waiting_call *call)
{
    (void)loom_action_fail(call->action, "provider_stopped", "the provider was stopped");
    loom_action_unref(call->action);
    free(call);
}

/* The agent goes on until it is closed, after the workers: calls that come in between are refused. */
static loom_status on_action(loom_agent *agent, loom_action *action, void *user)
{
    (void)agent;
    provider *p = user;
    waiting_call *call = malloc(sizeof *call);
    if (call == NULL) {
        return LOOM_ENOMEM;
    }
    *call = (waiting_call){NULL, loom_action_ref(action)};
    pthread_mutex_lock(&p->lock);
    bool over = p->over;
    if (!over) {
        *p->last = call;
        p->last = &call->next;
        pthread_cond_signal(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    if (over) {
        refuse_stopped(call);
    }
    return LOOM_OK;
}

static bool start_workers(provider *p, uint64_t count)
{
    while (p->worker_count < count && thread_start(&p->workers[p->worker_count], NULL, run_worker, p) == 0) {
        p->worker_count++;
    }
    return p->worker_count > 0;
}

static void stop_workers(provider *p)
{
    pthread_mutex_lock(&p->lock);
    p->over = true;
    while (p->first != NULL) {
        waiting_call *call = p->first;
        p->first = call->next;
        refuse_stopped(call);
    }
    p->last = &p->first;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->worker_count; i++) {
        pthread_join(p->workers[i], NULL);
    }
}

/* ---- the verb ---- */

static bool read_schema(const options *o, const char *name, char text[SCHEMA_MAX + 1], int *exit_code)
{
    const char *path = options_value(o, name);
    text[0] = '\0';
    if (path == NULL) {
        return true;
    }
    FILE *in = fopen(path, "rbe");
    if (in == NULL) {
        *exit_code = command_fail(&provide, "%s: %s", path, strerror(errno));
        return false;
    }
    size_t len = fread(text, 1, SCHEMA_MAX + 1, in);
    bool bad = ferror(in) != 0;
    fclose(in);
    if (bad || len > SCHEMA_MAX) {
        *exit_code = command_fail(&provide, "%s: %s", path, bad ? strerror(errno) : "a schema may have 16 KiB at most");
        return false;
    }
    text[len] = '\0';
    return true;
}

static void read_spans(const void *owner, void *stats)
{
    *(collector_stats *)stats = collector_read(owner);
}

static void write_metrics(void *user, FILE *out)
{
    const provider *p = user;
    metrics_write_counters(out, &(counter_source){&collector_counters, &p->spans, read_spans});
}

/* False: *exit_code. *out is NULL when nobody asked for them. */
static bool open_metrics(provider *p, const options *o, metrics_thread **out, int *exit_code)
{
    char why[METRICS_ERROR_SIZE];
    const char *url = options_value(o, "metrics");
    *out = NULL;
    if (url == NULL) {
        return true;
    }
    const loom_status st = metrics_thread_open(out, url, write_metrics, p, why);
    if (st != LOOM_OK) {
        *exit_code = st == LOOM_EINVAL ? command_misuse(&provide, "%s", why) : command_fail(&provide, "%s", why);
        return false;
    }
    fprintf(stderr, "metrics at %s\n", metrics_thread_url(*out));
    return true;
}

static int serve(provider *p, const options *o, const loom_capability *capability, uint64_t parallel)
{
    int exit_code;
    interrupt stop;
    if (!bus_client_open(&p->client, &provide, o, "provide", &(loom_agent_options){.user = p}, &exit_code)) {
        return exit_code;
    }
    p->tracer = p->client.tracing.tracer;
    const int unguarded = guard_open(&p->guard);
    if (unguarded != 0) {
        (void)command_fail(&provide, "commands would outlive a provider that is killed: %s", strerror(unguarded));
    }
    if (!start_workers(p, parallel)) {
        guard_close(&p->guard);
        bus_client_close(&p->client);
        return command_fail(&provide, "cannot start a thread");
    }
    loom_span *span = message_run_begin(&provide, o, p->client.tracing.tracer, "loom provide");
    loom_span_set_string(span, "capability", capability->name);
    interrupt_begin(&stop);
    stop.output = p->quiet ? -1 : STDOUT_FILENO;
    loom_status st = loom_agent_provide(p->client.agent, capability);
    const char *why = st == LOOM_EINVAL || st == LOOM_ETOOBIG ? loom_last_error() : NULL;
    if (st == LOOM_OK && (st = loom_agent_wait_connected(p->client.agent, 5000)) == LOOM_OK) {
        fprintf(stderr, "providing %s\n", capability->name);
        (void)interrupt_wait(&stop, p->client.wake_fd, UINT64_MAX);
        st = bus_client_is_closed(&p->client) ? LOOM_ECLOSED : LOOM_OK;
    } else {
        command_fail(&provide, "cannot provide \"%s\": %s", capability->name,
                     why != NULL ? why : loom_status_text(st));
    }
    stop_workers(p);
    interrupt_end(&stop);
    guard_close(&p->guard);
    loom_span_end(span);
    exit_code = bus_client_close(&p->client);
    return command_finish(&provide, st != LOOM_OK ? verb_exit_of(st) : exit_code);
}

static int run(const options *o)
{
    char input_schema[SCHEMA_MAX + 1], output_schema[SCHEMA_MAX + 1];
    int exit_code = VERB_FAILED;
    uint64_t parallel;
    provider p = {.lock = PTHREAD_MUTEX_INITIALIZER, .tells.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER,
                  .options = o, .client = {.on_return = ""}, .quiet = options_is_on(o, "quiet"), .propagators = loom_propagators_from_env()};
    p.last = &p.first;
    if (o->operand_count < 2) {
        return command_misuse(&provide, o->operand_count == 0 ? "missing capability and command"
                                                              : "missing command after --");
    }
    if (!trace_options_number(&provide, o, "parallel", 1, &parallel, &exit_code) ||
        !trace_options_number(&provide, o, "count", 0, &p.wanted, &exit_code) ||
        !read_schema(o, "input-schema", input_schema, &exit_code) ||
        !read_schema(o, "output-schema", output_schema, &exit_code)) {
        return exit_code;
    }
    if (parallel < 1 || parallel > WORKERS_MAX) {
        return command_misuse(&provide, "--parallel must be from 1 to %d", WORKERS_MAX);
    }
    char **argv = calloc(o->operand_count, sizeof *argv);
    if (argv == NULL) {
        return command_fail(&provide, "out of memory");
    }
    memcpy(argv, o->operands + 1, (o->operand_count - 1) * sizeof *argv);
    p.argv = argv;
    loom_header metadata[METADATA_MAX];
    size_t metadata_count;
    metrics_thread *metrics;
    if (message_pairs_read(&provide, o, "metadata", metadata, METADATA_MAX, &metadata_count, &exit_code) &&
        open_metrics(&p, o, &metrics, &exit_code)) {
        exit_code = serve(&p, o, &(loom_capability){.name = o->operands[0],
                                                    .version = options_value(o, "version"),
                                                    .description = options_value(o, "description"),
                                                    .kind = options_value(o, "kind"),
                                                    .input_schema = input_schema,
                                                    .output_schema = output_schema,
                                                    .metadata = metadata,
                                                    .metadata_count = metadata_count,
                                                    .validate = options_is_on(o, "validate"),
                                                    .on_action = on_action,
                                                    .user = &p}, parallel);
        metrics_thread_close(metrics);
    }
    free(argv);
    return exit_code;
}

int verb_provide(int argc, char *const argv[])
{
    return command_run(&provide, argc, argv, run);
}
