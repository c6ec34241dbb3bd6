/* SPDX-License-Identifier: Apache-2.0 */
/* What a query asks of a block: of its digest first, of its spans when the digest cannot rule them out. */
#include "trace/collect/store_internal.h"

#include "base/str.h"

#include <loom/trace.h>

static loom_str value_text(sqlite3_value *value)
{
    const void *text = sqlite3_value_text(value);
    return (loom_str){text != NULL ? text : "", text != NULL ? (size_t)sqlite3_value_bytes(value) : 0};
}

static loom_bytes value_bytes(sqlite3_value *value)
{
    const void *bytes = sqlite3_value_blob(value);
    return (loom_bytes){bytes, bytes != NULL ? (size_t)sqlite3_value_bytes(value) : 0};
}

static void may_hold(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    loom_str key = sqlite3_value_type(values[1]) == SQLITE_NULL ? store_service_key : value_text(values[1]);
    sqlite3_result_int(context, digest_may_hold(value_bytes(values[0]), key, value_text(values[2])));
}

typedef struct looking {
    bool for_service;
    loom_str key, value;
    bool found;
} looking;

static bool match_attr(void *user, otlp_attr attr)
{
    looking *l = user;
    char text[STORE_SEARCHABLE_MAX];
    size_t len;
    l->found = str_equal(attr.key, l->key) && span_value_text(text, sizeof text, &len, attr.value) &&
               str_equal((loom_str){text, len}, l->value);
    return !l->found;
}

static bool match_span(void *user, const otlp_span *span)
{
    looking *l = user;
    if (l->for_service) {
        l->found = str_equal(otlp_resource_string(span->resource, "service.name"), l->value);
    } else {
        otlp_read_span_attrs(span->span, match_attr, l);
    }
    return !l->found;
}

static void holds(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    looking l = {.for_service = sqlite3_value_type(values[1]) == SQLITE_NULL, .value = value_text(values[2])};
    l.key = l.for_service ? (loom_str){0} : value_text(values[1]);
    loom_status st = otlp_read_request(value_bytes(values[0]), match_span, &l);
    sqlite3_result_int(context, st == LOOM_OK && l.found);
}

/* ---- what older versions have not kept of a block ---- */

typedef struct tally {
    uint64_t finish_unix_ns;
    sqlite3_int64 errors;
} tally;

static bool tally_span(void *user, const otlp_span *span)
{
    tally *t = user;
    t->finish_unix_ns = span->end_unix_ns > t->finish_unix_ns ? span->end_unix_ns : t->finish_unix_ns;
    t->errors += span->status == LOOM_SPAN_ERROR;
    return true;
}

static tally tally_block(sqlite3_value *request)
{
    tally t = {0};
    const loom_status st = otlp_read_request(value_bytes(request), tally_span, &t);
    return st == LOOM_OK ? t : (tally){0};
}

static void block_finish(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    sqlite3_result_int64(context, store_time(tally_block(values[0]).finish_unix_ns));
}

static void block_errors(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    sqlite3_result_int64(context, tally_block(values[0]).errors);
}

loom_status store_add_functions(store *s)
{
    static const struct {
        const char *name;
        int arguments;
        void (*run)(sqlite3_context *context, int count, sqlite3_value **values);
    } functions[] = {{"may_hold", 3, may_hold}, {"holds", 3, holds}, {"block_finish", 1, block_finish}, {"block_errors", 1, block_errors}};
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int code = SQLITE_OK;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0] && code == SQLITE_OK; i++) {
        code = sqlite3_create_function_v2(s->db, functions[i].name, functions[i].arguments, flags, NULL, functions[i].run, NULL, NULL, NULL);
    }
    return store_status(code);
}
