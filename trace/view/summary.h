/* SPDX-License-Identifier: Apache-2.0 */
/* One line about one trace, printed. */
#ifndef LOOM_TRACE_VIEW_SUMMARY_H
#define LOOM_TRACE_VIEW_SUMMARY_H

#include "trace/collect/summary.h"

#include <stdio.h>

/* The title of a waterfall. */
void trace_summary_print_title(FILE *out, const trace_summary *summary, bool colour);
/* A row of `loom trace ls`, with its heading; now_unix_ns for "3 m 20 s ago". */
void trace_summary_print_heading(FILE *out, bool colour);
void trace_summary_print_row(FILE *out, const trace_summary *summary, uint64_t now_unix_ns, bool colour);
/* The row as one JSON object and a newline. LOOM_ENOMEM: nothing was printed. */
LOOM_MUST_CHECK loom_status trace_summary_print_json(FILE *out, const trace_summary *summary);

#endif
