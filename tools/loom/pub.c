/* SPDX-License-Identifier: Apache-2.0 */
/* loom pub: emits events from the command line, each as the root of a trace or as part of the caller's. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <loom/topic.h>

#include "base/str.h"
#include "envelope/id.h"
#include "host/json_text.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/event_json.h"
#include "tools/loom/interrupt.h"
#include "tools/loom/message_options.h"
#include "tools/loom/pace.h"
#include "tools/loom/records.h"
#include "tools/loom/template.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"

static const option_spec specs[] = {
    {.name = "type", .letter = 't', .kind = OPTION_VALUE, .value = "TYPE", .group = "Message", .help = "Event type, such as sensor.reading"},
    OPTIONS_PAYLOAD,
    {.name = "thread", .kind = OPTION_VALUE, .value = "ID", .group = "Message", .help = "Thread id; default: the message's own id"},
    {.name = "correlation", .kind = OPTION_VALUE, .value = "ID", .group = "Message", .help = "Correlation id; default: the thread id"},
    {.name = "reply-to", .kind = OPTION_VALUE, .value = "TOPIC", .group = "Message", .help = "Topic for replies"},
    {.name = "lines", .letter = 'l', .kind = OPTION_FLAG, .group = "Several messages", .help = "Each line of the input is a message, as soon as it is there"},
    {.name = "delimiter", .letter = 'D', .kind = OPTION_VALUE, .value = "TEXT", .group = "Several messages",
     .help = "The same with records that end in this instead: \\0, \\t, \\x1e, ---\\n"},
    {.name = "count", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .group = "Several messages",
     .help = "Publish the message N times, or at most N lines"},
    {.name = "template", .kind = OPTION_FLAG, .group = "Several messages",
     .help = "Fill in the {{words}} of payload and headers, listed below, for each message"},
    OPTIONS_PACE,
    OPTIONS_TRACE,
    OPTION_TRACE_UNSAMPLED,
    {.name = "matched", .kind = OPTION_FLAG, .group = "Output",
     .help = "Wait until the broker says how many subscriptions a message matched; fail with 5 when there is none"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print one JSON object per message"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output", .help = "Print nothing"},
    OPTIONS_BUS,
    OPTION_HELP,
};

static const command pub = {
    .manual = {.program = "loom pub",
               .synopsis = "[OPTION]… TOPIC [PAYLOAD]",
               .summary = "Publishes a message and prints its trace id. The payload is the argument, a file, or standard "
                          "input. Several messages go over one connection; their number, size and rate are told at the "
                          "end, or at ctrl-C. With --trace-parent, or a trace in the environment, the message joins that trace; "
                          "otherwise it starts a new one.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom pub greetings.all 'hello, agents'\n"
                          "  loom pub sensor.data --type sensor.reading '{\"value\": 21.5}'\n"
                          "  gzip -c report.txt | loom pub reports.daily --content-type application/gzip\n"
                          "  loom trace show $(loom pub greetings.all hello)\n"
                          "  tail -f app.log | loom pub logs.app -l       a message a line\n"
                          "  find . -print0 | loom pub files -D '\\0' -q   a message a record\n"
                          "  loom pub load.test -n 10000 --rate 500 -q --template '{\"n\": {{count}}, \"at\": \"{{time}}\"}'\n\n"
                          "Words of --template:\n"
                          TEMPLATE_WORDS "\n"
                          TRACE_ENVIRONMENT(BAGGAGE_ENVIRONMENT)},
    .operands_max = 2,
};

/* A message that has been emitted. Whether the broker takes it is known once it has answered the goodbye. */
typedef struct emitted {
    bool any;
    uint8_t id[LOOM_UUID_SIZE];
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    const char *trace_id; /* NULL: it has none */
    uint64_t matched; /* subscriptions, with --matched */
} emitted;

typedef struct publication {
    const options *options;
    bus_client client;
    interrupt stop;
    pace pace;
    progress progress;
    uint64_t count;   /* messages at most */
    bool several;     /* they may be more than one: totals are told */
    bool templates;
    bool records;     /* the payloads are those of the reader */
    record_reader reader;
    message_payload payload;
    template filled;  /* of the payload */
    template header_templates[MESSAGE_HEADERS_MAX];
    loom_header headers[MESSAGE_HEADERS_MAX];
    size_t header_count;
    loom_emit_options emit;
    loom_propagation trace;
    emitted last;
} publication;

static void print_emitted(const options *o, const emitted *e)
{
    if (!e->any) {
        return;
    }
    if (options_is_on(o, "json")) {
        const char *topic = o->operands[0];
        char id_text[LOOM_UUID_TEXT_SIZE];
        loom_uuid_to_text(id_text, e->id);
        json_t *all = json_object();
        if (e->trace_id != NULL) {
            json_object_set_new(all, "trace_id", json_string(e->trace_id));
        }
        json_object_set_new(all, "event_id", json_string(id_text));
        json_object_set_new(all, "topic", json_text(str_of(topic)));
        if (options_is_on(o, "matched")) {
            json_object_set_new(all, "matched", json_integer((json_int_t)e->matched));
        }
        json_print_line(all);
        return;
    }
    if (!options_is_on(o, "quiet") && options_is_on(o, "matched")) {
        fprintf(stderr, "matched %llu subscription%s\n", (unsigned long long)e->matched, e->matched == 1 ? "" : "s");
    }
    if (!options_is_on(o, "quiet") && e->trace_id != NULL) {
        puts(e->trace_id);
    }
}

/* The broker may hold publishers back for a while; who wants to leave meanwhile may. */
static loom_status emit_patiently(publication *p, loom_bytes payload, const loom_emit_options *with, uint64_t *matched)
{
    enum { ATTEMPTS = 10, ANSWER_MS = 10000 }; /* of a second */
    loom_status st = LOOM_EFULL;
    if (options_is_on(p->options, "matched")) {
        return loom_agent_emit_matched(p->client.agent, p->options->operands[0], payload, with, ANSWER_MS, matched);
    }
    for (int i = 0; i < ATTEMPTS && st == LOOM_EFULL && !(i > 0 && interrupt_is_there(&p->stop)); i++) {
        st = loom_agent_emit(p->client.agent, p->options->operands[0], payload, with);
    }
    return st;
}

/* Prints the one before. */
static loom_status publish_one(publication *p, loom_bytes payload)
{
    loom_span *span = message_span_begin(p->client.tracing.tracer, "loom pub", &p->trace);
    loom_span_set_string(span, "topic", p->options->operands[0]);
    uint8_t id[LOOM_UUID_SIZE];
    loom_emit_options with_id = p->emit;
    with_id.id_out = id;
    uint64_t matched = 0;
    loom_status st = emit_patiently(p, payload, &with_id, &matched);
    if (st == LOOM_OK) {
        print_emitted(p->options, &p->last);
        p->last.any = true;
        p->last.matched = matched;
        p->last.trace_id = message_trace_id(p->last.hex, p->options, loom_span_context(span));
        memcpy(p->last.id, id, sizeof id);
        progress_add(&p->progress, payload.len);
    } else {
        loom_span_record_error(span, loom_status_name(st), loom_status_text(st));
    }
    loom_span_end(span);
    return st;
}

/* The headers of the next message; their templates were parsed before. */
static loom_status fill_headers(publication *p)
{
    loom_status st = LOOM_OK;
    for (size_t i = 0; p->templates && i < p->header_count && st == LOOM_OK; i++) {
        loom_bytes value;
        st = template_fill(&p->header_templates[i], p->progress.count + 1, &value);
        p->headers[i].value = (loom_str){(const char *)value.data, value.len};
    }
    return st;
}

/* VERB_OK: *payload is that of the next message. */
static int fill_payload(publication *p, loom_bytes *payload)
{
    char why[TEMPLATE_ERROR_SIZE];
    loom_status st = LOOM_OK;
    if (!p->templates) {
        return VERB_OK;
    }
    if (p->records) {
        template_fini(&p->filled);
        st = template_parse(&p->filled, *payload, why);
    }
    if (st == LOOM_EINVAL) {
        return command_fail(&pub, "record %llu: %s", (unsigned long long)p->progress.count + 1, why);
    }
    if (st != LOOM_OK || (st = template_fill(&p->filled, p->progress.count + 1, payload)) != LOOM_OK || (st = fill_headers(p)) != LOOM_OK) {
        return command_fail(&pub, "%s", loom_status_text(st));
    }
    return payload->len <= LOOM_PAYLOAD_MAX ? VERB_OK
                                            : command_fail_with(&pub, LOOM_ETOOBIG, "a payload is larger than a message may be: %u bytes at most", LOOM_PAYLOAD_MAX);
}

/* False: there is none, *exit_code tells why. */
static bool next_payload(publication *p, loom_bytes *payload, int *exit_code)
{
    *payload = (loom_bytes){p->payload.data, p->payload.len};
    if (!p->records) {
        return true;
    }
    const unsigned long long number = p->progress.count + 1;
    switch (record_next(&p->reader, &p->stop, payload)) {
    case RECORD_READ: return true;
    case RECORD_END: break;
    case RECORD_INTERRUPTED: *exit_code = VERB_INTERRUPTED; break;
    case RECORD_TOO_LONG:
        *exit_code = command_fail_with(&pub, LOOM_ETOOBIG, "record %llu is larger than a message may be: %u bytes at most", number, LOOM_PAYLOAD_MAX);
        break;
    case RECORD_FAILED: *exit_code = command_fail(&pub, "cannot read record %llu: %s", number, strerror(p->reader.error)); break;
    }
    return false;
}

static int cannot_publish(const publication *p, loom_status st)
{
    const char *topic = p->options->operands[0];
    if (st == LOOM_ENORESPONDERS) {
        return command_fail_with(&pub, st, "nobody is subscribed to \"%s\"; `loom agents` lists who is there", topic);
    }
    if (st == LOOM_EVERSION) {
        return command_fail_with(&pub, st, "published to \"%s\", but this bridge is too old to say how many subscriptions it matched", topic);
    }
    return command_fail_with(&pub, st, "cannot publish to \"%s\": %s", topic, bus_client_reason(st));
}

static int publish_all(publication *p)
{
    int exit_code = VERB_OK;
    loom_bytes payload;
    while (exit_code == VERB_OK && p->progress.count < p->count && next_payload(p, &payload, &exit_code)) {
        if (!pace_wait(&p->pace, &p->stop)) {
            return VERB_INTERRUPTED;
        }
        if ((exit_code = fill_payload(p, &payload)) != VERB_OK) {
            break;
        }
        const loom_status st = publish_one(p, payload);
        if (st != LOOM_OK) {
            exit_code = interrupt_is_there(&p->stop) ? VERB_INTERRUPTED : cannot_publish(p, st);
        }
    }
    return exit_code;
}

static int publish(publication *p)
{
    int exit_code;
    const options *o = p->options;
    const bool quiet = options_is_on(o, "quiet");
    const loom_agent_options agent = {.emit_timeout_ms = 1000, .quiet = true};
    if (!bus_client_open(&p->client, &pub, o, "pub", &agent, &exit_code)) {
        return exit_code;
    }
    const bool watched = p->several && isatty(STDERR_FILENO) && (quiet || !isatty(STDOUT_FILENO));
    interrupt_begin(&p->stop);
    progress_begin(&p->progress, "published", p->count == UINT64_MAX ? 0 : p->count, watched);
    exit_code = publish_all(p);
    interrupt_end(&p->stop);
    const int closed = bus_client_close(&p->client);
    if (closed == VERB_OK) {
        print_emitted(o, &p->last);
    }
    fflush(stdout);
    progress_end(&p->progress, quiet || !p->several);
    return command_finish(&pub, exit_code != VERB_OK ? exit_code : closed);
}

static bool parse_template(template *t, loom_bytes text, int *exit_code)
{
    char why[TEMPLATE_ERROR_SIZE];
    const loom_status st = template_parse(t, text, why);
    if (st != LOOM_OK) {
        *exit_code = st == LOOM_EINVAL ? command_misuse(&pub, "%s", why) : command_fail(&pub, "%s", loom_status_text(st));
    }
    return st == LOOM_OK;
}

/* Whatever is the same in all messages. */
static bool parse_templates(publication *p, int *exit_code)
{
    bool good = true;
    for (size_t i = 0; p->templates && good && i < p->header_count; i++) {
        const loom_str value = p->headers[i].value;
        good = parse_template(&p->header_templates[i], (loom_bytes){(const uint8_t *)value.data, value.len}, exit_code);
    }
    if (p->templates && good && !p->records) {
        good = parse_template(&p->filled, (loom_bytes){p->payload.data, p->payload.len}, exit_code);
    }
    return good;
}

static bool open_records(publication *p, int *exit_code)
{
    const options *o = p->options;
    const char *file = options_value(o, "file"), *delimiter = options_value(o, "delimiter");
    const bool named = file != NULL && strcmp(file, "-") != 0;
    if (o->operand_count > 1) {
        *exit_code = command_misuse(&pub, "with --lines or --delimiter the payloads come from standard input or --file, not from an argument");
        return false;
    }
    const int fd = named ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (fd < 0) {
        *exit_code = command_fail(&pub, "%s: %s", file, strerror(errno));
        return false;
    }
    if (!record_reader_init(&p->reader, fd, delimiter != NULL ? delimiter : "\n", LOOM_PAYLOAD_MAX)) {
        *exit_code = command_misuse(&pub, "--delimiter must be 1 to %d bytes, such as \\0, \\x1e or ---\\n, not \"%s\"", RECORD_DELIMITER_MAX, delimiter);
        return false;
    }
    return true;
}

static bool read_several(publication *p, int *exit_code)
{
    const options *o = p->options;
    p->records = options_is_on(o, "lines") || options_has(o, "delimiter");
    p->templates = options_is_on(o, "template");
    p->several = p->records || options_has(o, "count");
    if (!trace_options_number(&pub, o, "count", p->records ? UINT64_MAX : 1, &p->count, exit_code) ||
        !pace_read(&p->pace, &pub, o, exit_code)) {
        return false;
    }
    if (p->count == 0) {
        *exit_code = command_misuse(&pub, "--count 0 would publish nothing; leave it out to publish %s", p->records ? "every record" : "once");
        return false;
    }
    return message_headers_read(&pub, o, p->headers, &p->header_count, exit_code) &&
           (p->records ? open_records(p, exit_code) : message_payload_read(&pub, o, false, &p->payload, exit_code)) &&
           parse_templates(p, exit_code);
}

static void publication_fini(publication *p)
{
    loom_propagation_fini(&p->trace);
    template_fini(&p->filled);
    for (size_t i = 0; i < p->header_count && i < MESSAGE_HEADERS_MAX; i++) {
        template_fini(&p->header_templates[i]);
    }
    if (p->records && p->reader.fd > STDERR_FILENO) {
        close(p->reader.fd);
    }
    record_reader_fini(&p->reader);
    free(p->payload.data);
}

static int run(const options *o)
{
    int exit_code = VERB_FAILED;
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
    const char *reply_to = options_value(o, "reply-to");
    if (reply_to != NULL && reply_to[0] != '\0' && loom_topic_check(str_of(reply_to), &reason) != LOOM_OK) {
        return command_misuse(&pub, "--reply-to \"%s\": %s", reply_to, reason);
    }
    message_topic_hint(&pub, o, o->operands[0]);
    publication p = {.options = o};
    if (read_several(&p, &exit_code)) {
        message_trace_read(&pub, o, &p.trace);
        p.emit = (loom_emit_options){.type = options_value(o, "type"), .thread_id = options_value(o, "thread"),
                                     .correlation_id = options_value(o, "correlation"), .reply_to = reply_to,
                                     .content_type = options_value(o, "content-type"), .baggage = p.trace.baggage.data,
                                     .headers = p.headers, .header_count = p.header_count};
        exit_code = publish(&p);
    }
    publication_fini(&p);
    return exit_code;
}

int verb_pub(int argc, char *const argv[])
{
    return command_run(&pub, argc, argv, run);
}
