/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors of vectors.json, and envelopes' fields as JSON describes them. */
#ifndef LOOM_TESTS_WIRE_VECTORS_H
#define LOOM_TESTS_WIRE_VECTORS_H

#include <jansson.h>
#include <loom/envelope.h>

#include "tests/support/check.h"

/* The whole file; its caller drops it with json_decref(). */
json_t *vectors_load(void);
const char *vector_string(json_t *object, const char *key); /* "" when there is none */
loom_str vector_str(json_t *object, const char *key);
/* A number, {"uint": "digits"} or "digits"; 0 when there is none. */
uint64_t vector_uint(json_t *value);
/* A list of parts, or hex digits, in memory of exactly that size. The caller frees data. */
loom_bytes vector_bytes(json_t *parts);
/* "EMALFORMED" and the like. */
loom_status vector_status(json_t *object);

enum { VECTOR_HEADERS_MAX = 64 };

/* Fields of a vector, ready for loom_envelope_create(). */
typedef struct vector_fields {
    loom_envelope_fields fields;
    loom_header headers[VECTOR_HEADERS_MAX];
    loom_bytes payload; /* owned */
} vector_fields;

void vector_fields_init(vector_fields *out, json_t *fields);
void vector_fields_fini(vector_fields *fields);

#endif
