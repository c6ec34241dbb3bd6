/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/span_queue.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE (64u * 1024u) /* bytes; a hundred spans or more */
#define SPARES_MAX 32u           /* chunks kept for later: 2 MiB, a full queue of ordinary spans */

static uint8_t *chunk_data(span_chunk *chunk)
{
    return (uint8_t *)(chunk + 1);
}

void span_queue_init(span_queue *q)
{
    *q = (span_queue){0};
}

static void free_chain(span_chunk *chunk)
{
    while (chunk != NULL) {
        span_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void span_queue_fini(span_queue *q)
{
    free_chain(q->first);
    free_chain(q->spare);
    *q = (span_queue){0};
}

static span_chunk *new_chunk(span_queue *q, size_t need)
{
    span_chunk *chunk = q->spare;
    size_t cap = CHUNK_SIZE - sizeof *chunk;
    if (need <= cap && chunk != NULL) {
        q->spare = chunk->next;
        q->spares--;
    } else {
        cap = need > cap ? need : cap;
        chunk = malloc(sizeof *chunk + cap);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->cap = cap;
    }
    chunk->next = NULL;
    chunk->used = 0;
    chunk->read = 0;
    return chunk;
}

/* Records stay aligned for their header. */
static size_t record_size(size_t len)
{
    return (sizeof(span_record) + len + _Alignof(span_record) - 1) / _Alignof(span_record) * _Alignof(span_record);
}

span_record *span_queue_push(span_queue *q, const span_scope *scope, const span_form *form, loom_bytes span)
{
    size_t size = record_size(span.len);
    if (q->last == NULL || q->last->cap - q->last->used < size) {
        span_chunk *chunk = new_chunk(q, size);
        if (chunk == NULL) {
            return NULL;
        }
        if (q->last == NULL) {
            q->first = chunk;
        } else {
            q->last->next = chunk;
        }
        q->last = chunk;
    }
    span_record *record = (span_record *)(void *)(chunk_data(q->last) + q->last->used);
    *record = (span_record){.scope = scope, .form = form, .len = span.len};
    memcpy(record + 1, span.data, span.len);
    q->last->used += size;
    return record;
}

span_chunk *span_queue_steal(span_queue *q)
{
    span_chunk *first = q->first;
    q->first = q->last = NULL;
    return first;
}

void span_queue_recycle(span_queue *q, span_chunk *chunk)
{
    if (q->spares >= SPARES_MAX || chunk->cap != CHUNK_SIZE - sizeof *chunk) {
        free(chunk);
        return;
    }
    chunk->next = q->spare;
    q->spare = chunk;
    q->spares++;
}

span_record *span_chunk_next(span_chunk *chunk)
{
    if (chunk->read == chunk->used) {
        return NULL;
    }
    span_record *record = (span_record *)(void *)(chunk_data(chunk) + chunk->read);
    chunk->read += record_size(record->len);
    return record;
}
