/* SPDX-License-Identifier: Apache-2.0 */
/* A tracer provider that exports to a file, and the spans in it. */
#ifndef LOOM_TESTS_SPAN_FILE_H
#define LOOM_TESTS_SPAN_FILE_H

#include <loom/trace.h>

#include <jansson.h>

#include "tests/support/check.h"

typedef struct span_file {
    char path[96];
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    json_t *spans; /* array, after span_file_read() */
} span_file;

void span_file_open(span_file *s, const char *folder, loom_sampler_kind sampler);
void span_file_close(span_file *s);
/* Everything exported, once whoever makes spans is through. Returns how many. */
size_t span_file_read(span_file *s);
/* The one span of that name. */
json_t *span_file_named(const span_file *s, const char *name);
/* "" when there is none. */
const char *span_text(const json_t *span, const char *key);
/* NULL when there is none. */
const char *span_attribute(const json_t *span, const char *key);
long long span_number(const json_t *span, const char *key); /* such as kind, which is one, or endTimeUnixNano, which is text */
int span_status(const json_t *span);

#endif
