/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that send a message share: its payload, its headers, and the trace it joins. */
#ifndef LOOM_TOOLS_MESSAGE_OPTIONS_H
#define LOOM_TOOLS_MESSAGE_OPTIONS_H

#include <loom/envelope.h>
#include <loom/propagation.h>
#include <loom/trace.h>

#include "tools/loom/verb.h"

enum { MESSAGE_HEADERS_MAX = 64 };

#define OPTIONS_PAYLOAD                                                                                              \
    {.name = "file", .letter = 'f', .kind = OPTION_VALUE, .value = "FILE", .group = "Message",                       \
     .help = "Read the payload from this file; - is standard input"},                                                     \
    {.name = "header", .letter = 'H', .kind = OPTION_VALUE, .repeatable = true, .value = "KEY=VALUE",                \
     .group = "Message", .help = "Add a header"},                                                                    \
    {.name = "content-type", .kind = OPTION_VALUE, .value = "TYPE", .group = "Message",                              \
     .help = "Media type of the payload"}

/* Where a trace comes from, of every verb that starts or continues one. */
#define OPTION_TRACE_PARENT                                                                                          \
    {.name = "trace-parent", .kind = OPTION_VALUE, .value = "TRACEPARENT", .group = "Trace",                         \
     .help = "Trace to join, as a W3C traceparent; comes before what the environment names"},                        \
    {.name = "trace-state", .kind = OPTION_VALUE, .value = "LIST", .group = "Trace",                                 \
     .help = "W3C tracestate of that trace"}
/* Of the verbs that print trace ids. */
#define OPTION_TRACE_UNSAMPLED                                                                                       \
    {.name = "no-trace-when-unsampled", .kind = OPTION_FLAG, .group = "Trace",                                       \
     .help = "Print nothing about a trace that is not sampled, not even its id, which nobody will find"}
#define OPTIONS_TRACE                                                                                                \
    OPTION_TRACE_PARENT,                                                                                             \
    {.name = "baggage", .kind = OPTION_VALUE, .value = "LIST", .group = "Trace",                                     \
     .help = "W3C baggage to send along, instead of the environment's"}
/* For the trailer of such a verb. */
#define TRACE_ENVIRONMENT(baggage)                                                                                   \
    "Environment:\n"                                                                                                 \
    "  TRACEPARENT, TRACESTATE   the trace to join; if not valid, OTEL_TRACEPARENT, or\n"                            \
    "                            LOOM_TRACE_ID and LOOM_SPAN_ID\n" baggage                                           \
    "  OTEL_PROPAGATORS          which of these count: tracecontext,baggage by default;\n"                           \
    "                            also b3 and b3multi (B3, X_B3_*), x-trace-id\n"                                     \
    "                            (X_TRACE_ID, X_SPAN_ID), none\n"                                                \
    "  OTEL_TRACES_EXPORTER      where spans go: otlp (the default, to\n"                                           \
    "                            OTEL_EXPORTER_OTLP_ENDPOINT, http://localhost:4317\n"                               \
    "                            when it is not set), console, none\n"                                               \
    "  LOOM_SPANS_FILE           a file to keep them in as well, for `loom trace --file`\n"                          \
    "  docs/OPENTELEMETRY.md has all variables of tracing.\n"
#define BAGGAGE_ENVIRONMENT                                                                                          \
    "  BAGGAGE                   the baggage to send; if not valid, LOOM_TRACE_BAGGAGE\n"

typedef struct message_payload {
    uint8_t *data; /* free() it */
    size_t len;
} message_payload;

/* The second operand, --file, or standard input, at most LOOM_PAYLOAD_MAX bytes. optional: with neither of the first two, and a
 * terminal as standard input, it is empty. False: *exit_code, said on standard error, nothing to free. */
bool message_payload_read(const command *c, const options *o, bool optional, message_payload *out, int *exit_code);
/* All of a repeatable option KEY=VALUE, at most max (MESSAGE_HEADERS_MAX or less). The strings are the options'. */
bool message_pairs_read(const command *c, const options *o, const char *option, loom_header *pairs, size_t max,
                        size_t *count, int *exit_code);
/* All of --header. */
bool message_headers_read(const command *c, const options *o, loom_header headers[MESSAGE_HEADERS_MAX], size_t *count,
                          int *exit_code);
/* What the command line, or else the environment, says of the trace and the baggage. Each value that is not valid is told on
 * standard error and passed over, none fails a command. loom_propagation_fini() it. */
void message_trace_read(const command *c, const options *o, loom_propagation *out);
/* The span of this command: part of that trace, or the root of one. Current until it is ended. */
loom_span *message_span_begin(loom_tracer *tracer, const char *name, const loom_propagation *trace);
/* The span of a command that runs until it is stopped, and works for the traces of others: only within a trace that it was
 * started in, otherwise NULL. Not current. It reads the trace as above, and leaves baggage alone. */
loom_span *message_run_begin(const command *c, const options *o, loom_tracer *tracer, const char *name);
/* The trace id to print, as out has it then. NULL: there is none, since without a tracer and a parent the broker starts the
 * trace; or it is not sampled, and --no-trace-when-unsampled given. */
const char *message_trace_id(char out[LOOM_TRACE_ID_HEX_SIZE], const options *o, const loom_trace_context *ctx);
/* The same of a message. */
const char *message_trace_id_of(char out[LOOM_TRACE_ID_HEX_SIZE], const options *o, const loom_envelope *event);
/* A payload on standard output: as it is into a pipe or file, harmless and with a newline on a terminal. */
void message_payload_print(loom_bytes payload);

/* On standard error, unless --quiet: that a topic or filter looks like one of MQTT's, and what it means here. */
void message_topic_hint(const command *c, const options *o, const char *topic);
/* Whether nobody but the broker publishes there, which fails the command: better before there is a trace of it than after. */
bool message_topic_is_reserved(const command *c, const char *topic, int *exit_code);

#endif
