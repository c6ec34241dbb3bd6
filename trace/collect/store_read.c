/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/store_internal.h"

#include <loom/trace.h>
#include <stdio.h>
#include <string.h>

#define SQL_MAX 4096
#define PARAMETERS_BEFORE 4 /* of a list: since, limit, the shortest and the longest duration */

loom_bytes store_column_bytes(sqlite3_stmt *stmt, int column)
{
    const void *data = sqlite3_column_blob(stmt, column);
    return (loom_bytes){data, data != NULL ? (size_t)sqlite3_column_bytes(stmt, column) : 0};
}

/* False for a row no Loom has written. */
static bool column_trace_id(uint8_t id[LOOM_TRACE_ID_SIZE], sqlite3_stmt *stmt, int column)
{
    loom_bytes bytes = store_column_bytes(stmt, column);
    if (bytes.len != LOOM_TRACE_ID_SIZE) {
        return false;
    }
    memcpy(id, bytes.data, LOOM_TRACE_ID_SIZE);
    return true;
}

/* ---- walk ---- */

static void build_list_sql(char sql[SQL_MAX], const store_filter *filter)
{
    /* CASE keeps SQLite from reading the spans of a block that cannot match. */
    static const char condition[] = " AND EXISTS (SELECT 1 FROM blocks WHERE trace = t.number AND"
                                    " CASE WHEN may_hold(digest, ?%zu, ?%zu) THEN holds(request, ?%zu, ?%zu) ELSE 0 END)";
    size_t len = (size_t)snprintf(sql, SQL_MAX, "SELECT trace_id, number, spans FROM traces AS t WHERE start >= ?1");
    size_t conditions = filter->attr_count + (filter->service.len > 0);
    for (size_t i = 0; i < conditions; i++) {
        size_t key = PARAMETERS_BEFORE + 2 * i + 1;
        len += (size_t)snprintf(sql + len, SQL_MAX - len, condition, key, key + 1, key, key + 1);
    }
    len += (size_t)snprintf(sql + len, SQL_MAX - len, "%s%s%s", filter->failed ? " AND errors > 0" : "",
                            filter->min_duration_ns > 0 ? " AND finish - start >= ?3" : "",
                            filter->max_duration_ns > 0 ? " AND finish - start <= ?4" : "");
    snprintf(sql + len, SQL_MAX - len, " ORDER BY %s DESC, trace_id LIMIT ?2", filter->slowest_first ? "finish - start" : "start");
}

static void bind_list(sqlite3_stmt *stmt, const store_filter *filter)
{
    int at = PARAMETERS_BEFORE + 1;
    sqlite3_bind_int64(stmt, 1, store_time(filter->since_unix_ns));
    sqlite3_bind_int64(stmt, 2, store_time(filter->limit));
    sqlite3_bind_int64(stmt, 3, store_time(filter->min_duration_ns));
    sqlite3_bind_int64(stmt, 4, store_time(filter->max_duration_ns));
    for (size_t i = 0; i < filter->attr_count; i++) {
        store_bind_str(stmt, at++, filter->attrs[i].key);
        store_bind_str(stmt, at++, filter->attrs[i].value);
    }
    if (filter->service.len > 0) {
        sqlite3_bind_null(stmt, at++);
        store_bind_str(stmt, at, filter->service);
    }
}

loom_status store_walk(store *s, const store_filter *filter, loom_status (*visit)(void *user, const store_row *row, bool *more), void *user)
{
    if (filter->attr_count > STORE_ATTRS_MAX) {
        return LOOM_EINVAL;
    }
    char sql[SQL_MAX];
    build_list_sql(sql, filter);
    sqlite3_stmt *traces;
    loom_status st = store_prepare(s, &traces, sql);
    if (st != LOOM_OK) {
        return st;
    }
    bind_list(traces, filter);
    bool more = true;
    int code = SQLITE_DONE;
    while (more && st == LOOM_OK && (code = sqlite3_step(traces)) == SQLITE_ROW) {
        store_row row = {.number = sqlite3_column_int64(traces, 1), .spans = (uint64_t)sqlite3_column_int64(traces, 2)};
        if (column_trace_id(row.trace_id, traces, 0)) {
            st = visit(user, &row, &more);
        }
        st = st == LOOM_OK && more && store_is_over_budget(s) ? LOOM_ETIMEDOUT : st;
    }
    st = st != LOOM_OK ? st : store_status(code);
    sqlite3_finalize(traces);
    return st;
}

typedef struct visiting {
    store_blocks blocks;
    bool (*visit)(void *user, const uint8_t id[LOOM_TRACE_ID_SIZE], span_range trace);
    void *user;
} visiting;

static loom_status visit_spans(void *user, const store_row *row, bool *more)
{
    visiting *v = user;
    span_list list;
    span_list_init(&list);
    const loom_status st = store_blocks_read(&v->blocks, row->number, &list);
    if (st == LOOM_OK) {
        *more = v->visit(v->user, row->trace_id, (span_range){list.items, list.count});
    }
    span_list_fini(&list);
    return st;
}

loom_status store_visit(store *s, const store_filter *filter,
                        bool (*visit)(void *user, const uint8_t id[LOOM_TRACE_ID_SIZE], span_range trace), void *user)
{
    visiting v = {.visit = visit, .user = user};
    loom_status st = store_blocks_open(&v.blocks, s, NULL);
    st = st != LOOM_OK ? st : store_walk(s, filter, visit_spans, &v);
    store_blocks_close(&v.blocks);
    return st;
}

/* ---- find ---- */

/* The first column of the rows there are; the statement is gone then. */
static loom_status take_ids(sqlite3_stmt *stmt, uint8_t (*ids)[LOOM_TRACE_ID_SIZE], size_t max, size_t *count)
{
    int code = SQLITE_DONE;
    while (*count < max && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        *count += column_trace_id(ids[*count], stmt, 0);
    }
    sqlite3_finalize(stmt);
    return store_status(code);
}

loom_status store_find(store *s, const uint8_t first[LOOM_TRACE_ID_SIZE], const uint8_t last[LOOM_TRACE_ID_SIZE],
                       uint8_t (*ids)[LOOM_TRACE_ID_SIZE], size_t max, size_t *count)
{
    *count = 0;
    sqlite3_stmt *stmt;
    loom_status st = store_prepare(s, &stmt, "SELECT trace_id FROM traces WHERE trace_id BETWEEN ? AND ? ORDER BY trace_id");
    if (st != LOOM_OK) {
        return st;
    }
    sqlite3_bind_blob(stmt, 1, first, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    sqlite3_bind_blob(stmt, 2, last, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    return take_ids(stmt, ids, max, count);
}

loom_status store_linking(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], uint8_t (*ids)[LOOM_TRACE_ID_SIZE], size_t max, size_t *count)
{
    *count = 0;
    sqlite3_stmt *stmt;
    loom_status st = store_prepare(s, &stmt, "SELECT trace_id FROM links JOIN traces ON number = trace WHERE linked = ?1 ORDER BY trace DESC");
    if (st != LOOM_OK) {
        return st;
    }
    sqlite3_bind_int64(stmt, 1, store_link_key(id));
    return take_ids(stmt, ids, max, count);
}

loom_status store_latest(store *s, uint8_t id[LOOM_TRACE_ID_SIZE])
{
    sqlite3_stmt *stmt;
    loom_status st = store_prepare(s, &stmt, "SELECT trace_id FROM traces ORDER BY start DESC, trace_id LIMIT 1");
    if (st != LOOM_OK) {
        return st;
    }
    int code = sqlite3_step(stmt);
    st = store_status(code);
    if (st == LOOM_OK && (code != SQLITE_ROW || !column_trace_id(id, stmt, 0))) {
        st = LOOM_ENOTFOUND;
    }
    sqlite3_finalize(stmt);
    return st;
}
