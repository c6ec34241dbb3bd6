/* SPDX-License-Identifier: Apache-2.0 */
/* What is dropped so that a store stays as small and as young as it was asked to: whole traces, those that started first, and
 * never the newest. A transaction drops so much and no more, as spans wait meanwhile; what is left is for the next. */
#include "base/clock.h"
#include "trace/collect/store_internal.h"

enum { DROP_SPANS = 20000, SIZE_EACH_BYTES = 1024 * 1024 /* added, until the size is looked at again */ };

typedef struct oldest_trace {
    sqlite3_int64 number;
    uint64_t spans, start_unix_ns;
} oldest_trace;

static int find_oldest(store *s, oldest_trace *out)
{
    sqlite3_stmt *stmt = s->write[WRITE_OLDEST];
    const int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        *out = (oldest_trace){.number = sqlite3_column_int64(stmt, 0), .spans = (uint64_t)sqlite3_column_int64(stmt, 1),
                              .start_unix_ns = (uint64_t)sqlite3_column_int64(stmt, 2)};
    }
    sqlite3_reset(stmt);
    return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_CORRUPT : code;
}

static int drop(store *s, sqlite3_int64 number)
{
    static const enum store_write parts[] = {WRITE_DROP_BLOCKS, WRITE_DROP_IDS, WRITE_DROP_LINKS, WRITE_DROP_LOGS, WRITE_DROP_TRACE};
    int code = SQLITE_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && code == SQLITE_OK; i++) {
        sqlite3_bind_int64(s->write[parts[i]], 1, number);
        code = store_run(s->write[parts[i]]);
    }
    return code;
}

/* Pages that hold something; those of what was dropped are used again. */
static int is_too_large(store *s, bool *out)
{
    sqlite3_stmt *stmt = s->write[WRITE_USED_PAGES];
    const int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        *out = (uint64_t)sqlite3_column_int64(stmt, 0) * s->page_size > s->retention.bytes;
    }
    sqlite3_reset(stmt);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

/* Whether the oldest trace has to go. */
static int has_too_much(store *s, uint64_t span_count, bool with_size, bool *out, oldest_trace *oldest)
{
    const store_retention *keep = &s->retention;
    int code = SQLITE_OK;
    *out = keep->spans > 0 && span_count > keep->spans;
    if (!*out && with_size && keep->bytes > 0) {
        code = is_too_large(s, out);
    }
    if (code != SQLITE_OK || (!*out && keep->age_ns == 0)) {
        return code;
    }
    code = find_oldest(s, oldest);
    if (code == SQLITE_OK && keep->age_ns > 0) {
        const uint64_t now_ns = clock_unix_ns();
        *out = *out || (now_ns > keep->age_ns && oldest->start_unix_ns < now_ns - keep->age_ns);
    }
    return code;
}

int store_keep_retention(store *s, uint64_t added, uint64_t *span_count, uint64_t *trace_count, bool *more)
{
    const bool with_size = s->unsized_bytes >= SIZE_EACH_BYTES;
    uint64_t dropped = 0;
    int code = SQLITE_OK;
    *more = false;
    while (code == SQLITE_OK && *trace_count > 1) {
        oldest_trace oldest = {0};
        code = has_too_much(s, *span_count, with_size, more, &oldest);
        if (code != SQLITE_OK || !*more || dropped >= DROP_SPANS + added) {
            break;
        }
        code = drop(s, oldest.number);
        dropped += oldest.spans;
        *span_count -= oldest.spans < *span_count ? oldest.spans : *span_count;
        (*trace_count)--;
        *more = false;
    }
    s->unsized_bytes = with_size && !*more ? 0 : s->unsized_bytes;
    return code;
}

loom_status store_tidy(store *s, bool *more)
{
    uint64_t span_count = s->span_count, trace_count = s->trace_count;
    bool too_much = false;
    oldest_trace oldest = {0};
    *more = false;
    int code = trace_count > 1 ? has_too_much(s, span_count, true, &too_much, &oldest) : SQLITE_OK;
    if (code != SQLITE_OK || !too_much) {
        return store_status(code);
    }
    code = store_run(s->write[WRITE_BEGIN]);
    if (code != SQLITE_OK) {
        return store_status(code);
    }
    s->unsized_bytes = SIZE_EACH_BYTES;
    code = store_keep_retention(s, 0, &span_count, &trace_count, more);
    code = code == SQLITE_OK ? store_run(s->write[WRITE_COMMIT]) : code;
    if (code == SQLITE_OK) {
        s->span_count = span_count;
        s->trace_count = trace_count;
    } else if (sqlite3_get_autocommit(s->db) == 0) {
        (void)store_run(s->write[WRITE_ROLLBACK]);
    }
    return store_status(code);
}
