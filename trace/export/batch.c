/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/batch.h"

#include "base/thread.h"
#include "trace/otlp/fields.h"

#include <stdlib.h>

enum { REST_SPANS = 64 };                 /* after so many the exporter's thread may rest */
#define REQUEST_KEEP_MAX (4u * 1024u * 1024u) /* bytes: a buffer that grew beyond is given back */

loom_status batch_init(batch *b, size_t max_spans)
{
    *b = (batch){.cap = max_spans};
    b->groups = calloc(max_spans, sizeof *b->groups);
    pb_init(&b->request, NULL, 0, SIZE_MAX / 8);
    return b->groups != NULL ? LOOM_OK : LOOM_ENOMEM;
}

void batch_fini(batch *b)
{
    free(b->groups);
    pb_fini(&b->request);
}

static batch_group *group_of(batch *b, const span_scope *scope)
{
    for (size_t i = b->count; i-- > 0;) { /* from the end: neighbours are often of one scope */
        if (b->groups[i].scope == scope) {
            return &b->groups[i];
        }
    }
    b->groups[b->count] = (batch_group){.scope = scope};
    return &b->groups[b->count++];
}

void batch_add(batch *b, span_record *record)
{
    batch_group *group = group_of(b, record->scope);
    if (group->last == NULL) {
        group->first = record;
    } else {
        group->last->next = record;
    }
    group->last = record;
    record->next = NULL;
    group->spans++;
    b->spans++;
}

static size_t scope_size(const batch_group *group)
{
    return group->scope->encoded.len + group->bytes;
}

static void put_length(pb_buf *out, uint32_t field, size_t size)
{
    uint8_t head[2 * PB_VARINT_MAX];
    size_t n = pb_put_varint(head, field << 3 | PB_LENGTH);
    n += pb_put_varint(head + n, size);
    pb_raw(out, head, n);
}

static void put_scope(pb_buf *out, const batch_group *group)
{
    put_length(out, RESOURCE_SPANS_SCOPE_SPANS, scope_size(group));
    pb_raw(out, group->scope->encoded.data, group->scope->encoded.len);
    const span_record *r = group->from;
    for (size_t i = 0; i < group->count; i++, r = r->next) {
        if (i % REST_SPANS == 0) {
            thread_rest();
        }
        pb_raw(out, span_record_bytes(r), r->len);
    }
}

/* All groups of one resource, the first of which is at `from`. */
static void put_resource(batch *b, size_t from)
{
    const span_resource *resource = b->groups[from].scope->resource;
    size_t size = resource->encoded.len;
    for (size_t i = from; i < b->count; i++) {
        if (b->groups[i].scope->resource == resource && b->groups[i].count > 0) {
            size_t scope = scope_size(&b->groups[i]);
            size += 1 + pb_varint_size(scope) + scope;
        }
    }
    put_length(&b->request, REQUEST_RESOURCE_SPANS, size);
    pb_raw(&b->request, resource->encoded.data, resource->encoded.len);
    for (size_t i = from; i < b->count; i++) {
        if (b->groups[i].scope->resource == resource && b->groups[i].count > 0) {
            put_scope(&b->request, &b->groups[i]);
            b->groups[i].written = true;
        }
    }
}

/* Which spans of the group are among count from the first-th of the batch on; offset is the group's first. */
static void select_spans(batch_group *group, size_t offset, size_t first, size_t count)
{
    const size_t end = offset + group->spans, last = first + count;
    const size_t begin = first > offset ? first : offset;
    size_t skip = begin - offset;
    group->count = begin < end && begin < last ? (end < last ? end : last) - begin : 0;
    group->bytes = 0;
    group->written = false;
    group->from = group->first;
    if (group->count == 0) {
        return;
    }
    for (; skip > 0; skip--) {
        group->from = group->from->next;
    }
    const span_record *r = group->from;
    for (size_t i = 0; i < group->count; i++, r = r->next) {
        group->bytes += r->len;
    }
}

bool batch_encode(batch *b, size_t first, size_t count, loom_bytes *out)
{
    size_t offset = 0;
    for (size_t i = 0; i < b->count; i++) {
        select_spans(&b->groups[i], offset, first, count);
        offset += b->groups[i].spans;
    }
    pb_rollback(&b->request, 0);
    for (size_t i = 0; i < b->count; i++) {
        if (!b->groups[i].written && b->groups[i].count > 0) {
            put_resource(b, i);
        }
    }
    *out = (loom_bytes){b->request.data, b->request.len};
    return !b->request.failed;
}

void batch_clear(batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        span_resource *resource = b->groups[i].scope->resource;
        resource->release(resource, b->groups[i].spans);
    }
    b->count = 0;
    b->spans = 0;
    if (b->request.cap > REQUEST_KEEP_MAX) {
        pb_fini(&b->request);
        pb_init(&b->request, NULL, 0, SIZE_MAX / 8);
    }
}
