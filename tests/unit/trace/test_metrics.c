/* SPDX-License-Identifier: Apache-2.0 */
#include <loom/metrics.h>

#include "tests/support/alloc_fault.h"
#include "tests/support/locales.h"
#include "tests/support/wait_until.h"
#include "tests/unit/trace/exposition.h"
#include "tests/unit/trace/recorded.h"
#include "trace/metrics/name.h"

#include <math.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what is shown ---- */

static char shown[512 * 1024];

static bool keep(void *user, const char *text, size_t len)
{
    size_t *used = user;
    assert_true(*used + len < sizeof shown);
    memcpy(shown + *used, text, len);
    *used += len;
    shown[*used] = '\0';
    return true;
}

static const char *show(const loom_meter *meter, loom_metrics_format format)
{
    size_t used = 0;
    shown[0] = '\0';
    assert_status(LOOM_OK, loom_meter_write(meter, format, keep, &used));
    exposition_check(shown, format == LOOM_METRICS_OPENMETRICS); /* whatever a test is about, it can be scraped */
    return shown;
}

static void shows(const loom_meter *meter, loom_metrics_format format, const char *expected)
{
    if (strstr(show(meter, format), expected) == NULL) {
        print_error("expected\n%s\nin\n%s\n", expected, shown);
        fail();
    }
}

static loom_attr string_attr(const char *key, const char *value)
{
    return (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = str_of(value)};
}

static loom_metric *make(loom_meter *meter, loom_metric_kind kind, const char *name, const char *unit)
{
    loom_metric *metric;
    assert_status(LOOM_OK, loom_metric_create(&metric, meter, &(loom_metric_options){.kind = kind, .name = name, .unit = unit}));
    return metric;
}

static loom_meter *make_meter(void)
{
    loom_meter *meter;
    assert_status(LOOM_OK, loom_meter_create(&meter));
    return meter;
}

/* ---- numbers ---- */

static void each_kind_counts_in_its_way(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    const loom_attr attrs[] = {string_attr("http.route", "/a"), {.key = "ok", .type = LOOM_ATTR_BOOL, .value.boolean = true}};
    loom_metric *requests = make(meter, LOOM_COUNTER, "http.requests", "{request}");
    loom_metric_add(requests, 2, attrs, 2);
    loom_metric_add(requests, 1, attrs, 2);
    loom_metric_add(requests, -5, attrs, 2); /* a counter never shrinks */
    loom_metric *open = make(meter, LOOM_UP_DOWN_COUNTER, "open.files", NULL);
    loom_metric_add(open, 5, NULL, 0);
    loom_metric_add(open, -7, NULL, 0);
    loom_metric_set(make(meter, LOOM_GAUGE, "load", "1"), 0.75, NULL, 0);
    make(meter, LOOM_GAUGE, "never.measured", NULL);
    assert_string_equal("# TYPE http_requests_total counter\nhttp_requests_total{http_route=\"/a\",ok=\"true\"} 3\n"
                        "# TYPE open_files gauge\nopen_files -2\n"
                        "# TYPE load_ratio gauge\nload_ratio 0.75\n",
                        show(meter, LOOM_METRICS_PROMETHEUS));
    assert_string_equal("# TYPE http_requests counter\nhttp_requests_total{http_route=\"/a\",ok=\"true\"} 3\n"
                        "# TYPE open_files gauge\nopen_files -2\n"
                        "# TYPE load_ratio gauge\n# UNIT load_ratio ratio\nload_ratio 0.75\n# EOF\n",
                        show(meter, LOOM_METRICS_OPENMETRICS));
    assert_true(loom_series_value(loom_metric_series(requests, attrs, 2)) == 3);
    loom_meter_unref(meter);
}

static void a_histogram_has_upper_ends_sum_and_count(void **state)
{
    (void)state;
    static const double bounds[] = {0.5, 1, 10};
    loom_meter *meter = make_meter();
    loom_metric *took;
    assert_status(LOOM_OK, loom_metric_create(&took, meter, &(loom_metric_options){
                                                                .kind = LOOM_HISTOGRAM, .name = "took", .unit = "s",
                                                                .description = "How \\ long\nit took.", .bounds = bounds, .bound_count = 3}));
    static const double values[] = {0.25, 0.5, 0.75, 10, 11, NAN, INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        loom_metric_record(took, values[i], NULL, 0);
    }
    assert_string_equal("# HELP took_seconds How \\\\ long\\nit took.\n# TYPE took_seconds histogram\n"
                        "took_seconds_bucket{le=\"0.5\"} 2\ntook_seconds_bucket{le=\"1\"} 3\ntook_seconds_bucket{le=\"10\"} 4\n"
                        "took_seconds_bucket{le=\"+Inf\"} 5\ntook_seconds_sum 22.5\ntook_seconds_count 5\n",
                        show(meter, LOOM_METRICS_PROMETHEUS));
    shows(meter, LOOM_METRICS_OPENMETRICS, "took_seconds_bucket{le=\"10.0\"} 4\n");
    assert_int_equal(5, loom_series_count(loom_metric_series(took, NULL, 0)));
    assert_true(loom_series_value(loom_metric_series(took, NULL, 0)) == 22.5);
    loom_meter_unref(meter);
}

static void default_buckets_fit_the_unit(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    loom_metric_record(make(meter, LOOM_HISTOGRAM, "a", "s"), 0.004, NULL, 0);
    loom_metric_record(make(meter, LOOM_HISTOGRAM, "b", "ms"), 4, NULL, 0);
    shows(meter, LOOM_METRICS_PROMETHEUS, "a_seconds_bucket{le=\"0.005\"} 1\n");
    shows(meter, LOOM_METRICS_PROMETHEUS, "b_milliseconds_bucket{le=\"0\"} 0\nb_milliseconds_bucket{le=\"5\"} 1\n");
    loom_meter_unref(meter);
}

static void exemplars_name_the_current_sampled_span(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    loom_metric *took = make(meter, LOOM_HISTOGRAM, "took", "s");
    const loom_trace_context sampled = {{0xab}, {0xcd}, LOOM_TRACE_FLAG_SAMPLED}, unsampled = {{1}, {1}, 0};
    uint64_t token = loom_context_push(&unsampled, (loom_str){0});
    loom_metric_record(took, 0.2, NULL, 0);
    loom_context_pop(token);
    show(meter, LOOM_METRICS_OPENMETRICS);
    assert_null(strstr(shown, "trace_id"));
    token = loom_context_push(&sampled, (loom_str){0});
    loom_metric_record(took, 0.2, NULL, 0);
    loom_metric_record(took, 0.24, NULL, 0); /* of one bucket: the last one */
    loom_metric_record(took, 99, NULL, 0);
    loom_context_pop(token);
    shows(meter, LOOM_METRICS_OPENMETRICS,
          "le=\"0.25\"} 3 # {trace_id=\"ab000000000000000000000000000000\",span_id=\"cd00000000000000\"} 0.24 1");
    shows(meter, LOOM_METRICS_OPENMETRICS,
          "le=\"+Inf\"} 4 # {trace_id=\"ab000000000000000000000000000000\",span_id=\"cd00000000000000\"} 99 1");
    show(meter, LOOM_METRICS_PROMETHEUS); /* which has no such thing */
    assert_null(strstr(shown, "trace_id"));
    loom_meter_unref(meter);
}

static void numbers_are_the_same_in_every_locale(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    loom_metric_set(make(meter, LOOM_GAUGE, "half", NULL), 0.5, NULL, 0);
    bool set = locale_set(LOCALE_COMMA);
    show(meter, LOOM_METRICS_PROMETHEUS);
    locale_reset();
    assert_string_equal("# TYPE half gauge\nhalf 0.5\n", shown);
    loom_meter_unref(meter);
    if (!set) {
        skip();
    }
}

/* ---- series ---- */

static void the_order_of_attributes_does_not_matter(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    loom_metric *metric = make(meter, LOOM_COUNTER, "c", NULL);
    const loom_attr ab[] = {string_attr("a", "1"), string_attr("b", "2")}, ba[] = {string_attr("b", "2"), string_attr("a", "1")};
    const loom_attr twice[] = {string_attr("b", "x"), string_attr("a", "1"), string_attr("b", "2"), string_attr("", "no key")};
    const loom_attr other[] = {string_attr("a", "12")}, number[] = {{.key = "a", .type = LOOM_ATTR_INT, .value.integer = 1}};
    loom_series *s = loom_metric_series(metric, ab, 2);
    assert_ptr_equal(s, loom_metric_series(metric, ba, 2));
    assert_ptr_equal(s, loom_metric_series(metric, twice, 4));
    assert_ptr_not_equal(s, loom_metric_series(metric, other, 1));
    assert_ptr_equal(loom_metric_series(metric, number, 1), loom_metric_series(metric, ab, 1)); /* 1 and "1" are shown alike */
    assert_ptr_equal(loom_metric_series(metric, NULL, 0), loom_metric_series(metric, NULL, 3));
    loom_meter_unref(meter);
}

static void what_goes_beyond_the_limit_is_in_the_overflow(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    loom_metric *metric;
    assert_status(LOOM_OK, loom_metric_create(&metric, meter, &(loom_metric_options){.kind = LOOM_COUNTER, .name = "c", .max_series = 10}));
    shows(meter, LOOM_METRICS_PROMETHEUS, "");
    for (int64_t i = 0; i < 100; i++) {
        const loom_attr attr = {.key = "user", .type = LOOM_ATTR_INT, .value.integer = i};
        loom_metric_add(metric, 1, &attr, 1);
    }
    shows(meter, LOOM_METRICS_PROMETHEUS, "c_total{otel_metric_overflow=\"true\"} 91\n");
    size_t lines = 0;
    for (const char *at = shown; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    assert_int_equal(1 + 10, lines);
    static char large[5000];
    memset(large, 'l', sizeof large - 1);
    const loom_attr too_long = string_attr("user", large);
    loom_attr too_many[40];
    char keys[40][8];
    for (size_t i = 0; i < 40; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", i);
        too_many[i] = string_attr(keys[i], "v");
    }
    loom_metric_add(metric, 1, &too_long, 1);
    loom_metric_add(metric, 1, too_many, 40);
    shows(meter, LOOM_METRICS_PROMETHEUS, "c_total{otel_metric_overflow=\"true\"} 93\n");
    loom_meter_unref(meter);
}

static void labels_are_escaped_and_their_names_cleaned(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    static const int64_t ints[] = {1, 2};
    const loom_attr attrs[] = {string_attr("q", "a\"b\\c\nd\xff"), string_attr("9lives", "x"), string_attr("__name__", "x"),
                               string_attr("a.b", "first"), string_attr("a-b", "second"), string_attr("le", "x"),
                               string_attr("k\"}\n", "x"), {.key = "is", .type = LOOM_ATTR_INTS, .value.array = {ints, 2}},
                               {.key = "d", .type = LOOM_ATTR_DOUBLE, .value.real = 0.1}};
    loom_metric_add(make(meter, LOOM_COUNTER, "c", NULL), 1, attrs, sizeof attrs / sizeof *attrs);
    assert_string_equal("# TYPE c_total counter\nc_total{_9lives=\"x\",_name_=\"x\",a_b=\"second;first\",d=\"0.1\",is=\"[1,2]\","
                        "k_=\"x\",le=\"x\",q=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 1\n",
                        show(meter, LOOM_METRICS_PROMETHEUS));
    loom_metric_record(make(meter, LOOM_HISTOGRAM, "h", NULL), 1, &attrs[5], 1);
    shows(meter, LOOM_METRICS_PROMETHEUS, "h_bucket{le_=\"x\",le=\"0\"} 0\n");
    loom_meter_unref(meter);
}

/* ---- names ---- */

static void names_and_units_are_prometheus_own(void **state)
{
    (void)state;
    static const struct {
        loom_metric_kind kind;
        const char *name, *unit, *shown, *shown_unit;
    } names[] = {
        {LOOM_HISTOGRAM, "http.server.request.duration", "s", "http_server_request_duration_seconds", "seconds"},
        {LOOM_COUNTER, "system.io", "By", "system_io_bytes", "bytes"},
        {LOOM_COUNTER, "jobs_total", NULL, "jobs", NULL},
        {LOOM_COUNTER, "jobs.total", "s", "jobs_seconds", "seconds"},
        {LOOM_GAUGE, "jobs.total", NULL, "jobs_total", NULL},
        {LOOM_COUNTER, "total", NULL, "total", NULL},
        {LOOM_GAUGE, "uptime_seconds", "s", "uptime_seconds", "seconds"},
        {LOOM_GAUGE, "milliseconds", "s", "milliseconds_seconds", "seconds"},
        {LOOM_GAUGE, "speed", "m/s", "speed_meters_per_second", "meters_per_second"},
        {LOOM_GAUGE, "rate", "{packet}/s", "rate_per_second", "per_second"},
        {LOOM_GAUGE, "usage", "1", "usage_ratio", "ratio"},
        {LOOM_COUNTER, "usage", "1", "usage", NULL},
        {LOOM_UP_DOWN_COUNTER, "requests", "{request}", "requests", NULL},
        {LOOM_GAUGE, "a..b--c/d", NULL, "a_b_c_d", NULL},
        {LOOM_GAUGE, "cpu", "%", "cpu_percent", "percent"},
        {LOOM_GAUGE, "odd", "kHz/foo", "odd_kHz_per_foo", "kHz_per_foo"},
        {LOOM_GAUGE, "empty", "", "empty", NULL},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        metric_family f;
        metric_family_init(&f, names[i].kind, names[i].name, names[i].unit, NULL);
        assert_string_equal(names[i].shown, f.name);
        if (names[i].shown_unit == NULL) {
            assert_null(f.unit);
        } else {
            assert_string_equal(names[i].shown_unit, f.unit);
        }
    }
}

static loom_status try_metric(loom_meter *meter, loom_metric_options options)
{
    loom_metric *metric;
    loom_status st = loom_metric_create(&metric, meter, &options);
    assert_true((st == LOOM_OK) == (metric != NULL));
    return st;
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const double falling[] = {2, 1}, endless[] = {1, INFINITY};
    char long_name[300];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const loom_metric_options bad[] = {
        {.name = NULL}, {.name = ""}, {.name = "9"}, {.name = "_a"}, {.name = "a b"}, {.name = "a\xc3\xa9"}, {.name = long_name},
        {.name = "a", .kind = (loom_metric_kind)9}, {.name = "a", .unit = "a b"}, {.name = "a", .unit = "\xc3\xa9"},
        {.name = "a", .unit = long_name}, {.name = "a", .kind = LOOM_HISTOGRAM, .bounds = falling, .bound_count = 2},
        {.name = "a", .kind = LOOM_HISTOGRAM, .bounds = endless, .bound_count = 2},
        {.name = "a", .kind = LOOM_HISTOGRAM, .bounds = falling, .bound_count = LOOM_METRIC_BOUNDS_MAX + 1},
        {.name = "a", .kind = LOOM_HISTOGRAM, .bound_count = 2},
    };
    loom_meter *meter = make_meter();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_status(LOOM_EINVAL, try_metric(meter, bad[i]));
    }
    long_name[255] = '\0';
    assert_status(LOOM_OK, try_metric(meter, (loom_metric_options){.name = long_name}));
    assert_status(LOOM_EINVAL, loom_metric_create(&(loom_metric *){0}, meter, NULL));
    loom_metric_add(NULL, 1, NULL, 0);
    loom_metric_set(NULL, 1, NULL, 0);
    loom_metric_record(NULL, 1, NULL, 0);
    loom_metric *gauge = make(meter, LOOM_GAUGE, "g", NULL), *counter = make(meter, LOOM_COUNTER, "c", NULL);
    loom_metric_add(gauge, 1, NULL, 0);
    loom_metric_record(gauge, 1, NULL, 0);
    loom_metric_set(counter, 1, NULL, 0);
    shows(meter, LOOM_METRICS_PROMETHEUS, "g 0\n");
    shows(meter, LOOM_METRICS_PROMETHEUS, "c_total 0\n");
    assert_true(loom_series_value(NULL) == 0 && loom_series_count(NULL) == 0);
    assert_status(LOOM_EINVAL, loom_meter_write(NULL, LOOM_METRICS_PROMETHEUS, keep, NULL));
    loom_meter_unref(meter);
    loom_meter_unref(NULL);
}

static void one_name_is_one_metric(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    loom_metric *first = make(meter, LOOM_COUNTER, "a.b", "s");
    assert_ptr_equal(first, make(meter, LOOM_COUNTER, "a.b", "s"));
    assert_status(LOOM_EEXIST, try_metric(meter, (loom_metric_options){.kind = LOOM_GAUGE, .name = "a.b", .unit = "s"}));
    assert_status(LOOM_EEXIST, try_metric(meter, (loom_metric_options){.kind = LOOM_COUNTER, .name = "a_b", .unit = "s"}));
    assert_status(LOOM_EEXIST, try_metric(meter, (loom_metric_options){.kind = LOOM_COUNTER, .name = "a.b.seconds"}));
    loom_meter_unref(meter);
}

/* OpenTelemetry, "Prometheus and OpenMetrics Compatibility", "Metric Metadata": what is shown under one name is one metric. */
static void names_that_would_be_shown_twice_are_refused(void **state)
{
    (void)state;
    static const struct {
        loom_metric_options first, second;
        loom_status expected;
    } vectors[] = {
        {{.kind = LOOM_COUNTER, .name = "requests"}, {.kind = LOOM_GAUGE, .name = "requests.total"}, LOOM_EEXIST},
        {{.kind = LOOM_GAUGE, .name = "requests.total"}, {.kind = LOOM_COUNTER, .name = "requests"}, LOOM_EEXIST},
        {{.kind = LOOM_GAUGE, .name = "requests_total"}, {.kind = LOOM_COUNTER, .name = "requests.total"}, LOOM_EEXIST},
        {{.kind = LOOM_COUNTER, .name = "requests"}, {.kind = LOOM_COUNTER, .name = "requests.total"}, LOOM_EEXIST},
        {{.kind = LOOM_COUNTER, .name = "requests"}, {.kind = LOOM_GAUGE, .name = "requests"}, LOOM_EEXIST},
        {{.kind = LOOM_COUNTER, .name = "requests"}, {.kind = LOOM_GAUGE, .name = "requests.created"}, LOOM_EEXIST},
        {{.kind = LOOM_HISTOGRAM, .name = "took"}, {.kind = LOOM_GAUGE, .name = "took.count"}, LOOM_EEXIST},
        {{.kind = LOOM_HISTOGRAM, .name = "took"}, {.kind = LOOM_UP_DOWN_COUNTER, .name = "took_sum"}, LOOM_EEXIST},
        {{.kind = LOOM_GAUGE, .name = "took_bucket"}, {.kind = LOOM_HISTOGRAM, .name = "took"}, LOOM_EEXIST},
        {{.kind = LOOM_HISTOGRAM, .name = "took", .unit = "s"}, {.kind = LOOM_GAUGE, .name = "took.seconds.count"}, LOOM_EEXIST},
        {{.kind = LOOM_HISTOGRAM, .name = "took"}, {.kind = LOOM_HISTOGRAM, .name = "took.count"}, LOOM_EEXIST},
        {{.kind = LOOM_HISTOGRAM, .name = "took"}, {.kind = LOOM_COUNTER, .name = "took"}, LOOM_EEXIST},
        {{.kind = LOOM_HISTOGRAM, .name = "took"}, {.kind = LOOM_COUNTER, .name = "took.count"}, LOOM_EEXIST},
        {{.kind = LOOM_GAUGE, .name = "plain"}, {.kind = LOOM_GAUGE, .name = "otel.sdk.span.live"}, LOOM_EEXIST},
        {{.kind = LOOM_GAUGE, .name = "plain"}, {.kind = LOOM_GAUGE, .name = "otel_sdk_span_started_total"}, LOOM_EEXIST},
        {{.kind = LOOM_GAUGE, .name = "plain"}, {.kind = LOOM_GAUGE, .name = "otel.sdk.exporter.operation.duration.seconds.count"}, LOOM_EEXIST},
        {{.kind = LOOM_GAUGE, .name = "took"}, {.kind = LOOM_GAUGE, .name = "took.count"}, LOOM_OK},
        {{.kind = LOOM_COUNTER, .name = "requests"}, {.kind = LOOM_GAUGE, .name = "requests.count"}, LOOM_OK},
        {{.kind = LOOM_HISTOGRAM, .name = "took"}, {.kind = LOOM_COUNTER, .name = "tooks"}, LOOM_OK},
        {{.kind = LOOM_GAUGE, .name = "plain"}, {.kind = LOOM_GAUGE, .name = "otel.sdk.own"}, LOOM_OK},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        loom_meter *meter = make_meter();
        assert_status(LOOM_OK, try_metric(meter, vectors[i].first));
        const loom_status st = try_metric(meter, vectors[i].second);
        if (st != vectors[i].expected) {
            fail_msg("%s and %s: %s", vectors[i].first.name, vectors[i].second.name, loom_status_text(st));
        }
        loom_meter_unref(meter);
    }
}

static void attributes_with_the_same_labels_are_one_series(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    loom_metric *c = make(meter, LOOM_COUNTER, "c", NULL);
    const loom_attr same[] = {
        {.key = "a.b", .type = LOOM_ATTR_INT, .value.integer = 1},
        {.key = "a.b", .type = LOOM_ATTR_STRING, .value.string = STR("1")},
        {.key = "a_b", .type = LOOM_ATTR_DOUBLE, .value.real = 1},
        {.key = "a/b", .type = LOOM_ATTR_STRING, .value.string = STR("1")},
    };
    loom_series *first = loom_metric_series(c, same, 1);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
            assert_ptr_equal(first, loom_metric_series(c, &same[i], 1));
            loom_metric_add(c, 1, &same[i], 1);
        }
    }
    const loom_attr over = {.key = "otel_metric_overflow", .type = LOOM_ATTR_STRING, .value.string = STR("true")};
    loom_metric_add(c, 1, &over, 1);
    assert_string_equal("# TYPE c_total counter\nc_total{a_b=\"1\"} 8\nc_total{otel_metric_overflow=\"true\"} 1\n",
                        show(meter, LOOM_METRICS_PROMETHEUS));
    loom_meter_unref(meter);
}

static bool stop(void *user, const char *text, size_t len)
{
    (void)user;
    (void)text;
    (void)len;
    return false;
}

static void a_writer_may_stop(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    loom_metric_add(make(meter, LOOM_COUNTER, "c", NULL), 1, NULL, 0);
    assert_status(LOOM_EIO, loom_meter_write(meter, LOOM_METRICS_PROMETHEUS, stop, NULL));
    loom_meter_unref(meter);
}

/* ---- threads ---- */

enum { THREADS = 4, THOUSANDS = 3, ROUNDS = THOUSANDS * 1000, USERS = 50 };

static void *measure(void *user)
{
    loom_meter *meter = user;
    for (int64_t i = 0; i < ROUNDS; i++) {
        const loom_trace_context context = {{1, (uint8_t)i}, {2}, LOOM_TRACE_FLAG_SAMPLED};
        const loom_attr attr = {.key = "user", .type = LOOM_ATTR_INT, .value.integer = i % USERS};
        const uint64_t token = loom_context_push(&context, (loom_str){0});
        loom_metric_add(make(meter, LOOM_COUNTER, "events", NULL), 1, &attr, 1);
        loom_metric_record(make(meter, LOOM_HISTOGRAM, "took", "s"), 0.001 * (double)(i % 1000), NULL, 0);
        loom_context_pop(token);
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    (void)state;
    loom_meter *meter = make_meter();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, measure, meter));
    }
    for (int i = 0; i < 20; i++) {
        show(meter, LOOM_METRICS_OPENMETRICS);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    loom_metric *events = make(meter, LOOM_COUNTER, "events", NULL);
    for (int64_t i = 0; i < USERS; i++) {
        const loom_attr attr = {.key = "user", .type = LOOM_ATTR_INT, .value.integer = i};
        assert_int_equal(THREADS * ROUNDS / USERS, (int64_t)loom_series_value(loom_metric_series(events, &attr, 1)));
    }
    loom_series *took = loom_metric_series(make(meter, LOOM_HISTOGRAM, "took", "s"), NULL, 0);
    assert_int_equal(THREADS * ROUNDS, loom_series_count(took));
    assert_true(fabs(loom_series_value(took) - THREADS * THOUSANDS * 499.5) < 0.001);
    loom_meter_unref(meter);
}

static loom_status make_and_measure(void *user)
{
    (void)user;
    loom_meter *meter;
    loom_status st = loom_meter_create(&meter);
    loom_metric *metric = NULL;
    if (st == LOOM_OK) {
        st = loom_metric_create(&metric, meter, &(loom_metric_options){.kind = LOOM_HISTOGRAM, .name = "h", .unit = "s"});
    }
    const loom_attr attr = string_attr("a", "b");
    loom_metric_record(metric, 1, &attr, 1); /* without memory it is in the overflow */
    if (st == LOOM_OK) {
        size_t used = 0;
        const loom_series *s = loom_metric_series(metric, &attr, 1);
        st = loom_meter_write(meter, LOOM_METRICS_OPENMETRICS, keep, &used);
        st = st == LOOM_OK && loom_series_count(s) == 0 ? LOOM_ENOMEM : st;
    }
    loom_meter_unref(meter);
    return st;
}

static void everything_survives_without_memory(void **state)
{
    (void)state;
    assert_true(alloc_fault_each_survived(make_and_measure, NULL) > 5);
}

/* ---- tracing's own ---- */

static void the_sdk_counts_itself_by_the_specified_names(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_meter *meter = make_meter();
    assert_status(LOOM_OK, loom_meter_add_processor(meter, r.processor));
    loom_span *first = loom_span_start(r.tracer, "first", NULL), *second = loom_span_start(r.tracer, "second", NULL);
    loom_span_end(first);
    const loom_trace_context refused = {.trace_id = {1}, .span_id = {2}};
    loom_span_end(loom_span_start(r.tracer, "third", &(loom_span_options){.parent = &refused}));
    loom_sdk_metrics m = loom_span_processor_metrics(r.processor);
    assert_int_equal(2, m.span_started);
    assert_int_equal(1, m.span_live);
    assert_int_equal(2048, m.queue_capacity);
    assert_int_equal(1, m.queue_size);
    recorded_read(&r);
    wait_until(loom_span_processor_metrics(r.processor).span_live == 1, 5000);
    m = loom_span_processor_metrics(r.processor);
    assert_int_equal(2, m.span_started);
    assert_int_equal(1, m.exported);
    assert_int_equal(1, m.processed);
    assert_int_equal(0, m.queue_size + m.inflight + m.exported_failed + m.processed_queue_full);
    uint64_t operations = 0;
    for (size_t i = 0; i < LOOM_EXPORT_BUCKETS; i++) {
        operations += m.operation_duration.buckets[i];
    }
    assert_int_equal(1, operations);
    assert_true(m.operation_duration.sum > 0);
    shows(meter, LOOM_METRICS_PROMETHEUS, "# TYPE otel_sdk_span_live gauge\n"
                                          "otel_sdk_span_live{otel_span_sampling_result=\"RECORD_AND_SAMPLE\"} 1\n");
    shows(meter, LOOM_METRICS_PROMETHEUS, "otel_sdk_span_started_total{otel_span_sampling_result=\"RECORD_AND_SAMPLE\"} 2\n");
    shows(meter, LOOM_METRICS_PROMETHEUS, "otel_sdk_span_started_total{otel_span_sampling_result=\"DROP\"} 1\n");
    shows(meter, LOOM_METRICS_PROMETHEUS, ",otel_component_type=\"batching_span_processor\"} 2048\n");
    shows(meter, LOOM_METRICS_PROMETHEUS, ",otel_component_type=\"batching_span_processor\",error_type=\"queue_full\"} 0\n");
    shows(meter, LOOM_METRICS_PROMETHEUS, "# TYPE otel_sdk_exporter_span_exported_total counter\n"
                                          "otel_sdk_exporter_span_exported_total{otel_component_name=\"otlp_file_span_exporter/");
    shows(meter, LOOM_METRICS_OPENMETRICS, "# UNIT otel_sdk_exporter_operation_duration_seconds seconds\n");
    shows(meter, LOOM_METRICS_PROMETHEUS, ",otel_component_type=\"otlp_file_span_exporter\",le=\"+Inf\"} 1\n");
    loom_span_end(second);
    recorded_close(&r);
    shows(meter, LOOM_METRICS_PROMETHEUS, "otel_sdk_span_live{otel_span_sampling_result=\"RECORD_AND_SAMPLE\"} 0\n");
    loom_meter_unref(meter); /* was the last to hold the processor's memory */
}

static void spans_that_are_lost_have_a_reason(void **state)
{
    (void)state;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &(loom_span_processor_options){
                                                                      .exporter = LOOM_EXPORTER_OTLP_HTTP, .max_queue_size = 2,
                                                                      .endpoint = "127.0.0.1:9", .schedule_delay_ms = 60000}));
    assert_status(LOOM_OK, loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){
                                                                      .service_name = "lost", .sampler = &always, .processor = processor}));
    loom_tracer *tracer = loom_tracer_get(provider, "tests", NULL);
    for (int i = 0; i < 50; i++) {
        loom_span_end(loom_span_start(tracer, "s", NULL));
    }
    (void)loom_span_processor_shutdown(processor, 2000);
    loom_span_end(loom_span_start(tracer, "late", NULL));
    const loom_sdk_metrics m = loom_span_processor_metrics(processor);
    assert_int_equal(1, m.processed_already_shutdown);
    assert_int_equal(50, m.processed + m.processed_queue_full + m.processed_shutdown);
    assert_int_equal(m.processed, m.exported + m.exported_failed);
    assert_int_equal(51, m.span_started);
    assert_int_equal(0, m.span_live);
    loom_meter *meter = make_meter();
    loom_span_processor *others[8];
    for (int i = 0; i < 8; i++) {
        assert_status(LOOM_OK, loom_meter_add_processor(meter, processor)); /* is there already */
        assert_status(LOOM_OK, loom_span_processor_create(&others[i], &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE}));
        assert_status(i < 7 ? LOOM_OK : LOOM_EFULL, loom_meter_add_processor(meter, others[i]));
        loom_span_processor_unref(others[i]);
    }
    assert_status(LOOM_EINVAL, loom_meter_add_processor(meter, NULL));
    shows(meter, LOOM_METRICS_PROMETHEUS, "otel_component_type=\"otlp_http_span_exporter\",server_address=\"127.0.0.1\",server_port=\"9\"");
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
    loom_meter_unref(meter);
}

static void a_forked_child_counts_on(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_meter *meter = make_meter();
    assert_status(LOOM_OK, loom_meter_add_processor(meter, r.processor));
    loom_metric *metric = make(meter, LOOM_COUNTER, "c", NULL);
    loom_metric_add(metric, 1, NULL, 0);
    pid_t child = fork();
    if (child == 0) {
        loom_metric_add(metric, 1, NULL, 0);
        loom_tracer_provider *provider;
        bool fine = loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.service_name = "child",
                                                                                           .processor = r.processor}) == LOOM_OK;
        loom_span_end(loom_span_start(loom_tracer_get(provider, "t", NULL), "s", NULL));
        loom_tracer_provider_unref(provider);
        fine = fine && strstr(show(meter, LOOM_METRICS_PROMETHEUS), "c_total 2\n") != NULL &&
               loom_span_processor_metrics(r.processor).span_started == 0;
        _exit(fine ? 0 : 1);
    }
    int status;
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_int_equal(0, status);
    loom_meter_unref(meter);
    recorded_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_counts_in_its_way),
        cmocka_unit_test(a_histogram_has_upper_ends_sum_and_count),
        cmocka_unit_test(default_buckets_fit_the_unit),
        cmocka_unit_test(exemplars_name_the_current_sampled_span),
        cmocka_unit_test(numbers_are_the_same_in_every_locale),
        cmocka_unit_test(the_order_of_attributes_does_not_matter),
        cmocka_unit_test(what_goes_beyond_the_limit_is_in_the_overflow),
        cmocka_unit_test(labels_are_escaped_and_their_names_cleaned),
        cmocka_unit_test(names_and_units_are_prometheus_own),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(one_name_is_one_metric),
        cmocka_unit_test(names_that_would_be_shown_twice_are_refused),
        cmocka_unit_test(attributes_with_the_same_labels_are_one_series),
        cmocka_unit_test(a_writer_may_stop),
        cmocka_unit_test(threads_lose_nothing),
        cmocka_unit_test(everything_survives_without_memory),
        cmocka_unit_test(the_sdk_counts_itself_by_the_specified_names),
        cmocka_unit_test(spans_that_are_lost_have_a_reason),
        cmocka_unit_test(a_forked_child_counts_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
