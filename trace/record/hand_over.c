/* SPDX-License-Identifier: Apache-2.0 */
/* What a process has recorded, handed to another one when it leaves. It leaves masked and filtered, as it would be exported. */
#include "trace/record/internal.h"

#include "trace/export/processor.h"
#include "trace/otlp/fields.h"

enum { SPAN_BYTES = 512 * 1024 }; /* of one */

typedef struct handing {
    recorder *r;
    recorder_heir *heir;
    const span_resource *only; /* NULL: all */
    pb_buf span;
    const loom_span_processor *chain_of; /* the stages are this one's; NULL: nobody's yet */
    span_chain chain;
    uint64_t left;
} handing;

/* false: no memory. */
static bool use_chain(handing *h, loom_span_processor *processor)
{
    if (h->chain_of != processor) {
        span_chain_fini(&h->chain);
        h->chain_of = NULL;
        if (processor_share_stages(processor, &h->chain) != LOOM_OK) {
            return false;
        }
        h->chain_of = processor;
    }
    return true;
}

/* false: it stays. */
static bool give(handing *h, const known_tracer *tracer, const found_record *what)
{
    pb_rollback(&h->span, 0);
    const size_t field = pb_open(&h->span, SCOPE_SPANS_SPANS);
    recorder_write_span(tracer->scope, what, &h->span);
    pb_close(&h->span, field);
    if (h->span.failed || !use_chain(h, tracer->processor)) {
        return false;
    }
    const loom_bytes span = h->chain.count > 0 ? span_chain_run(&h->chain, h->span.data, h->span.len)
                                               : (loom_bytes){h->span.data, h->span.len};
    return h->heir->take(h->heir, tracer->scope, span);
}

/* Spans of others, which were handed to us, are not handed on. */
static void look_at(handing *h, const found_record *what)
{
    known_tracer tracer;
    if (atomic_load_explicit(&what->rec->kept, memory_order_relaxed) != 0 ||
        (what->definition->form != NULL && what->definition->form->open_scope != NULL)) {
        return;
    }
    if (!recorder_use_tracer(h->r, what->definition->tracer, &tracer)) {
        return; /* its provider is gone, and it with it */
    }
    if (h->only != NULL && tracer.scope->resource != h->only) {
        /* it stays, and is asked for here */
    } else if (!h->heir->full && give(h, &tracer, what)) {
        atomic_store_explicit(&what->rec->kept, RECORD_HANDED_OVER, memory_order_relaxed);
    } else {
        h->left++;
    }
    tracer.scope->resource->release(tracer.scope->resource, 1);
}

static void look_at_chunk(handing *h, record_chunk *chunk)
{
    for (unsigned i = 0; i < CHUNK_HEADS; i++) {
        found_record what = {.rec = NULL};
        for (uint16_t at = chain_first(&chunk->heads[i]); at != 0;) {
            found_record_step(&what, chunk, at);
            look_at(h, &what);
            at = atomic_load_explicit(&what.rec->next, memory_order_acquire);
        }
    }
}

/* Names a chunk that is in hand for reading, behind so many others of them. NULL: there is none. */
static record_chunk *read_in_hand(recorder *r, size_t index)
{
    record_chunk *found = NULL;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->chunk_count && found == NULL; i++) {
        if (r->chunks[i]->in_hand && index-- == 0) {
            found = r->chunks[i];
        }
    }
    r->reading = found;
    pthread_mutex_unlock(&r->lock);
    return found;
}

/* Names the newest that was given back before this number, which becomes its own. NULL: there is none. */
static record_chunk *read_given_back(recorder *r, uint64_t *before)
{
    record_chunk *newest = NULL;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->chunk_count; i++) {
        record_chunk *chunk = r->chunks[i];
        if (!chunk->in_hand && chunk->number < *before && (newest == NULL || chunk->number > newest->number)) {
            newest = chunk;
        }
    }
    r->reading = newest;
    *before = newest != NULL ? newest->number : *before;
    pthread_mutex_unlock(&r->lock);
    return newest;
}

/* What is in chunks that were not looked at. */
static uint64_t count_before(recorder *r, uint64_t before)
{
    uint64_t records = 0;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->chunk_count; i++) {
        const record_chunk *chunk = r->chunks[i];
        records += !chunk->in_hand && chunk->number < before ? atomic_load_explicit(&chunk->records, memory_order_relaxed) : 0;
    }
    pthread_mutex_unlock(&r->lock);
    return records;
}

static void hand_over(handing *h)
{
    recorder *const r = h->r;
    record_chunk *chunk;
    for (size_t i = 0; (chunk = read_in_hand(r, i)) != NULL; i++) {
        look_at_chunk(h, chunk);
    }
    pthread_mutex_lock(&r->lock);
    uint64_t before = r->given_back_count + 1;
    pthread_mutex_unlock(&r->lock);
    while (!h->heir->full && (chunk = read_given_back(r, &before)) != NULL) {
        look_at_chunk(h, chunk);
    }
    pthread_mutex_lock(&r->lock);
    r->reading = NULL;
    pthread_mutex_unlock(&r->lock);
    h->left += h->only == NULL ? count_before(r, before) : 0;
}

uint64_t recorder_hand_over(recorder_heir *heir, const span_resource *only)
{
    recorder *r = &recorder_of_process;
    handing h = {.r = r, .heir = heir, .only = only};
    if (!recorder_is_running()) {
        return 0;
    }
    pb_init(&h.span, NULL, 0, SPAN_BYTES);
    pthread_mutex_lock(&r->keeping); /* whoever reads the ring holds it */
    hand_over(&h);
    pthread_mutex_unlock(&r->keeping);
    span_chain_fini(&h.chain);
    pb_fini(&h.span);
    return h.left;
}
