/* SPDX-License-Identifier: Apache-2.0 */
/* Spans that somebody else has made, ids and times and all, on their way to our exporter. Any thread. */
#ifndef LOOM_TRACE_SPAN_FINISHED_H
#define LOOM_TRACE_SPAN_FINISHED_H

#include "trace/otlp/attr_encode.h"

#include <loom/trace.h>

/* Hands over the bytes of one ScopeSpans.spans field, which are copied. They are masked, queued, counted and exported as a span
 * of this tracer that has ended; nobody looks whether they are right. */
void span_submit_finished(loom_tracer *tracer, loom_bytes field);

/* A text of its resource; empty: it has none of this key. It stays as long as the provider. */
loom_str span_tracer_resource_text(const loom_tracer *tracer, const char *key);

/* Whether its spans go to the flight recorder when they are not sampled. */
bool span_tracer_records(const loom_tracer *tracer);
/* Whose it is. */
loom_tracer_provider *span_tracer_provider(const loom_tracer *tracer);
loom_span_processor *span_tracer_processor(const loom_tracer *tracer);

const struct span_resource *span_tracer_resource(const loom_tracer *tracer);

/* What a span of this tracer may keep. */
attr_limits span_attr_limits(const loom_tracer *tracer);

#endif
