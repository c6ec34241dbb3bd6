/* SPDX-License-Identifier: Apache-2.0 */
/* Traces to test with, written as tables. */
#ifndef LOOM_TESTS_UNIT_COLLECT_TRACE_FIXTURE_H
#define LOOM_TESTS_UNIT_COLLECT_TRACE_FIXTURE_H

#include "tests/support/check.h"
#include "trace/collect/spans.h"
#include "trace/otlp/protobuf_write.h"

#include <loom/trace.h>

#define FIXTURE_START_NS UINT64_C(1700000000000000000) /* 2023-11-14 22:13:20 UTC */
#define FIXTURE_LADDER_COUNT 11

/* Ids are small numbers: span 7 has the id 00…07. Times are microseconds after FIXTURE_START_NS. */
typedef struct fixture_span {
    uint8_t id, parent; /* parent 0: none */
    const char *name;
    int kind;
    const char *service;
    uint32_t start_us, end_us;
    uint8_t link, links[3]; /* 0: none */
    int status;
    const char *message;   /* of the status; may be NULL */
    const char *key, *value; /* an attribute; key may be NULL */
    const char *other_key, *other_value;
    const char *event;       /* name of an event at the start; may be NULL */
} fixture_span;

/* One reading of the trace-test demo. */
extern const fixture_span fixture_ladder[FIXTURE_LADDER_COUNT];

/* Appends an encoded ExportTraceServiceRequest to out; every id of the trace is 16 times trace. */
void fixture_request(pb_buf *out, uint8_t trace, const fixture_span *spans, size_t count);
/* A sorted list of one trace; fixture_range() is all of it. */
void fixture_list(span_list *list, uint8_t trace, const fixture_span *spans, size_t count);
span_range fixture_range(const span_list *list);

/* A folder of its own for one test, gone with fixture_folder_remove(). */
void fixture_folder_make(char folder[64]);
void fixture_folder_remove(const char *folder);

#endif
