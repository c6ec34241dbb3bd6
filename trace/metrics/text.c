/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/metrics/text.h"

#include "base/number.h"
#include "base/str.h"
#include "trace/otlp/json.h"

#include <inttypes.h>
#include <math.h>

static void put(metrics_text *t, const char *text)
{
    pb_raw(&t->b, text, strlen(text));
}

static bool is_openmetrics(const metrics_text *t)
{
    return t->format == LOOM_METRICS_OPENMETRICS;
}

static void put_real(metrics_text *t, double value)
{
    char text[NUMBER_SIZE];
    if (isfinite(value)) {
        pb_raw(&t->b, text, number_format_shortest(text, value));
    } else {
        put(t, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
    }
}

/* ---- families ---- */

static const char *type_name(loom_metric_kind kind)
{
    return kind == LOOM_COUNTER ? "counter" : kind == LOOM_HISTOGRAM ? "histogram" : "gauge";
}

/* To Prometheus a counter's family is called as its sample; to OpenMetrics the sample has _total more. */
static void put_line(metrics_text *t, const char *what, const metric_family *f)
{
    put(t, what);
    put(t, f->name);
    put(t, f->kind == LOOM_COUNTER && !is_openmetrics(t) ? "_total " : " ");
}

void metrics_text_family(metrics_text *t, const metric_family *f)
{
    if (f->help[0] != '\0') {
        put_line(t, "# HELP ", f);
        metric_escaped(&t->b, str_of(f->help), is_openmetrics(t));
        put(t, "\n");
    }
    put_line(t, "# TYPE ", f);
    put(t, type_name(f->kind));
    put(t, "\n");
    if (is_openmetrics(t) && f->unit != NULL) {
        put_line(t, "# UNIT ", f);
        put(t, f->unit);
        put(t, "\n");
    }
}

/* ---- samples ---- */

/* name_suffix{labels,le="…"} and a blank. */
static void put_sample(metrics_text *t, const metric_family *f, const char *suffix, const char *labels, const char *le)
{
    put(t, f->name);
    put(t, suffix);
    if (labels[0] != '\0' || le != NULL) {
        put(t, "{");
        put(t, labels);
        if (le != NULL) {
            put(t, labels[0] != '\0' ? ",le=\"" : "le=\"");
            put(t, le);
            put(t, "\"");
        }
        put(t, "}");
    }
    put(t, " ");
}

void metrics_text_integer(metrics_text *t, const metric_family *f, const char *labels, int64_t value)
{
    put_sample(t, f, f->kind == LOOM_COUNTER ? "_total" : "", labels, NULL);
    json_put_format(&t->b, "%" PRId64 "\n", value);
}

void metrics_text_real(metrics_text *t, const metric_family *f, const char *labels, double value)
{
    put_sample(t, f, "", labels, NULL);
    put_real(t, value);
    put(t, "\n");
}

/* OpenMetrics wants a point in it ("Canonical Numbers"). */
static void bound_text(char out[NUMBER_SIZE + 2], const metrics_text *t, const histogram_view *h, size_t i)
{
    if (i == h->bound_count) {
        memcpy(out, "+Inf", sizeof "+Inf");
        return;
    }
    const size_t len = number_format_shortest(out, h->bounds[i]);
    if (is_openmetrics(t) && strpbrk(out, ".e") == NULL) {
        memcpy(out + len, ".0", sizeof ".0");
    }
}

static void put_exemplar(metrics_text *t, const exemplar_value *e)
{
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_id, e->trace_id);
    loom_span_id_to_hex(span_id, e->span_id);
    json_put_format(&t->b, " # {trace_id=\"%s\",span_id=\"%s\"} ", trace_id, span_id);
    put_real(t, e->value);
    json_put_format(&t->b, " %" PRIu64 ".%03u", e->time_unix_ns / 1000000000u, (unsigned)(e->time_unix_ns / 1000000u % 1000u));
}

void metrics_text_histogram(metrics_text *t, const metric_family *f, const char *labels, const histogram_view *h)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= h->bound_count; i++) {
        char le[NUMBER_SIZE + 2];
        bound_text(le, t, h, i);
        count += h->counts[i];
        put_sample(t, f, "_bucket", labels, le);
        json_put_format(&t->b, "%" PRIu64, count);
        if (is_openmetrics(t) && h->exemplars != NULL && h->has_exemplar[i]) {
            put_exemplar(t, &h->exemplars[i]);
        }
        put(t, "\n");
    }
    put_sample(t, f, "_sum", labels, NULL);
    put_real(t, h->sum);
    put(t, "\n");
    put_sample(t, f, "_count", labels, NULL);
    json_put_format(&t->b, "%" PRIu64 "\n", count);
}
