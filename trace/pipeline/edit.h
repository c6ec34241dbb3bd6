/* SPDX-License-Identifier: Apache-2.0 */
/* Rewrites a message field by field: what is not replaced is copied byte for byte, and nothing is copied at all until
 * something is replaced. A message that lies in another one opens it only then.
 *
 * Walk: edit_open(), edit_next() for each field, edit_close(). For the field it stands on a walk may call edit_replace()
 * and write others in its place, or none. Bytes that are no message set the buffer's `failed`, as a lack of memory does. */
#ifndef LOOM_TRACE_PIPELINE_EDIT_H
#define LOOM_TRACE_PIPELINE_EDIT_H

#include "trace/otlp/protobuf_read.h"

typedef struct edit_walk edit_walk;
struct edit_walk {
    edit_walk *parent; /* stands on the field that is this message; NULL: the outermost */
    uint32_t number;   /* of that field */
    pb_buf *out;
    pb_cursor cursor;
    const uint8_t *field;  /* where the one it stands on begins; it ends at cursor.at */
    const uint8_t *copied; /* the message up to here is in out, or replaced */
    size_t mark;           /* for pb_close() */
    bool changed;
};

void edit_open(edit_walk *w, pb_buf *out, loom_bytes message);
/* parent stands on a field of bytes of that number, and `message` is what it holds. */
void edit_open_in(edit_walk *w, edit_walk *parent, uint32_t number, loom_bytes message);
bool edit_next(edit_walk *w, pb_field *field);
/* Where to write what takes the place of the field; at the end of the message, what follows it. */
pb_buf *edit_replace(edit_walk *w);
/* Whether anything was replaced. */
bool edit_close(edit_walk *w);

#endif
