/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/regroup.h"
#include "trace/collect/store_internal.h"

#include <loom/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_MAX 4096

static loom_bytes column_bytes(sqlite3_stmt *stmt, int column)
{
    const void *data = sqlite3_column_blob(stmt, column);
    return (loom_bytes){data, data != NULL ? (size_t)sqlite3_column_bytes(stmt, column) : 0};
}

static loom_str column_str(sqlite3_stmt *stmt, int column)
{
    const void *data = sqlite3_column_text(stmt, column);
    return (loom_str){data, data != NULL ? (size_t)sqlite3_column_bytes(stmt, column) : 0};
}

/* False for a row no Loom has written. */
static bool column_trace_id(uint8_t id[LOOM_TRACE_ID_SIZE], sqlite3_stmt *stmt, int column)
{
    loom_bytes bytes = column_bytes(stmt, column);
    if (bytes.len != LOOM_TRACE_ID_SIZE) {
        return false;
    }
    memcpy(id, bytes.data, LOOM_TRACE_ID_SIZE);
    return true;
}

/* ---- list ---- */

static loom_status summarise(sqlite3_stmt *spans, const uint8_t id[LOOM_TRACE_ID_SIZE], trace_summary *summary)
{
    static const uint8_t no_parent[LOOM_SPAN_ID_SIZE];
    trace_summary_begin(summary, id);
    sqlite3_bind_blob(spans, 1, id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    loom_status st = LOOM_OK;
    while (st == LOOM_OK && sqlite3_step(spans) == SQLITE_ROW) {
        loom_bytes parent = column_bytes(spans, 0);
        const summary_span row = {.is_root = parent.len != sizeof no_parent || memcmp(parent.data, no_parent, parent.len) == 0,
                                  .service = column_str(spans, 1),
                                  .name = column_str(spans, 2),
                                  .start_unix_ns = (uint64_t)sqlite3_column_int64(spans, 3),
                                  .end_unix_ns = (uint64_t)sqlite3_column_int64(spans, 4),
                                  .is_error = sqlite3_column_int(spans, 5) == LOOM_SPAN_ERROR};
        st = trace_summary_add(summary, &row);
    }
    int reset = sqlite3_reset(spans);
    st = st != LOOM_OK ? st : store_status(reset);
    if (st != LOOM_OK) {
        trace_summary_fini(summary);
    }
    return st;
}

static void build_list_sql(char sql[SQL_MAX], const store_filter *filter)
{
    size_t len = (size_t)snprintf(sql, SQL_MAX, "SELECT trace_id FROM traces AS t WHERE start >= ?");
    if (filter->service.len > 0) {
        len += (size_t)snprintf(sql + len, SQL_MAX - len,
                                " AND EXISTS (SELECT 1 FROM spans WHERE trace_id = t.trace_id AND service = ?)");
    }
    /* IN lets SQLite begin with the attribute when few traces have it. */
    for (size_t i = 0; i < filter->attr_count; i++) {
        len += (size_t)snprintf(sql + len, SQL_MAX - len,
                                " AND trace_id IN (SELECT trace_id FROM attributes WHERE key = ? AND value = ?)");
    }
    snprintf(sql + len, SQL_MAX - len, " ORDER BY start DESC, trace_id LIMIT ?");
}

static void bind_list(sqlite3_stmt *stmt, const store_filter *filter)
{
    int at = 1;
    sqlite3_bind_int64(stmt, at++, store_time(filter->since_unix_ns));
    if (filter->service.len > 0) {
        store_bind_str(stmt, at++, filter->service);
    }
    for (size_t i = 0; i < filter->attr_count; i++) {
        store_bind_str(stmt, at++, filter->attrs[i].key);
        store_bind_str(stmt, at++, filter->attrs[i].value);
    }
    sqlite3_bind_int64(stmt, at, store_time(filter->limit));
}

loom_status store_list(store *s, const store_filter *filter, bool (*visit)(void *user, const trace_summary *summary),
                       void *user)
{
    if (filter->attr_count > STORE_ATTRS_MAX) {
        return LOOM_EINVAL;
    }
    char sql[SQL_MAX];
    build_list_sql(sql, filter);
    sqlite3_stmt *traces, *spans;
    loom_status st = store_prepare(s, &traces, sql);
    if (st != LOOM_OK) {
        return st;
    }
    st = store_prepare(s, &spans, "SELECT parent, service, name, start, end, status FROM spans WHERE trace_id = ? ORDER BY start");
    if (st != LOOM_OK) {
        goto finalize_traces;
    }
    bind_list(traces, filter);
    bool more = true;
    int code = SQLITE_DONE;
    while (more && st == LOOM_OK && (code = sqlite3_step(traces)) == SQLITE_ROW) {
        uint8_t id[LOOM_TRACE_ID_SIZE];
        trace_summary summary;
        if (!column_trace_id(id, traces, 0)) {
            continue;
        }
        if ((st = summarise(spans, id, &summary)) == LOOM_OK) {
            more = visit(user, &summary);
            trace_summary_fini(&summary);
        }
    }
    st = st != LOOM_OK ? st : store_status(code);
    sqlite3_finalize(spans);
finalize_traces:
    sqlite3_finalize(traces);
    return st;
}

/* ---- find ---- */

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
    int code = SQLITE_DONE;
    while (*count < max && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        *count += column_trace_id(ids[*count], stmt, 0);
    }
    sqlite3_finalize(stmt);
    return store_status(code);
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

/* ---- load ---- */

loom_status store_load(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], span_list *list)
{
    sqlite3_stmt *stmt;
    loom_status st = store_prepare(s, &stmt, "SELECT span, resource, scope FROM spans WHERE trace_id = ? ORDER BY resource, scope, start");
    if (st != LOOM_OK) {
        return st;
    }
    sqlite3_bind_blob(stmt, 1, id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    regrouping r;
    regrouping_init(&r);
    size_t rows = 0;
    int code = SQLITE_DONE;
    while (!r.out.failed && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        regrouping_add(&r, column_bytes(stmt, 0), column_bytes(stmt, 1), column_bytes(stmt, 2));
        rows++;
    }
    loom_bytes request;
    st = store_status(code);
    if (st == LOOM_OK) {
        st = regrouping_finish(&r, &request);
    }
    if (st == LOOM_OK && rows == 0) {
        st = LOOM_ENOTFOUND;
    }
    if (st == LOOM_OK) {
        st = span_list_add(list, request);
    }
    regrouping_fini(&r);
    sqlite3_finalize(stmt);
    return st;
}
