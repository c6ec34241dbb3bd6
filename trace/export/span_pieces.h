/* SPDX-License-Identifier: Apache-2.0 */
/* A request cut into several, none of them larger than needed, each with the resource and scope of its spans. */
#ifndef LOOM_TRACE_EXPORT_SPAN_PIECES_H
#define LOOM_TRACE_EXPORT_SPAN_PIECES_H

#include "trace/otlp/protobuf_write.h"

#include <loom/status.h>

typedef struct span_piece {
    size_t at, len; /* in bytes */
    uint64_t spans;
    uint64_t end;   /* for who sends it: what it stands for when it is answered */
} span_piece;

/* All zero: none; init before use. */
typedef struct span_pieces {
    pb_buf bytes;
    span_piece *items;
    size_t count, capacity;
    uint64_t too_large; /* spans that fit in no piece */
} span_pieces;

void span_pieces_init(span_pieces *p);
void span_pieces_fini(span_pieces *p);
/* target: bytes that a piece may have, unless one span alone has more; max: bytes that it never has. Whatever p held before is
 * gone. LOOM_ENOMEM, LOOM_EMALFORMED. */
LOOM_MUST_CHECK loom_status span_pieces_cut(span_pieces *p, loom_bytes request, size_t target, size_t max);

static inline loom_bytes span_piece_bytes(const span_pieces *p, size_t i)
{
    return (loom_bytes){p->bytes.data + p->items[i].at, p->items[i].len};
}

#endif
