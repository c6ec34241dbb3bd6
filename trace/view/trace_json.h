/* SPDX-License-Identifier: Apache-2.0 */
/* A trace as OTLP/JSON: what other tools read. */
#ifndef LOOM_TRACE_VIEW_TRACE_JSON_H
#define LOOM_TRACE_VIEW_TRACE_JSON_H

#include "trace/collect/spans.h"

#include <stdio.h>

/* One ExportTraceServiceRequest and a newline, of at most max bytes. Members besides, which OTLP has readers step over, say what is not
 * there: "truncated" and "total", when the trace has more spans than these; else "incomplete" and "missing", when a part of a kept one is
 * not there (gaps.h). LOOM_ENOMEM: nothing was printed. */
LOOM_MUST_CHECK loom_status trace_print_otlp_json(FILE *out, span_range trace, uint64_t total, size_t max);

#endif
