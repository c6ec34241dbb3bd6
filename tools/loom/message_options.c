/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/message_options.h"

#include <loom/baggage.h>
#include <loom/tracestate.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "trace/view/text.h"

/* Reads up to one byte more than a message may hold, so that too much is noticed and nothing is read without end. */
static bool read_stream(FILE *in, message_payload *out)
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
    *out = (message_payload){data, len};
    return data != NULL;
}

static bool read_file(const command *c, const char *path, message_payload *out, int *exit_code)
{
    FILE *in = path != NULL ? fopen(path, "rbe") : stdin;
    if (in == NULL) {
        *exit_code = command_fail(c, "%s: %s", path, strerror(errno));
        return false;
    }
    errno = 0;
    bool read = read_stream(in, out);
    if (!read || ferror(in)) {
        *exit_code = command_fail(c, "%s: %s", path != NULL ? path : "standard input", read ? strerror(errno) : "out of memory");
        free(out->data);
        read = false;
    }
    if (path != NULL) {
        fclose(in);
    }
    return read;
}

bool message_payload_read(const command *c, const options *o, bool optional, message_payload *out, int *exit_code)
{
    const char *path = options_value(o, "file");
    const char *text = o->operand_count > 1 ? o->operands[1] : NULL;
    *out = (message_payload){NULL, 0};
    if (text != NULL && path != NULL) {
        *exit_code = command_misuse(c, "use a payload argument or --file, not both");
        return false;
    }
    if (text != NULL && strcmp(text, "-") != 0) {
        *out = (message_payload){(uint8_t *)strdup(text), strlen(text)};
        if (out->data == NULL) {
            *exit_code = command_fail(c, "out of memory");
        }
    } else {
        bool named = path != NULL && strcmp(path, "-") != 0;
        bool asked = text != NULL || path != NULL;
        if (!named && isatty(STDIN_FILENO)) {
            if (optional && !asked) {
                return true;
            }
            fprintf(stderr, "%s: reading the payload from the terminal; press Ctrl-D to end it\n", c->manual.program);
        }
        if (!read_file(c, named ? path : NULL, out, exit_code)) {
            return false;
        }
    }
    if (out->data != NULL && out->len > LOOM_PAYLOAD_MAX) {
        *exit_code = command_fail(c, "the payload is larger than a message may be: %u bytes at most", LOOM_PAYLOAD_MAX);
        free(out->data);
        out->data = NULL;
    }
    return out->data != NULL;
}

bool message_headers_read(const command *c, const options *o, loom_header headers[MESSAGE_HEADERS_MAX], size_t *count,
                          int *exit_code)
{
    loom_str given[MESSAGE_HEADERS_MAX];
    *count = options_values(o, "header", given, MESSAGE_HEADERS_MAX);
    if (*count > MESSAGE_HEADERS_MAX) {
        *exit_code = command_misuse(c, "at most %d --header options", MESSAGE_HEADERS_MAX);
        return false;
    }
    for (size_t i = 0; i < *count; i++) {
        const char *equals = memchr(given[i].data, '=', given[i].len);
        if (equals == NULL || equals == given[i].data) {
            *exit_code = command_misuse(c, "--header must be KEY=VALUE, not \"%.*s\"", (int)given[i].len, given[i].data);
            return false;
        }
        size_t key = (size_t)(equals - given[i].data);
        headers[i] = (loom_header){{given[i].data, key}, {equals + 1, given[i].len - key - 1}};
    }
    return true;
}

/* Without the white space around it: `export TRACEPARENT="$(cat file)"` is not how everybody does it. Empty: not set. */
static loom_str environment_text(const char *name)
{
    static const char space[] = " \t\r\n";
    const char *value = getenv(name);
    if (value == NULL) {
        return (loom_str){0};
    }
    value += strspn(value, space);
    size_t len = strlen(value);
    while (len > 0 && strchr(space, value[len - 1]) != NULL) {
        len--;
    }
    return (loom_str){value, len};
}

static void ignore(const command *c, const char *name, loom_str text)
{
    char shown[64];
    size_t len = text.len < sizeof shown - 1 ? text.len : sizeof shown - 1;
    for (size_t i = 0; i < len; i++) {
        shown[i] = text.data[i] >= ' ' && text.data[i] < 0x7f ? text.data[i] : '?';
    }
    shown[len] = '\0';
    command_fail(c, "ignoring an invalid %s: %s", name, shown);
}

/* What is invalid is reported and ignored, TRACESTATE with its TRACEPARENT (Trace Context, 3.3). */
static bool parent_from_environment(const command *c, loom_trace_context *parent, loom_str *tracestate)
{
    loom_str text = environment_text("TRACEPARENT");
    *tracestate = (loom_str){0};
    if (text.len == 0) {
        return false;
    }
    if (loom_traceparent_parse(parent, text) != LOOM_OK) {
        ignore(c, "TRACEPARENT", text);
        return false;
    }
    *tracestate = environment_text("TRACESTATE");
    if (loom_tracestate_check(*tracestate) != LOOM_OK) {
        ignore(c, "TRACESTATE", *tracestate);
        *tracestate = (loom_str){0};
    }
    return true;
}

loom_span *message_span_begin(const command *c, loom_tracer *tracer, const char *name)
{
    loom_trace_context parent;
    loom_str tracestate;
    bool has_parent = parent_from_environment(c, &parent, &tracestate);
    loom_span_options with = {.parent = has_parent ? &parent : NULL,
                              .parent_is_remote = has_parent,
                              .tracestate = tracestate,
                              .root = !has_parent};
    loom_span *span = loom_span_start(tracer, name, &with);
    loom_span_make_current(span);
    return span;
}

const char *message_trace_id(char out[LOOM_TRACE_ID_HEX_SIZE], const loom_span *span)
{
    const loom_trace_context *ctx = loom_span_context(span);
    if (!loom_trace_context_valid(ctx)) {
        return NULL;
    }
    loom_trace_id_to_hex(out, ctx->trace_id);
    return out;
}

char *message_baggage_read(const command *c)
{
    loom_str text = environment_text("BAGGAGE");
    loom_baggage *baggage;
    size_t dropped;
    if (text.len == 0 || loom_baggage_parse(&baggage, text, &dropped) != LOOM_OK) {
        return NULL;
    }
    if (dropped > 0) {
        command_fail(c, "leaving out %zu members of BAGGAGE that are invalid or more than a message holds", dropped);
    }
    loom_str kept = loom_baggage_text(baggage);
    char *copy = kept.len > 0 ? strndup(kept.data, kept.len) : NULL;
    loom_baggage_unref(baggage);
    return copy;
}

void message_payload_print(loom_bytes payload)
{
    if (isatty(STDOUT_FILENO)) {
        text_put(stdout, (loom_str){(const char *)payload.data, payload.len}, SIZE_MAX);
        putchar('\n');
    } else {
        fwrite(payload.data, 1, payload.len, stdout);
    }
}

bool message_topic_is_reserved(const command *c, const char *topic, int *exit_code)
{
    static const char prefix[] = "system.";
    if (strncmp(topic, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    *exit_code = command_fail(c, "cannot publish to \"%s\": topics under \"%s\" are the broker's own", topic, prefix);
    return true;
}
