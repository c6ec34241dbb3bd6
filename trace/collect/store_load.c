/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of traces, out of their blocks: whole, or as many of them as a limit allows. */
#include "trace/collect/regroup.h"
#include "trace/collect/store_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- blocks ---- */

loom_status store_blocks_open(store_blocks *b, store *s, const store_limits *limits)
{
    *b = (store_blocks){.store = s};
    if (limits != NULL) {
        b->limits = *limits;
    }
    return store_prepare(s, &b->stmt, "SELECT request FROM blocks WHERE trace = ?1 ORDER BY rowid");
}

void store_blocks_close(store_blocks *b)
{
    sqlite3_finalize(b->stmt);
}

static bool is_full(const store_blocks *b, const span_list *list, size_t bytes)
{
    return (b->limits.read_bytes > 0 && bytes >= b->limits.read_bytes) || (b->limits.read_spans > 0 && list->count >= b->limits.read_spans);
}

loom_status store_blocks_read(store_blocks *b, sqlite3_int64 number, span_list *list)
{
    loom_status st = LOOM_OK;
    size_t bytes = 0;
    int code = SQLITE_DONE;
    sqlite3_bind_int64(b->stmt, 1, number);
    while (st == LOOM_OK && !is_full(b, list, bytes) && (code = sqlite3_step(b->stmt)) == SQLITE_ROW) {
        const loom_bytes block = store_column_bytes(b->stmt, 0);
        bytes += block.len;
        st = store_is_over_budget(b->store) ? LOOM_ETIMEDOUT : span_list_add(list, block);
    }
    sqlite3_reset(b->stmt);
    st = st != LOOM_OK ? st : store_status(code);
    if (st == LOOM_OK) {
        span_list_sort(list);
    }
    return st;
}

/* ---- load ---- */

static int compare_groups(const void *left, const void *right)
{
    const otlp_span *a = &((const trace_span *)left)->otlp;
    const otlp_span *b = &((const trace_span *)right)->otlp;
    const int order = regrouping_compare(a, b);
    return order != 0 ? order : (a->start_unix_ns > b->start_unix_ns) - (a->start_unix_ns < b->start_unix_ns);
}

/* Adds the first spans of one list to another, under as few resources and scopes as there are. */
static loom_status add_regrouped(span_list *to, const span_list *from, size_t count)
{
    regrouping r;
    loom_bytes request;
    qsort(from->items, count, sizeof *from->items, compare_groups);
    regrouping_init(&r);
    for (size_t i = 0; i < count && !r.out.failed; i++) {
        regrouping_add(&r, &from->items[i].otlp);
    }
    loom_status st = regrouping_finish(&r, &request);
    if (st == LOOM_OK) {
        st = span_list_add(to, request);
    }
    regrouping_fini(&r);
    return st;
}

/* How many of the first spans the limits let through. */
static size_t count_first(const span_list *found, const store_limits *limits)
{
    size_t count = 0, bytes = 0;
    while (count < found->count && (limits == NULL || limits->spans == 0 || count < limits->spans)) {
        bytes += found->items[count].otlp.span.len;
        if (limits != NULL && limits->bytes > 0 && bytes > limits->bytes && count > 0) {
            break;
        }
        count++;
    }
    return count;
}

static loom_status find_trace(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], sqlite3_int64 *number, uint64_t *spans)
{
    sqlite3_stmt *stmt;
    loom_status st = store_prepare(s, &stmt, "SELECT number, spans FROM traces WHERE trace_id = ?1");
    if (st != LOOM_OK) {
        return st;
    }
    sqlite3_bind_blob(stmt, 1, id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    const int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        *number = sqlite3_column_int64(stmt, 0);
        *spans = (uint64_t)sqlite3_column_int64(stmt, 1);
    }
    sqlite3_finalize(stmt);
    return code == SQLITE_DONE ? LOOM_ENOTFOUND : store_status(code);
}

loom_status store_load_some(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], const store_limits *limits, span_list *list, uint64_t *total)
{
    sqlite3_int64 number = 0;
    store_blocks blocks;
    span_list found;
    loom_status st = find_trace(s, id, &number, total);
    if (st != LOOM_OK) {
        return st;
    }
    span_list_init(&found);
    st = store_blocks_open(&blocks, s, limits);
    st = st != LOOM_OK ? st : store_blocks_read(&blocks, number, &found);
    store_blocks_close(&blocks);
    if (st == LOOM_OK) {
        st = found.count == 0 ? LOOM_ENOTFOUND : add_regrouped(list, &found, count_first(&found, limits));
    }
    span_list_fini(&found);
    return st;
}

loom_status store_load(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], span_list *list)
{
    uint64_t total;
    return store_load_some(s, id, NULL, list, &total);
}
