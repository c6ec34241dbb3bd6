/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/message_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "envelope/reserved.h"
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
        *out = (message_payload){NULL, 0}; /* whoever reads it frees what it has got, in every outcome */
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
        *exit_code = command_fail_with(c, LOOM_ETOOBIG, "the payload is larger than a message may be: %u bytes at most", LOOM_PAYLOAD_MAX);
        free(out->data);
        out->data = NULL;
    }
    return out->data != NULL;
}

bool message_pairs_read(const command *c, const options *o, const char *option, loom_header *pairs, size_t max,
                        size_t *count, int *exit_code)
{
    loom_str given[MESSAGE_HEADERS_MAX];
    *count = options_values(o, option, given, max);
    if (*count > max) {
        *exit_code = command_misuse(c, "at most %zu --%s options", max, option);
        return false;
    }
    for (size_t i = 0; i < *count; i++) {
        const char *equals = memchr(given[i].data, '=', given[i].len);
        if (equals == NULL || equals == given[i].data) {
            *exit_code = command_misuse(c, "--%s must be KEY=VALUE, not \"%.*s\"", option, (int)given[i].len, given[i].data);
            return false;
        }
        size_t key = (size_t)(equals - given[i].data);
        pairs[i] = (loom_header){{given[i].data, key}, {equals + 1, given[i].len - key - 1}};
    }
    return true;
}

bool message_headers_read(const command *c, const options *o, loom_header headers[MESSAGE_HEADERS_MAX], size_t *count,
                          int *exit_code)
{
    return message_pairs_read(c, o, "header", headers, MESSAGE_HEADERS_MAX, count, exit_code);
}

static void report(void *user, const char *text)
{
    (void)command_fail(user, "%s", text);
}

static void read_trace(const command *c, const options *o, unsigned propagators, loom_propagation *out)
{
    const loom_propagation_arguments arguments = {options_value(o, "trace-parent"), options_value(o, "trace-state"),
                                                  options_value(o, "baggage")};
    const loom_propagation_report to = {report, (void *)(uintptr_t)c};
    if (loom_propagation_from_environment(out, &arguments, propagators, &to) != LOOM_OK) {
        (void)command_fail(c, "out of memory for tracestate and baggage: going on without");
    }
}

void message_trace_read(const command *c, const options *o, loom_propagation *out)
{
    read_trace(c, o, loom_propagators_from_env(), out);
}

loom_span *message_span_begin(loom_tracer *tracer, const char *name, const loom_propagation *trace)
{
    const loom_span_options with = loom_propagation_span_options(trace, LOOM_SPAN_INTERNAL);
    loom_span *span = loom_span_start(tracer, name, &with);
    loom_span_make_current(span);
    return span;
}

loom_span *message_run_begin(const command *c, const options *o, loom_tracer *tracer, const char *name)
{
    loom_propagation trace;
    loom_span *span = NULL;
    read_trace(c, o, loom_propagators_from_env() & ~(unsigned)LOOM_PROPAGATOR_BAGGAGE, &trace);
    if (loom_trace_context_valid(&trace.context)) {
        const loom_span_options with = loom_propagation_span_options(&trace, LOOM_SPAN_INTERNAL);
        span = loom_span_start(tracer, name, &with);
    }
    loom_propagation_fini(&trace);
    return span;
}

const char *message_trace_id(char out[LOOM_TRACE_ID_HEX_SIZE], const options *o, const loom_trace_context *ctx)
{
    bool sampled = (ctx->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0;
    if (!loom_trace_context_valid(ctx) || (!sampled && options_is_on(o, "no-trace-when-unsampled"))) {
        return NULL;
    }
    loom_trace_id_to_hex(out, ctx->trace_id);
    return out;
}

const char *message_trace_id_of(char out[LOOM_TRACE_ID_HEX_SIZE], const options *o, const loom_envelope *event)
{
    loom_trace_context ctx;
    return loom_envelope_extract(event, &ctx) ? message_trace_id(out, o, &ctx) : NULL;
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

static bool has_segment(const char *text, char only)
{
    for (const char *at = text; at != NULL; at = strchr(at, '.')) {
        at += *at == '.';
        if (at[0] == only && (at[1] == '\0' || at[1] == '.')) {
            return true;
        }
    }
    return false;
}

void message_topic_hint(const command *c, const options *o, const char *topic)
{
    if (options_is_on(o, "quiet")) {
        return;
    }
    if (strchr(topic, '/') != NULL && strchr(topic, '.') == NULL) {
        (void)command_fail(c, "note: \"%s\" is one segment; segments are separated by dots here, not by slashes", topic);
    } else if (has_segment(topic, '#') || has_segment(topic, '+')) {
        (void)command_fail(c, "note: # and + are plain characters in \"%s\"; * stands for one segment, > at the end for one or more", topic);
    }
}

bool message_topic_is_reserved(const command *c, const char *topic, int *exit_code)
{
    if (!broker_name_reserved(str_of(topic))) {
        return false;
    }
    *exit_code = command_fail_with(c, LOOM_EDENIED, "cannot publish to \"%s\": topics under \"system.\" are the broker's own", topic);
    return true;
}
