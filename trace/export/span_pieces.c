/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/span_pieces.h"

#include "base/thread.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/read.h"

#include <stdlib.h>

enum { HEADS_MAX = 7 * (1 + PB_VARINT_MAX) }; /* of a span, and of the messages and schema URLs around it */
#define KEEP_MAX (1024u * 1024u)              /* bytes kept for the next request */

typedef struct cutter {
    span_pieces *p;
    size_t target, max;
    bool open, failed;
    size_t resource_mark, scope_mark;
    const uint8_t *resource_spans, *scope_spans; /* of the last span */
} cutter;

void span_pieces_init(span_pieces *p)
{
    *p = (span_pieces){0};
    pb_init(&p->bytes, NULL, 0, SIZE_MAX / 8);
}

void span_pieces_fini(span_pieces *p)
{
    pb_fini(&p->bytes);
    free(p->items);
}

static void close_piece(cutter *c)
{
    if (c->open) {
        span_piece *piece = &c->p->items[c->p->count - 1];
        pb_close(&c->p->bytes, c->scope_mark);
        pb_close(&c->p->bytes, c->resource_mark);
        piece->len = c->p->bytes.len - piece->at;
        c->open = false;
    }
}

static void open_scope(cutter *c, const otlp_span *span)
{
    c->scope_mark = pb_open(&c->p->bytes, RESOURCE_SPANS_SCOPE_SPANS);
    pb_bytes_field(&c->p->bytes, SCOPE_SPANS_SCOPE, span->scope.data, span->scope.len);
    if (span->scope_schema_url.len > 0) {
        pb_string_field(&c->p->bytes, SCOPE_SPANS_SCHEMA_URL, span->scope_schema_url);
    }
}

static void open_resource(cutter *c, const otlp_span *span)
{
    c->resource_mark = pb_open(&c->p->bytes, REQUEST_RESOURCE_SPANS);
    pb_bytes_field(&c->p->bytes, RESOURCE_SPANS_RESOURCE, span->resource.data, span->resource.len);
    if (span->resource_schema_url.len > 0) {
        pb_string_field(&c->p->bytes, RESOURCE_SPANS_SCHEMA_URL, span->resource_schema_url);
    }
    open_scope(c, span);
}

static bool open_piece(cutter *c, const otlp_span *span)
{
    span_pieces *p = c->p;
    if (p->count == p->capacity) {
        const size_t capacity = p->capacity > 0 ? 2 * p->capacity : 64;
        span_piece *items = realloc(p->items, capacity * sizeof *items);
        if (items == NULL) {
            return false;
        }
        p->items = items;
        p->capacity = capacity;
    }
    p->items[p->count++] = (span_piece){.at = p->bytes.len};
    c->open = true;
    open_resource(c, span);
    return true;
}

/* Puts the span where it belongs: behind the last one, or under a scope or resource of its own. */
static void go_on(cutter *c, const otlp_span *span)
{
    if (span->resource_spans != c->resource_spans) {
        pb_close(&c->p->bytes, c->scope_mark);
        pb_close(&c->p->bytes, c->resource_mark);
        open_resource(c, span);
    } else if (span->scope_spans != c->scope_spans) {
        pb_close(&c->p->bytes, c->scope_mark);
        open_scope(c, span);
    }
}

static bool add(void *user, const otlp_span *span)
{
    cutter *c = user;
    span_pieces *p = c->p;
    const size_t around = HEADS_MAX + span->resource.len + span->resource_schema_url.len + span->scope.len +
                          span->scope_schema_url.len;
    if (around + span->span.len > c->max) {
        p->too_large++;
        return true;
    }
    if (c->open && p->bytes.len - p->items[p->count - 1].at + around + span->span.len > c->target) {
        close_piece(c);
        thread_rest();
    }
    if (c->open) {
        go_on(c, span);
    } else if (!open_piece(c, span)) {
        c->failed = true;
        return false;
    }
    c->resource_spans = span->resource_spans;
    c->scope_spans = span->scope_spans;
    pb_bytes_field(&p->bytes, SCOPE_SPANS_SPANS, span->span.data, span->span.len);
    p->items[p->count - 1].spans++;
    return !p->bytes.failed;
}

loom_status span_pieces_cut(span_pieces *p, loom_bytes request, size_t target, size_t max)
{
    cutter c = {.p = p, .target = target, .max = max};
    if (p->bytes.cap > KEEP_MAX) {
        pb_fini(&p->bytes);
        pb_init(&p->bytes, NULL, 0, SIZE_MAX / 8);
    }
    pb_rollback(&p->bytes, 0);
    p->count = 0;
    p->too_large = 0;
    const loom_status st = otlp_read_request(request, add, &c);
    close_piece(&c);
    return c.failed || p->bytes.failed ? LOOM_ENOMEM : st;
}
