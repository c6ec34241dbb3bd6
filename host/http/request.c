/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler asks of its request. */
#include "host/http/internal.h"

#include "base/str.h"

loom_str http_request_path(const http_request *r)
{
    return r->head.path;
}

loom_str http_request_rest(const http_request *r)
{
    return r->rest;
}

loom_str http_request_query(const http_request *r)
{
    return r->head.query;
}

loom_str http_request_method(const http_request *r)
{
    return r->head.method;
}

unsigned http_request_minor(const http_request *r)
{
    return r->head.minor;
}

const char *http_request_peer(const http_request *r)
{
    return r->connection != NULL ? r->connection->peer : "";
}

const char *http_request_allow(const http_request *r)
{
    return r->allow;
}

const loom_str *http_request_field(const http_request *r, const char *name)
{
    return http_head_field(&r->head, name);
}

size_t http_request_fields(const http_request *r, const char *name, loom_str *values, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < r->head.field_count; i++) {
        if (str_is_any_case(r->head.fields[i].name, name)) {
            if (count < max) {
                values[count] = r->head.fields[i].value;
            }
            count++;
        }
    }
    return count;
}

loom_bytes http_request_body(const http_request *r)
{
    return (loom_bytes){r->body.data, r->body.len};
}

bool http_request_is_http2(const http_request *r)
{
    return r->h2 != NULL;
}

bool http_request_has_length(const http_request *r)
{
    return r->head.has_length || r->head.chunked;
}
