/* SPDX-License-Identifier: Apache-2.0 */
#include "base/url.h"
#include "tests/support/check.h"
#include "trace/export/exporter.h"

#include <stdlib.h>

static int clear_environment(void **state)
{
    (void)state;
    static const char *const names[] = {
        "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_INSECURE", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_RESOURCE_ATTRIBUTES", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "LOOM_SPANS_FILE"};
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
    char *made;
    assert_status(LOOM_OK, endpoint_url(&made, &o));
    assert_string_equal("http://localhost:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export", made);
    free(made);
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
    char *made;
    assert_status(LOOM_OK, endpoint_url(&made, &o));
    assert_string_equal("http://b:4318/custom", made);
    free(made);
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
        char *made;
        loom_span_processor_options o = {.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = vectors[i][0]};
        assert_status(LOOM_OK, endpoint_url(&made, &o));
        assert_string_equal(vectors[i][1], made);
        free(made);
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

/* OpenTelemetry, environment variables: enum values are read in any case. */
static void names_are_read_in_any_case(void **state)
{
    (void)state;
    setenv("OTEL_TRACES_EXPORTER", "NONE", 1);
    assert_int_equal(LOOM_EXPORTER_NONE, from_env(NULL).exporter);
    setenv("OTEL_TRACES_EXPORTER", "Console", 1);
    assert_int_equal(LOOM_EXPORTER_CONSOLE, from_env(NULL).exporter);
    setenv("OTEL_TRACES_EXPORTER", "OTLP", 1);
    setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/Protobuf", 1);
    assert_int_equal(LOOM_EXPORTER_OTLP_HTTP, from_env(NULL).exporter);
    setenv("OTEL_TRACES_SAMPLER", "ALWAYS_OFF", 1);
    assert_int_equal(LOOM_SAMPLER_ALWAYS_OFF, loom_sampler_from_env().kind);
}

typedef struct told {
    char text[4096];
    unsigned count;
} told;

static void tell(void *user, const char *text)
{
    told *t = user;
    size_t len = strlen(t->text);
    snprintf(t->text + len, sizeof t->text - len, "%s\n", text);
    t->count++;
}

static void every_value_that_makes_no_sense_is_told_with_what_is_used(void **state)
{
    (void)state;
    told t = {.count = 0};
    loom_telemetry_check_env(tell, &t);
    assert_int_equal(0, t.count);
    setenv("OTEL_TRACES_SAMPLER", "alwayson", 1);
    setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", 1);
    setenv("OTEL_BSP_MAX_QUEUE_SIZE", "many\x1b[1m", 1);
    setenv("OTEL_RESOURCE_ATTRIBUTES", "a=b,nothing,c=%zz,", 1);
    setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-ok=1,Bearer secret,bad key=secret", 1);
    loom_telemetry_check_env(tell, &t);
    assert_int_equal(7, t.count);
    static const char *const parts[] = {
        "OTEL_TRACES_SAMPLER: \"alwayson\" is no sampler; using parentbased_always_on\n",
        "OTEL_EXPORTER_OTLP_PROTOCOL: \"http/json\" is neither grpc nor http/protobuf; using grpc\n",
        "OTEL_BSP_MAX_QUEUE_SIZE: \"many?[1m\" ",
        "OTEL_RESOURCE_ATTRIBUTES: \"nothing\" ",
        "OTEL_RESOURCE_ATTRIBUTES: \"c=%zz\" ",
        "OTEL_EXPORTER_OTLP_HEADERS: \"bad key\" ",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strstr(t.text, parts[i]) == NULL) {
            fail_msg("not told: %s\nbut: %s", parts[i], t.text);
        }
    }
    assert_null(strstr(t.text, "secret"));
    memset(&t, 0, sizeof t);
    unsetenv("OTEL_TRACES_SAMPLER");
    setenv("OTEL_TRACES_SAMPLER_ARG", "half", 1); /* no sampler asks for it */
    setenv("OTEL_SDK_DISABLED", "true", 1);
    loom_telemetry_check_env(tell, &t);
    assert_int_equal(0, t.count);
    setenv("OTEL_SDK_DISABLED", "1", 1); /* a boolean is true only as "true" */
    setenv("OTEL_TRACES_SAMPLER", "traceidratio", 1);
    loom_telemetry_check_env(tell, &t);
    assert_non_null(strstr(t.text, "OTEL_SDK_DISABLED: \"1\" is neither true nor false; using false\n"));
    assert_non_null(strstr(t.text, "OTEL_TRACES_SAMPLER_ARG: \"half\" is no number from 0 to 1; using 1\n"));
}

/* OTLP exporter configuration: "Endpoint (OTLP/gRPC)" takes a target without a scheme. */
static void host_and_port_are_an_endpoint(void **state)
{
    (void)state;
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317", 1);
    loom_span_processor_options o = from_env(NULL);
    char *made;
    assert_status(LOOM_OK, endpoint_url(&made, &o));
    assert_string_equal("http://localhost:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export", made);
    free(made);
    setenv("OTEL_EXPORTER_OTLP_INSECURE", "false", 1);
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", 1);
    o = from_env(NULL);
    assert_status(LOOM_OK, endpoint_url(&made, &o));
    assert_string_equal("https://collector:4318/v1/traces", made);
    free(made);
    o.endpoint = "ftp://collector";
    assert_status(LOOM_EINVAL, endpoint_url(&made, &o));
}

static void an_endpoint_is_shown_without_its_secrets(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        {"http://h:4318/v1", "http://h:4318/v1"},
        {"https://user:pass@h:4318/v1", "https://user:***@h:4318/v1"},
        {"https://user:p@ss@h", "https://user:***@h"},
        {"https://token@h/x@y", "https://***@h/x@y"},
        {"https://h/v1?api-key=secret#x", "https://h/v1?***"},
        {"user:pass@h:4317", "user:***@h:4317"},
        {"http://h/\x1b[1m", "http://h/?[1m"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char shown[URL_SHOWN_SIZE];
        url_show(shown, vectors[i][0]);
        assert_string_equal(vectors[i][1], shown);
    }
}

static void only_whole_names_are_this_machine(void **state)
{
    (void)state;
    static const char *const near[] = {"http://localhost", "http://LocalHost:4318/x", "http://127.0.0.1:1", "http://127.8.9.1",
                                       "http://[::1]:4317", "http://u:p@localhost:1"};
    static const char *const far[] = {"http://localhosted.example", "http://localhost.example:4318", "http://127.example",
                                      "http://127.0.0.1.example", "http://[::1:2]", "http://localhost@far.example",
                                      "http://128.0.0.1", "http://far?localhost", "http://"};
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        assert_true(endpoint_is_loopback(near[i]));
    }
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        assert_false(endpoint_is_loopback(far[i]));
    }
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
        CLEARED(names_are_read_in_any_case),
        CLEARED(every_value_that_makes_no_sense_is_told_with_what_is_used),
        CLEARED(host_and_port_are_an_endpoint),
        CLEARED(an_endpoint_is_shown_without_its_secrets),
        CLEARED(only_whole_names_are_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
