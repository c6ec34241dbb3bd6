/* SPDX-License-Identifier: Apache-2.0 */
/* What a logger is, for those who write records of their own through it. */
#ifndef LOOM_TRACE_LOG_LOGGER_H
#define LOOM_TRACE_LOG_LOGGER_H

#include "trace/log/output.h"
#include "trace/log/record.h"

/* Constant after create, but for the atomics. */
struct loom_logger {
    atomic_uint refs;
    atomic_int minimum;
    atomic_uint_fast64_t cut;
    output out;
    int own_fd; /* of `path`; -1: none */
    loom_log_format format;
    bool nanoseconds;
    char *service; /* NULL: none */
};

/* The head of a record of this logger, with its service. */
record_head logger_head(const loom_logger *logger, loom_severity severity, const loom_trace_context *context,
                        uint64_t time_unix_ns);
/* Ends the record and writes it. */
bool logger_write(loom_logger *logger, record *r);

#endif
