/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/regroup.h"
#include "trace/collect/store_internal.h"

#include <endian.h>
#include <loom/trace.h>
#include <string.h>

enum { LINKS_OF_SPAN = 128 }; /* that can be found from their other end; what OpenTelemetry lets a span have by default */

typedef struct adding {
    store *s;
    store_receipt receipt;
    uint64_t new_traces;
    sqlite3_int64 last_number; /* of the traces there are; 0: not asked for yet */
    size_t bytes;              /* of the request */
    int code;                  /* SQLite's, of the step that failed */
    loom_status status;        /* of what failed outside SQLite */
} adding;

/* The spans of one trace in a slice. */
typedef struct part {
    size_t begin, end; /* of slice->by_id */
    const uint8_t *trace_id;
    sqlite3_int64 number;
    bool is_new_trace;
    uint64_t start_unix_ns, finish_unix_ns;
    size_t stored, errors;
} part;

static bool failed(const adding *a)
{
    return a->code != SQLITE_OK || a->status != LOOM_OK;
}

int store_run(sqlite3_stmt *stmt)
{
    int code;
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
    }
    int reset = sqlite3_reset(stmt);
    return code == SQLITE_DONE ? reset : code;
}

void store_roll_back(store *s)
{
    if (sqlite3_get_autocommit(s->db) == 0) {
        store_run(s->write[WRITE_ROLLBACK]);
    }
}

/* The number in the first column of the first row, if there is a row. */
static int read_number(sqlite3_stmt *stmt, sqlite3_int64 *out, bool *found)
{
    int code = sqlite3_step(stmt);
    *found = code == SQLITE_ROW;
    if (*found) {
        *out = sqlite3_column_int64(stmt, 0);
    }
    int reset = sqlite3_reset(stmt);
    return code == SQLITE_ROW || code == SQLITE_DONE ? reset : code;
}

/* ---- one trace ---- */

/* A new trace gets the next number; its row is written when its spans are counted. */
static void find_trace(adding *a, part *p)
{
    bool found;
    sqlite3_stmt *find = a->s->write[WRITE_FIND_TRACE];
    sqlite3_bind_blob(find, 1, p->trace_id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    a->code = read_number(find, &p->number, &found);
    p->is_new_trace = a->code == SQLITE_OK && !found;
    if (!p->is_new_trace) {
        return;
    }
    if (a->last_number == 0) {
        a->code = read_number(a->s->write[WRITE_LAST_NUMBER], &a->last_number, &found);
    }
    p->number = ++a->last_number;
}

static void count_span(part *p, const otlp_span *span)
{
    const uint64_t finish = span->end_unix_ns > span->start_unix_ns ? span->end_unix_ns : span->start_unix_ns;
    p->start_unix_ns = p->stored == 0 || span->start_unix_ns < p->start_unix_ns ? span->start_unix_ns : p->start_unix_ns;
    p->finish_unix_ns = finish > p->finish_unix_ns ? finish : p->finish_unix_ns;
    p->errors += span->status == LOOM_SPAN_ERROR;
    p->stored++;
}

static void add_ids(adding *a, part *p)
{
    slice *sl = a->s->slice;
    sqlite3_stmt *stmt = a->s->write[WRITE_SPAN_ID];
    sqlite3_bind_int64(stmt, 1, p->number);
    for (size_t i = p->begin; i < p->end && a->code == SQLITE_OK; i++) {
        const otlp_span *span = &sl->spans[sl->by_id[i]];
        uint64_t id;
        memcpy(&id, span->span_id, sizeof id);
        sqlite3_bind_int64(stmt, 2, (sqlite3_int64)be64toh(id));
        a->code = store_run(stmt);
        const bool is_new = a->code == SQLITE_OK && sqlite3_changes(a->s->db) > 0;
        sl->is_new[sl->by_id[i]] = is_new;
        if (is_new) {
            count_span(p, span);
        }
    }
}

sqlite3_int64 store_link_key(const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    uint64_t half;
    memcpy(&half, trace_id, sizeof half);
    return (sqlite3_int64)be64toh(half);
}

typedef struct linking {
    adding *a;
    const part *p;
    unsigned count;
} linking;

static bool add_link(void *user, const otlp_link *link)
{
    linking *l = user;
    if (memcmp(link->trace_id, l->p->trace_id, LOOM_TRACE_ID_SIZE) != 0) {
        sqlite3_stmt *stmt = l->a->s->write[WRITE_LINK];
        sqlite3_bind_int64(stmt, 1, store_link_key(link->trace_id));
        sqlite3_bind_int64(stmt, 2, l->p->number);
        l->a->code = store_run(stmt);
    }
    return l->a->code == SQLITE_OK && ++l->count < LINKS_OF_SPAN;
}

static bool digest_attr(void *user, otlp_attr attr)
{
    adding *a = user;
    char value[STORE_SEARCHABLE_MAX];
    size_t len;
    if (attr.key.len <= STORE_SEARCHABLE_MAX && span_value_text(value, sizeof value, &len, attr.value)) {
        a->status = digest_put(&a->s->digest, attr.key, (loom_str){value, len});
    }
    return a->status == LOOM_OK;
}

static void add_block(adding *a, const part *p)
{
    slice *sl = a->s->slice;
    regrouping r;
    loom_bytes request, filter, resource = {0};
    regrouping_init(&r);
    slice_restore(sl, p->begin, p->end);
    for (size_t i = p->begin; i < p->end && !failed(a); i++) {
        const otlp_span *span = &sl->spans[sl->by_id[i]];
        if (!sl->is_new[sl->by_id[i]]) {
            continue;
        }
        regrouping_add(&r, span);
        if (span->resource.data != resource.data) {
            a->status = digest_put(&a->s->digest, store_service_key, otlp_resource_string(span->resource, "service.name"));
            resource = span->resource;
        }
        if (a->status == LOOM_OK) {
            otlp_read_span_attrs(span->span, digest_attr, a);
            otlp_read_span_links(span->span, add_link, &(linking){.a = a, .p = p});
        }
    }
    if (!failed(a) && (a->status = regrouping_finish(&r, &request)) == LOOM_OK &&
        (a->status = digest_take(&a->s->digest, &filter)) == LOOM_OK) {
        sqlite3_stmt *stmt = a->s->write[WRITE_BLOCK];
        sqlite3_bind_int64(stmt, 1, p->number);
        store_bind_bytes(stmt, 2, filter);
        store_bind_bytes(stmt, 3, request);
        a->code = store_run(stmt);
        sqlite3_clear_bindings(stmt);
    }
    regrouping_fini(&r);
}

static void add_trace(adding *a, const part *p)
{
    sqlite3_stmt *stmt = a->s->write[p->is_new_trace ? WRITE_NEW_TRACE : WRITE_MORE_OF_TRACE];
    sqlite3_bind_int64(stmt, 1, p->number);
    if (p->is_new_trace) {
        sqlite3_bind_blob(stmt, 2, p->trace_id, LOOM_TRACE_ID_SIZE, SQLITE_STATIC);
    }
    sqlite3_bind_int64(stmt, 3, store_time(p->start_unix_ns));
    sqlite3_bind_int64(stmt, 4, (sqlite3_int64)p->stored);
    sqlite3_bind_int64(stmt, 5, store_time(p->finish_unix_ns));
    sqlite3_bind_int64(stmt, 6, (sqlite3_int64)p->errors);
    a->code = store_run(stmt);
    a->new_traces += a->code == SQLITE_OK && p->is_new_trace;
}

/* ---- a request ---- */

static void add_part(adding *a, part *p)
{
    find_trace(a, p);
    if (a->code == SQLITE_OK) {
        add_ids(a, p);
    }
    if (a->code == SQLITE_OK && p->stored > 0) {
        add_block(a, p);
    }
    if (!failed(a) && p->stored > 0) {
        add_trace(a, p);
    }
    a->receipt.stored += p->stored;
    a->receipt.known += p->end - p->begin - p->stored;
}

static void add_slice(adding *a)
{
    slice *sl = a->s->slice;
    slice_sort(sl);
    for (size_t begin = 0; begin < sl->count && !failed(a);) {
        part p = {.begin = begin, .end = slice_trace_end(sl, begin), .trace_id = sl->spans[sl->by_id[begin]].trace_id};
        add_part(a, &p);
        begin = p.end;
    }
    sl->count = 0;
}

static bool add_span(void *user, const otlp_span *span)
{
    adding *a = user;
    slice *sl = a->s->slice;
    if (trace_id_is_zero(span->trace_id) || span_id_is_zero(span->span_id)) {
        a->receipt.rejected++;
        return true;
    }
    sl->spans[sl->count++] = *span;
    if (sl->count == SLICE_SPANS) {
        add_slice(a);
    }
    return !failed(a);
}

/* ---- the transaction ---- */

static loom_status finish(adding *a)
{
    uint64_t span_count = a->s->span_count + a->receipt.stored;
    uint64_t trace_count = a->s->trace_count + a->new_traces;
    a->s->unsized_bytes += a->bytes;
    bool more; /* which the next request or store_tidy() drops */
    a->code = store_keep_retention(a->s, a->receipt.stored, &span_count, &trace_count, &more);
    if (a->code == SQLITE_OK) {
        a->code = store_run(a->s->write[WRITE_COMMIT]);
    }
    if (a->code == SQLITE_OK) {
        a->s->span_count = span_count;
        a->s->trace_count = trace_count;
    }
    return store_status(a->code);
}

loom_status store_add(store *s, loom_bytes request, store_receipt *receipt)
{
    adding a = {.s = s, .bytes = request.len, .code = SQLITE_OK};
    *receipt = (store_receipt){0};
    int begun = store_run(s->write[WRITE_BEGIN]);
    if (begun != SQLITE_OK) {
        return store_status(begun);
    }
    s->slice->count = 0;
    s->digest.count = 0; /* what a failure has left */
    loom_status st = otlp_read_request(request, add_span, &a);
    if (st == LOOM_OK && !failed(&a)) {
        add_slice(&a);
    }
    if (st == LOOM_OK) {
        st = a.status != LOOM_OK ? a.status : a.code != SQLITE_OK ? store_status(a.code) : finish(&a);
    }
    if (st != LOOM_OK) {
        store_roll_back(s);
        return st;
    }
    *receipt = a.receipt;
    return LOOM_OK;
}
