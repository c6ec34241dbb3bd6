/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/regroup.h"

#include "base/str.h"
#include "trace/otlp/fields.h"

#include <string.h>

#define REQUEST_MAX ((size_t)1 << 31) /* bytes */

void regrouping_init(regrouping *r)
{
    *r = (regrouping){0};
    pb_init(&r->out, NULL, 0, REQUEST_MAX);
}

void regrouping_fini(regrouping *r)
{
    pb_fini(&r->out);
}

static loom_bytes url_bytes(loom_str text)
{
    return (loom_bytes){(const uint8_t *)text.data, text.len};
}

static bool same(const regrouping *r, regrouped part, loom_bytes bytes)
{
    return bytes_equal(bytes, (loom_bytes){r->out.data + part.at, part.len});
}

static bool belongs(const regrouping *r, const otlp_span *span)
{
    return same(r, r->resource, span->resource) && same(r, r->scope, span->scope) &&
           same(r, r->resource_schema_url, url_bytes(span->resource_schema_url)) &&
           same(r, r->scope_schema_url, url_bytes(span->scope_schema_url));
}

static void close_groups(regrouping *r)
{
    if (r->open) {
        pb_close(&r->out, r->scope_spans);
        pb_close(&r->out, r->resource_spans);
        r->open = false;
    }
}

static regrouped put(regrouping *r, uint32_t field, loom_bytes bytes)
{
    pb_bytes_field(&r->out, field, bytes.data, bytes.len);
    return (regrouped){r->out.len - bytes.len, bytes.len};
}

static regrouped put_schema_url(regrouping *r, uint32_t field, loom_str url)
{
    return url.len > 0 ? put(r, field, url_bytes(url)) : (regrouped){r->out.len, 0};
}

static void open_groups(regrouping *r, const otlp_span *span)
{
    r->resource_spans = pb_open(&r->out, REQUEST_RESOURCE_SPANS);
    r->resource = put(r, RESOURCE_SPANS_RESOURCE, span->resource);
    r->resource_schema_url = put_schema_url(r, RESOURCE_SPANS_SCHEMA_URL, span->resource_schema_url);
    r->scope_spans = pb_open(&r->out, RESOURCE_SPANS_SCOPE_SPANS);
    r->scope = put(r, SCOPE_SPANS_SCOPE, span->scope);
    r->scope_schema_url = put_schema_url(r, SCOPE_SPANS_SCHEMA_URL, span->scope_schema_url);
    r->open = !r->out.failed;
}

void regrouping_add(regrouping *r, const otlp_span *span)
{
    if (r->open && !belongs(r, span)) {
        close_groups(r);
    }
    if (!r->open) {
        open_groups(r, span);
    }
    pb_bytes_field(&r->out, SCOPE_SPANS_SPANS, span->span.data, span->span.len);
}

static int compare_bytes(loom_bytes a, loom_bytes b)
{
    const size_t common = a.len < b.len ? a.len : b.len;
    const int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int regrouping_compare(const otlp_span *left, const otlp_span *right)
{
    int order = compare_bytes(left->resource, right->resource);
    order = order != 0 ? order : compare_bytes(left->scope, right->scope);
    order = order != 0 ? order : compare_bytes(url_bytes(left->resource_schema_url), url_bytes(right->resource_schema_url));
    return order != 0 ? order : compare_bytes(url_bytes(left->scope_schema_url), url_bytes(right->scope_schema_url));
}

loom_status regrouping_finish(regrouping *r, loom_bytes *request)
{
    close_groups(r);
    *request = (loom_bytes){r->out.data, r->out.len};
    return r->out.failed ? LOOM_ENOMEM : LOOM_OK;
}
