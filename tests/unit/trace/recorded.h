/* SPDX-License-Identifier: Apache-2.0 */
/* A provider whose spans end in a file, and the spans read back from it as JSON. */
#ifndef LOOM_TESTS_TRACE_RECORDED_H
#define LOOM_TESTS_TRACE_RECORDED_H

#include "tests/support/check.h"

#include <jansson.h>
#include <loom/trace.h>

typedef struct recorded {
    char path[64];
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_tracer *tracer;
    json_t *spans; /* array of every span, in export order, after recorded_read() */
    json_t *lines; /* array of the requests themselves */
} recorded;

void recorded_open(recorded *r, const loom_sampler *sampler);
/* options: what exporter and endpoint do not say. */
void recorded_open_with(recorded *r, const loom_span_processor_options *options, const loom_sampler *sampler);
/* Flushes and reads everything. */
void recorded_read(recorded *r);
void recorded_close(recorded *r);

/* The only span of this name; fails the test when there is none. */
json_t *recorded_span(recorded *r, const char *name);
/* A member that is a string; "" when there is none. */
const char *recorded_string(json_t *object, const char *key);
/* How many attributes of that key, and the value of the last one ({"stringValue": …}). */
size_t recorded_attr(json_t *object, const char *key, json_t **value);
void recorded_has_string(json_t *object, const char *key, const char *value);
void recorded_has_int(json_t *object, const char *key, const char *value);

#endif
