/* SPDX-License-Identifier: Apache-2.0 */
/* A span as a line of JSON, read and checked (trace/process/libraries/FORMAT.md). Texts stay where they lie in the line. */
#ifndef LOOM_TRACE_PROCESS_COLLECT_SPAN_JSON_H
#define LOOM_TRACE_PROCESS_COLLECT_SPAN_JSON_H

#include "trace/process/collect/json_scan.h"

#include <loom/trace.h>

#define SPAN_ID_TEXT_MAX 256u /* bytes of an id that is neither hex nor a UUID */

/* Why a line is rejected. X(name, word for counters, text) */
#define SPAN_PROBLEM_MAP(X)                                                                                   \
    X(NONE, "none", "valid")                                                                            \
    X(JSON, "json", "not a JSON object")                                                                         \
    X(FIELD_TYPE, "field_type", "a field has the wrong type")                                                 \
    X(TRACE_ID, "trace_id", "trace_id is missing, all zeros, or longer than 256 bytes")                       \
    X(SPAN_ID, "span_id", "span_id is missing, all zeros, the command's own, or longer than 256 bytes")       \
    X(NAME, "name", "name is missing or empty")                                                               \
    X(START_TIME, "start_time", "start_time is missing, or no RFC 3339 time with a zone")                     \
    X(END_TIME, "end_time", "end_time is missing, or no RFC 3339 time with a zone")                           \
    X(TIME_ORDER, "time_order", "end_time is before start_time")

typedef enum span_problem {
#define X(name, word, text) SPAN_PROBLEM_##name,
    SPAN_PROBLEM_MAP(X)
#undef X
    SPAN_PROBLEMS
} span_problem;

const char *span_problem_word(unsigned problem);
const char *span_problem_text(span_problem problem);

enum { SPAN_DROPPED_ATTRS, SPAN_DROPPED_EVTS, SPAN_DROPPED_LNKS, SPAN_DROPPED };

/* An absent value has the type SCAN_NULL. */
typedef struct span_json {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    uint8_t span_id[LOOM_SPAN_ID_SIZE];
    uint8_t parent_id[LOOM_SPAN_ID_SIZE];
    bool has_parent;
    loom_span_kind kind;
    loom_span_status status;
    uint64_t start_ns, end_ns;
    uint64_t dropped[SPAN_DROPPED];
    json_value given_trace_id, given_parent_id; /* as written in the line */
    json_value name, status_message, trace_state, service, scope;
    json_value attributes, events, links;
} span_json;

/* SPAN_PROBLEM_NONE: *out is a span; its slices are of line. */
span_problem span_json_read(span_json *out, loom_str line);

/* Ids of links. false: as trace_id and span_id above. */
bool span_json_trace_id(uint8_t out[LOOM_TRACE_ID_SIZE], const json_value *value);
bool span_json_span_id(uint8_t out[LOOM_SPAN_ID_SIZE], const json_value *value);

#endif
