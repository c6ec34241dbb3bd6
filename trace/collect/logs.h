/* SPDX-License-Identifier: Apache-2.0 */
/* Log records of OTLP (opentelemetry-proto, logs/v1), read without building an object tree. */
#ifndef LOOM_TRACE_COLLECT_LOGS_H
#define LOOM_TRACE_COLLECT_LOGS_H

#include "trace/otlp/protobuf_write.h"
#include "trace/otlp/read.h"

#include <loom/context.h>

/* Borrowed slices of the request. */
typedef struct log_record {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE], span_id[LOOM_SPAN_ID_SIZE]; /* zero: absent */
    uint64_t time_unix_ns;                                            /* or when it was observed */
    uint32_t severity;                                                /* OTLP's number; 0: none */
    loom_str severity_text, event;
    loom_bytes body;     /* encoded AnyValue */
    loom_bytes resource; /* encoded Resource */
    loom_bytes record;   /* the encoded LogRecord itself */
} log_record;

/* Calls visit for each record of an ExportLogsServiceRequest; false stops the walk, which is no error.
 * LOOM_EMALFORMED: not a request, or an id of the wrong length; records before the fault have been visited. */
LOOM_MUST_CHECK loom_status logs_read(loom_bytes request, bool (*visit)(void *user, const log_record *log), void *user);
/* One encoded LogRecord, without its resource. False: malformed. */
bool log_read(log_record *out, loom_bytes record);
/* Calls visit for each attribute of an encoded LogRecord, until it returns false. */
void log_read_attrs(loom_bytes record, bool (*visit)(void *user, otlp_attr attr), void *user);
/* {"time_unix_ns":"…","span_id":…,"severity":9,"severity_text":…,"event":…,"service":…,"body":…,"attributes":[[key, value], …]},
 * without what is absent; values as plain JSON. */
void log_print_json(pb_buf *out, const log_record *log, loom_str service);

#endif
