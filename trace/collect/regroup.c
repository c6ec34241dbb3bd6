/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/regroup.h"

#include "base/str.h"
#include "trace/otlp/fields.h"

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

static bool same(const regrouping *r, size_t at, size_t len, loom_bytes bytes)
{
    return bytes_equal(bytes, (loom_bytes){r->out.data + at, len});
}

static void close_groups(regrouping *r)
{
    if (r->open) {
        pb_close(&r->out, r->scope_spans);
        pb_close(&r->out, r->resource_spans);
        r->open = false;
    }
}

static void open_groups(regrouping *r, loom_bytes resource, loom_bytes scope)
{
    r->resource_spans = pb_open(&r->out, REQUEST_RESOURCE_SPANS);
    pb_bytes_field(&r->out, RESOURCE_SPANS_RESOURCE, resource.data, resource.len);
    r->resource_len = resource.len;
    r->resource = r->out.len - resource.len;
    r->scope_spans = pb_open(&r->out, RESOURCE_SPANS_SCOPE_SPANS);
    pb_bytes_field(&r->out, SCOPE_SPANS_SCOPE, scope.data, scope.len);
    r->scope_len = scope.len;
    r->scope = r->out.len - scope.len;
    r->open = !r->out.failed;
}

void regrouping_add(regrouping *r, loom_bytes span, loom_bytes resource, loom_bytes scope)
{
    if (r->open && !(same(r, r->resource, r->resource_len, resource) && same(r, r->scope, r->scope_len, scope))) {
        close_groups(r);
    }
    if (!r->open) {
        open_groups(r, resource, scope);
    }
    pb_bytes_field(&r->out, SCOPE_SPANS_SPANS, span.data, span.len);
}

loom_status regrouping_finish(regrouping *r, loom_bytes *request)
{
    close_groups(r);
    *request = (loom_bytes){r->out.data, r->out.len};
    return r->out.failed ? LOOM_ENOMEM : LOOM_OK;
}
