/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes as OTLP KeyValue messages inside a buffer, and the index that lets a key be set again. */
#ifndef LOOM_TRACE_OTLP_ATTR_ENCODE_H
#define LOOM_TRACE_OTLP_ATTR_ENCODE_H

#include "trace/otlp/protobuf_write.h"

#include <loom/trace.h>

#include <stdlib.h>

#define ATTR_COUNT_MAX 128u                                   /* attributes that an index has room for by itself */
#define ATTR_BEYOND_MAX (LOOM_SPAN_ATTRIBUTES_MAX - ATTR_COUNT_MAX) /* on the heap, when somebody asks for them */

/* OpenTelemetry, "Attribute Limits". */
typedef struct attr_limits {
    uint32_t count;
    uint32_t value_length; /* characters of a string, or of each in an array: the rest is cut off; UINT32_MAX: no limit */
    uint32_t beyond;       /* of an index whose count is ATTR_COUNT_MAX: how many more, at most ATTR_BEYOND_MAX */
} attr_limits;
#define ATTR_LIMITS_DEFAULT ((attr_limits){ATTR_COUNT_MAX, UINT32_MAX, 0})

/* Where a field lies in the buffer, tag included; len 0: not there. */
typedef struct attr_slot {
    uint32_t offset, len;
} attr_slot;

/* Fields beside the attributes that may be written again and so move: they are kept with the index. */
enum { ATTR_PIN_NAME, ATTR_PIN_STATUS, ATTR_PINS };

/* Attributes beyond ATTR_COUNT_MAX. */
typedef struct attr_beyond {
    uint32_t count;
    struct {
        attr_slot slot;
        uint32_t hash;
    } items[]; /* limits.beyond of them */
} attr_beyond;

/* Only the first `count` slots are ever written, and hashes when somebody sets an attribute by its key. */
typedef struct attr_index {
    attr_slot pins[ATTR_PINS];
    attr_limits limits; /* its count is at most ATTR_COUNT_MAX */
    uint32_t short_count; /* as limits.count; 0: even short values are limited */
    uint32_t count, hashed;
    uint64_t filter; /* a bit for each hash, by its last six bits; all: not known */
    attr_beyond *beyond; /* NULL: there are none; nearly always */
    uint32_t hashes[ATTR_COUNT_MAX]; /* of the keys of the first `hashed` slots */
    attr_slot slots[ATTR_COUNT_MAX];
} attr_index;

#define ATTR_KEY_ROOM 48u /* bytes */

/* A key that is a constant of this source. It is ASCII; the zeros behind it are there to be copied along. */
typedef struct attr_key {
    uint8_t len;
    bool is_int; /* else a string */
    char text[ATTR_KEY_ROOM];
} attr_key;
#define ATTR_STRING_KEY(s) {.len = sizeof(s) - 1, .text = s}
#define ATTR_INT_KEY(s) {.len = sizeof(s) - 1, .is_int = true, .text = s}

/* An attribute of a constant key. What is said about it may be empty. */
typedef struct fixed_attr {
    const attr_key *key;
    union {
        loom_str string;
        int64_t integer;
    };
    bool is_utf8; /* the string is known to be UTF-8; else it is looked at, and repaired */
} fixed_attr;

void attr_index_init(attr_index *index, attr_limits limits);
/* Only needed with limits.beyond. */
static inline void attr_index_fini(attr_index *index)
{
    if (__builtin_expect(index->beyond != NULL, 0)) {
        free(index->beyond);
        index->beyond = NULL;
    }
}
/* Takes a field's bytes out of the buffer and moves what the index knows behind it. */
void attr_index_remove(attr_index *index, pb_buf *b, attr_slot slot);
/* Adds attr as `field` of the open message, or overwrites the attribute of that key.
 * false: a key that is empty or not UTF-8, an unknown type, too many attributes, or no room. The buffer is as before. */
bool attr_index_put(attr_index *index, pb_buf *b, uint32_t field, const loom_attr *attr);
bool attr_index_put_str(attr_index *index, pb_buf *b, uint32_t field, loom_str key, loom_str value);
bool attr_index_put_bool(attr_index *index, pb_buf *b, uint32_t field, loom_str key, bool value);
bool attr_index_put_int(attr_index *index, pb_buf *b, uint32_t field, loom_str key, int64_t value);
bool attr_index_put_double(attr_index *index, pb_buf *b, uint32_t field, loom_str key, double value);
/* Adds attributes whose keys are all different, and not set yet: nothing is looked for. Returns how many were left out. */
uint32_t attr_index_add_fixed(attr_index *index, pb_buf *b, uint32_t field, const fixed_attr *attrs, size_t count);

/* The attributes of one message as they were written, to be copied into others. */
enum { ATTR_BLOCK_COUNT = 16, ATTR_BLOCK_SIZE = 1024 };
typedef struct attr_block {
    uint32_t count, len;
    attr_slot slots[ATTR_BLOCK_COUNT]; /* in bytes */
    uint8_t bytes[ATTR_BLOCK_SIZE];
} attr_block;
/* Takes all attributes of an index, which lie in a row from mark to the end of the buffer. false: they are too many or too
 * long, or their values are limited. */
bool attr_block_take(attr_block *block, const attr_index *index, const pb_buf *b, size_t mark);
/* Adds them to an index that has none yet. Returns where their bytes are now. NULL: no room; nothing has changed. */
uint8_t *attr_block_add(const attr_block *block, attr_index *index, pb_buf *b);

/* Writes one, whose key has been checked, with strings cut off after value_length characters (UINT32_MAX: none is). */
void attr_encode(pb_buf *b, uint32_t field, loom_str key, const loom_attr *attr, uint32_t value_length);
/* Writes a list of attributes, each as `field`; of two with one key the last value counts (OpenTelemetry, common, "Attribute
 * Collections"). Returns how many were left out. At most LOOM_SPAN_ATTRIBUTES_MAX are kept, whatever the limit. */
uint32_t attr_encode_list(pb_buf *b, uint32_t field, const loom_attr *attrs, size_t count, attr_limits limits);

#endif
