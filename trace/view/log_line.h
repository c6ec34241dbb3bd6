/* SPDX-License-Identifier: Apache-2.0 */
/* A log record on one line, for a terminal. */
#ifndef LOOM_TRACE_VIEW_LOG_LINE_H
#define LOOM_TRACE_VIEW_LOG_LINE_H

#include "trace/collect/logs.h"

#include <stdio.h>

/* "WARN stock is low sku=42 at 1.2 ms"; start_unix_ns: of the trace. No newline. */
void log_line_put(FILE *out, const log_record *log, uint64_t start_unix_ns);
bool log_line_is_bad(const log_record *log); /* ERROR or worse */

#endif
