/* SPDX-License-Identifier: Apache-2.0 */
/* The log records of one trace, to be looked at by span. */
#ifndef LOOM_TRACE_COLLECT_LOG_LIST_H
#define LOOM_TRACE_COLLECT_LOG_LIST_H

#include "trace/collect/logs.h"

enum { LOG_LIST_MAX = 2000 }; /* records */

typedef struct listed_log {
    log_record log; /* its slices are of bytes */
    loom_str service;
    uint8_t *bytes;
} listed_log;

/* All zeros: empty. */
typedef struct log_list {
    listed_log *items; /* by span id, then by time */
    size_t count;
    size_t capacity;
    uint64_t more; /* records of the trace that are not in it */
} log_list;

void log_list_fini(log_list *list);
/* Copies it. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status log_list_add(log_list *list, const log_record *log, loom_str service);
/* Once, when all are in it. */
void log_list_sort(log_list *list);
/* Those of a span; returns how many. *first is the first of them. list may be NULL. */
size_t log_list_of_span(const log_list *list, const uint8_t span_id[LOOM_SPAN_ID_SIZE], const listed_log **first);

#endif
