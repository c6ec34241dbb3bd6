/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/check.h"
#include "trace/export/exporter.h"

#include <stdlib.h>

static int clear_environment(void **state)
{
    (void)state;
    static const char *const names[] = {
        "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "LOOM_SPANS_FILE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsetenv(names[i]);
    }
    return 0;
}

static loom_span_processor_options from_env(const char **warning)
{
    loom_span_processor_options options;
    loom_span_processor_options_from_env(&options, warning);
    return options;
}

static void an_empty_environment_means_grpc_on_localhost(void **state)
{
    (void)state;
    const char *warning;
    loom_span_processor_options o = from_env(&warning);
    assert_int_equal(LOOM_EXPORTER_OTLP_GRPC, o.exporter);
    assert_null(o.endpoint);
    assert_null(warning);
    char *url;
    assert_status(LOOM_OK, endpoint_url(&url, &o));
    assert_string_equal("http://localhost:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export", url);
    free(url);
}

static void port_4318_or_the_protocol_selects_http(void **state)
{
    (void)state;
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318", 1);
    assert_int_equal(LOOM_EXPORTER_OTLP_HTTP, from_env(NULL).exporter);
    setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", 1);
    assert_int_equal(LOOM_EXPORTER_OTLP_GRPC, from_env(NULL).exporter);
    setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf", 1);
    assert_int_equal(LOOM_EXPORTER_OTLP_HTTP, from_env(NULL).exporter);
}

static void the_traces_endpoint_wins_and_is_used_as_it_is(void **state)
{
    (void)state;
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318", 1);
    setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:4318/custom", 1);
    loom_span_processor_options o = from_env(NULL);
    assert_true(o.endpoint_is_exact);
    char *url;
    assert_status(LOOM_OK, endpoint_url(&url, &o));
    assert_string_equal("http://b:4318/custom", url);
    free(url);
}

static void a_base_endpoint_gets_v1_traces_once(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        {"http://h:4318", "http://h:4318/v1/traces"},
        {"http://h:4318/", "http://h:4318/v1/traces"},
        {"https://h/prefix", "https://h/prefix/v1/traces"},
        {"https://h/prefix/", "https://h/prefix/v1/traces"},
        {"http://h:4318/v1/traces", "http://h:4318/v1/traces"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char *url;
        loom_span_processor_options o = {.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = vectors[i][0]};
        assert_status(LOOM_OK, endpoint_url(&url, &o));
        assert_string_equal(vectors[i][1], url);
        free(url);
    }
}

static void exporters_go_by_name(void **state)
{
    (void)state;
    setenv("LOOM_SPANS_FILE", "/tmp/s.jsonl", 1);
    setenv("OTEL_TRACES_EXPORTER", "console", 1);
    assert_int_equal(LOOM_EXPORTER_CONSOLE, from_env(NULL).exporter);
    assert_string_equal("/tmp/s.jsonl", from_env(NULL).also_file);
    setenv("OTEL_TRACES_EXPORTER", "otlp/file", 1);
    assert_int_equal(LOOM_EXPORTER_FILE, from_env(NULL).exporter);
    assert_string_equal("/tmp/s.jsonl", from_env(NULL).endpoint);
    assert_null(from_env(NULL).also_file);
    setenv("OTEL_TRACES_EXPORTER", "none", 1);
    assert_int_equal(LOOM_EXPORTER_NONE, from_env(NULL).exporter);
    setenv("OTEL_TRACES_EXPORTER", "otlp", 1);
    setenv("OTEL_SDK_DISABLED", "TRUE", 1);
    assert_int_equal(LOOM_EXPORTER_NONE, from_env(NULL).exporter);
    assert_null(from_env(NULL).also_file);
}

static void nonsense_is_ignored_with_a_warning(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        {"OTEL_BSP_MAX_QUEUE_SIZE", "-5"},     {"OTEL_BSP_MAX_QUEUE_SIZE", "many"},
        {"OTEL_BSP_SCHEDULE_DELAY", "12ms"},   {"OTEL_EXPORTER_OTLP_TIMEOUT", "99999999999999999999"},
        {"OTEL_TRACES_EXPORTER", "zipkin"},    {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        setenv(vectors[i][0], vectors[i][1], 1);
        const char *warning;
        loom_span_processor_options o = from_env(&warning);
        assert_non_null(warning);
        assert_non_null(strstr(warning, vectors[i][0]));
        assert_int_equal(0, o.max_queue_size + o.schedule_delay_ms + o.otlp_timeout_ms);
        assert_int_equal(LOOM_EXPORTER_OTLP_GRPC, o.exporter);
        unsetenv(vectors[i][0]);
    }
    setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4096", 1);
    assert_int_equal(4096, from_env(NULL).max_queue_size);
}

int main(void)
{
#define CLEARED(test) cmocka_unit_test_setup_teardown(test, clear_environment, clear_environment)
    const struct CMUnitTest tests[] = {
        CLEARED(an_empty_environment_means_grpc_on_localhost),
        CLEARED(port_4318_or_the_protocol_selects_http),
        CLEARED(the_traces_endpoint_wins_and_is_used_as_it_is),
        CLEARED(a_base_endpoint_gets_v1_traces_once),
        CLEARED(exporters_go_by_name),
        CLEARED(nonsense_is_ignored_with_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
