/* SPDX-License-Identifier: Apache-2.0 */
/* Events as JSON objects, and objects as lines, for --json. */
#ifndef LOOM_TOOLS_EVENT_JSON_H
#define LOOM_TOOLS_EVENT_JSON_H

#include <jansson.h>
#include <loom/envelope.h>
#include <stdio.h>

/* trace_id: what it says of the trace; NULL: nothing. The caller owns it. */
json_t *event_to_json(const loom_envelope *event, const char *trace_id);
/* "payload" with the text, or what is no text as "payload_base64". */
void payload_to_json(json_t *to, loom_bytes payload);
/* The object without white space; the same on a line of standard output. Both take the reference. */
void json_print(FILE *out, json_t *object);
void json_print_line(json_t *object);
/* Makes a broker's answer fit for programs, however deep it is: numbers that may have 64 bits become text, schemas objects, and
 * empty texts go. */
void json_tidy(json_t *value);
/* json_tidy() and json_print_line(): takes the reference, and changes what others hold, too. */
void json_print_tidy(json_t *object);
/* A number of 64 bits, as text: readers that keep numbers as floating point, jq 1.6 among them, round it otherwise. */
json_t *json_uint64(uint64_t value);

#endif
