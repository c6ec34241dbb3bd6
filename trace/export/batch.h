/* SPDX-License-Identifier: Apache-2.0 */
/* Puts ended spans together into one ExportTraceServiceRequest, grouped by resource and scope. */
#ifndef LOOM_TRACE_EXPORT_BATCH_H
#define LOOM_TRACE_EXPORT_BATCH_H

#include "trace/export/span_queue.h"
#include "trace/otlp/protobuf_write.h"

#include <loom/status.h>

typedef struct batch_group {
    const span_scope *scope;
    span_record *first, *last;
    size_t spans;
    /* of the spans that are being encoded */
    span_record *from;
    size_t count, bytes;
    bool written;
} batch_group;

typedef struct batch {
    batch_group *groups; /* `cap` of them: as many as there may be spans */
    size_t count, cap;
    size_t spans;
    pb_buf request;
} batch;

loom_status batch_init(batch *b, size_t max_spans);
void batch_fini(batch *b);
/* Adds a span; it stays where it is until batch_clear(). There are fewer than max_spans in the batch. */
void batch_add(batch *b, span_record *record);
/* The encoded request of so many spans from the first-th on, valid until the next call. They are counted group by group,
 * in an order that stays. false: no memory. */
bool batch_encode(batch *b, size_t first, size_t count, loom_bytes *out);
/* Empties the batch and gives the uses of its resources back. */
void batch_clear(batch *b);

#endif
