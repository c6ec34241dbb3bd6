/* SPDX-License-Identifier: Apache-2.0 */
/* What a processor counts of itself beyond loom_span_counts: little, and never while a span starts. How many spans have
 * started, and how many are live, is told by the uses that spans have of their providers anyway; those that are not sampled
 * are counted where they lie (trace/span/plain.h). */
#ifndef LOOM_TRACE_EXPORT_SELF_METRICS_H
#define LOOM_TRACE_EXPORT_SELF_METRICS_H

#include "base/url.h"
#include "trace/export/exporter.h"
#include "trace/export/scope.h"

#include <loom/metrics.h>

typedef struct self_metrics {
    /* set by create, then constant */
    unsigned number;           /* of this process's processors */
    const char *exporter_type; /* otel.component.type of the main exporter; NULL: there is none */
    char server[URL_HOST_SIZE]; /* of an OTLP exporter; else empty */
    uint16_t port;
    /* guarded by the processor's lock */
    span_resource *resources;  /* of every provider that has spans here */
    uint64_t after_shutdown;   /* spans that ended after it; part of dropped_shutdown */
    uint64_t releasing;        /* spans accounted for whose uses go back just now */
    uint64_t started;          /* as reported last: a counter never goes back */
    uint64_t unsampled;        /* by providers that are gone */
    loom_sdk_metrics shown;    /* operation_duration and operation_duration_failed */
} self_metrics;

/* Upper ends of the buckets of operation_duration, in seconds. */
extern const double export_bounds[LOOM_EXPORT_BUCKETS - 1];

void self_metrics_init(self_metrics *m, const loom_span_processor_options *options);
/* With the lock held: an export that began then is over. */
void self_metrics_count(self_metrics *m, uint64_t begin_ns, const export_result *result);

#endif
