/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/spans/recorded.h"

#include "base/str.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"
#include "trace/otlp/protobuf_write.h"
#include "trace/otlp/read.h"
#include "trace/span/thread.h"

typedef struct foreign_record {
    ring_record base;
    uint64_t start_ns, duration_ns;
    uint32_t resource, scope, schema, span; /* bytes of each, which follow: three messages, and a field of ScopeSpans or nothing */
    uint8_t bytes[];
} foreign_record;

static const foreign_record *record_of(const record_head *rec)
{
    return (const foreign_record *)(const void *)rec;
}

static void write_span(const span_scope *scope, const found_record *found, pb_buf *out)
{
    const foreign_record *rec = record_of(found->rec);
    (void)scope;
    pb_raw(out, rec->bytes + rec->resource + rec->scope + rec->schema, rec->span);
}

static uint64_t duration_of(const record_head *rec)
{
    return record_of(rec)->duration_ns;
}

static uint64_t start_of(const found_record *found)
{
    return record_of(found->rec)->start_ns;
}

static loom_str name_of(const record_definition *d)
{
    return definition_text(d, 0);
}

static const span_scope *open_scope(const found_record *found, loom_span_processor *processor)
{
    const foreign_record *rec = record_of(found->rec);
    const uint8_t *scope = rec->bytes + rec->resource;
    return foreign_open_scope(processor, (loom_bytes){rec->bytes, rec->resource}, (loom_bytes){scope, rec->scope},
                              (loom_bytes){scope + rec->scope, rec->schema});
}

static const record_form foreign_form = {
    .write = write_span, .duration_ns = duration_of, .start_ns = start_of, .name = name_of, .open_scope = open_scope};

/* What is said of a span beside its bytes. */
typedef struct span_facts {
    loom_bytes trace_id;
    loom_str name;
    uint64_t start_ns, end_ns;
} span_facts;

static span_facts facts_of(loom_bytes span)
{
    span_facts facts = {.start_ns = 0};
    pb_cursor c = pb_cursor_on(span);
    for (pb_field f; pb_next(&c, &f);) {
        switch (f.number) {
        case SPAN_TRACE_ID: facts.trace_id = f.bytes; break;
        case SPAN_NAME: facts.name = (loom_str){(const char *)f.bytes.data, f.bytes.len}; break;
        case SPAN_START_TIME: facts.start_ns = f.value; break;
        case SPAN_END_TIME: facts.end_ns = f.value; break;
        default: break;
        }
    }
    return facts;
}

bool recorded_is_on(loom_span_processor *processor)
{
    uint32_t number;
    return recorder_for(processor, &number) != NULL;
}

static uint8_t *put(uint8_t *to, loom_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(to, bytes.data, bytes.len);
    }
    return to + bytes.len;
}

static loom_str short_text(loom_str text)
{
    return text.len <= RECORD_TEXT_MAX ? text : (loom_str){0};
}

bool recorded_put(loom_span_processor *processor, const foreign_scope *scope, loom_bytes span)
{
    uint32_t tracer;
    recorder *r = recorder_for(processor, &tracer);
    record_hand *hand = r != NULL ? span_thread_hand(span_thread_here()) : NULL;
    const foreign_source from = foreign_source_of(scope);
    const size_t size = sizeof(foreign_record) + from.resource.len + from.scope.len + from.schema.len + span.len;
    const span_facts facts = facts_of(span);
    if (facts.trace_id.data == NULL || facts.trace_id.len != LOOM_TRACE_ID_SIZE) {
        return false;
    }
    if (hand == NULL) {
        return false;
    }
    if (!record_fits_chunk(size)) {
        record_lost(r, facts.trace_id.data);
        return false;
    }
    record_chunk *chunk = record_room(hand, r, size, facts.trace_id.data);
    if (chunk == NULL) {
        return false;
    }
    const record_definition *d = record_define(
        chunk, r, &(record_what){.form = &foreign_form, .tracer = tracer,
                                 .texts = {short_text(facts.name), short_text(otlp_span_string(span, "topic"))}});
    foreign_record *rec = record_here(chunk);
    memcpy(rec->base.trace_id, facts.trace_id.data, sizeof rec->base.trace_id);
    rec->start_ns = facts.start_ns;
    rec->duration_ns = facts.end_ns - facts.start_ns;
    rec->resource = (uint32_t)from.resource.len;
    rec->scope = (uint32_t)from.scope.len;
    rec->schema = (uint32_t)from.schema.len;
    rec->span = (uint32_t)span.len;
    (void)put(put(put(put(rec->bytes, from.resource), from.scope), from.schema), span);
    chunk->base_of = NULL; /* no hop goes on from it */
    record_publish(chunk, r, &rec->base, d, size, 0, 0); /* whether it was slow, its own process has said */
    return true;
}
