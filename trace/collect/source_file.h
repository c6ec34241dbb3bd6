/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of OTLP/JSON: ExportTraceServiceRequests, a line each or indented, with or without a byte order mark, and in the
 * {"result": …} that Jaeger's API puts around them. */
#ifndef LOOM_TRACE_COLLECT_SOURCE_FILE_H
#define LOOM_TRACE_COLLECT_SOURCE_FILE_H

#include "trace/collect/spans.h"

#include <stdio.h>

typedef struct source_file_report {
    bool cut;          /* the last request is not finished: somebody is writing it, or was killed */
    size_t bad;        /* requests that could not be read, and were stepped over */
} source_file_report;

/* Adds the spans of every request and sorts the list. Empty lines are skipped, requests that cannot be read are counted, and
 * problem gets a sentence about the first, with the name and the line. LOOM_EMALFORMED, LOOM_ETOOBIG: there is a bad line,
 * and not a span in the whole file. LOOM_EIO, LOOM_ENOMEM: problem says what failed. */
LOOM_MUST_CHECK loom_status source_file_read(span_list *list, FILE *in, const char *name, source_file_report *report,
                                             char *problem, size_t problem_size);

#endif
