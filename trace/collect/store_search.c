/* SPDX-License-Identifier: Apache-2.0 */
/* What a query asks of a block: of its digest first, of its spans when the digest cannot rule them out. */
#include "trace/collect/store_internal.h"

#include "base/str.h"

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

loom_status store_add_functions(store *s)
{
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int code = sqlite3_create_function_v2(s->db, "may_hold", 3, flags, NULL, may_hold, NULL, NULL, NULL);
    return store_status(code != SQLITE_OK ? code : sqlite3_create_function_v2(s->db, "holds", 3, flags, NULL, holds, NULL, NULL, NULL));
}
