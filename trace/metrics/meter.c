/* SPDX-License-Identifier: Apache-2.0 */
/* A meter: metrics made, found again, and shown. */
#include "trace/metrics/meter.h"

#include "base/last_error.h"
#include "base/str.h"
#include "trace/export/processor.h"

#include <math.h>
#include <stdlib.h>

#define TEXT_MAX (64u * 1024u * 1024u) /* bytes that wait to be written */
#define PIECE_SIZE (64u * 1024u)       /* bytes after which they are */

static const double default_bounds[] = {0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000};
static const double second_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10};

/* ---- meters ---- */

loom_status loom_meter_create(loom_meter **out)
{
    if (out == NULL) {
        return last_error_null("the place for the meter");
    }
    loom_meter *meter = calloc(1, sizeof *meter);
    *out = meter;
    if (meter == NULL) {
        return LOOM_ENOMEM;
    }
    atomic_init(&meter->refs, 1);
    return LOOM_OK;
}

loom_meter *loom_meter_ref(loom_meter *meter)
{
    if (meter != NULL) {
        atomic_fetch_add_explicit(&meter->refs, 1, memory_order_relaxed);
    }
    return meter;
}

static void metric_free(loom_metric *m)
{
    if (m != NULL) {
        metric_free_series(m);
        free(m->bounds);
        free(m->name);
        free(m->unit);
        free(m->help);
        free(m);
    }
}

void loom_meter_unref(loom_meter *meter)
{
    if (meter == NULL || atomic_fetch_sub_explicit(&meter->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    loom_metric *m = atomic_load_explicit(&meter->metrics, memory_order_acquire);
    while (m != NULL) {
        loom_metric *next = atomic_load_explicit(&m->next, memory_order_acquire);
        metric_free(m);
        m = next;
    }
    for (size_t i = 0; i < METER_PROCESSORS_MAX; i++) {
        loom_span_processor *processor = atomic_load_explicit(&meter->processors[i], memory_order_acquire);
        if (processor != NULL) {
            processor_unhold(processor);
        }
    }
    free(meter);
}

loom_status loom_meter_add_processor(loom_meter *meter, loom_span_processor *processor)
{
    if (meter == NULL || processor == NULL) {
        return last_error_null(meter == NULL ? "the meter" : "the processor");
    }
    processor_hold(processor);
    for (size_t i = 0; i < METER_PROCESSORS_MAX; i++) {
        loom_span_processor *there = NULL;
        if (atomic_compare_exchange_strong_explicit(&meter->processors[i], &there, processor, memory_order_acq_rel, memory_order_acquire)) {
            return LOOM_OK;
        }
        if (there == processor) {
            processor_unhold(processor);
            return LOOM_OK;
        }
    }
    processor_unhold(processor);
    return LOOM_EFULL;
}

/* ---- metrics ---- */

static bool bounds_valid(const loom_metric_options *o)
{
    bool valid = o->bound_count <= LOOM_METRIC_BOUNDS_MAX && (o->bounds != NULL || o->bound_count == 0);
    for (size_t i = 0; valid && i < o->bound_count; i++) {
        valid = isfinite(o->bounds[i]) && (i == 0 || o->bounds[i] > o->bounds[i - 1]);
    }
    return valid;
}

static bool options_valid(const loom_metric_options *o)
{
    return (unsigned)o->kind <= LOOM_HISTOGRAM && metric_name_valid(o->name) && metric_unit_valid(o->unit) &&
           bounds_valid(o);
}

static loom_status init_bounds(loom_metric *m, const loom_metric_options *o)
{
    const bool seconds = o->unit != NULL && strcmp(o->unit, "s") == 0;
    const double *bounds = o->bounds != NULL ? o->bounds : seconds ? second_bounds : default_bounds;
    m->bound_count = o->bounds != NULL ? o->bound_count
                     : seconds         ? sizeof second_bounds / sizeof *second_bounds
                                       : sizeof default_bounds / sizeof *default_bounds;
    m->bounds = malloc((m->bound_count + 1) * sizeof *bounds);
    if (m->bounds == NULL) {
        return LOOM_ENOMEM;
    }
    memcpy(m->bounds, bounds, m->bound_count * sizeof *bounds);
    return LOOM_OK;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* NULL: no memory. */
static loom_metric *metric_make(const loom_metric_options *o)
{
    loom_metric *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->name = strdup(o->name);
    m->unit = strdup(or_empty(o->unit));
    m->help = strdup(or_empty(o->description));
    m->max_series = o->max_series != 0 ? o->max_series : SERIES_MAX_DEFAULT;
    if (m->name == NULL || m->unit == NULL || m->help == NULL ||
        (o->kind == LOOM_HISTOGRAM && init_bounds(m, o) != LOOM_OK)) {
        metric_free(m);
        return NULL;
    }
    metric_family_init(&m->family, o->kind, m->name, m->unit, m->help);
    if (metric_init_series(m) != LOOM_OK) {
        metric_free(m);
        return NULL;
    }
    return m;
}

/* m, or something that is shown under one of its names, is there already. */
static loom_status settle(const loom_metric *there, const loom_metric *m)
{
    return strcmp(there->name, m->name) == 0 && there->family.kind == m->family.kind && strcmp(there->unit, m->unit) == 0
               ? LOOM_OK
               : LOOM_EEXIST;
}

loom_status loom_metric_create(loom_metric **out, loom_meter *meter, const loom_metric_options *options)
{
    if (out == NULL || meter == NULL || options == NULL) {
        return last_error_null(out == NULL ? "the place for the metric" : meter == NULL ? "the meter" : "the options");
    }
    *out = NULL;
    if (!options_valid(options)) {
        return last_error(LOOM_EINVAL, "metric \"%.100s\": its name, unit, kind or bounds are off the rules",
                          options->name != NULL ? options->name : "");
    }
    loom_metric *m = metric_make(options), *there = NULL;
    if (m == NULL) {
        return LOOM_ENOMEM;
    }
    if (sdk_metrics_collide(&m->family)) {
        metric_free(m);
        return LOOM_EEXIST;
    }
    _Atomic(loom_metric *) *at = &meter->metrics;
    while (!atomic_compare_exchange_strong_explicit(at, &there, m, memory_order_acq_rel, memory_order_acquire)) {
        if (metric_families_collide(&there->family, &m->family)) {
            const loom_status st = settle(there, m);
            *out = st == LOOM_OK ? there : NULL;
            metric_free(m);
            return st;
        }
        at = &there->next;
        there = NULL;
    }
    *out = m;
    return LOOM_OK;
}

/* ---- shown ---- */

static void put_histogram(metrics_text *t, const loom_series *s)
{
    uint64_t counts[LOOM_METRIC_BOUNDS_MAX + 1];
    exemplar_value exemplars[LOOM_METRIC_BOUNDS_MAX + 1];
    bool has_exemplar[LOOM_METRIC_BOUNDS_MAX + 1];
    const loom_metric *m = s->metric;
    for (size_t i = 0; i <= m->bound_count; i++) {
        counts[i] = atomic_load_explicit(&s->buckets[i].count, memory_order_relaxed);
        has_exemplar[i] = t->format == LOOM_METRICS_OPENMETRICS && exemplar_get(&s->buckets[i].last, &exemplars[i]);
    }
    metrics_text_histogram(t, &m->family, s->labels,
                           &(histogram_view){m->bounds, m->bound_count, counts, series_real(&s->real), exemplars, has_exemplar});
}

static void put_series(metrics_text *t, const loom_series *s)
{
    const metric_family *f = &s->metric->family;
    switch (f->kind) {
    case LOOM_COUNTER:
    case LOOM_UP_DOWN_COUNTER:
        metrics_text_integer(t, f, s->labels, atomic_load_explicit(&s->integer, memory_order_relaxed));
        break;
    case LOOM_GAUGE:
        metrics_text_real(t, f, s->labels, series_real(&s->real));
        break;
    case LOOM_HISTOGRAM:
        put_histogram(t, s);
        break;
    }
}

loom_status metrics_writer_flush(metrics_writer *w)
{
    pb_buf *b = &w->text.b;
    if (b->failed) {
        return LOOM_ENOMEM;
    }
    const bool goes_on = b->len == 0 || w->write(w->user, (const char *)b->data, b->len);
    pb_rollback(b, 0);
    return goes_on ? LOOM_OK : LOOM_EIO;
}

/* One that nobody has measured yet is not shown. */
static bool has_series(const loom_metric *m)
{
    return atomic_load_explicit(&m->count, memory_order_relaxed) > 0 ||
           atomic_load_explicit(&m->overflowed, memory_order_relaxed);
}

/* In pieces, however many series there are. */
static loom_status write_metric(metrics_writer *w, const loom_metric *m)
{
    metrics_text_family(&w->text, &m->family);
    for (size_t i = 0; i < SERIES_BUCKETS; i++) {
        const loom_series *s = atomic_load_explicit(&m->buckets[i], memory_order_acquire);
        for (; s != NULL; s = atomic_load_explicit(&s->next, memory_order_acquire)) {
            put_series(&w->text, s);
        }
        if (w->text.b.len > PIECE_SIZE) {
            const loom_status st = metrics_writer_flush(w);
            if (st != LOOM_OK) {
                return st;
            }
        }
    }
    if (atomic_load_explicit(&m->overflowed, memory_order_relaxed)) {
        put_series(&w->text, m->overflow);
    }
    return metrics_writer_flush(w);
}

loom_status loom_meter_write(const loom_meter *meter, loom_metrics_format format,
                             bool (*write)(void *user, const char *text, size_t len), void *user)
{
    metrics_writer w = {.text = {.format = format}, .write = write, .user = user};
    loom_status st = LOOM_OK;
    if (meter == NULL || write == NULL) {
        return last_error_null(meter == NULL ? "the meter" : "write");
    }
    pb_init(&w.text.b, NULL, 0, TEXT_MAX);
    const loom_metric *m = atomic_load_explicit(&meter->metrics, memory_order_acquire);
    for (; m != NULL && st == LOOM_OK; m = atomic_load_explicit(&m->next, memory_order_acquire)) {
        st = has_series(m) ? write_metric(&w, m) : LOOM_OK;
    }
    st = st == LOOM_OK ? sdk_metrics_write(&w, meter) : st;
    if (st == LOOM_OK && format == LOOM_METRICS_OPENMETRICS) {
        pb_raw(&w.text.b, "# EOF\n", sizeof "# EOF\n" - 1);
        st = metrics_writer_flush(&w);
    }
    pb_fini(&w.text.b);
    return st;
}
