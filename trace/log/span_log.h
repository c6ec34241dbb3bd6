/* SPDX-License-Identifier: Apache-2.0 */
/* Which finished spans become records of the log, and how they look there. */
#ifndef LOOM_TRACE_LOG_SPAN_LOG_H
#define LOOM_TRACE_LOG_SPAN_LOG_H

#include "trace/log/logger.h"

#define SPAN_LOG_ATTRS_MAX 32u

typedef struct span_log_rules {
    bool all, errors, all_attrs;
    loom_log_format format;
    uint64_t slow_ns; /* UINT64_MAX: no span is slow */
    loom_str attrs[SPAN_LOG_ATTRS_MAX]; /* keys, in the text that was parsed */
    size_t attr_count;
} span_log_rules;

/* The list of <loom/log.h>. False: *bad is the item that is wrong. */
bool span_log_parse(span_log_rules *out, loom_str text, loom_str *bad);
/* Writes the record of a span, if the rules want one. */
bool span_log_write(const span_log_rules *rules, loom_logger *logger, const otlp_span *span);

#endif
