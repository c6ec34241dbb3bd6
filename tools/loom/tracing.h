/* SPDX-License-Identifier: Apache-2.0 */
/* Tracing for the length of one command: processor, provider, tracer. */
#ifndef LOOM_TOOLS_TRACING_H
#define LOOM_TOOLS_TRACING_H

#include <loom/trace.h>

typedef struct tracing {
    loom_span_processor *processor; /* NULL: tracing is off */
    loom_tracer_provider *provider;
    loom_tracer *tracer;            /* NULL also when the SDK is disabled */
} tracing;

/* What a verb is called in its traces. */
typedef struct tracing_identity {
    const char *service;  /* NULL: what the environment says, or else the name */
    const char *name;     /* of the tracer, and the service by default */
    const loom_sampler *sampler; /* NULL: what the environment says */
    bool masked;          /* spans that tell what others have written are masked, whatever the environment says */
} tracing_identity;

/* As `with` says, whose stages are set here; all NULL when that exports nothing. On an error, too. */
loom_status tracing_open(tracing *t, loom_span_processor_options *with, const tracing_identity *who);
/* Exports what there is, within the deadline. No span is taken any more. */
void tracing_flush(tracing *t, uint32_t timeout_ms);
/* Gives back what spans are made with. */
void tracing_close(tracing *t);

#endif
