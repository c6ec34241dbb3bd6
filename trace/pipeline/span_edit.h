/* SPDX-License-Identifier: Apache-2.0 */
/* The texts and attributes of a Span message, for a stage to replace: its name, its status description, its attributes, and
 * those of its events and links. */
#ifndef LOOM_TRACE_PIPELINE_SPAN_EDIT_H
#define LOOM_TRACE_PIPELINE_SPAN_EDIT_H

#include "trace/pipeline/edit.h"

/* An attribute, and the message it belongs to. */
typedef struct edit_attr {
    loom_str key;
    loom_bytes value;    /* an AnyValue */
    loom_bytes key_value; /* the KeyValue it is encoded in */
    uint32_t number;     /* of the attribute's field in */
    loom_bytes holder;   /* the span, event or link */
} edit_attr;

/* Each may be NULL. The walk stands on the field; to change it, call edit_replace(). */
typedef struct span_editor {
    void (*on_text)(void *self, edit_walk *w, uint32_t number, loom_str text);
    void (*on_attr)(void *self, edit_walk *w, const edit_attr *attr);
    void (*at_end)(void *self, edit_walk *w, loom_bytes span); /* what is written goes to the end of the span */
    void *self;
} span_editor;

/* Whether it wrote a new span to out. out->failed: no memory, or not a span. */
bool span_edit(const span_editor *editor, loom_bytes span, pb_buf *out);

/* The key of a KeyValue; empty when there is none, or it is none. */
loom_str edit_key_of(loom_bytes key_value);
/* Whether a message has an attribute of this key under this number. */
bool edit_has_key(loom_bytes holder, uint32_t number, loom_str key);

#endif
