/* SPDX-License-Identifier: Apache-2.0 */
/* One record of the log as a line of JSON or text, built in the memory of its caller: no heap, no lock, no locale.
 *
 *     record_begin(&r, &head);  record_message(&r, …);  record_string(&r, "operation", …) …  our own fields
 *     record_attr(&r, …) …      the user's, under names that cannot be taken for ours
 *     line = record_end(&r);
 *
 * What finds no room is cut, or left out whole, and the record says so at its end. */
#ifndef LOOM_TRACE_LOG_RECORD_H
#define LOOM_TRACE_LOG_RECORD_H

#include "trace/log/severity.h"
#include "trace/otlp/protobuf_write.h"
#include "trace/otlp/read.h"

typedef struct record_head {
    loom_log_format format;
    bool nanoseconds;
    uint64_t time_unix_ns;
    loom_severity severity;
    loom_str service;                  /* empty: none */
    const loom_trace_context *context; /* NULL or invalid: none */
} record_head;

typedef struct record {
    pb_buf b; /* of storage */
    record_head head;
    bool attributes; /* the object of the user's is open */
    bool cut;
    uint8_t storage[1 + LOOM_LOG_LINE_MAX]; /* the first byte is for the output: a newline after half a line */
} record;

void record_begin(record *r, const record_head *head);
/* Comes first; more: attributes follow, so it takes no more than half of the line. */
void record_message(record *r, loom_str message, bool more);
/* Our own fields: name is a constant of this source. */
void record_string(record *r, const char *name, loom_str value);
void record_duration_ms(record *r, const char *name, uint64_t ns);
/* The user's. A key that is empty is left out. */
void record_attr(record *r, const loom_attr *attr);
void record_encoded_attr(record *r, otlp_attr attr);
/* The line with its newline; the byte in front of it is r->storage[0]. Valid as long as r. */
loom_bytes record_end(record *r);

#endif
