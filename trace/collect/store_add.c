/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/store_internal.h"

#include <string.h>

#define SEARCHABLE_MAX 256 /* bytes of a value; longer ones are content rather than names */

typedef struct adding {
    store *s;
    const otlp_span *span;
    store_receipt receipt;
    uint64_t new_traces;
    int code; /* SQLite's, of the step that failed */
} adding;

/* Runs a write to its end and leaves it ready for the next. */
static int run(sqlite3_stmt *stmt)
{
    int code;
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
    }
    int reset = sqlite3_reset(stmt);
    return code == SQLITE_DONE ? reset : code;
}

static bool add_attr(void *user, otlp_attr attr)
{
    adding *a = user;
    char value[SEARCHABLE_MAX];
    size_t len;
    if (attr.key.len > SEARCHABLE_MAX || !span_value_text(value, sizeof value, &len, attr.value)) {
        return true;
    }
    sqlite3_stmt *stmt = a->s->write[WRITE_ATTR];
    sqlite3_bind_blob(stmt, 1, a->span->trace_id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    store_bind_str(stmt, 2, attr.key);
    store_bind_str(stmt, 3, (loom_str){value, len});
    a->code = run(stmt);
    return a->code == SQLITE_OK;
}

static void add_row(adding *a)
{
    const otlp_span *span = a->span;
    sqlite3_stmt *stmt = a->s->write[WRITE_SPAN];
    sqlite3_bind_blob(stmt, 1, span->trace_id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    sqlite3_bind_blob(stmt, 2, span->span_id, LOOM_SPAN_ID_SIZE, SQLITE_STATIC);
    sqlite3_bind_blob(stmt, 3, span->parent_span_id, LOOM_SPAN_ID_SIZE, SQLITE_STATIC);
    store_bind_str(stmt, 4, otlp_resource_string(span->resource, "service.name"));
    store_bind_str(stmt, 5, span->name);
    sqlite3_bind_int(stmt, 6, span->kind);
    sqlite3_bind_int64(stmt, 7, store_time(span->start_unix_ns));
    sqlite3_bind_int64(stmt, 8, store_time(span->end_unix_ns));
    sqlite3_bind_int(stmt, 9, span->status);
    store_bind_bytes(stmt, 10, span->span);
    store_bind_bytes(stmt, 11, span->resource);
    store_bind_bytes(stmt, 12, span->scope);
    a->code = run(stmt);
}

/* RETURNING tells whether the trace is new, which is what counting them needs. */
static void add_trace(adding *a)
{
    sqlite3_stmt *stmt = a->s->write[WRITE_TRACE];
    sqlite3_bind_blob(stmt, 1, a->span->trace_id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, store_time(a->span->start_unix_ns));
    a->code = sqlite3_step(stmt);
    if (a->code == SQLITE_ROW) {
        a->new_traces += sqlite3_column_int64(stmt, 0) == 1;
        a->code = run(stmt);
    } else {
        sqlite3_reset(stmt);
    }
}

static bool add_span(void *user, const otlp_span *span)
{
    adding *a = user;
    a->span = span;
    if (trace_id_is_zero(span->trace_id) || span_id_is_zero(span->span_id)) {
        a->receipt.rejected++;
        return true;
    }
    add_row(a);
    if (a->code != SQLITE_OK) {
        return false;
    }
    if (sqlite3_changes(a->s->db) == 0) {
        a->receipt.known++;
        return true;
    }
    a->receipt.stored++;
    add_trace(a);
    if (a->code == SQLITE_OK) {
        otlp_read_span_attrs(span->span, add_attr, a);
    }
    return a->code == SQLITE_OK;
}

static int drop(store *s, enum store_write statement, const uint8_t id[LOOM_TRACE_ID_SIZE])
{
    sqlite3_bind_blob(s->write[statement], 1, id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    return run(s->write[statement]);
}

static int drop_oldest(store *s, uint64_t *spans)
{
    uint8_t id[LOOM_TRACE_ID_SIZE] = {0};
    sqlite3_stmt *oldest = s->write[WRITE_OLDEST];
    int code = sqlite3_step(oldest);
    if (code == SQLITE_ROW) {
        const void *blob = sqlite3_column_blob(oldest, 0);
        if (blob != NULL && sqlite3_column_bytes(oldest, 0) == LOOM_TRACE_ID_SIZE) {
            memcpy(id, blob, sizeof id);
        }
        *spans = (uint64_t)sqlite3_column_int64(oldest, 1);
    }
    sqlite3_reset(oldest);
    if (code != SQLITE_ROW) {
        return code == SQLITE_DONE ? SQLITE_CORRUPT : code;
    }
    code = drop(s, WRITE_DROP_ATTRS, id);
    if (code == SQLITE_OK) {
        code = drop(s, WRITE_DROP_SPANS, id);
    }
    return code == SQLITE_OK ? drop(s, WRITE_DROP_TRACE, id) : code;
}

static void keep_retention(adding *a, uint64_t *span_count, uint64_t *trace_count)
{
    const uint64_t limit = a->s->retention_spans;
    while (limit > 0 && *span_count > limit && *trace_count > 1 && a->code == SQLITE_OK) {
        uint64_t spans = 0;
        a->code = drop_oldest(a->s, &spans);
        *span_count -= spans < *span_count ? spans : *span_count;
        (*trace_count)--;
    }
}

loom_status store_add(store *s, loom_bytes request, store_receipt *receipt)
{
    adding a = {.s = s, .code = SQLITE_OK};
    *receipt = (store_receipt){0};
    int begun = run(s->write[WRITE_BEGIN]);
    if (begun != SQLITE_OK) {
        return store_status(begun);
    }
    loom_status st = otlp_read_request(request, add_span, &a);
    uint64_t span_count = s->span_count + a.receipt.stored;
    uint64_t trace_count = s->trace_count + a.new_traces;
    if (st == LOOM_OK) {
        keep_retention(&a, &span_count, &trace_count);
        if (a.code == SQLITE_OK) {
            a.code = run(s->write[WRITE_COMMIT]);
        }
        st = store_status(a.code);
    }
    if (st != LOOM_OK) {
        if (sqlite3_get_autocommit(s->db) == 0) { /* SQLite has rolled back by itself after some errors */
            run(s->write[WRITE_ROLLBACK]);
        }
        return st;
    }
    s->span_count = span_count;
    s->trace_count = trace_count;
    *receipt = a.receipt;
    return LOOM_OK;
}
