/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the store, and how those of an older version become them. */
#include "trace/collect/store_internal.h"

enum { SCHEMA_VERSION = 4, VERSION_2 = 2, VERSION_3 = 3 };

/* Spans of one trace that came in one request are one row, a block: an ExportTraceServiceRequest with the bytes of the spans
 * as they came, which are decoded when they are shown. A span costs one insertion, of its id, which tells what has been
 * delivered before. Searches look at the digests of the blocks, and only into those blocks that may match. The slowest and
 * the failed traces are found by an index, however many there are. A link is kept by the first half of the id it leads to,
 * and only when that is of another trace; who asks looks at the spans to be sure. */
#define TABLES_SINCE_3                                                                                                          \
    "CREATE INDEX traces_by_duration ON traces (finish - start);"                                                             \
    "CREATE INDEX traces_failed ON traces (start) WHERE errors > 0;"                                                          \
    "CREATE TABLE links (linked INTEGER NOT NULL, trace INTEGER NOT NULL, PRIMARY KEY (linked, trace)) WITHOUT ROWID;"        \
    "CREATE INDEX links_by_trace ON links (trace);" TABLES_SINCE_4

/* Log records are found by the id of their trace, whose spans may come later, or never. */
#define TABLES_SINCE_4                                                                                                          \
    "CREATE TABLE logs (number INTEGER PRIMARY KEY, trace_id BLOB NOT NULL, time INTEGER NOT NULL, service TEXT NOT NULL,"    \
    " record BLOB NOT NULL);"                                                                                                  \
    "CREATE INDEX logs_by_trace ON logs (trace_id, time);"                                                                    \
    "PRAGMA user_version = 4;"

static const char schema[] =
    "CREATE TABLE traces (number INTEGER PRIMARY KEY, trace_id BLOB NOT NULL UNIQUE, start INTEGER NOT NULL, spans INTEGER NOT NULL,"
    " finish INTEGER NOT NULL, errors INTEGER NOT NULL);"
    "CREATE INDEX traces_by_start ON traces (start);"
    "CREATE TABLE span_ids (trace INTEGER NOT NULL, span_id INTEGER NOT NULL, PRIMARY KEY (trace, span_id)) WITHOUT ROWID;"
    "CREATE TABLE blocks (trace INTEGER NOT NULL, digest BLOB NOT NULL, request BLOB NOT NULL);"
    "CREATE INDEX blocks_by_trace ON blocks (trace);" TABLES_SINCE_3;

/* Links of traces that are there already are not looked for. */
static const char from_version_2[] =
    "ALTER TABLE traces ADD COLUMN finish INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE traces ADD COLUMN errors INTEGER NOT NULL DEFAULT 0;"
    "UPDATE traces SET finish = max(start, coalesce((SELECT max(block_finish(request)) FROM blocks WHERE trace = number), 0)),"
    " errors = coalesce((SELECT sum(block_errors(request)) FROM blocks WHERE trace = number), 0);" TABLES_SINCE_3;

loom_status store_exec(store *s, const char *sql)
{
    return store_status(sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

loom_status store_read_number(store *s, const char *sql, uint64_t *out)
{
    sqlite3_stmt *stmt;
    loom_status st = store_prepare(s, &stmt, sql);
    if (st != LOOM_OK) {
        return st;
    }
    int code = sqlite3_step(stmt);
    *out = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    return store_status(code);
}

loom_status store_schema_check(store *s)
{
    uint64_t version;
    const loom_status st = store_read_number(s, "PRAGMA user_version", &version);
    return st != LOOM_OK || version == SCHEMA_VERSION ? st : LOOM_EVERSION;
}

loom_status store_schema_make(store *s)
{
    uint64_t version, tables;
    loom_status st = store_read_number(s, "PRAGMA user_version", &version);
    if (st == LOOM_OK) {
        st = store_read_number(s, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (st != LOOM_OK || version == SCHEMA_VERSION) {
        return st;
    }
    if (version == VERSION_2) {
        return store_exec(s, from_version_2);
    }
    if (version == VERSION_3) {
        return store_exec(s, TABLES_SINCE_4);
    }
    return version == 0 && tables == 0 ? store_exec(s, schema) : LOOM_EVERSION;
}
