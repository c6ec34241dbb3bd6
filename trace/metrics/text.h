/* SPDX-License-Identifier: Apache-2.0 */
/* The text formats of Prometheus (exposition format 0.0.4) and OpenMetrics (1.0). */
#ifndef LOOM_TRACE_METRICS_TEXT_H
#define LOOM_TRACE_METRICS_TEXT_H

#include "trace/metrics/exemplar.h"
#include "trace/metrics/name.h"

typedef struct metrics_text {
    pb_buf b;
    loom_metrics_format format;
} metrics_text;

/* A histogram as it is now. */
typedef struct histogram_view {
    const double *bounds;
    size_t bound_count;
    const uint64_t *counts;          /* bound_count + 1, not summed up */
    double sum;
    const exemplar_value *exemplars; /* one for each count; NULL: none at all */
    const bool *has_exemplar;
} histogram_view;

/* # HELP, # TYPE and # UNIT. */
void metrics_text_family(metrics_text *t, const metric_family *family);
/* labels: without braces, may be empty. */
void metrics_text_integer(metrics_text *t, const metric_family *family, const char *labels, int64_t value);
void metrics_text_real(metrics_text *t, const metric_family *family, const char *labels, double value);
void metrics_text_histogram(metrics_text *t, const metric_family *family, const char *labels, const histogram_view *h);

#endif
