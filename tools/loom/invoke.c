/* SPDX-License-Identifier: Apache-2.0 */
/* loom invoke: calls a capability and prints its result. */
#include <errno.h>
#include <loom/action.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/str.h"
#include "envelope/id.h"
#include "host/json_text.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/bus_names.h"
#include "tools/loom/event_json.h"
#include "tools/loom/interrupt.h"
#include "tools/loom/message_options.h"
#include "trace/view/text.h"
#include "tools/loom/verbs.h"

static const option_spec specs[] = {
    OPTIONS_PAYLOAD,
    {.name = "version", .kind = OPTION_VALUE, .value = "VERSION", .group = "Call", .help = "Version to call; default: the highest"},
    {.name = "deadline", .letter = 'd', .kind = OPTION_VALUE, .value = "TIME", .fallback = "30s", .group = "Call", .help = "Time limit for the whole call"},
    {.name = "idle", .kind = OPTION_VALUE, .value = "TIME", .group = "Call", .help = "Time limit for silence from the provider"},
    {.name = "call-id", .kind = OPTION_VALUE, .value = "ID", .group = "Call", .help = "Calls with the same id run once: join the one running, or get its result again"},
    {.name = "idempotent", .kind = OPTION_FLAG, .group = "Call", .help = "Allow another attempt if the provider goes away"},
    OPTIONS_TRACE,
    OPTION_TRACE_UNSAMPLED,
    {.name = "stream", .letter = 's', .kind = OPTION_FLAG, .group = "Output", .help = "Receive the result in chunks and print each as it arrives; with --json, one object per chunk"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print the outcome as one JSON object"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output", .help = "Do not print progress or the trace id"},
    OPTIONS_BUS,
    OPTION_HELP,
};

static const command invoke = {
    .manual = {.program = "loom invoke",
               .synopsis = "[OPTION]… CAPABILITY [PAYLOAD]",
               .summary = "Calls a capability and prints its result. Exits with 0 only if the outcome is ok; otherwise "
                          "prints the outcome to standard error, with the provider's code and text. Progress and the trace "
                          "id also go to standard error. With --trace-parent, or a trace in the environment, the call joins "
                          "that trace.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom caps                                     list what can be called\n"
                          "  loom invoke weather.lookup '{\"city\": \"Oslo\"}'\n"
                          "  loom invoke report.render --file data.json --deadline 5m > report.pdf\n"
                          "  loom invoke chat.complete 'Why is the sky blue?' --stream\n\n"
                          TRACE_ENVIRONMENT(BAGGAGE_ENVIRONMENT)},
    .operands_max = 2,
};

typedef struct invocation {
    bus_client client;
    const options *options;
    atomic_int write_error; /* errno */
    atomic_bool unread;  /* chunks cannot be printed any more */
    loom_result *result; /* the agent's thread sets it before ended */
    atomic_bool ended;
} invocation;

static void on_progress(loom_agent *agent, uint64_t number, loom_bytes payload, void *user)
{
    (void)agent;
    (void)number;
    (void)user;
    text_put(stderr, (loom_str){(const char *)payload.data, payload.len}, SIZE_MAX);
    fputc('\n', stderr);
}

static void on_chunk(loom_agent *agent, uint64_t number, loom_bytes payload, void *user)
{
    (void)agent;
    invocation *call = user;
    if (atomic_load(&call->unread)) {
        return;
    }
    if (options_is_on(call->options, "json")) {
        json_t *chunk = json_pack("{s:I}", "chunk", (json_int_t)number);
        payload_to_json(chunk, payload);
        json_print_line(chunk);
    } else {
        message_payload_print(payload);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        call->write_error = errno;
        atomic_store(&call->unread, true);
        bus_client_wake(&call->client);
    }
}

static void on_result(loom_agent *agent, loom_result *result, void *user)
{
    (void)agent;
    invocation *call = user;
    call->result = result;
    atomic_store(&call->ended, true);
    bus_client_wake(&call->client);
}

static bool read_time(const options *o, const char *name, uint32_t *ms, int *exit_code)
{
    const char *text = options_value(o, name);
    uint64_t ns = 0;
    if (text != NULL && (!duration_parse(&ns, str_of(text)) || ns < 1000000 || ns / 1000000 > 3600000)) {
        *exit_code = command_misuse(&invoke, "--%s must be a duration from 1ms to 1h, not \"%s\"", name, text);
        return false;
    }
    *ms = (uint32_t)(ns / 1000000);
    return true;
}

static void print_result(const loom_result *result, const char *trace_id)
{
    json_t *all = json_pack("{s:s}", "outcome", loom_outcome_name(loom_result_outcome(result)));
    if (trace_id != NULL) {
        json_object_set_new(all, "trace_id", json_string(trace_id));
    }
    if (loom_result_outcome(result) != LOOM_OUTCOME_OK) {
        json_object_set_new(all, "code", json_text(str_of(loom_result_code(result))));
        json_object_set_new(all, "text", json_text(str_of(loom_result_text(result))));
    }
    payload_to_json(all, loom_result_payload(result));
    json_print_line(all);
}

static int print_outcome(const options *o, loom_status st, const loom_result *result, const char *trace_id)
{
    bool json = options_is_on(o, "json");
    if (!options_is_on(o, "quiet") && !json && trace_id != NULL) {
        fprintf(stderr, "trace %s\n", trace_id);
    }
    if (result == NULL) {
        return command_fail_with(&invoke, st, "cannot call \"%s\": %s", o->operands[0], bus_client_reason(st));
    }
    if (json) {
        print_result(result, trace_id);
        return verb_exit_of(st);
    }
    if (st == LOOM_OK) {
        message_payload_print(loom_result_payload(result));
        return VERB_OK;
    }
    const char *code = loom_result_code(result), *text = loom_result_text(result);
    char hint[BUS_HINT_SIZE] = "";
    if (loom_result_outcome(result) == LOOM_OUTCOME_NO_RESPONDERS) {
        (void)bus_names_hint(hint, &invoke, o, BUS_CAPABILITIES, o->operands[0], "; `loom caps` lists what is available", NULL);
    }
    return command_fail_with(&invoke, st, "%s: %s (%s): %s%s", o->operands[0], loom_outcome_name(loom_result_outcome(result)),
                        code[0] != '\0' ? code : "no code", text[0] != '\0' ? text : "no text", hint);
}

static loom_status status_of(const loom_result *result)
{
    switch (loom_result_outcome(result)) {
    case LOOM_OUTCOME_OK: return LOOM_OK;
    case LOOM_OUTCOME_ERROR: return LOOM_EREMOTE;
    case LOOM_OUTCOME_TIMEOUT: return LOOM_ETIMEDOUT;
    case LOOM_OUTCOME_NO_RESPONDERS: return LOOM_ENORESPONDERS;
    case LOOM_OUTCOME_DENIED: return LOOM_EDENIED;
    case LOOM_OUTCOME_CANCELLED: return LOOM_ECANCELED;
    case LOOM_OUTCOME_TOO_LARGE: return LOOM_ETOOBIG;
    }
    return LOOM_EREMOTE;
}

/* LOOM_ECANCELED without a result: whoever read the chunks has gone. */
static loom_status wait_for_result(invocation *call, uint64_t number)
{
    interrupt output = {.fd = -1, .output = options_is_on(call->options, "stream") ? STDOUT_FILENO : -1};
    const bool has_reader = interrupt_wait(&output, call->client.wake_fd, UINT64_MAX) != INTERRUPT_READER_GONE;
    if (atomic_load(&call->ended)) {
        return status_of(call->result);
    }
    if (has_reader && !atomic_load(&call->unread)) {
        return LOOM_ECLOSED;
    }
    atomic_store(&call->unread, true);
    (void)loom_agent_cancel(call->client.agent, number, "nobody reads the chunks any more");
    return LOOM_ECANCELED;
}

static int invoke_and_print(invocation *call, loom_bytes payload, const loom_invoke_options *with, const loom_propagation *trace)
{
    const options *o = call->options;
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    uint64_t number;
    loom_span *span = message_span_begin(call->client.tracing.tracer, "loom invoke", trace);
    const char *trace_id = message_trace_id(hex, o, loom_span_context(span));
    loom_span_set_string(span, "capability", o->operands[0]);
    loom_status st = loom_agent_invoke_async(call->client.agent, o->operands[0], payload, with, on_result, call, &number);
    if (st == LOOM_OK) {
        st = wait_for_result(call, number);
    }
    const loom_result *result = atomic_load(&call->ended) ? call->result : NULL;
    if (st != LOOM_OK) {
        loom_span_record_error(span, loom_status_name(st), result != NULL ? loom_result_text(result) : loom_status_text(st));
    }
    loom_span_end(span);
    if (atomic_load(&call->unread)) {
        return call->write_error == 0 || call->write_error == EPIPE ? VERB_OK : command_fail(&invoke, "cannot write: %s", strerror(call->write_error));
    }
    return print_outcome(o, st, result, trace_id);
}

static int open_and_invoke(const options *o, loom_bytes payload, loom_invoke_options *with, const loom_propagation *trace)
{
    invocation call = {.options = o};
    int exit_code;
    if (!bus_client_open(&call.client, &invoke, o, "invoke", &(loom_agent_options){.quiet = true}, &exit_code)) {
        return exit_code;
    }
    with->user = &call;
    exit_code = invoke_and_print(&call, payload, with, trace);
    with->user = NULL;
    const int closed = bus_client_close(&call.client); /* its thread sets the result by then */
    loom_result_free(call.result);
    return exit_code != VERB_OK ? exit_code : command_finish(&invoke, closed);
}

static int run(const options *o)
{
    int exit_code = VERB_FAILED;
    loom_header headers[MESSAGE_HEADERS_MAX];
    message_payload payload;
    const char *id = options_value(o, "call-id");
    loom_invoke_options with = {.version = options_value(o, "version"),
                                .idempotent = options_is_on(o, "idempotent"),
                                .call_id = {(const uint8_t *)id, id != NULL ? strlen(id) : 0},
                                .content_type = options_value(o, "content-type"),
                                .headers = headers,
                                .on_progress = options_is_on(o, "quiet") ? NULL : on_progress,
                                .on_chunk = options_is_on(o, "stream") ? on_chunk : NULL};
    if (o->operand_count < 1) {
        return command_misuse(&invoke, "missing capability; `loom caps` lists what is available");
    }
    if (!read_time(o, "deadline", &with.deadline_ms, &exit_code) || !read_time(o, "idle", &with.idle_ms, &exit_code) ||
        !message_headers_read(&invoke, o, headers, &with.header_count, &exit_code) ||
        !message_payload_read(&invoke, o, true, &payload, &exit_code)) {
        return exit_code;
    }
    loom_propagation trace;
    message_trace_read(&invoke, o, &trace);
    with.baggage = trace.baggage.data;
    exit_code = open_and_invoke(o, (loom_bytes){payload.data, payload.len}, &with, &trace);
    loom_propagation_fini(&trace);
    free(payload.data);
    return exit_code;
}

int verb_invoke(int argc, char *const argv[])
{
    return command_run(&invoke, argc, argv, run);
}
