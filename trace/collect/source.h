/* SPDX-License-Identifier: Apache-2.0 */
/* Where traces are read from: the store, or a file of OTLP/JSON lines as the file exporter writes them. */
#ifndef LOOM_TRACE_COLLECT_SOURCE_H
#define LOOM_TRACE_COLLECT_SOURCE_H

#include "trace/collect/log_list.h"
#include "trace/collect/source_file.h"
#include "trace/collect/store.h"

#define SOURCE_PROBLEM_SIZE 1024 /* bytes with NUL */
#define SOURCE_NAME_SIZE 256

typedef struct trace_source {
    store *db;      /* NULL for a file */
    span_list file; /* sorted */
    char name[SOURCE_NAME_SIZE]; /* of the file or database, for people; cut when it is longer */
    char problem[SOURCE_PROBLEM_SIZE]; /* a sentence about the last failure; after opening, about the first bad line */
    source_file_report report; /* of a file */
} trace_source;

/* file, or else db, or else the default database. "-" is standard input. On an error problem says why, and there is
 * nothing to close. */
LOOM_MUST_CHECK loom_status trace_source_open(trace_source *source, const char *db, const char *file);
void trace_source_close(trace_source *source);

LOOM_MUST_CHECK loom_status trace_source_list(trace_source *source, const store_filter *filter,
                                              bool (*visit)(void *user, const trace_summary *summary), void *user);
/* The id that begins with these hex digits, of either case. LOOM_ENOTFOUND: no such trace, or more than one.
 * LOOM_EINVAL: no prefix. */
LOOM_MUST_CHECK loom_status trace_source_find(trace_source *source, const char *prefix, uint8_t id[LOOM_TRACE_ID_SIZE]);
LOOM_MUST_CHECK loom_status trace_source_latest(trace_source *source, uint8_t id[LOOM_TRACE_ID_SIZE]);
/* The spans of one trace. list holds their bytes, or is empty when the source has them. */
LOOM_MUST_CHECK loom_status trace_source_load(trace_source *source, const uint8_t id[LOOM_TRACE_ID_SIZE], span_list *list,
                                              span_range *trace);
/* What was logged in the trace, at most LOG_LIST_MAX records of it. A file of spans has none. */
LOOM_MUST_CHECK loom_status trace_source_load_logs(trace_source *source, const uint8_t id[LOOM_TRACE_ID_SIZE], log_list *list);

#endif
