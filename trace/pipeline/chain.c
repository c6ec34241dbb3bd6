/* SPDX-License-Identifier: Apache-2.0 */
/* A span on its way through the stages. Two buffers take turns: what one stage wrote the next one reads. */
#include "base/last_error.h"
#include "trace/pipeline/stage.h"

#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"

#include <stdlib.h>

#define SPAN_OUT_MAX (1024u * 1024u)         /* bytes: a span is at most 256 KiB, and what stages put in is short */
#define SCRATCH_KEEP_MAX (64u * 1024u)       /* bytes: a buffer that grew beyond is given back */
#define FIELD_HEAD_MAX (2u * PB_VARINT_MAX)  /* bytes of the tag and length before a span */

loom_status span_chain_add(span_chain *chain, loom_span_stage *const *stages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (stages == NULL || stages[i] == NULL) {
            return last_error_null("a stage");
        }
    }
    if (count == 0) {
        return LOOM_OK;
    }
    loom_span_stage **grown = realloc(chain->stages, (chain->count + count) * sizeof(loom_span_stage *));
    if (grown == NULL) {
        return LOOM_ENOMEM;
    }
    chain->stages = grown;
    for (size_t i = 0; i < count; i++) {
        chain->stages[chain->count++] = loom_span_stage_ref(stages[i]);
    }
    return LOOM_OK;
}

void span_chain_fini(span_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        loom_span_stage_unref(chain->stages[i]);
    }
    free(chain->stages);
    pb_fini(&chain->scratch[0]);
    pb_fini(&chain->scratch[1]);
    *chain = (span_chain){0};
}

static pb_buf *empty_scratch(pb_buf *b)
{
    if (b->cap == 0 || b->cap > SCRATCH_KEEP_MAX) {
        pb_fini(b);
        pb_init(b, NULL, 0, SPAN_OUT_MAX);
    }
    pb_rollback(b, 0);
    return b;
}

/* The Span message in its field. false: there is none. */
static bool open_field(const uint8_t *field, size_t len, loom_bytes *span)
{
    pb_cursor c = pb_cursor_on((loom_bytes){field, len});
    pb_field f;
    if (!pb_next(&c, &f) || !pb_is(&f, SCOPE_SPANS_SPANS, PB_LENGTH) || c.at != c.end) {
        return false;
    }
    *span = f.bytes;
    return true;
}

/* Puts the head of the field right before a message that has room there; returns the field. */
static loom_bytes close_field(uint8_t *message, size_t len)
{
    const size_t head = 1 + pb_varint_size(len);
    uint8_t *field = message - head;
    field[0] = SCOPE_SPANS_SPANS << 3 | PB_LENGTH;
    (void)pb_put_varint(field + 1, len);
    return (loom_bytes){field, head + len};
}

loom_bytes span_chain_run(span_chain *chain, uint8_t *field, size_t len)
{
    static const uint8_t room[FIELD_HEAD_MAX] = {0};
    loom_bytes span;
    bool ok = open_field(field, len, &span), changed = false;
    unsigned turn = 0;
    for (size_t i = 0; ok && i < chain->count; i++) {
        pb_buf *out = empty_scratch(&chain->scratch[turn]);
        pb_raw(out, room, sizeof room);
        const bool rewritten = chain->stages[i]->rewrite(chain->stages[i], span, out);
        ok = !out->failed;
        if (ok && rewritten) {
            span = (loom_bytes){out->data + sizeof room, out->len - sizeof room};
            turn ^= 1u;
            changed = true;
        }
    }
    if (!ok) {
        return bare_span(field, len);
    }
    return changed ? close_field((uint8_t *)(uintptr_t)span.data, span.len) : (loom_bytes){field, len};
}

static bool stays_bare(const pb_field *f)
{
    switch (f->number) {
    case SPAN_TRACE_ID:
    case SPAN_SPAN_ID:
    case SPAN_PARENT_SPAN_ID:
        return f->wire == PB_LENGTH;
    default:
        return f->wire != PB_LENGTH; /* times, kind, flags and counts */
    }
}

/* Writes the status field at `to` with nothing but its code. It is no longer than it was. */
static size_t put_bare_status(uint8_t *to, loom_bytes status)
{
    pb_cursor c = pb_cursor_on(status);
    pb_field f;
    uint64_t code = 0;
    while (pb_next(&c, &f)) {
        if (pb_is(&f, STATUS_CODE, PB_VARINT)) {
            code = f.value;
        }
    }
    if (code == 0 || code > LOOM_SPAN_ERROR) {
        return 0;
    }
    const uint8_t message[] = {STATUS_CODE << 3 | PB_VARINT, (uint8_t)code};
    return pb_put_bytes(to, SPAN_STATUS, message, sizeof message);
}

loom_bytes bare_span(uint8_t *field, size_t len)
{
    loom_bytes span;
    if (!open_field(field, len, &span)) {
        return (loom_bytes){field, 0};
    }
    uint8_t *const start = (uint8_t *)(uintptr_t)span.data, *to = start;
    pb_cursor c = pb_cursor_on(span);
    pb_field f;
    for (const uint8_t *from = c.at; pb_next(&c, &f); from = c.at) {
        if (pb_is(&f, SPAN_STATUS, PB_LENGTH)) {
            to += put_bare_status(to, f.bytes);
        } else if (stays_bare(&f)) {
            memmove(to, from, (size_t)(c.at - from));
            to += c.at - from;
        }
    }
    return close_field(start, (size_t)(to - start));
}
