/* SPDX-License-Identifier: Apache-2.0 */
/* Log records: a row each, with the bytes as they came. */
#include "trace/collect/logs.h"
#include "trace/collect/store_internal.h"
#include "trace/collect/spans.h"
#include "trace/otlp/read.h"

typedef struct adding {
    store *s;
    store_receipt receipt;
    int code;
} adding;

static bool add(void *user, const log_record *log)
{
    adding *a = user;
    if (trace_id_is_zero(log->trace_id) || log->record.len > STORE_LOG_MAX) {
        a->receipt.rejected++;
        return true;
    }
    sqlite3_stmt *stmt = a->s->write[WRITE_LOG];
    sqlite3_bind_blob(stmt, 1, log->trace_id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, store_time(log->time_unix_ns));
    store_bind_str(stmt, 3, otlp_resource_string(log->resource, "service.name"));
    store_bind_bytes(stmt, 4, log->record);
    a->code = store_run(stmt);
    const bool is_new = a->code == SQLITE_OK && sqlite3_changes(a->s->db) > 0;
    a->receipt.stored += is_new;
    a->receipt.known += a->code == SQLITE_OK && !is_new;
    return a->code == SQLITE_OK;
}

static int finish(store *s)
{
    sqlite3_bind_int64(s->write[WRITE_FORGET_LOGS], 1, STORE_LOGS_MAX);
    const int code = store_run(s->write[WRITE_FORGET_LOGS]);
    return code == SQLITE_OK ? store_run(s->write[WRITE_COMMIT]) : code;
}

loom_status store_add_logs(store *s, loom_bytes request, store_receipt *receipt)
{
    adding a = {.s = s};
    *receipt = (store_receipt){0};
    a.code = store_run(s->write[WRITE_BEGIN]);
    if (a.code != SQLITE_OK) {
        return store_status(a.code);
    }
    loom_status st = logs_read(request, add, &a);
    if (st == LOOM_OK) {
        st = store_status(a.code == SQLITE_OK ? finish(s) : a.code);
    }
    if (st != LOOM_OK) {
        store_roll_back(s);
        return st;
    }
    s->unsized_bytes += request.len;
    *receipt = a.receipt;
    return LOOM_OK;
}

loom_status store_count_logs(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], uint64_t *count)
{
    sqlite3_stmt *stmt;
    loom_status st = store_prepare(s, &stmt, "SELECT count(*) FROM logs WHERE trace_id = ?1");
    if (st != LOOM_OK) {
        return st;
    }
    sqlite3_bind_blob(stmt, 1, id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    const int code = sqlite3_step(stmt);
    *count = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    return store_status(code);
}

loom_status store_visit_logs(store *s, const uint8_t id[LOOM_TRACE_ID_SIZE], size_t max,
                             bool (*visit)(void *user, const log_record *log, loom_str service), void *user)
{
    sqlite3_stmt *stmt;
    int code;
    loom_status st = store_prepare(s, &stmt, "SELECT service, record FROM logs WHERE trace_id = ?1 ORDER BY time, number LIMIT ?2");
    if (st != LOOM_OK) {
        return st;
    }
    sqlite3_bind_blob(stmt, 1, id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, (sqlite3_int64)max);
    for (bool more = true; (code = sqlite3_step(stmt)) == SQLITE_ROW && more;) {
        log_record log;
        const loom_bytes service = store_column_bytes(stmt, 0);
        more = !log_read(&log, store_column_bytes(stmt, 1)) || visit(user, &log, (loom_str){(const char *)service.data, service.len});
    }
    sqlite3_finalize(stmt);
    return store_status(code);
}
