/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes as OTLP KeyValue messages inside a buffer, and the index that lets a key be set again. */
#ifndef LOOM_TRACE_ATTR_ENCODE_H
#define LOOM_TRACE_ATTR_ENCODE_H

#include "trace/protobuf_write.h"

#include <loom/trace.h>

#define ATTR_COUNT_MAX 128u /* attributes of a span, an event or a link: OpenTelemetry's default */

/* Where a field lies in the buffer, tag included; len 0: not there. */
typedef struct attr_slot {
    uint32_t offset, len;
} attr_slot;

/* Fields beside the attributes that may be written again and so move: they are kept with the index. */
enum { ATTR_PIN_NAME, ATTR_PIN_STATUS, ATTR_PINS };

typedef struct attr_index {
    attr_slot pins[ATTR_PINS];
    uint32_t count;
    uint32_t hashes[ATTR_COUNT_MAX]; /* only the first `count` are ever written */
    attr_slot slots[ATTR_COUNT_MAX];
} attr_index;

void attr_index_init(attr_index *index);
/* Takes a field's bytes out of the buffer and moves what the index knows behind it. */
void attr_index_remove(attr_index *index, pb_buf *b, attr_slot slot);
/* Adds attr as `field` of the open message, or overwrites the attribute of that key.
 * false: a key that is empty or not UTF-8, an unknown type, too many attributes, or no room. The buffer is as before. */
bool attr_index_put(attr_index *index, pb_buf *b, uint32_t field, const loom_attr *attr);

/* Writes a list of attributes, each as `field`; without overwriting. Returns how many were left out. */
uint32_t attr_encode_list(pb_buf *b, uint32_t field, const loom_attr *attrs, size_t count);

#endif
