/* SPDX-License-Identifier: Apache-2.0 */
/* What one line about one trace says: its root, its services, when it began, how long it took. */
#ifndef LOOM_TRACE_COLLECT_SUMMARY_H
#define LOOM_TRACE_COLLECT_SUMMARY_H

#include "trace/collect/spans.h"

#define SUMMARY_SERVICES_MAX 32u /* names kept; more are only counted as one */

typedef struct trace_summary {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    char *root_name, *root_service; /* of the first span without a parent; of the first span when there is none */
    uint64_t root_start_unix_ns;    /* of that span */
    bool root_found;
    bool incomplete; /* it was kept by flight recorders, and a part of it is not there (gaps.h) */
    uint64_t start_unix_ns, end_unix_ns;
    size_t span_count, error_count, service_count;
    char *services[SUMMARY_SERVICES_MAX]; /* in the order of their first span */
} trace_summary;

/* What a summary needs of one span. */
typedef struct summary_span {
    loom_str name, service;
    bool is_root, is_error;
    uint64_t start_unix_ns, end_unix_ns;
} summary_span;

/* An empty one, for trace_summary_add(). */
void trace_summary_begin(trace_summary *summary, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
LOOM_MUST_CHECK loom_status trace_summary_add(trace_summary *summary, const summary_span *span);
/* All of a range at once, and whether it is incomplete. On an error there is nothing to fini. */
LOOM_MUST_CHECK loom_status trace_summary_init(trace_summary *summary, span_range trace);
void trace_summary_fini(trace_summary *summary);

#endif
