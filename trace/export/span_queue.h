/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of ended spans on their way to the exporter thread: chunks that are filled by whoever ends spans and stolen
 * whole by the exporter thread. No locks in here: the processor's lock guards a span_queue. */
#ifndef LOOM_TRACE_EXPORT_SPAN_QUEUE_H
#define LOOM_TRACE_EXPORT_SPAN_QUEUE_H

#include "trace/export/scope.h"

/* One span in a chunk; its bytes follow. */
typedef struct span_record {
    const span_scope *scope;   /* with one use of its resource */
    struct span_record *next;  /* for the batch builder */
    const span_form *form;     /* NULL: its bytes are one ScopeSpans.spans field */
    size_t len;                /* bytes */
} span_record;

typedef struct span_chunk {
    struct span_chunk *next;
    size_t used, cap; /* bytes */
    size_t read;      /* bytes the exporter thread has passed */
} span_chunk;

typedef struct span_queue {
    span_chunk *first, *last;
    span_chunk *spare; /* empty ones of the usual size */
    unsigned spares;
} span_queue;

void span_queue_init(span_queue *q);
void span_queue_fini(span_queue *q);
/* Copies the span in. NULL: no memory. */
span_record *span_queue_push(span_queue *q, const span_scope *scope, const span_form *form, loom_bytes span);
/* Where the next span will most likely go. Only a hint, which may not be read; NULL: no idea. */
static inline const void *span_queue_next(const span_queue *q)
{
    return q->last != NULL ? (const uint8_t *)(q->last + 1) + q->last->used : NULL;
}
/* Hands over every chunk, in order. */
span_chunk *span_queue_steal(span_queue *q);
/* Takes an emptied chunk back for later use, or frees it. */
void span_queue_recycle(span_queue *q, span_chunk *chunk);

/* The next span of a chunk, or NULL when it is read up. */
span_record *span_chunk_next(span_chunk *chunk);
static inline const uint8_t *span_record_bytes(const span_record *record)
{
    return (const uint8_t *)(record + 1);
}

#endif
