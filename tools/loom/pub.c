/* SPDX-License-Identifier: Apache-2.0 */
/* loom pub: emits one event from the command line, as the root of a trace or as part of the caller's. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <loom/topic.h>

#include "base/str.h"
#include "envelope/id.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/event_json.h"
#include "tools/loom/message_options.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"

static const option_spec specs[] = {
    {.name = "type", .letter = 't', .kind = OPTION_VALUE, .value = "TYPE", .group = "Message", .help = "Event type, such as sensor.reading"},
    OPTIONS_PAYLOAD,
    {.name = "thread", .kind = OPTION_VALUE, .value = "ID", .group = "Message", .help = "Thread id; default: the message's own id"},
    {.name = "correlation", .kind = OPTION_VALUE, .value = "ID", .group = "Message", .help = "Correlation id; default: the thread id"},
    {.name = "reply-to", .kind = OPTION_VALUE, .value = "TOPIC", .group = "Message", .help = "Topic for replies"},
    {.name = "count", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .fallback = "1", .group = "Message", .help = "Publish the message N times"},
    OPTIONS_TRACE,
    OPTION_TRACE_UNSAMPLED,
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print one JSON object per message"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output", .help = "Print nothing"},
    OPTIONS_BUS,
    OPTION_HELP,
};

static const command pub = {
    .manual = {.program = "loom pub",
               .synopsis = "[OPTION]… TOPIC [PAYLOAD]",
               .summary = "Publishes a message and prints its trace id. The payload is the argument, a file, or standard "
                          "input. With --trace-parent, or a trace in the environment, the message joins that trace; "
                          "otherwise it starts a new one.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom pub greetings.all 'hello, agents'\n"
                          "  loom pub sensor.data --type sensor.reading '{\"value\": 21.5}'\n"
                          "  gzip -c report.txt | loom pub reports.daily --content-type application/gzip\n"
                          "  loom trace show $(loom pub greetings.all hello)\n\n"
                          TRACE_ENVIRONMENT(BAGGAGE_ENVIRONMENT)},
    .operands_max = 2,
};

/* A message that has been emitted. Whether the broker takes it is known once it has answered the goodbye. */
typedef struct emitted {
    bool any;
    uint8_t id[LOOM_UUID_SIZE];
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    const char *trace_id; /* NULL: it has none */
} emitted;

static void print_emitted(const options *o, const emitted *e)
{
    if (!e->any) {
        return;
    }
    if (options_is_on(o, "json")) {
        const char *topic = o->operands[0];
        char id_text[LOOM_UUID_TEXT_SIZE];
        loom_uuid_to_text(id_text, e->id);
        json_t *all = json_pack("{s:s?, s:s, s:s}", "trace_id", e->trace_id, "event_id", id_text, "topic", topic);
        json_print_line(all);
    } else if (!options_is_on(o, "quiet") && e->trace_id != NULL) {
        puts(e->trace_id);
    }
}

/* Prints the one before. */
static loom_status publish_one(bus_client *client, const options *o, const message_payload *p, const loom_emit_options *emit,
                               const loom_propagation *trace, emitted *last)
{
    loom_span *span = message_span_begin(client->tracing.tracer, "loom pub", trace);
    loom_span_set_string(span, "topic", o->operands[0]);
    uint8_t id[LOOM_UUID_SIZE];
    loom_emit_options with_id = *emit;
    with_id.id_out = id;
    loom_status st = loom_agent_emit(client->agent, o->operands[0], (loom_bytes){p->data, p->len}, &with_id);
    if (st == LOOM_OK) {
        print_emitted(o, last);
        last->any = true;
        last->trace_id = message_trace_id(last->hex, o, loom_span_context(span));
        memcpy(last->id, id, sizeof id);
    } else {
        loom_span_record_error(span, loom_status_name(st), loom_status_text(st));
    }
    loom_span_end(span);
    return st;
}

static int publish(const options *o, const message_payload *p, uint64_t count, const loom_emit_options *emit,
                   const loom_propagation *trace)
{
    bus_client client = {0};
    int exit_code;
    loom_agent_options agent = {.emit_timeout_ms = 10000};
    if (!bus_client_open(&client, &pub, o, "pub", &agent, &exit_code)) {
        return exit_code;
    }
    emitted last = {0};
    loom_status st = LOOM_OK;
    for (uint64_t i = 0; i < count && st == LOOM_OK; i++) {
        st = publish_one(&client, o, p, emit, trace, &last);
    }
    exit_code = VERB_OK;
    if (st != LOOM_OK) {
        exit_code = command_fail_with(&pub, st, "cannot publish to \"%s\": %s", o->operands[0], loom_status_text(st));
    }
    const int closed = bus_client_close(&client);
    if (closed == VERB_OK) {
        print_emitted(o, &last);
    }
    return command_finish(&pub, exit_code != VERB_OK ? exit_code : closed);
}

static int run(const options *o)
{
    int exit_code = VERB_FAILED;
    uint64_t count;
    loom_header headers[MESSAGE_HEADERS_MAX];
    size_t header_count;
    message_payload p = {NULL, 0};
    const char *reason;
    if (o->operand_count < 1) {
        return command_misuse(&pub, "missing topic");
    }
    if (loom_topic_check(str_of(o->operands[0]), &reason) != LOOM_OK) {
        return command_misuse(&pub, "invalid topic \"%s\": %s", o->operands[0], reason);
    }
    if (message_topic_is_reserved(&pub, o->operands[0], &exit_code)) {
        return exit_code;
    }
    if (!trace_options_number(&pub, o, "count", 1, &count, &exit_code) ||
        !message_headers_read(&pub, o, headers, &header_count, &exit_code) ||
        !message_payload_read(&pub, o, false, &p, &exit_code)) {
        return exit_code;
    }
    loom_propagation trace;
    message_trace_read(&pub, o, &trace);
    exit_code = publish(o, &p, count, &(loom_emit_options){
        .type = options_value(o, "type"),
        .thread_id = options_value(o, "thread"),
        .correlation_id = options_value(o, "correlation"),
        .reply_to = options_value(o, "reply-to"),
        .content_type = options_value(o, "content-type"),
        .baggage = trace.baggage.data,
        .headers = headers,
        .header_count = header_count,
    }, &trace);
    loom_propagation_fini(&trace);
    free(p.data);
    return exit_code;
}

int verb_pub(int argc, char *const argv[])
{
    options o;
    int exit_code;
    if (!command_start(&pub, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    exit_code = run(&o);
    options_fini(&o);
    return exit_code;
}
