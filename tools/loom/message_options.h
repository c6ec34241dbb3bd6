/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that send a message share: its payload, its headers, and the trace it joins. */
#ifndef LOOM_TOOLS_MESSAGE_OPTIONS_H
#define LOOM_TOOLS_MESSAGE_OPTIONS_H

#include <loom/envelope.h>
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

typedef struct message_payload {
    uint8_t *data; /* free() it */
    size_t len;
} message_payload;

/* The second operand, --file, or standard input, at most LOOM_PAYLOAD_MAX bytes. optional: with neither of the first two, and a
 * terminal as standard input, it is empty. False: *exit_code, said on standard error, nothing to free. */
bool message_payload_read(const command *c, const options *o, bool optional, message_payload *out, int *exit_code);
/* All of --header. The strings are the options'. */
bool message_headers_read(const command *c, const options *o, loom_header headers[MESSAGE_HEADERS_MAX], size_t *count,
                          int *exit_code);
/* The span of this command: part of the trace that TRACEPARENT and TRACESTATE name, or the root of one. Current until it is
 * ended. */
loom_span *message_span_begin(const command *c, loom_tracer *tracer, const char *name);
/* The trace id as out has it then. NULL: without a tracer and a parent there is none, and the broker starts the trace. */
const char *message_trace_id(char out[LOOM_TRACE_ID_HEX_SIZE], const loom_span *span);
/* What BAGGAGE has for the message, as much of it as one holds. free() it. NULL: nothing. */
char *message_baggage_read(const command *c);
/* A payload on standard output: as it is into a pipe or file, harmless and with a newline on a terminal. */
void message_payload_print(loom_bytes payload);

/* Whether nobody but the broker publishes there, which fails the command: better before there is a trace of it than after. */
bool message_topic_is_reserved(const command *c, const char *topic, int *exit_code);

#endif
