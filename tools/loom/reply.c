/* SPDX-License-Identifier: Apache-2.0 */
/* loom reply: a responder for the requests of a topic, made of a command, or an echo. One message after the other, on the
 * agent's thread, which keeps its session meanwhile. */
#include <errno.h>
#include <inttypes.h>
#include <loom/collaboration.h>
#include <loom/topic.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "envelope/topic.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/command_end.h"
#include "tools/loom/interrupt.h"
#include "tools/loom/message_options.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"
#include "trace/process/run/command_span.h"
#include "trace/view/text.h"

enum { ARGUMENTS_MAX = 256 };

static const option_spec specs[] = {
    {.name = "echo", .kind = OPTION_FLAG, .group = "Answer", .help = "Send each message back as it is, headers and all, instead of running a command"},
    {.name = "type", .letter = 't', .kind = OPTION_VALUE, .value = "TYPE", .group = "Answer", .help = "Event type of the answers"},
    {.name = "content-type", .kind = OPTION_VALUE, .value = "TYPE", .group = "Answer", .help = "Media type of the answers"},
    {.name = "group", .letter = 'g', .kind = OPTION_VALUE, .value = "GROUP", .group = "Which messages",
     .help = "Share the messages with the other members of this group: each goes to one of them"},
    {.name = "count", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .group = "Which messages", .help = "Exit after N messages"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output", .help = "Do not print a line per message"},
    OPTION_TRACE_PARENT,
    OPTION_TRACE_UNSAMPLED,
    OPTIONS_BUS,
    OPTION_HELP,
};

static const command reply = {
    .manual = {.program = "loom reply",
               .synopsis = "[OPTION]… FILTER -- COMMAND [ARGUMENT]…\n       loom reply [OPTION]… --echo FILTER",
               .summary = "Answers the messages of a topic until interrupted, one after the other: each runs the command with "
                          "the payload on its standard input, and what it prints is the answer, which goes to the message's "
                          "reply_to. If the command fails, the answer is the last line of its standard error, with the "
                          "header loom.error, such as exit_3. Several responders that share a --group share the work.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Environment of the command:\n"
                          "  TRACEPARENT, TRACESTATE, LOOM_TRACE_ID, LOOM_SPAN_ID   the span of the command\n"
                          "  BAGGAGE, LOOM_TRACE_BAGGAGE                            the message's\n"
                          "  LOOM_TOPIC, LOOM_SENDER, LOOM_TYPE, LOOM_CORRELATION_ID, LOOM_CONTENT_TYPE\n\n"
                          "Examples:\n"
                          "  loom reply time.now -- date\n"
                          "  loom reply 'text.upper' --group upper -- tr a-z A-Z\n"
                          "  loom reply --echo echo\n"
                          "  loom request time.now                        ask it\n\n"
                          TRACE_ENVIRONMENT("")},
    .operands_max = ARGUMENTS_MAX,
    .masks_spans = true,
};

typedef struct responder {
    const options *options;
    char *const *argv;    /* NULL: an echo */
    bus_client client;
    guard guard;
    unsigned propagators;
    uint64_t wanted, done; /* agent's thread; wanted 0: no end */
    bool quiet;
    atomic_bool over;
} responder;

static bool is_over(void *user)
{
    const responder *r = user;
    return atomic_load(&r->over);
}

/* NULL: no memory. */
static loom_child_environment *environment_of(const responder *r, const loom_envelope *event, const loom_span *span)
{
    char buf[LOOM_UUID_TEXT_SIZE];
    const loom_propagation trace = {.context = *loom_span_context(span), .tracestate = loom_span_tracestate(span),
                                    .baggage = loom_envelope_baggage(event)};
    const struct {
        const char *name;
        loom_str value;
    } variables[] = {{"LOOM_TOPIC", loom_envelope_topic(event)},
                     {"LOOM_SENDER", loom_envelope_sender(event)},
                     {"LOOM_TYPE", loom_envelope_type(event)},
                     {"LOOM_CORRELATION_ID", loom_envelope_correlation_id(event, buf)},
                     {"LOOM_CONTENT_TYPE", loom_envelope_content_type(event)}};
    loom_child_environment *env;
    loom_status st = loom_child_environment_create(&env, NULL, &trace, r->propagators);
    for (size_t i = 0; st == LOOM_OK && i < sizeof variables / sizeof variables[0]; i++) {
        st = loom_child_environment_set(env, variables[i].name, variables[i].value);
    }
    if (st != LOOM_OK) {
        loom_child_environment_free(env);
        return NULL;
    }
    return env;
}

/* False: no memory to start it. */
static bool run_command(responder *r, const loom_envelope *event, piped_end *end)
{
    loom_span *span = command_span_begin(r->client.tracing.tracer, NULL, r->argv, &(loom_span_options){0});
    loom_child_environment *env = environment_of(r, event, span);
    if (env == NULL) {
        command_span_abort(span, "out_of_memory", "no memory to start the command");
        return false;
    }
    piped_run_to_end(&(piped_run){.argv = r->argv, .environment = loom_child_environment_list(env), .input = loom_envelope_payload(event),
                                  .output_max = LOOM_PAYLOAD_MAX, .guard = &r->guard, .give_up = is_over, .user = r}, end);
    switch (end->how) {
    case PIPED_EXITED:
    case PIPED_SIGNALLED: command_span_end(span, end->status); break;
    case PIPED_NOT_STARTED: command_span_fail(span, end->number); break;
    case PIPED_TOO_MUCH: command_span_abort(span, "output_too_large", "killed: it printed more than a message may hold"); break;
    case PIPED_GIVEN_UP: command_span_abort(span, "given_up", "killed: the responder was stopped"); break;
    }
    loom_child_environment_free(env);
    return true;
}

static loom_status answer_by_command(responder *r, loom_agent *agent, loom_envelope *event, char code[COMMAND_CODE_SIZE])
{
    piped_end end;
    if (!run_command(r, event, &end)) {
        return LOOM_ENOMEM;
    }
    command_end_code(code, &end);
    const bool good = end.how == PIPED_EXITED && end.number == 0;
    const char *complaint = end.how == PIPED_NOT_STARTED ? strerror(end.number) : command_last_line(end.complaint);
    const loom_header error = {str_of("loom.error"), str_of(code)};
    const loom_emit_options with = {.type = options_value(r->options, "type"), .content_type = good ? options_value(r->options, "content-type") : NULL,
                                    .headers = &error, .header_count = good ? 0 : 1};
    const loom_status st = loom_agent_reply(agent, event, good ? (loom_bytes){end.output, end.output_len} : bytes_of(complaint), &with);
    if (!good) {
        command_fail(&reply, "%s: %s (%s)", r->argv[0], complaint[0] != '\0' ? complaint : "the command failed", code);
    }
    free(end.output);
    return st;
}

typedef struct header_list {
    loom_header items[MESSAGE_HEADERS_MAX];
    size_t count;
} header_list;

/* The bus's own are not for the answer. */
static bool keep_header(void *user, loom_header header)
{
    header_list *list = user;
    const bool own = header.key.len > 5 && memcmp(header.key.data, "loom.", 5) == 0;
    if (!own && list->count < MESSAGE_HEADERS_MAX) {
        list->items[list->count++] = header;
    }
    return true;
}

static loom_status echo(const responder *r, loom_agent *agent, loom_envelope *event)
{
    char type[LOOM_TYPE_MAX + 1], content_type[LOOM_CONTENT_TYPE_MAX + 1];
    const loom_str own_type = loom_envelope_type(event), own_content = loom_envelope_content_type(event);
    header_list headers = {.count = 0};
    loom_envelope_headers(event, keep_header, &headers);
    snprintf(type, sizeof type, "%.*s", (int)own_type.len, own_type.data != NULL ? own_type.data : "");
    snprintf(content_type, sizeof content_type, "%.*s", (int)own_content.len, own_content.data != NULL ? own_content.data : "");
    const char *other_type = options_value(r->options, "type"), *other_content = options_value(r->options, "content-type");
    return loom_agent_reply(agent, event, loom_envelope_payload(event),
                            &(loom_emit_options){.type = other_type != NULL ? other_type : type[0] != '\0' ? type : NULL,
                                                 .content_type = other_content != NULL ? other_content : content_type[0] != '\0' ? content_type : NULL,
                                                 .headers = headers.items, .header_count = headers.count});
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    bus_client *client = user;
    responder *r = client->user;
    char code[COMMAND_CODE_SIZE] = "echo", hex[LOOM_TRACE_ID_HEX_SIZE];
    if (atomic_load(&r->over) || str_is(loom_envelope_sender(event), loom_agent_id(agent))) {
        return LOOM_OK; /* an answer that the filter selects is not answered */
    }
    const loom_status st = r->argv == NULL ? echo(r, agent, event) : answer_by_command(r, agent, event, code);
    if (st != LOOM_OK) {
        command_fail(&reply, "cannot answer a message on \"%s\": %s", topic, bus_client_reason(st));
    }
    if (!r->quiet) {
        const char *trace_id = message_trace_id_of(hex, r->options, event);
        printf("%s  ", topic);
        text_put(stdout, loom_envelope_sender(event), SIZE_MAX);
        printf("  %s  trace %s\n", code, trace_id != NULL ? trace_id : "-");
        fflush(stdout);
    }
    if (++r->done == r->wanted) {
        atomic_store(&r->over, true);
        bus_client_wake(client);
    }
    return st;
}

static int serve(responder *r, const char *filter, const loom_subscribe_options *with)
{
    int exit_code;
    interrupt stop;
    if (!bus_client_open(&r->client, &reply, r->options, "reply", &(loom_agent_options){.on_event = on_event, .user = r}, &exit_code)) {
        return exit_code;
    }
    const int unguarded = guard_open(&r->guard);
    if (unguarded != 0) {
        (void)command_fail(&reply, "a command would outlive a responder that is killed: %s", strerror(unguarded));
    }
    loom_span *span = message_run_begin(&reply, r->options, r->client.tracing.tracer, "loom reply");
    interrupt_begin(&stop);
    stop.output = r->quiet ? -1 : STDOUT_FILENO;
    loom_status st = loom_agent_subscribe(r->client.agent, filter, with, NULL);
    if (st == LOOM_OK && (st = loom_agent_wait_connected(r->client.agent, 5000)) == LOOM_OK) {
        fprintf(stderr, "answering %s\n", filter);
        (void)interrupt_wait(&stop, r->client.wake_fd, UINT64_MAX);
    }
    const bool gone = bus_client_is_closed(&r->client) && st == LOOM_OK;
    atomic_store(&r->over, true);
    interrupt_end(&stop);
    loom_span_end(span);
    exit_code = bus_client_close(&r->client);
    guard_close(&r->guard);
    if (st != LOOM_OK) {
        return command_fail_with(&reply, st, "cannot answer \"%s\": %s", filter, bus_client_reason(st));
    }
    return gone ? VERB_FAILED : exit_code;
}

static int run(const options *o)
{
    int exit_code = VERB_FAILED;
    const char *reason, *filter = o->operand_count > 0 ? o->operands[0] : NULL, *group = options_value(o, "group");
    const bool echoes = options_is_on(o, "echo");
    char *argv[ARGUMENTS_MAX + 1] = {NULL};
    for (size_t i = 1; i < o->operand_count; i++) {
        argv[i - 1] = (char *)(uintptr_t)o->operands[i];
    }
    responder r = {.options = o, .client = {.on_return = ""}, .propagators = loom_propagators_from_env(), .quiet = options_is_on(o, "quiet"),
                   .argv = echoes || o->operand_count < 2 ? NULL : argv};
    if (filter == NULL || (!echoes && r.argv == NULL)) {
        return command_misuse(&reply, filter == NULL ? "missing filter and command" : "missing command after --; --echo needs none");
    }
    if (echoes && o->operand_count > 1) {
        return command_misuse(&reply, "use --echo or a command, not both");
    }
    if (loom_filter_check(str_of(filter), &reason) != LOOM_OK) {
        return command_misuse(&reply, "invalid filter \"%s\": %s", filter, reason);
    }
    message_topic_hint(&reply, o, filter);
    if (group != NULL && topic_name_check(str_of(group), &reason) != LOOM_OK) {
        return command_misuse(&reply, "invalid group \"%s\": %s", group, reason);
    }
    if (!trace_options_number(&reply, o, "count", 0, &r.wanted, &exit_code)) {
        return exit_code;
    }
    return command_finish(&reply, serve(&r, filter, &(loom_subscribe_options){.group = group}));
}

int verb_reply(int argc, char *const argv[])
{
    return command_run(&reply, argc, argv, run);
}
