/* SPDX-License-Identifier: Apache-2.0 */
/* An event as a line of one's own, after kcat -f and mosquitto_sub -F: a text in which %t is the topic, %p the payload, and so
 * on. Parsed once, printed for each event. */
#ifndef LOOM_TOOLS_EVENT_FORMAT_H
#define LOOM_TOOLS_EVENT_FORMAT_H

#include <loom/envelope.h>
#include <stdio.h>

#define EVENT_FORMAT_WORDS                                                                                           \
    "  %t topic             %p payload           %i event id\n"                                                      \
    "  %y type              %x payload in hex    %s sender\n"                                                        \
    "  %C content type      %b payload, base64   %d thread id\n"                                                     \
    "  %h headers, a=b,c=d  %l payload's bytes   %c correlation id\n"                                                \
    "  %{NAME} one header   %J all, as JSON      %r reply_to\n"                                                      \
    "  %I time, ISO 8601    %U time, Unix        %T trace id\n"                                                      \
    "  %n number, from 1    %% a percent sign    \\n \\t \\0 \\\\ \\xHH bytes\n"                                     \
    "  A newline ends each event, unless the format ends in \\n, in \\0, or in \\c, which is nothing.\n"

enum { EVENT_FORMAT_ERROR_SIZE = 160 };

typedef struct event_format {
    const char *text; /* borrowed; checked */
    bool ends_itself;
} event_format;

/* LOOM_EINVAL: why says what is wrong. */
LOOM_MUST_CHECK loom_status event_format_parse(event_format *f, const char *text, char why[EVENT_FORMAT_ERROR_SIZE]);
/* trace_id NULL: it has none, or none to tell. number: of the event. harmless: nothing that a terminal would obey. */
void event_format_print(const event_format *f, FILE *out, const loom_envelope *event, const char *trace_id, uint64_t number, bool harmless);

#endif
