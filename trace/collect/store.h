/* SPDX-License-Identifier: Apache-2.0 */
/* The trace store: one SQLite file. One process writes, any number read meanwhile (write-ahead log).
 * A store is used by one thread at a time. */
#ifndef LOOM_TRACE_COLLECT_STORE_H
#define LOOM_TRACE_COLLECT_STORE_H

#include "trace/collect/summary.h"

#include <stdatomic.h>

#define STORE_PROBLEM_SIZE 512 /* bytes with NUL */
#define STORE_ATTRS_MAX 16     /* conditions of one query */

typedef struct store store;

/* What is kept; 0: no limit. Beyond it whole traces are dropped, those that started first, but never the newest. */
typedef struct store_retention {
    uint64_t spans;
    uint64_t age_ns; /* since a trace started */
    uint64_t bytes;  /* of the file that hold something; it does not shrink, but what was dropped makes room in it */
} store_retention;

/* Makes the file, and the folders above it (mode 0700), when they are missing.
 * LOOM_EIO, LOOM_EBUSY, LOOM_EVERSION, LOOM_EDENIED, LOOM_ENOMEM: problem gets a sentence. */
LOOM_MUST_CHECK loom_status store_open_writer(store **out, const char *path, const store_retention *keep,
                                              char problem[STORE_PROBLEM_SIZE]);
/* Drops some of what is too old or too much; *more: there is more of it. To be called now and then: store_add() does the same,
 * but only when spans come. */
LOOM_MUST_CHECK loom_status store_tidy(store *s, bool *more);
/* The same, and LOOM_ENOTFOUND when there is no file. */
LOOM_MUST_CHECK loom_status store_open_reader(store **out, const char *path, char problem[STORE_PROBLEM_SIZE]);
void store_close(store *s); /* NULL is allowed */

/* $LOOM_TRACE_DB, or ${XDG_STATE_HOME:-~/.local/state}/loom/traces.db, allocated. LOOM_ENOTFOUND: no home. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status store_default_path(char **out);

typedef struct store_receipt {
    size_t stored;
    size_t known;    /* delivered before: kept as they were */
    size_t rejected; /* a trace id or span id of zeros, which OpenTelemetry forbids */
} store_receipt;

/* Stores the spans of an encoded ExportTraceServiceRequest, all of them or none, in one transaction. They are with the
 * operating system when it returns: a crash of this process loses nothing that was answered, one of the machine may lose
 * the last seconds.
 * LOOM_EMALFORMED: not a request. LOOM_EBUSY: another writer. LOOM_EIO: disk full and the like. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status store_add(store *s, loom_bytes request, store_receipt *receipt);

/* Stores the log records of an encoded ExportLogsServiceRequest, as store_add() does; those without a trace id have no place to
 * be shown at, and are rejected, as are those over STORE_LOG_MAX. The latest STORE_LOGS_MAX are kept, and none of a trace
 * that is dropped. */
enum { STORE_LOG_MAX = 8 * 1024, STORE_LOGS_MAX = 100000 };
LOOM_MUST_CHECK loom_status store_add_logs(store *s, loom_bytes request, store_receipt *receipt);
LOOM_MUST_CHECK loom_status store_count_logs(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], uint64_t *count);
/* The log records of a trace in the order of their times, up to max; visit returns false to stop. */
struct log_record;
LOOM_MUST_CHECK loom_status store_visit_logs(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], size_t max,
                                             bool (*visit)(void *user, const struct log_record *log, loom_str service), void *user);

typedef struct store_attr {
    loom_str key, value;
} store_attr;

typedef struct store_filter {
    loom_str service;                   /* of any span; empty: any */
    store_attr attrs[STORE_ATTRS_MAX];  /* all of them have to be in the trace, on any of its spans */
    size_t attr_count;
    uint64_t since_unix_ns; /* the trace started then or later; 0: any time */
    bool failed;            /* only those with a span that failed */
    bool slowest_first;     /* instead of the newest */
    uint64_t min_duration_ns, max_duration_ns; /* from the first start to the last end; 0: any */
    uint64_t limit;         /* traces */
} store_filter;

/* Summaries of traces, newest or slowest first; visit returns false to stop. */
LOOM_MUST_CHECK loom_status store_list(store *s, const store_filter *filter,
                                       bool (*visit)(void *user, const trace_summary *summary), void *user);
/* The same with all spans of each trace, in the order of their times; they are gone when visit returns. */
LOOM_MUST_CHECK loom_status store_visit(store *s, const store_filter *filter,
                                        bool (*visit)(void *user, const uint8_t id[LOOM_TRACE_ID_SIZE], span_range trace), void *user);
/* Up to max ids from first to last, both included, in order. */
LOOM_MUST_CHECK loom_status store_find(store *s, const uint8_t first[LOOM_TRACE_ID_SIZE],
                                       const uint8_t last[LOOM_TRACE_ID_SIZE], uint8_t (*ids)[LOOM_TRACE_ID_SIZE],
                                       size_t max, size_t *count);
/* The trace that started last. LOOM_ENOTFOUND: the store is empty. */
LOOM_MUST_CHECK loom_status store_latest(store *s, uint8_t id[LOOM_TRACE_ID_SIZE]);
/* Adds the spans of a trace to list. LOOM_ENOTFOUND. */
LOOM_MUST_CHECK loom_status store_load(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], span_list *list);
/* How much of a trace a question may cost, and bring; 0: no limit. */
typedef struct store_limits {
    size_t read_spans, read_bytes; /* are looked at, in the order in which they came */
    size_t spans, bytes;           /* of those are loaded, the earliest; bytes as they are stored */
} store_limits;
/* As store_load(), within limits; *total is how many spans the trace has. */
LOOM_MUST_CHECK loom_status store_load_some(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], const store_limits *limits, span_list *list,
                                            uint64_t *total);
/* From now on a question to this reader ends with LOOM_ETIMEDOUT after ms, or when *stop is set; what it has visited until then
 * it has visited. ms 0: it may take its time. stop may be NULL. */
void store_set_budget(store *s, uint32_t ms, const atomic_bool *stop);
/* Up to max ids of other traces with a span that links to this one, the newest first. Rarely, one that does not. */
LOOM_MUST_CHECK loom_status store_linking(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], uint8_t (*ids)[LOOM_TRACE_ID_SIZE],
                                          size_t max, size_t *count);
/* A number that is another one after something was stored by whomever, through another store. Costs nothing worth naming. */
LOOM_MUST_CHECK loom_status store_version(store *s, uint64_t *version);
/* What SQLite and the system said about the last failure. Valid until the next call. */
const char *store_problem(store *s);

#endif
