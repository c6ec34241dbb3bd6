/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/regroup.h"
#include "trace/collect/store_internal.h"

#include <loom/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_MAX 4096
#define TRACE_BYTES_MAX ((size_t)1 << 31)
#define PARAMETERS_BEFORE 4 /* of a list: since, limit, the shortest and the longest duration */

static const char blocks_of_trace[] =
    "SELECT request FROM blocks WHERE trace = (SELECT number FROM traces WHERE trace_id = ?1) ORDER BY rowid";

static loom_bytes column_bytes(sqlite3_stmt *stmt, int column)
{
    const void *data = sqlite3_column_blob(stmt, column);
    return (loom_bytes){data, data != NULL ? (size_t)sqlite3_column_bytes(stmt, column) : 0};
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

static loom_status append_blocks(sqlite3_stmt *blocks, const uint8_t id[LOOM_TRACE_ID_SIZE], pb_buf *request)
{
    sqlite3_bind_blob(blocks, 1, id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    int code;
    while ((code = sqlite3_step(blocks)) == SQLITE_ROW) {
        loom_bytes block = column_bytes(blocks, 0);
        pb_raw(request, block.data, block.len);
    }
    sqlite3_reset(blocks);
    return request->failed ? LOOM_ENOMEM : store_status(code);
}

/* The spans of a trace in the order of their times. Requests one after the other are a request (protobuf merges repeated
 * fields). The caller ends list, whatever comes of it. */
static loom_status read_trace(sqlite3_stmt *blocks, const uint8_t id[LOOM_TRACE_ID_SIZE], span_list *list)
{
    pb_buf request;
    pb_init(&request, NULL, 0, TRACE_BYTES_MAX);
    loom_status st = append_blocks(blocks, id, &request);
    if (st == LOOM_OK) {
        st = span_list_add(list, (loom_bytes){request.data, request.len});
    }
    if (st == LOOM_OK) {
        span_list_sort(list);
    }
    pb_fini(&request);
    return st;
}

static void build_list_sql(char sql[SQL_MAX], const store_filter *filter)
{
    /* CASE keeps SQLite from reading the spans of a block that cannot match. */
    static const char condition[] = " AND EXISTS (SELECT 1 FROM blocks WHERE trace = t.number AND"
                                    " CASE WHEN may_hold(digest, ?%zu, ?%zu) THEN holds(request, ?%zu, ?%zu) ELSE 0 END)";
    size_t len = (size_t)snprintf(sql, SQL_MAX, "SELECT trace_id FROM traces AS t WHERE start >= ?1");
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

static loom_status visit_trace(sqlite3_stmt *blocks, const uint8_t id[LOOM_TRACE_ID_SIZE],
                               bool (*visit)(void *user, const uint8_t id[LOOM_TRACE_ID_SIZE], span_range trace), void *user, bool *more)
{
    span_list list;
    span_list_init(&list);
    const loom_status st = read_trace(blocks, id, &list);
    if (st == LOOM_OK) {
        *more = visit(user, id, (span_range){list.items, list.count});
    }
    span_list_fini(&list);
    return st;
}

loom_status store_visit(store *s, const store_filter *filter,
                        bool (*visit)(void *user, const uint8_t id[LOOM_TRACE_ID_SIZE], span_range trace), void *user)
{
    if (filter->attr_count > STORE_ATTRS_MAX) {
        return LOOM_EINVAL;
    }
    char sql[SQL_MAX];
    build_list_sql(sql, filter);
    sqlite3_stmt *traces, *blocks;
    loom_status st = store_prepare(s, &traces, sql);
    if (st != LOOM_OK) {
        return st;
    }
    st = store_prepare(s, &blocks, blocks_of_trace);
    if (st != LOOM_OK) {
        goto finalize_traces;
    }
    bind_list(traces, filter);
    bool more = true;
    int code = SQLITE_DONE;
    while (more && st == LOOM_OK && (code = sqlite3_step(traces)) == SQLITE_ROW) {
        uint8_t id[LOOM_TRACE_ID_SIZE];
        if (column_trace_id(id, traces, 0)) {
            st = visit_trace(blocks, id, visit, user, &more);
        }
    }
    st = st != LOOM_OK ? st : store_status(code);
    sqlite3_finalize(blocks);
finalize_traces:
    sqlite3_finalize(traces);
    return st;
}

typedef struct summing {
    bool (*visit)(void *user, const trace_summary *summary);
    void *user;
    loom_status status;
} summing;

static bool summarise(void *user, const uint8_t id[LOOM_TRACE_ID_SIZE], span_range trace)
{
    summing *s = user;
    trace_summary summary;
    s->status = trace_summary_init(&summary, trace);
    if (s->status != LOOM_OK) {
        return false;
    }
    memcpy(summary.trace_id, id, LOOM_TRACE_ID_SIZE);
    const bool more = s->visit(s->user, &summary);
    trace_summary_fini(&summary);
    return more;
}

loom_status store_list(store *s, const store_filter *filter, bool (*visit)(void *user, const trace_summary *summary),
                       void *user)
{
    summing sum = {.visit = visit, .user = user};
    const loom_status st = store_visit(s, filter, summarise, &sum);
    return st != LOOM_OK ? st : sum.status;
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

/* ---- load ---- */

static int compare_bytes(loom_bytes a, loom_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_groups(const void *left, const void *right)
{
    const otlp_span *a = &((const trace_span *)left)->otlp;
    const otlp_span *b = &((const trace_span *)right)->otlp;
    int order = compare_bytes(a->resource, b->resource);
    if (order == 0) {
        order = compare_bytes(a->scope, b->scope);
    }
    return order != 0 ? order : (a->start_unix_ns > b->start_unix_ns) - (a->start_unix_ns < b->start_unix_ns);
}

/* Adds the spans of one list to another, under as few resources and scopes as there are. */
static loom_status add_regrouped(span_list *to, const span_list *from)
{
    regrouping r;
    loom_bytes request;
    qsort(from->items, from->count, sizeof *from->items, compare_groups);
    regrouping_init(&r);
    for (size_t i = 0; i < from->count && !r.out.failed; i++) {
        const otlp_span *span = &from->items[i].otlp;
        regrouping_add(&r, span->span, span->resource, span->scope);
    }
    loom_status st = regrouping_finish(&r, &request);
    if (st == LOOM_OK) {
        st = span_list_add(to, request);
    }
    regrouping_fini(&r);
    return st;
}

loom_status store_load(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], span_list *list)
{
    sqlite3_stmt *blocks;
    loom_status st = store_prepare(s, &blocks, blocks_of_trace);
    if (st != LOOM_OK) {
        return st;
    }
    span_list found;
    span_list_init(&found);
    st = read_trace(blocks, id, &found);
    if (st == LOOM_OK) {
        st = found.count == 0 ? LOOM_ENOTFOUND : add_regrouped(list, &found);
    }
    span_list_fini(&found);
    sqlite3_finalize(blocks);
    return st;
}
