/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOM_TRACE_METRICS_METER_H
#define LOOM_TRACE_METRICS_METER_H

#include "trace/metrics/series.h"
#include "trace/metrics/text.h"

#define METER_PROCESSORS_MAX 8u

struct loom_meter {
    atomic_uint refs;
    _Atomic(loom_metric *) metrics; /* in the order of their making; only grows */
    _Atomic(loom_span_processor *) processors[METER_PROCESSORS_MAX]; /* held, each once; NULL: none from here on */
};

/* A piece of text on its way out: false stops. */
typedef struct metrics_writer {
    metrics_text text;
    bool (*write)(void *user, const char *text, size_t len);
    void *user;
} metrics_writer;

/* Hands on what is in text, and empties it. LOOM_ENOMEM: some of it found no memory. LOOM_EIO. */
loom_status metrics_writer_flush(metrics_writer *w);

/* sdk_metrics.c: the families of otel.sdk.*, each with all processors. */
loom_status sdk_metrics_write(metrics_writer *w, const loom_meter *meter);
/* Whether one of them is shown under a name of this family. */
bool sdk_metrics_collide(const metric_family *family);

#endif
