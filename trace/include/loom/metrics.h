/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, gauges and histograms, ready for /metrics: Prometheus' text format, or OpenMetrics with exemplars that carry the
 * trace and span id of what was measured.
 *
 *     loom_metric_create(&took, meter, &(loom_metric_options){.kind = LOOM_HISTOGRAM, .name = "http.server.request.duration",
 *                                                             .unit = "s", .description = "Time to an answer."});
 *     loom_metric_record(took, 0.25, attrs, 2);     http_server_request_duration_seconds_bucket{http_route="/",le="0.25"} 1 …
 *
 * A metric has one series for each set of attributes, whatever their order. Attributes that Prometheus cannot tell apart (1 and
 * "1", a.b and a_b) are one series. When there are max_series of them, or no memory
 * for another one, what comes is added to the series otel_metric_overflow="true" (OpenTelemetry, Metrics SDK, "Cardinality
 * limits"). A series that is kept in hand costs no look-up: loom_metric_series().
 *
 * Threads: any, at once, without a lock: adding is one atomic instruction, and the child of a fork() may go on. What makes
 * no sense (a counter that shrinks, a histogram's NaN, the wrong kind) is not counted. NULL for a metric or series is
 * allowed and does nothing. */
#ifndef LOOM_METRICS_H
#define LOOM_METRICS_H

#include <loom/trace.h>

LOOM_BEGIN_DECLS

/* A set of metrics that are shown together; reference counted. */
typedef struct loom_meter loom_meter;
typedef struct loom_metric loom_metric; /* its meter's, and valid as long */
typedef struct loom_series loom_series; /* its metric's, and valid as long */

/* LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_meter_create(loom_meter **out);
LOOM_API loom_meter *loom_meter_ref(loom_meter *meter); /* returns meter */
LOOM_API void loom_meter_unref(loom_meter *meter);      /* NULL is allowed */

typedef enum loom_metric_kind {
    LOOM_COUNTER,         /* only grows: add */
    LOOM_UP_DOWN_COUNTER, /* add, and take away by adding less than nothing */
    LOOM_GAUGE,           /* set */
    LOOM_HISTOGRAM        /* record */
} loom_metric_kind;

typedef struct loom_metric_options {
    loom_metric_kind kind;
    const char *name;        /* a letter, then letters, digits, '_', '.', '-', '/': at most 255 */
    const char *unit;        /* UCUM: "s", "By", "1", "{request}"; at most 63 ASCII characters; NULL: none */
    const char *description; /* NULL: none */
    const double *bounds;    /* of a histogram: upper ends of its buckets, growing. NULL: 0, 5, 10, 25, 50, 75, 100, 250, 500,
                                750, 1000, 2500, 5000, 7500, 10000; when the unit is s, a thousandth of these from 5 on */
    size_t bound_count;      /* at most LOOM_METRIC_BOUNDS_MAX */
    size_t max_series;       /* 0: 2000 */
} loom_metric_options;

#define LOOM_METRIC_BOUNDS_MAX 200

/* Strings are copied. The same name, kind and unit give the same metric.
 * LOOM_EINVAL: a name, unit, kind or bounds off the rules above.
 * LOOM_EEXIST: another kind or unit has this name, or another metric of the meter is shown under a name that this one would be:
 * "a.b" and "a_b"; the counter "requests" and the gauge "requests.total"; the histogram "took" and "took.count", "took.sum" or
 * "took.bucket"; and the names that tracing has for its own (otel.sdk.span.started …), with or without a processor.
 * LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_metric_create(loom_metric **out, loom_meter *meter,
                                                        const loom_metric_options *options);

/* The series of these attributes, of which two of one key count as the last one. Without any: the plain series. */
LOOM_API loom_series *loom_metric_series(loom_metric *metric, const loom_attr *attrs, size_t attr_count);

LOOM_API void loom_series_add(loom_series *series, int64_t value);
LOOM_API void loom_series_set(loom_series *series, double value);
/* With the current context of this thread as exemplar, if that is sampled; each bucket keeps its last one. */
LOOM_API void loom_series_record(loom_series *series, double value);
LOOM_API void loom_metric_add(loom_metric *metric, int64_t value, const loom_attr *attrs, size_t attr_count);
LOOM_API void loom_metric_set(loom_metric *metric, double value, const loom_attr *attrs, size_t attr_count);
LOOM_API void loom_metric_record(loom_metric *metric, double value, const loom_attr *attrs, size_t attr_count);

LOOM_API double loom_series_value(const loom_series *series);   /* of a histogram: the sum */
LOOM_API uint64_t loom_series_count(const loom_series *series); /* of a histogram; else 0 */

/* ---- shown ---- */

typedef enum loom_metrics_format {
    LOOM_METRICS_PROMETHEUS,  /* text/plain; version=0.0.4; charset=utf-8 */
    LOOM_METRICS_OPENMETRICS  /* application/openmetrics-text; version=1.0.0; charset=utf-8: with exemplars, and # EOF */
} loom_metrics_format;

/* Writes all metrics that have a series, piece by piece, under the names OpenTelemetry gives them for Prometheus
 * ("Prometheus and OpenMetrics Compatibility"): http.server.request.duration in s is http_server_request_duration_seconds.
 * write returns false to stop.
 * LOOM_ENOMEM; LOOM_EIO: write has stopped it; LOOM_EINVAL: no meter, no write. */
LOOM_API LOOM_MUST_CHECK loom_status loom_meter_write(const loom_meter *meter, loom_metrics_format format,
                                                      bool (*write)(void *user, const char *text, size_t len), void *user);

/* ---- what tracing counts of itself ---- */

#define LOOM_EXPORT_BUCKETS 15 /* the last has no upper end */

/* By the names of OpenTelemetry's semantic conventions ("Semantic conventions for OpenTelemetry SDK metrics"). Live are spans
 * that record, as it is specified there. */
typedef struct loom_sdk_metrics {
    uint64_t span_started;               /* otel.sdk.span.started, RECORD_AND_SAMPLE */
    uint64_t span_live;                  /* otel.sdk.span.live: started and not ended */
    uint64_t queue_size, queue_capacity; /* otel.sdk.processor.span.queue.size, .capacity */
    uint64_t processed;                  /* otel.sdk.processor.span.processed: handed to the exporter */
    uint64_t processed_queue_full;       /* … error.type=queue_full */
    uint64_t processed_already_shutdown; /* … error.type=already_shutdown: ended after it */
    uint64_t processed_shutdown;         /* … error.type=shutdown: not delivered by its deadline */
    uint64_t inflight;                   /* otel.sdk.exporter.span.inflight */
    uint64_t exported;                   /* otel.sdk.exporter.span.exported */
    uint64_t exported_failed;            /* … error.type=failed: given up, or rejected by the receiver */
    /* otel.sdk.exporter.operation.duration, in s, with all retries: of exports that went well, and of the others */
    struct {
        uint64_t buckets[LOOM_EXPORT_BUCKETS]; /* not summed up */
        double sum;
    } operation_duration, operation_duration_failed;
    /* otel.sdk.span.started, DROP: the sampler refused them. On the bus, messages whose trace was refused where it began; the
     * further hops of such a message start no spans. Of the first 24 providers that a process has at a time */
    uint64_t span_started_unsampled;
} loom_sdk_metrics;

/* All zero in the child of a fork(), where there is no exporter. */
LOOM_API loom_sdk_metrics loom_span_processor_metrics(const loom_span_processor *processor);
/* Shows them with the meter's own from now on; once, however often it is added. At most 8 processors of a meter: LOOM_EFULL. */
LOOM_API LOOM_MUST_CHECK loom_status loom_meter_add_processor(loom_meter *meter, loom_span_processor *processor);

LOOM_END_DECLS
#endif
