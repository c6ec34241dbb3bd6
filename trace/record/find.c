/* SPDX-License-Identifier: Apache-2.0 */
/* A trace's records out of the ring, as spans for its exporters. */
#include "trace/record/internal.h"

#include "trace/export/processor.h"
#include "trace/otlp/attr_encode.h"
#include "trace/otlp/fields.h"

#include <stdlib.h>

enum {
    FOUND_MAX = 512,          /* spans taken out in one go, and */
    FOUND_BYTES = 512 * 1024, /* their bytes, for how long the lock may be held */
    CHUNKS_AT_ONCE = 32
};

typedef struct found_span {
    const span_scope *scope; /* with one use of its resource */
    loom_span_processor *processor;
    size_t at, len;          /* in the bytes */
} found_span;

typedef struct found_spans {
    found_span items[FOUND_MAX];
    size_t count;
    pb_buf bytes; /* ScopeSpans.spans fields */
} found_spans;

static void add_reason(pb_buf *b, const kept_trace *k)
{
    attr_encode(b, SPAN_ATTRIBUTES, str_of("loom.kept"), &(loom_attr){.type = LOOM_ATTR_STRING, .value.string = str_of(k->reason)}, UINT32_MAX);
    if (k->cut) {
        attr_encode(b, SPAN_ATTRIBUTES, str_of("loom.kept.cut"), &(loom_attr){.type = LOOM_ATTR_BOOL, .value.boolean = true}, UINT32_MAX);
    }
}

/* The fields of a span that was written as a ScopeSpans.spans field by us: behind its tag and length. */
static loom_bytes fields_of(const record_bytes *rec)
{
    size_t at = 1;
    while ((rec->bytes[at++] & 0x80u) != 0) {
    }
    return (loom_bytes){rec->bytes + at, rec->len - at};
}

/* Lock held. false: no room now. */
static bool take(found_spans *found, const recorder *r, const found_record *what, const kept_trace *k)
{
    const record_definition *const d = what->definition;
    const known_tracer *tracer = recorder_tracer(r, d->tracer);
    if (tracer == NULL || !tracer->scope->resource->try_use(tracer->scope->resource)) {
        what->rec->kept = 1; /* its provider is gone */
        return true;
    }
    const size_t mark = found->bytes.len, span = pb_open(&found->bytes, SCOPE_SPANS_SPANS);
    if (d->form != NULL) {
        d->form->write(tracer->scope, what, &found->bytes);
    } else {
        const loom_bytes fields = fields_of((const record_bytes *)(const void *)what->rec);
        pb_raw(&found->bytes, fields.data, fields.len);
    }
    add_reason(&found->bytes, k);
    pb_close(&found->bytes, span);
    if (found->bytes.failed) {
        pb_rollback(&found->bytes, mark);
        tracer->scope->resource->release(tracer->scope->resource, 1);
        return false;
    }
    what->rec->kept = 1;
    found->items[found->count++] = (found_span){tracer->scope, tracer->processor, mark, found->bytes.len - mark};
    return true;
}

/* Lock held. false: there is more than fits. */
static bool find_in_chunk(found_spans *found, const recorder *r, record_chunk *chunk, const kept_trace *k)
{
    const unsigned bucket = chunk_bucket(trace_hash(k->trace_id));
    found_record what = {.rec = NULL};
    bool wanted = false;
    for (uint16_t at = atomic_load_explicit(&chunk->heads[bucket], memory_order_acquire); at != 0;) {
        found_record_step(&what, chunk, at);
        if (what.rec == &what.base->head) {
            wanted = memcmp(what.base->trace_id, k->trace_id, LOOM_TRACE_ID_SIZE) == 0;
        }
        if (wanted && what.rec->kept == 0 &&
            (found->count == FOUND_MAX || found->bytes.len > FOUND_BYTES || !take(found, r, &what, k))) {
            return false;
        }
        at = atomic_load_explicit(&what.rec->next, memory_order_acquire);
    }
    return true;
}

static void export_found(found_spans *found)
{
    for (size_t i = 0; i < found->count; i++) {
        const found_span *f = &found->items[i];
        (void)processor_submit(f->processor, f->scope, (loom_bytes){found->bytes.data + f->at, f->len});
    }
    found->count = 0;
    pb_rollback(&found->bytes, 0);
}

/* Lock held. What is overwritten while it is kept, before it could be exported, counts as well. */
static void look_for_gaps(recorder *r, kept_trace *k)
{
    if (!k->cut && ghosts_has(&r->ghosts, k->trace_id)) {
        k->cut = true;
        r->counts.cut++;
    }
}

void recorder_export_trace(recorder *r, kept_trace *k)
{
    found_spans *found = malloc(sizeof *found);
    size_t at = 0, count;
    if (found == NULL) {
        return;
    }
    found->count = 0;
    pb_init(&found->bytes, NULL, 0, SIZE_MAX / 8);
    do {
        pthread_mutex_lock(&r->lock);
        look_for_gaps(r, k);
        count = r->chunk_count;
        const size_t until = at + CHUNKS_AT_ONCE < count ? at + CHUNKS_AT_ONCE : count;
        while (at < until && find_in_chunk(found, r, r->chunks[at], k)) {
            at++;
        }
        r->counts.kept += found->count;
        pthread_mutex_unlock(&r->lock);
        const bool stuck = at < until && found->count == 0; /* no memory */
        k->found |= found->count > 0;
        export_found(found);
        at += stuck ? 1 : 0;
    } while (at < count);
    pb_fini(&found->bytes);
    free(found);
}
