/* SPDX-License-Identifier: Apache-2.0 */
/* Traces' records out of the ring, as spans for their exporters: chunk by chunk, which is named in recorder.reading meanwhile, so that
 * no lock is held for more than a glance. */
#include "trace/record/internal.h"

#include "base/thread.h"
#include "trace/export/processor.h"
#include "trace/otlp/attr_encode.h"
#include "trace/otlp/fields.h"

#include <stdlib.h>

enum {
    FOUND_MAX = 512,          /* spans taken out in one go, and */
    FOUND_BYTES = 512 * 1024, /* their bytes */
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

bool recorder_use_tracer(recorder *r, uint32_t number, known_tracer *out)
{
    pthread_mutex_lock(&r->lock);
    const known_tracer *tracer = recorder_tracer(r, number);
    const bool used = tracer != NULL && tracer->scope->resource->try_use(tracer->scope->resource);
    if (used) {
        *out = *tracer;
    }
    pthread_mutex_unlock(&r->lock);
    return used;
}

void recorder_write_span(const span_scope *scope, const found_record *what, pb_buf *out)
{
    if (what->definition->form != NULL) {
        what->definition->form->write(scope, what, out);
    } else {
        const loom_bytes fields = fields_of((const record_bytes *)(const void *)what->rec);
        pb_raw(out, fields.data, fields.len);
    }
}

static void set_kept(record_head *rec)
{
    atomic_store_explicit(&rec->kept, RECORD_EXPORTED, memory_order_relaxed);
}

/* Where it goes, with one use of its resource. */
typedef enum found_outcome { FOUND, FOUND_NOBODY, FOUND_NO_MEMORY } found_outcome;

static found_outcome find_scope(recorder *r, const found_record *what, found_span *out)
{
    known_tracer tracer;
    if (!recorder_use_tracer(r, what->definition->tracer, &tracer)) {
        return FOUND_NOBODY; /* its provider is gone */
    }
    *out = (found_span){.scope = tracer.scope, .processor = tracer.processor};
    if (what->definition->form != NULL && what->definition->form->open_scope != NULL) {
        out->scope = what->definition->form->open_scope(what, tracer.processor);
        tracer.scope->resource->release(tracer.scope->resource, 1);
    }
    return out->scope != NULL ? FOUND : FOUND_NO_MEMORY;
}

/* false: no memory now. */
static bool take(found_spans *found, recorder *r, const found_record *what, kept_trace *k)
{
    found_span *f = &found->items[found->count];
    switch (find_scope(r, what, f)) {
    case FOUND_NOBODY: set_kept(what->rec); return true;
    case FOUND_NO_MEMORY: return false;
    case FOUND: break;
    }
    const size_t mark = found->bytes.len, span = pb_open(&found->bytes, SCOPE_SPANS_SPANS);
    recorder_write_span(f->scope, what, &found->bytes);
    add_reason(&found->bytes, k);
    pb_close(&found->bytes, span);
    if (found->bytes.failed) {
        pb_rollback(&found->bytes, mark);
        f->scope->resource->release(f->scope->resource, 1);
        return false;
    }
    set_kept(what->rec);
    f->at = mark;
    f->len = found->bytes.len - mark;
    found->count++;
    k->found = true;
    return true;
}

/* What has been handed over is exported there, when other processes are asked, too; and here, when only this one knows of it. */
static bool is_wanted(const kept_trace *k, const record_head *rec)
{
    const uint8_t kept = atomic_load_explicit(&rec->kept, memory_order_relaxed);
    return kept == 0 || (kept == RECORD_HANDED_OVER && k->found_here);
}

/* false: there is more than fits. */
static bool find_in_chunk(found_spans *found, recorder *r, record_chunk *chunk, kept_trace *k)
{
    found_record what = {.rec = NULL};
    bool wanted = false;
    for (uint16_t at = chunk_find(chunk, trace_hash(k->trace_id)); at != 0;) {
        found_record_step(&what, chunk, at);
        if (what.rec == &what.base->head) {
            wanted = memcmp(what.base->trace_id, k->trace_id, LOOM_TRACE_ID_SIZE) == 0;
        }
        if (wanted && is_wanted(k, what.rec) &&
            (found->count == FOUND_MAX || found->bytes.len > FOUND_BYTES || !take(found, r, &what, k))) {
            return false;
        }
        at = atomic_load_explicit(&what.rec->next, memory_order_acquire);
    }
    return true;
}

static void export_found(recorder *r, found_spans *found)
{
    pthread_mutex_lock(&r->lock);
    r->counts.kept += found->count;
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < found->count; i++) {
        const found_span *f = &found->items[i];
        (void)processor_submit(f->processor, f->scope, (loom_bytes){found->bytes.data + f->at, f->len});
    }
    found->count = 0;
    pb_rollback(&found->bytes, 0);
}

/* What is overwritten while it is kept, before it could be exported, counts as well. */
static void look_for_gaps(recorder *r, kept_trace *k)
{
    pthread_mutex_lock(&r->lock);
    if (!k->cut && ghosts_has(&r->ghosts, k->trace_id)) {
        k->cut = true;
        r->counts.cut++;
    }
    pthread_mutex_unlock(&r->lock);
}

/* The chunk that is read next; *number: of those given back, UINT64_MAX while somebody fills it. NULL: there are no more. */
static record_chunk *read_chunk(recorder *r, size_t at, uint64_t *number)
{
    pthread_mutex_lock(&r->lock);
    record_chunk *chunk = at < r->chunk_count ? r->chunks[at] : NULL;
    *number = chunk == NULL || chunk->in_hand ? UINT64_MAX : chunk->number;
    r->reading = chunk;
    pthread_mutex_unlock(&r->lock);
    return chunk;
}

static uint64_t newest_given_back(recorder *r)
{
    pthread_mutex_lock(&r->lock);
    const uint64_t number = r->given_back_count;
    pthread_mutex_unlock(&r->lock);
    return number;
}

/* What there is no memory for stays where it is. */
static void find_all_in_chunk(found_spans *found, recorder *r, record_chunk *chunk, kept_trace *k)
{
    while (!find_in_chunk(found, r, chunk, k) && found->count > 0) {
        export_found(r, found);
    }
}

void recorder_export_traces(recorder *r, kept_trace *const traces[], size_t count)
{
    found_spans *found = count > 0 ? malloc(sizeof *found) : NULL;
    if (found == NULL) {
        return;
    }
    found->count = 0;
    pb_init(&found->bytes, NULL, 0, SIZE_MAX / 8);
    for (size_t i = 0; i < count; i++) {
        look_for_gaps(r, traces[i]);
    }
    const uint64_t newest = newest_given_back(r);
    uint64_t number;
    record_chunk *chunk;
    for (size_t at = 0; (chunk = read_chunk(r, at, &number)) != NULL; at++) {
        for (size_t i = 0; i < count; i++) {
            if (number > traces[i]->seen) {
                find_all_in_chunk(found, r, chunk, traces[i]);
            }
        }
        thread_rest();
    }
    for (size_t i = 0; i < count; i++) {
        traces[i]->seen = newest;
    }
    export_found(r, found);
    pb_fini(&found->bytes);
    free(found);
}
