/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of OTLP/JSON: ExportTraceServiceRequests, a line each or indented, with or without a byte order mark, and in the
 * {"result": …} that Jaeger's API puts around them. */
#ifndef LOOM_TRACE_COLLECT_SOURCE_FILE_H
#define LOOM_TRACE_COLLECT_SOURCE_FILE_H

#include "trace/collect/spans.h"

#include <stdio.h>

/* Adds the spans of every request and sorts the list. Empty lines are skipped; a last request that is not finished sets
 * *cut and is skipped, too. LOOM_EMALFORMED, LOOM_ETOOBIG, LOOM_EIO, LOOM_ENOMEM: problem gets a sentence,
 * with the name and the line. */
LOOM_MUST_CHECK loom_status source_file_read(span_list *list, FILE *in, const char *name, bool *cut, char *problem,
                                             size_t problem_size);

#endif
