/* SPDX-License-Identifier: Apache-2.0 */
/* The enrichment stage: attributes for every span, and a callback that adds its own. What is added is collected first, so
 * that a key that is set takes the place of the span's. */
#include "base/last_error.h"
#include "base/str.h"
#include "trace/otlp/attr_encode.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/read.h"
#include "trace/pipeline/span_edit.h"
#include "trace/pipeline/stage.h"

#include <stdlib.h>

#define ADDED_MAX (64u * 1024u) /* bytes of what one span is given */

typedef struct enrich_stage {
    loom_span_stage base;
    pb_buf attrs; /* encoded as they stand in a span */
    void (*on_span)(void *user, loom_ended_span *span);
    void *user;
} enrich_stage;

struct loom_ended_span {
    const enrich_stage *stage;
    loom_bytes span;
    pb_buf added;     /* by the callback, encoded as they stand in a span */
    attr_index index; /* of added */
};

/* The last field of this number; false: there is none. */
static bool find_field(loom_bytes message, uint32_t number, enum pb_wire wire, pb_field *found)
{
    pb_cursor c = pb_cursor_on(message);
    pb_field f;
    bool any = false;
    while (pb_next(&c, &f)) {
        if (pb_is(&f, number, wire)) {
            *found = f;
            any = true;
        }
    }
    return any;
}

static uint64_t number_of(loom_bytes message, uint32_t number, enum pb_wire wire)
{
    pb_field f;
    return find_field(message, number, wire, &f) ? f.value : 0;
}

static loom_bytes bytes_in(loom_bytes message, uint32_t number)
{
    pb_field f;
    return find_field(message, number, PB_LENGTH, &f) ? f.bytes : (loom_bytes){0};
}

static loom_bytes message_of(const loom_ended_span *span)
{
    return span != NULL ? span->span : (loom_bytes){0};
}

loom_str loom_ended_span_name(const loom_ended_span *span)
{
    const loom_bytes name = bytes_in(message_of(span), SPAN_NAME);
    return (loom_str){(const char *)name.data, name.len};
}

loom_span_kind loom_ended_span_kind(const loom_ended_span *span)
{
    return (loom_span_kind)number_of(message_of(span), SPAN_KIND, PB_VARINT);
}

loom_span_status loom_ended_span_status(const loom_ended_span *span)
{
    return (loom_span_status)number_of(bytes_in(message_of(span), SPAN_STATUS), STATUS_CODE, PB_VARINT);
}

uint64_t loom_ended_span_duration_ns(const loom_ended_span *span)
{
    const uint64_t start = number_of(message_of(span), SPAN_START_TIME, PB_FIXED64), end = number_of(message_of(span), SPAN_END_TIME, PB_FIXED64);
    return end > start ? end - start : 0;
}

loom_trace_context loom_ended_span_context(const loom_ended_span *span)
{
    loom_trace_context ctx = {0};
    const loom_bytes trace_id = bytes_in(message_of(span), SPAN_TRACE_ID), span_id = bytes_in(message_of(span), SPAN_SPAN_ID);
    if (trace_id.len == sizeof ctx.trace_id && span_id.len == sizeof ctx.span_id) {
        memcpy(ctx.trace_id, trace_id.data, sizeof ctx.trace_id);
        memcpy(ctx.span_id, span_id.data, sizeof ctx.span_id);
        ctx.trace_flags = (uint8_t)number_of(message_of(span), SPAN_FLAGS, PB_FIXED32);
    }
    return ctx;
}

loom_str loom_ended_span_string(const loom_ended_span *span, const char *key)
{
    return key != NULL && span != NULL ? otlp_span_string(message_of(span), key) : (loom_str){0};
}

void loom_ended_span_set(loom_ended_span *span, const loom_attr *attr)
{
    if (span != NULL && attr != NULL) {
        (void)attr_index_put(&span->index, &span->added, SPAN_ATTRIBUTES, attr);
    }
}

/* What the callback has set replaces what the span says. */
static void on_attr(void *self, edit_walk *w, const edit_attr *attr)
{
    const loom_ended_span *span = self;
    const loom_bytes added = {span->added.data, span->added.len};
    if (w->parent == NULL && edit_has_key(added, SPAN_ATTRIBUTES, attr->key)) {
        (void)edit_replace(w);
    }
}

static void append_constants(const loom_ended_span *span, edit_walk *w)
{
    const loom_bytes added = {span->added.data, span->added.len};
    pb_cursor c = pb_cursor_on((loom_bytes){span->stage->attrs.data, span->stage->attrs.len});
    pb_field f;
    for (const uint8_t *from = c.at; pb_next(&c, &f); from = c.at) {
        const loom_str key = edit_key_of(f.bytes);
        if (!edit_has_key(span->span, SPAN_ATTRIBUTES, key) && !edit_has_key(added, SPAN_ATTRIBUTES, key)) {
            pb_raw(edit_replace(w), from, (size_t)(c.at - from));
        }
    }
}

static void at_end(void *self, edit_walk *w, loom_bytes message)
{
    const loom_ended_span *span = self;
    (void)message;
    if (span->added.len > 0) {
        pb_raw(edit_replace(w), span->added.data, span->added.len);
    }
    append_constants(span, w);
}

static bool enrich_rewrite(const loom_span_stage *self, loom_bytes message, pb_buf *out)
{
    const enrich_stage *stage = (const enrich_stage *)self;
    loom_ended_span span = {.stage = stage, .span = message};
    pb_init(&span.added, NULL, 0, ADDED_MAX);
    attr_index_init(&span.index, ATTR_LIMITS_DEFAULT);
    if (stage->on_span != NULL) {
        stage->on_span(stage->user, &span);
    }
    const span_editor editor = {.on_attr = span.added.len > 0 ? on_attr : NULL, .at_end = at_end, .self = &span};
    const bool rewritten = span_edit(&editor, message, out);
    pb_fini(&span.added);
    return rewritten;
}

static void enrich_free(loom_span_stage *self)
{
    enrich_stage *stage = (enrich_stage *)self;
    pb_fini(&stage->attrs);
    free(stage);
}

static loom_status encode_attrs(enrich_stage *stage, const loom_enrich_options *options)
{
    attr_index index;
    attr_index_init(&index, ATTR_LIMITS_DEFAULT);
    pb_init(&stage->attrs, NULL, 0, ADDED_MAX);
    for (size_t i = 0; i < options->attr_count; i++) {
        const loom_attr *attr = &options->attrs[i];
        if (attr->key == NULL || attr->key[0] == '\0') {
            return last_error(LOOM_EINVAL, "attribute %zu has no key", i);
        }
        if (!attr_index_put(&index, &stage->attrs, SPAN_ATTRIBUTES, attr)) {
            return LOOM_ENOMEM;
        }
    }
    return LOOM_OK;
}

loom_status loom_enrich_create(loom_span_stage **out, const loom_enrich_options *options)
{
    if (out == NULL) {
        return last_error_null("the place for the stage");
    }
    *out = NULL;
    if (options == NULL || (options->attr_count > 0 ? options->attrs == NULL : options->on_span == NULL)) {
        return last_error(LOOM_EINVAL, "there are neither attributes nor on_span");
    }
    if (options->attr_count > ATTR_COUNT_MAX) {
        return LOOM_ETOOBIG;
    }
    enrich_stage *stage = calloc(1, sizeof *stage);
    if (stage == NULL) {
        return LOOM_ENOMEM;
    }
    stage_init(&stage->base, enrich_rewrite, enrich_free);
    stage->on_span = options->on_span;
    stage->user = options->user;
    const loom_status st = encode_attrs(stage, options);
    if (st != LOOM_OK) {
        enrich_free(&stage->base);
        return st;
    }
    *out = &stage->base;
    return LOOM_OK;
}
