/* SPDX-License-Identifier: Apache-2.0 */
/* loom pub: emits one event from the command line, as the start of a trace or as a part of the caller's. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <loom/topic.h>

#include "envelope/id.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"

enum { HEADERS_MAX = 64 };

static const option_spec specs[] = {
    {.name = "type", .letter = 't', .kind = OPTION_VALUE, .value = "TYPE", .group = "Message", .help = "Event type, such as sensor.reading"},
    {.name = "file", .letter = 'f', .kind = OPTION_VALUE, .value = "FILE", .group = "Message", .help = "Read the payload from here; - is standard input"},
    {.name = "header", .letter = 'H', .kind = OPTION_VALUE, .repeatable = true, .value = "KEY=VALUE", .group = "Message", .help = "Add a header"},
    {.name = "content-type", .kind = OPTION_VALUE, .value = "TYPE", .group = "Message", .help = "Media type of the payload"},
    {.name = "thread", .kind = OPTION_VALUE, .value = "ID", .group = "Message", .help = "Thread id; without it the message's own id"},
    {.name = "correlation", .kind = OPTION_VALUE, .value = "ID", .group = "Message", .help = "Correlation id; without it the thread id"},
    {.name = "reply-to", .kind = OPTION_VALUE, .value = "TOPIC", .group = "Message", .help = "Where answers should go"},
    {.name = "count", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .fallback = "1", .group = "Message", .help = "Publish it so many times"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print one JSON object a message"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output", .help = "Print nothing"},
    OPTIONS_BUS,
    OPTION_HELP,
};

static const command pub = {
    .manual = {.program = "loom pub",
               .synopsis = "[OPTION]… TOPIC [PAYLOAD]",
               .summary = "Publishes a message and prints its trace id. The payload is the argument, a file, or standard input. "
                          "With TRACEPARENT in the environment the message joins that trace; otherwise it starts one.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom pub greetings.all 'hello, agents'\n"
                          "  loom pub sensor.data --type sensor.reading '{\"value\": 21.5}'\n"
                          "  gzip -c report.txt | loom pub reports.daily --content-type application/gzip\n"
                          "  loom trace show $(loom pub greetings.all hello)\n"},
    .operands_max = 2,
};

typedef struct payload {
    uint8_t *data;
    size_t len;
} payload;

/* Reads up to one byte more than a message may hold, so that too much is noticed and nothing is read without end. */
static bool read_stream(FILE *in, payload *out)
{
    size_t cap = 64 * 1024;
    uint8_t *data = malloc(cap);
    size_t len = 0;
    while (data != NULL && len <= LOOM_PAYLOAD_MAX) {
        size_t got = fread(data + len, 1, cap - len, in);
        len += got;
        if (got == 0) {
            break;
        }
        if (len == cap) {
            uint8_t *grown = realloc(data, cap *= 2);
            if (grown == NULL) {
                free(data);
            }
            data = grown;
        }
    }
    *out = (payload){data, len};
    return data != NULL;
}

static bool read_payload(const options *o, payload *out, int *exit_code)
{
    const char *path = options_value(o, "file");
    const char *text = o->operand_count > 1 ? o->operands[1] : NULL;
    if (text != NULL && path != NULL) {
        *exit_code = command_misuse(&pub, "a payload and --file at once: which one?");
        return false;
    }
    if (text != NULL && strcmp(text, "-") != 0) {
        *out = (payload){(uint8_t *)strdup(text), strlen(text)};
        return out->data != NULL;
    }
    bool named = path != NULL && strcmp(path, "-") != 0;
    FILE *in = named ? fopen(path, "rbe") : stdin;
    if (in == NULL) {
        *exit_code = command_fail(&pub, "%s: %s", path, strerror(errno));
        return false;
    }
    if (!named && isatty(STDIN_FILENO)) {
        fputs("loom pub: reading the payload from the terminal; end it with Ctrl-D\n", stderr);
    }
    errno = 0;
    bool read = read_stream(in, out);
    if (!read || ferror(in)) {
        *exit_code = command_fail(&pub, "%s: %s", named ? path : "standard input", read ? strerror(errno) : "out of memory");
        read = false;
    }
    if (named) {
        fclose(in);
    }
    return read;
}

static bool read_headers(const options *o, loom_header headers[HEADERS_MAX], size_t *count, int *exit_code)
{
    loom_str given[HEADERS_MAX];
    *count = options_values(o, "header", given, HEADERS_MAX);
    if (*count > HEADERS_MAX) {
        *exit_code = command_misuse(&pub, "at most %d of --header", HEADERS_MAX);
        return false;
    }
    for (size_t i = 0; i < *count; i++) {
        const char *equals = memchr(given[i].data, '=', given[i].len);
        if (equals == NULL || equals == given[i].data) {
            *exit_code = command_misuse(&pub, "--header wants KEY=VALUE, not \"%.*s\"", (int)given[i].len, given[i].data);
            return false;
        }
        size_t key = (size_t)(equals - given[i].data);
        headers[i] = (loom_header){{given[i].data, key}, {equals + 1, given[i].len - key - 1}};
    }
    return true;
}

/* The caller's span, when its environment names one. A traceparent that is not valid is said and ignored. */
static bool parent_from_environment(loom_trace_context *parent)
{
    const char *text = getenv("TRACEPARENT");
    if (text == NULL || text[0] == '\0') {
        return false;
    }
    if (loom_traceparent_parse(parent, (loom_str){text, strlen(text)}) != LOOM_OK) {
        command_fail(&pub, "TRACEPARENT is not valid and is ignored: %s", text);
        return false;
    }
    return true;
}

static void print_result(const options *o, const char *topic, const uint8_t id[LOOM_UUID_SIZE], const loom_trace_context *ctx)
{
    char trace_id[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_id, ctx->trace_id);
    if (options_is_on(o, "json")) {
        char id_text[LOOM_UUID_TEXT_SIZE];
        loom_uuid_to_text(id_text, id);
        json_t *all = json_pack("{s:s, s:s, s:s}", "trace_id", trace_id, "event_id", id_text, "topic", topic);
        json_dumpf(all, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(all);
    } else if (!options_is_on(o, "quiet")) {
        puts(trace_id);
    }
}

/* parent: NULL for a trace of its own. */
static loom_status publish_one(bus_client *client, const options *o, const payload *p, const loom_emit_options *emit,
                               const loom_trace_context *parent)
{
    loom_span_options with = {.parent = parent, .parent_is_remote = parent != NULL, .root = parent == NULL};
    loom_span *span = loom_span_start(client->tracer, "loom pub", &with);
    loom_span_set_string(span, "topic", o->operands[0]);
    loom_span_make_current(span);
    uint8_t id[LOOM_UUID_SIZE];
    loom_emit_options with_id = *emit;
    with_id.id_out = id;
    loom_status st = loom_agent_emit(client->agent, o->operands[0], (loom_bytes){p->data, p->len}, &with_id);
    if (st == LOOM_OK) {
        print_result(o, o->operands[0], id, loom_span_context(span));
    } else {
        loom_span_record_error(span, loom_status_name(st), loom_status_text(st));
    }
    loom_span_end(span);
    return st;
}

static int publish(const options *o, const payload *p, uint64_t count, const loom_emit_options *emit)
{
    bus_client client;
    int exit_code;
    loom_agent_options agent = {.emit_timeout_ms = 10000};
    if (!bus_client_open(&client, &pub, o, "pub", &agent, &exit_code)) {
        return exit_code;
    }
    loom_trace_context parent;
    bool has_parent = parent_from_environment(&parent);
    loom_status st = LOOM_OK;
    for (uint64_t i = 0; i < count && st == LOOM_OK; i++) {
        st = publish_one(&client, o, p, emit, has_parent ? &parent : NULL);
    }
    exit_code = VERB_OK;
    if (st != LOOM_OK) {
        exit_code = command_fail(&pub, "cannot publish to \"%s\": %s", o->operands[0], loom_status_text(st));
    }
    if (!bus_client_close(&client)) {
        exit_code = VERB_FAILED;
    }
    return command_finish(&pub, exit_code);
}

static int run(const options *o)
{
    int exit_code = VERB_FAILED;
    uint64_t count;
    loom_header headers[HEADERS_MAX];
    size_t header_count;
    payload p = {NULL, 0};
    const char *reason;
    if (o->operand_count < 1) {
        return command_misuse(&pub, "a topic is needed");
    }
    if (loom_topic_check((loom_str){o->operands[0], strlen(o->operands[0])}, &reason) != LOOM_OK) {
        return command_misuse(&pub, "\"%s\" is not a topic: %s", o->operands[0], reason);
    }
    if (!trace_options_number(&pub, o, "count", 1, &count, &exit_code) || !read_headers(o, headers, &header_count, &exit_code) ||
        !read_payload(o, &p, &exit_code)) {
        free(p.data);
        return exit_code;
    }
    if (p.len > LOOM_PAYLOAD_MAX) {
        exit_code = command_fail(&pub, "the payload is larger than a message may be (%u bytes)", LOOM_PAYLOAD_MAX);
    } else {
        exit_code = publish(o, &p, count, &(loom_emit_options){
            .type = options_value(o, "type"),
            .thread_id = options_value(o, "thread"),
            .correlation_id = options_value(o, "correlation"),
            .reply_to = options_value(o, "reply-to"),
            .content_type = options_value(o, "content-type"),
            .headers = headers,
            .header_count = header_count,
        });
    }
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
