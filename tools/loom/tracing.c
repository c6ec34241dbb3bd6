/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/tracing.h"

#include <loom/pipeline.h>
#include <loom/version.h>

#include "trace/export/exporter.h"

static loom_status create_processor(tracing *t, loom_span_processor_options *with, bool masked)
{
    loom_span_stage *mask = NULL;
    if (masked) {
        const loom_status st = loom_mask_create(&mask, NULL);
        if (st != LOOM_OK) {
            return st;
        }
        with->stages = &mask;
        with->stage_count = 1;
    }
    const loom_status st = loom_span_processor_create(&t->processor, with);
    loom_span_stage_unref(mask);
    return st;
}

loom_status tracing_open(tracing *t, loom_span_processor_options *with, const tracing_identity *who)
{
    *t = (tracing){0};
    if (!exporter_is_wanted(with)) {
        return LOOM_OK;
    }
    loom_status st = create_processor(t, with, who->masked);
    if (st == LOOM_OK) {
        st = loom_tracer_provider_create(&t->provider, &(loom_tracer_provider_options){.service_name = who->service,
                                                                                       .default_service_name = who->name,
                                                                                       .sampler = who->sampler,
                                                                                       .processor = t->processor});
    }
    if (st != LOOM_OK) {
        tracing_close(t);
        return st;
    }
    t->tracer = loom_tracer_get(t->provider, who->name, LOOM_VERSION);
    return LOOM_OK;
}

void tracing_flush(tracing *t, uint32_t timeout_ms)
{
    if (t->processor != NULL) {
        (void)loom_span_processor_shutdown(t->processor, timeout_ms);
    }
}

void tracing_close(tracing *t)
{
    loom_tracer_provider_unref(t->provider);
    loom_span_processor_unref(t->processor);
    *t = (tracing){0};
}
