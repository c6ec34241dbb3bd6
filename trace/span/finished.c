/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span/finished.h"

#include "trace/export/processor.h"
#include "trace/span/provider.h"

void span_submit_finished(loom_tracer *tracer, loom_bytes field)
{
    provider_use(tracer->provider); /* the processor gives it back with the span */
    processor_submit(tracer->provider->processor, &tracer->scope, field);
}

loom_tracer_provider *span_tracer_provider(const loom_tracer *tracer)
{
    return tracer->provider;
}

loom_span_processor *span_tracer_processor(const loom_tracer *tracer)
{
    return tracer->provider->processor;
}

attr_limits span_attr_limits(const loom_tracer *tracer)
{
    return tracer->provider->attr_limits;
}
