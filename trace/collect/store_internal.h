/* SPDX-License-Identifier: Apache-2.0 */
/* What the writing and the reading half of the store share. */
#ifndef LOOM_TRACE_COLLECT_STORE_INTERNAL_H
#define LOOM_TRACE_COLLECT_STORE_INTERNAL_H

#include "trace/collect/store.h"

#include <sqlite3.h>

enum store_write { WRITE_BEGIN, WRITE_COMMIT, WRITE_ROLLBACK, WRITE_SPAN, WRITE_ATTR, WRITE_TRACE, WRITE_OLDEST, WRITE_DROP_ATTRS,
                   WRITE_DROP_SPANS, WRITE_DROP_TRACE, WRITE_COUNT };

struct store {
    sqlite3 *db;
    sqlite3_stmt *write[WRITE_COUNT]; /* NULL in a reader */
    uint64_t retention_spans;         /* 0: no limit */
    uint64_t span_count, trace_count; /* of a writer, as of the last commit */
};

loom_status store_status(int sqlite_code);
/* Prepares for one use; the caller finalizes. */
loom_status store_prepare(store *s, sqlite3_stmt **out, const char *sql);
/* Binds as a blob that is never NULL. The bytes have to outlive the step. */
int store_bind_bytes(sqlite3_stmt *stmt, int index, loom_bytes bytes);
int store_bind_str(sqlite3_stmt *stmt, int index, loom_str text);
/* SQLite's integers end at 2^63; a time beyond (the year 2262) counts as that. */
sqlite3_int64 store_time(uint64_t unix_ns);

#endif
