/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of tracing itself, by the names of OpenTelemetry's semantic conventions: a table of families, each shown for
 * every processor of a meter. */
#include "trace/metrics/meter.h"

#include "base/str.h"
#include "trace/export/processor.h"
#include "trace/export/self_metrics.h"

#include <stdio.h>

#define COMPONENT_NAME_SIZE 64

/* One processor's numbers, and who it is. */
typedef struct source {
    loom_sdk_metrics metrics;
    const self_metrics *self;
} source;

typedef enum component { COMPONENT_SDK, COMPONENT_PROCESSOR, COMPONENT_EXPORTER } component;

typedef struct sample {
    size_t offset;     /* of a uint64_t in loom_sdk_metrics */
    const char *label; /* error.type; NULL: none. Of the SDK's own: otel.span.sampling_result */
} sample;

typedef struct family_row {
    const char *name, *help;
    loom_metric_kind kind;
    component of;
    sample samples[4];
    size_t count;
} family_row;

#define AT(field) offsetof(loom_sdk_metrics, field)

static const family_row rows[] = {
    {"otel.sdk.span.live", "Recording spans that have started and not ended.", LOOM_UP_DOWN_COUNTER, COMPONENT_SDK,
     {{AT(span_live), "RECORD_AND_SAMPLE"}}, 1},
    {"otel.sdk.span.started", "Spans that have started.", LOOM_COUNTER, COMPONENT_SDK,
     {{AT(span_started), "RECORD_AND_SAMPLE"}, {AT(span_started_unsampled), "DROP"}}, 2},
    {"otel.sdk.processor.span.queue.size", "Spans that wait for the exporter.", LOOM_UP_DOWN_COUNTER, COMPONENT_PROCESSOR,
     {{AT(queue_size), NULL}}, 1},
    {"otel.sdk.processor.span.queue.capacity", "Spans that may wait for the exporter.", LOOM_UP_DOWN_COUNTER,
     COMPONENT_PROCESSOR, {{AT(queue_capacity), NULL}}, 1},
    {"otel.sdk.processor.span.processed", "Spans handed to the exporter or, with an error, dropped.", LOOM_COUNTER,
     COMPONENT_PROCESSOR,
     {{AT(processed), NULL}, {AT(processed_queue_full), "queue_full"}, {AT(processed_already_shutdown), "already_shutdown"},
      {AT(processed_shutdown), "shutdown"}}, 4},
    {"otel.sdk.exporter.span.inflight", "Spans that are being exported.", LOOM_UP_DOWN_COUNTER, COMPONENT_EXPORTER,
     {{AT(inflight), NULL}}, 1},
    {"otel.sdk.exporter.span.exported", "Spans exported or, with an error, given up or rejected.", LOOM_COUNTER,
     COMPONENT_EXPORTER, {{AT(exported), NULL}, {AT(exported_failed), "failed"}}, 2},
};

#define DURATION_NAME "otel.sdk.exporter.operation.duration"

bool sdk_metrics_collide(const metric_family *family)
{
    metric_family own;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        metric_family_init(&own, rows[i].kind, rows[i].name, "{span}", NULL);
        if (metric_families_collide(&own, family)) {
            return true;
        }
    }
    metric_family_init(&own, LOOM_HISTOGRAM, DURATION_NAME, "s", NULL);
    return metric_families_collide(&own, family);
}

/* ---- labels ---- */

static size_t add(loom_attr *attrs, size_t count, const char *key, const char *value)
{
    attrs[count] = (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = str_of(value)};
    return count + 1;
}

/* NUL-terminated, in out. */
static void put_labels(pb_buf *out, const source *s, component of, const char *label)
{
    loom_attr attrs[6];
    size_t count = 0;
    char name[COMPONENT_NAME_SIZE];
    const char *type = of == COMPONENT_EXPORTER ? s->self->exporter_type : "batching_span_processor";
    (void)snprintf(name, sizeof name, "%s/%u", type, s->self->number);
    if (of == COMPONENT_SDK) {
        count = add(attrs, count, "otel.span.sampling_result", label);
    } else {
        count = add(attrs, count, "otel.component.name", name);
        count = add(attrs, count, "otel.component.type", type);
    }
    if (of == COMPONENT_EXPORTER && s->self->server[0] != '\0') {
        count = add(attrs, count, "server.address", s->self->server);
        attrs[count++] = (loom_attr){.key = "server.port", .type = LOOM_ATTR_INT, .value.integer = s->self->port};
    }
    if (of != COMPONENT_SDK && label != NULL) {
        count = add(attrs, count, "error.type", label);
    }
    pb_rollback(out, 0);
    metric_labels(out, attrs, count, false);
    pb_raw(out, "", 1);
}

/* An exporter that is not there counts nothing. */
static bool is_there(const source *s, component of)
{
    return of != COMPONENT_EXPORTER || s->self->exporter_type != NULL;
}

/* ---- families ---- */

static uint64_t value_at(const source *s, size_t offset)
{
    uint64_t value;
    memcpy(&value, (const char *)&s->metrics + offset, sizeof value);
    return value;
}

static void put_value(metrics_text *t, const metric_family *family, const pb_buf *labels, uint64_t value)
{
    t->b.failed = t->b.failed || labels->failed;
    if (!t->b.failed) {
        metrics_text_integer(t, family, (const char *)labels->data, (int64_t)value);
    }
}

/* What is the SDK's is one series, however many processors there are. */
static uint64_t value_of_all(const source *sources, size_t count, size_t offset)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all += value_at(&sources[i], offset);
    }
    return all;
}

static void put_row(metrics_text *t, const family_row *row, const source *sources, size_t count, pb_buf *labels)
{
    metric_family family;
    const size_t shown = row->of == COMPONENT_SDK ? 1 : count;
    metric_family_init(&family, row->kind, row->name, "{span}", row->help);
    metrics_text_family(t, &family);
    for (size_t i = 0; i < shown; i++) {
        for (size_t k = 0; k < row->count && is_there(&sources[i], row->of); k++) {
            const size_t offset = row->samples[k].offset;
            put_labels(labels, &sources[i], row->of, row->samples[k].label);
            put_value(t, &family, labels,
                      row->of == COMPONENT_SDK ? value_of_all(sources, count, offset) : value_at(&sources[i], offset));
        }
    }
}

static void put_duration(metrics_text *t, const source *s, const metric_family *family, bool failed, pb_buf *labels)
{
    put_labels(labels, s, COMPONENT_EXPORTER, failed ? "failed" : NULL);
    if (labels->failed) {
        t->b.failed = true;
        return;
    }
    const loom_sdk_metrics *m = &s->metrics;
    metrics_text_histogram(t, family, (const char *)labels->data,
                           &(histogram_view){.bounds = export_bounds, .bound_count = LOOM_EXPORT_BUCKETS - 1,
                                             .counts = failed ? m->operation_duration_failed.buckets
                                                              : m->operation_duration.buckets,
                                             .sum = failed ? m->operation_duration_failed.sum : m->operation_duration.sum});
}

loom_status sdk_metrics_write(metrics_writer *w, const loom_meter *meter)
{
    source sources[METER_PROCESSORS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < METER_PROCESSORS_MAX; i++) {
        const loom_span_processor *p = atomic_load_explicit(&meter->processors[i], memory_order_acquire);
        if (p != NULL) {
            sources[count++] = (source){loom_span_processor_metrics(p), processor_self(p)};
        }
    }
    if (count == 0) {
        return LOOM_OK;
    }
    pb_buf labels;
    pb_init(&labels, NULL, 0, 64u * 1024u);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_row(&w->text, &rows[i], sources, count, &labels);
    }
    metric_family family;
    metric_family_init(&family, LOOM_HISTOGRAM, DURATION_NAME, "s",
                       "How long it took to export a batch, with its retries.");
    metrics_text_family(&w->text, &family);
    for (size_t i = 0; i < count * 2; i++) {
        if (is_there(&sources[i / 2], COMPONENT_EXPORTER)) {
            put_duration(&w->text, &sources[i / 2], &family, i % 2 != 0, &labels);
        }
    }
    pb_fini(&labels);
    return metrics_writer_flush(w);
}
