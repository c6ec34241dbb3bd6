/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span/finished.h"

#include "trace/export/processor.h"
#include "trace/otlp/protobuf_read.h"
#include "trace/otlp/read.h"
#include "trace/span/provider.h"

void span_submit_finished(loom_tracer *tracer, loom_bytes field)
{
    provider_use(tracer->provider); /* the processor gives it back with the span */
    processor_submit(tracer->provider->processor, &tracer->scope, field);
}

loom_str span_tracer_resource_text(const loom_tracer *tracer, const char *key)
{
    pb_cursor c = pb_cursor_on(tracer->provider->resource.encoded);
    pb_field f;
    return pb_next(&c, &f) ? otlp_resource_string(f.bytes, key) : (loom_str){0};
}

bool span_tracer_records(const loom_tracer *tracer)
{
    return tracer->recorder != NULL;
}

loom_tracer_provider *span_tracer_provider(const loom_tracer *tracer)
{
    return tracer->provider;
}

loom_span_processor *span_tracer_processor(const loom_tracer *tracer)
{
    return tracer->provider->processor;
}

const span_resource *span_tracer_resource(const loom_tracer *tracer)
{
    return &tracer->provider->resource;
}

attr_limits span_attr_limits(const loom_tracer *tracer)
{
    return tracer->provider->attr_limits;
}
