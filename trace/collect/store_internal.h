/* SPDX-License-Identifier: Apache-2.0 */
/* What the writing and the reading half of the store share. */
#ifndef LOOM_TRACE_COLLECT_STORE_INTERNAL_H
#define LOOM_TRACE_COLLECT_STORE_INTERNAL_H

#include "trace/collect/digest.h"
#include "trace/collect/slice.h"
#include "trace/collect/store.h"

#include <sqlite3.h>
#include <stdatomic.h>

enum store_write { WRITE_BEGIN, WRITE_COMMIT, WRITE_ROLLBACK, WRITE_LAST_NUMBER, WRITE_FIND_TRACE, WRITE_NEW_TRACE, WRITE_MORE_OF_TRACE,
                   WRITE_SPAN_ID, WRITE_BLOCK, WRITE_LINK, WRITE_OLDEST, WRITE_USED_PAGES, WRITE_DROP_IDS, WRITE_DROP_BLOCKS, WRITE_DROP_LINKS,
                   WRITE_DROP_LOGS,
                   WRITE_DROP_TRACE, WRITE_LOG, WRITE_FORGET_LOGS, WRITE_COUNT };

struct store {
    sqlite3 *db;
    sqlite3_stmt *write[WRITE_COUNT]; /* NULL in a reader */
    store_retention retention;
    uint64_t page_size;               /* of a writer, as the two below */
    uint64_t unsized_bytes;           /* added since its size was looked at */
    uint64_t span_count, trace_count; /* of a writer, as of the last commit */
    slice *slice;                     /* of a writer: what is being added */
    digest digest;                    /* of the block that is being added */
    uint64_t deadline_ns;             /* of CLOCK_MONOTONIC, for questions; 0: none */
    const atomic_bool *stop;          /* ends a question, as the deadline does; may be NULL */
    char problem[STORE_PROBLEM_SIZE]; /* of store_problem() */
    struct store_summaries *summaries; /* store_summary.c; NULL: none yet */
};

loom_status store_status(int sqlite_code);
/* Prepares for one use; the caller finalizes. */
loom_status store_prepare(store *s, sqlite3_stmt **out, const char *sql);
/* Binds as a blob that is never NULL. The bytes have to outlive the step. */
int store_bind_bytes(sqlite3_stmt *stmt, int index, loom_bytes bytes);
int store_bind_str(sqlite3_stmt *stmt, int index, loom_str text);
/* SQLite's integers end at 2^63; a time beyond (the year 2262) counts as that. */
sqlite3_int64 store_time(uint64_t unix_ns);
/* Longer keys and values cannot be searched for: they are content rather than names. */
enum { STORE_SEARCHABLE_MAX = 256 };
/* In digests service.name of the resource has an empty key, which no attribute of a span has. */
static const loom_str store_service_key = {"", 0};

/* By what the table of links knows a trace. */
sqlite3_int64 store_link_key(const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);

/* Whether what is under way has to end, with LOOM_ETIMEDOUT. */
bool store_is_over_budget(const store *s);

/* ---- store_add.c ---- */
/* Runs a write to its end and leaves it ready for the next; SQLite's code, as below. */
int store_run(sqlite3_stmt *stmt);
/* Unless SQLite has done so by itself, as after some errors. */
void store_roll_back(store *s);

/* ---- store_retention.c ---- */
/* Within a transaction that has added so many spans: drops what is too much of what there is then. *more: not all of it. */
int store_keep_retention(store *s, uint64_t added, uint64_t *span_count, uint64_t *trace_count, bool *more);

/* ---- store_read.c ---- */
loom_bytes store_column_bytes(sqlite3_stmt *stmt, int column);
typedef struct store_row {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    sqlite3_int64 number;
    uint64_t spans;
} store_row;
/* The traces that a filter selects, in its order, until visit fails or clears *more. */
loom_status store_walk(store *s, const store_filter *filter, loom_status (*visit)(void *user, const store_row *row, bool *more), void *user);

/* ---- store_load.c ---- */
typedef struct store_blocks {
    store *store;
    sqlite3_stmt *stmt;
    store_limits limits; /* of these, how much is read */
} store_blocks;
/* limits may be NULL: there are none. Closed in every outcome. */
loom_status store_blocks_open(store_blocks *b, store *s, const store_limits *limits);
void store_blocks_close(store_blocks *b);
/* The spans of a trace, in the order of their times. The caller ends list, whatever comes of it. */
loom_status store_blocks_read(store_blocks *b, sqlite3_int64 number, span_list *list);

/* ---- store_summary.c ---- */
enum { STORE_SUMMARIES_MAX = 1024 };
void store_summaries_fini(store *s);

/* ---- store_schema.c ---- */
loom_status store_exec(store *s, const char *sql);
/* The first column of the first row; 0: there is none. */
loom_status store_read_number(store *s, const char *sql, uint64_t *out);
/* LOOM_EVERSION: a file of another program, or of another version of Loom, which is left alone. */
loom_status store_schema_check(store *s);
/* The same, within a transaction; an empty file gets the tables, and those of an older version are brought up to date. */
loom_status store_schema_make(store *s);

/* ---- store_search.c ---- */
/* The SQL functions of build_list_sql(): may_hold(digest, key, value) and holds(request, key, value); key NULL is the service.
 * Of store_schema_make(): block_finish(request) and block_errors(request). */
loom_status store_add_functions(store *s);

#endif
