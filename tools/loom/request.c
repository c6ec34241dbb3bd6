/* SPDX-License-Identifier: Apache-2.0 */
/* loom request: publishes a message that asks for a reply, and prints the first one. */
#include <loom/collaboration.h>
#include <loom/topic.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/str.h"
#include "envelope/id.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/bus_names.h"
#include "tools/loom/event_json.h"
#include "tools/loom/message_options.h"
#include "trace/view/text.h"
#include "tools/loom/verbs.h"

static const option_spec specs[] = {
    {.name = "type", .letter = 't', .kind = OPTION_VALUE, .value = "TYPE", .group = "Message", .help = "Event type"},
    OPTIONS_PAYLOAD,
    OPTIONS_TRACE,
    OPTION_TRACE_UNSAMPLED,
    {.name = "timeout", .letter = 'd', .kind = OPTION_VALUE, .value = "TIME", .fallback = "30s", .group = "Reply", .help = "How long to wait for it"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print the reply as one JSON object"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output", .help = "Do not print the trace id"},
    OPTIONS_BUS,
    OPTION_HELP,
};

static const command request = {
    .manual = {.program = "loom request",
               .synopsis = "[OPTION]… TOPIC [PAYLOAD]",
               .summary = "Publishes a message with a reply_to of its own, waits for the first reply and prints it. An "
                          "agent replies with loom_agent_reply(), which publishes to reply_to with the correlation_id of "
                          "the request. The trace id goes to standard error. With --trace-parent, or a trace in the "
                          "environment, the request joins that trace.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom request time.now\n"
                          "  loom request orders.check '{\"order\": 17}' --timeout 5s --json\n"
                          "  loom agents --topic time.now                 who could reply\n\n"
                          TRACE_ENVIRONMENT(BAGGAGE_ENVIRONMENT)},
    .operands_max = 2,
};

static int print_answer(const options *o, loom_status st, const loom_envelope *reply, const loom_request_report *report,
                        const char *trace_id)
{
    if (!options_is_on(o, "quiet") && !options_is_on(o, "json") && trace_id != NULL) {
        fprintf(stderr, "trace %s\n", trace_id);
    }
    if (st == LOOM_ETIMEDOUT && report->sent) {
        char waited[TEXT_DURATION_SIZE];
        text_duration(waited, report->waited_ns);
        return command_fail_with(&request, st, "no reply on \"%s\" within %s; `loom agents --topic %s` lists who could reply",
                            o->operands[0], waited, o->operands[0]);
    }
    if (st == LOOM_ENORESPONDERS) {
        char hint[BUS_HINT_SIZE];
        return command_fail_with(&request, st, "nobody is subscribed to \"%s\"%s", o->operands[0],
                                 bus_names_hint(hint, &request, o, BUS_SUBSCRIBED, o->operands[0], "; `loom agents` lists who is there", NULL));
    }
    if (st != LOOM_OK) {
        return command_fail_with(&request, st, "cannot send a request to \"%s\": %s", o->operands[0], bus_client_reason(st));
    }
    loom_str error;
    const bool failed = loom_envelope_header(reply, "loom.error", &error) == LOOM_OK;
    if (failed && !options_is_on(o, "json")) { /* of a responder whose command failed */
        const loom_bytes text = loom_envelope_payload(reply);
        return command_fail(&request, "%s: %.*s: %.*s", o->operands[0], (int)error.len, error.data, (int)text.len, (const char *)text.data);
    }
    if (options_is_on(o, "json")) {
        char hex[LOOM_TRACE_ID_HEX_SIZE];
        json_print_line(event_to_json(reply, message_trace_id_of(hex, o, reply)));
    } else {
        message_payload_print(loom_envelope_payload(reply));
    }
    return failed ? VERB_FAILED : VERB_OK;
}

static int ask(const options *o, loom_bytes payload, loom_request_options *with, const loom_propagation *trace)
{
    bus_client client = {0};
    int exit_code;
    if (!bus_client_open(&client, &request, o, "request", &(loom_agent_options){.quiet = true}, &exit_code)) {
        return exit_code;
    }
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    loom_request_report report = {0};
    loom_envelope *reply = NULL;
    with->report = &report;
    loom_span *span = message_span_begin(client.tracing.tracer, "loom request", trace);
    const char *trace_id = message_trace_id(hex, o, loom_span_context(span));
    loom_span_set_string(span, "topic", o->operands[0]);
    loom_status st = loom_agent_request(client.agent, o->operands[0], payload, with, &reply);
    if (st != LOOM_OK) {
        loom_span_record_error(span, loom_status_name(st), loom_status_text(st));
    }
    loom_span_end(span);
    with->report = NULL;
    exit_code = print_answer(o, st, reply, &report, trace_id);
    loom_envelope_unref(reply);
    const int closed = bus_client_close(&client);
    return command_finish(&request, exit_code != VERB_OK ? exit_code : closed);
}

static int run(const options *o)
{
    int exit_code = VERB_FAILED;
    loom_header headers[MESSAGE_HEADERS_MAX];
    message_payload payload;
    const char *reason, *timeout = options_value(o, "timeout");
    uint64_t ns = 0;
    loom_request_options with = {.type = options_value(o, "type"), .content_type = options_value(o, "content-type"), .headers = headers};
    if (o->operand_count < 1) {
        return command_misuse(&request, "missing topic");
    }
    if (loom_topic_check(str_of(o->operands[0]), &reason) != LOOM_OK) {
        return command_misuse(&request, "invalid topic \"%s\": %s", o->operands[0], reason);
    }
    if (message_topic_is_reserved(&request, o->operands[0], &exit_code)) {
        return exit_code;
    }
    message_topic_hint(&request, o, o->operands[0]);
    if (timeout != NULL && (!duration_parse(&ns, str_of(timeout)) || ns < 1000000 || ns / 1000000 > UINT32_MAX)) {
        return command_misuse(&request, "--timeout must be a duration such as 500ms, 30s or 5m, not \"%s\"", timeout);
    }
    with.timeout_ms = (uint32_t)(ns / 1000000);
    if (!message_headers_read(&request, o, headers, &with.header_count, &exit_code) ||
        !message_payload_read(&request, o, true, &payload, &exit_code)) {
        return exit_code;
    }
    loom_propagation trace;
    message_trace_read(&request, o, &trace);
    with.baggage = trace.baggage.data;
    exit_code = ask(o, (loom_bytes){payload.data, payload.len}, &with, &trace);
    loom_propagation_fini(&trace);
    free(payload.data);
    return exit_code;
}

int verb_request(int argc, char *const argv[])
{
    return command_run(&request, argc, argv, run);
}
