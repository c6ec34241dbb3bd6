/* SPDX-License-Identifier: Apache-2.0 */
#include "base/url.h"
#include "tests/support/check.h"
#include "tests/unit/trace/heard.h"
#include "trace/export/exporter.h"
#include "trace/export/variables.h"

#include <loom/log.h>

#include <stdlib.h>
#include <unistd.h>

static int clear_environment(void **state)
{
    (void)state;
    size_t count;
    const variable *all = variables(&count);
    for (size_t i = 0; i < count; i++) {
        unsetenv(all[i].name);
    }
    unsetenv("LOOM_SPANS_FILE");
    return 0;
}

static loom_span_processor_options from_env(const char **bad)
{
    loom_span_processor_options options;
    loom_span_processor_options_from_env(&options, bad);
    return options;
}

static void an_empty_environment_means_grpc_on_localhost(void **state)
{
    (void)state;
    const char *warning;
    loom_span_processor_options o = from_env(&warning);
    assert_int_equal(LOOM_EXPORTER_OTLP_GRPC, o.exporter);
    assert_null(o.endpoint);
    assert_true(o.guessed);
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
    assert_false(from_env(NULL).guessed);
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
        {"OTEL_TRACES_EXPORTER", "zipkin"},    {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        setenv(vectors[i][0], vectors[i][1], 1);
        const char *bad;
        loom_span_processor_options o = from_env(&bad);
        assert_string_equal(vectors[i][0], bad);
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

static void every_value_that_makes_no_sense_is_told_with_what_is_used(void **state)
{
    (void)state;
    heard t = {.count = 0};
    loom_telemetry_check_env(hear, &t);
    assert_int_equal(0, t.count);
    setenv("OTEL_TRACES_SAMPLER", "alwayson", 1);
    setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml", 1);
    setenv("OTEL_BSP_MAX_QUEUE_SIZE", "many\x1b[1m", 1);
    setenv("OTEL_RESOURCE_ATTRIBUTES", "a=b,nothing,c=%zz,", 1);
    setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-ok=1,Bearer secret,bad key=secret", 1);
    loom_telemetry_check_env(hear, &t);
    assert_int_equal(7, t.count);
    static const char *const parts[] = {
        "OTEL_TRACES_SAMPLER: \"alwayson\" is no sampler; using parentbased_always_on\n",
        "OTEL_EXPORTER_OTLP_PROTOCOL: \"http/xml\" is none of grpc, http/protobuf, http/json; using grpc\n",
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
    loom_telemetry_check_env(hear, &t);
    assert_int_equal(0, t.count);
    setenv("OTEL_SDK_DISABLED", "1", 1); /* a boolean is true only as "true" */
    setenv("OTEL_TRACES_SAMPLER", "traceidratio", 1);
    loom_telemetry_check_env(hear, &t);
    assert_non_null(strstr(t.text, "OTEL_SDK_DISABLED: \"1\" is neither true nor false; using false\n"));
    assert_non_null(strstr(t.text, "OTEL_TRACES_SAMPLER_ARG: \"half\" is no number from 0 to 1; using 1\n"));
}

static void what_is_used_instead_is_the_weaker_variable_that_is_set(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bad, *weaker, *value, *told;
    } vectors[] = {
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/xml", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/json",
         "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: \"http/xml\" is none of grpc, http/protobuf, http/json; "
         "using OTEL_EXPORTER_OTLP_PROTOCOL\n"},
        {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1s", "OTEL_EXPORTER_OTLP_TIMEOUT", "5",
         "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: \"1s\" is no whole number of milliseconds; using OTEL_EXPORTER_OTLP_TIMEOUT\n"},
        {"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/no/file", "OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null",
         "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: \"/no/file\" is no file that can be read; "
         "using OTEL_EXPORTER_OTLP_CERTIFICATE\n"},
        {"OTEL_SDK_DISABLED", "yes", "TRACING_ENABLED", "false",
         "OTEL_SDK_DISABLED: \"yes\" is neither true nor false; using TRACING_ENABLED\n"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        heard t = {.count = 0};
        (void)clear_environment(NULL);
        setenv(vectors[i].name, vectors[i].bad, 1);
        setenv(vectors[i].weaker, vectors[i].value, 1);
        loom_telemetry_check_env(hear, &t);
        assert_string_equal(vectors[i].told, t.text);
    }
}

/* However many agents and processors a program has. */
static void standard_error_gets_one_report(void **state)
{
    (void)state;
    char text[512];
    loom_span_processor *processor;
    FILE *file = tmpfile();
    assert_non_null(file);
    setenv("OTEL_TRACES_EXPORTER", "none", 1);
    setenv("OTEL_BSP_SCHEDULE_DELAY", "soon", 1);
    const int before = dup(STDERR_FILENO);
    assert_true(before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    loom_telemetry_check_env(NULL, NULL);
    loom_telemetry_check_env(NULL, NULL);
    const loom_status st = loom_span_processor_create(&processor, NULL);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    (void)close(before);
    assert_status(LOOM_OK, st);
    loom_span_processor_unref(processor);
    rewind(file);
    const size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    (void)fclose(file);
    assert_string_equal("loom: tracing: OTEL_BSP_SCHEDULE_DELAY: \"soon\" is no whole number of milliseconds; using 5000\n",
                        text);
}

static void what_the_exporters_do_not_read_is_told_all_the_same(void **state)
{
    (void)state;
    static const char *const exporters[] = {"none", "console", "otlp/file", "otlp/stdout,console", "loom", "otlp,console"};
    setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli", 1);
    for (size_t i = 0; i < sizeof exporters / sizeof *exporters; i++) {
        heard t = {.count = 0};
        setenv("OTEL_TRACES_EXPORTER", exporters[i], 1);
        loom_telemetry_check_env(hear, &t);
        assert_string_equal("OTEL_EXPORTER_OTLP_COMPRESSION: \"brotli\" is neither gzip nor none; using none\n", t.text);
    }
}

/* OpenTelemetry, environment variables: the argument "will only be used if OTEL_TRACES_SAMPLER is set", and "invalid or
 * unrecognized input MUST be logged". */
static void an_argument_that_no_sampler_reads_is_told(void **state)
{
    (void)state;
    static const char *const samplers[] = {"", "always_on", "parentbased_always_off", "no such sampler"};
    setenv("OTEL_TRACES_SAMPLER_ARG", "0.5", 1);
    for (size_t i = 0; i < sizeof samplers / sizeof *samplers; i++) {
        heard t = {.count = 0};
        setenv("OTEL_TRACES_SAMPLER", samplers[i], 1);
        loom_telemetry_check_env(hear, &t);
        assert_non_null(strstr(t.text, "OTEL_TRACES_SAMPLER_ARG: \"0.5\" is for samplers by ratio or by rate alone; "
                                       "using no argument\n"));
    }
    heard t = {.count = 0};
    setenv("OTEL_TRACES_SAMPLER", "TraceIdRatio", 1);
    loom_telemetry_check_env(hear, &t);
    assert_int_equal(0, t.count);
}

/* The logger and the broker know the same names. */
static void every_name_of_a_log_level_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *level;
        loom_complaints complaints;
        loom_severity severity;
    } vectors[] = {
        {"trace", LOOM_COMPLAINTS_ALL, LOOM_SEVERITY_TRACE},    {" Warning ", LOOM_COMPLAINTS_ALL, LOOM_SEVERITY_WARN},
        {"ERROR", LOOM_COMPLAINTS_LOSSES, LOOM_SEVERITY_ERROR}, {"fatal", LOOM_COMPLAINTS_LOSSES, LOOM_SEVERITY_FATAL},
        {"off", LOOM_COMPLAINTS_NONE, LOOM_SEVERITY_OFF},       {"None", LOOM_COMPLAINTS_NONE, LOOM_SEVERITY_OFF},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const char *bad;
        setenv("OTEL_LOG_LEVEL", vectors[i].level, 1);
        assert_int_equal(vectors[i].complaints, from_env(&bad).complaints);
        assert_null(bad);
        assert_int_equal(vectors[i].severity, loom_severity_from_env());
    }
}

/* gRPC: "Path → "/" Service-Name "/" {method name}", whatever the endpoint has behind its port. */
static void a_grpc_endpoint_is_its_host_and_port(void **state)
{
    (void)state;
    static const char *const endpoints[] = {"http://h:1/v1/traces", "http://h:1?q=1", "http://h:1/p?q=1#f", "http://h:1/#f"};
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        char *made;
        const loom_span_processor_options o = {.exporter = LOOM_EXPORTER_OTLP_GRPC, .endpoint = endpoints[i]};
        assert_status(LOOM_OK, endpoint_url(&made, &o));
        assert_string_equal("http://h:1/opentelemetry.proto.collector.trace.v1.TraceService/Export", made);
        free(made);
    }
}

/* What is plain is read here, and what is not by libcurl, to which a scheme in capitals leads. */
static void plain_endpoints_are_read_as_libcurl_reads_them(void **state)
{
    (void)state;
    static const char *const rests[] = {
        "h", "h/", "h:1", "h:65535/", "127.0.0.1:4318", "a.b-c.example:4318/x/y_z-1/", "h//x", "h/v1/traces/", "h.", "1.2.3.4a:80/p",
        /* and these by libcurl either way */
        "u:p@h:1", "[::1]:4318", "127.1:4318", "h:04318", "h:0", "h:65536", "h:", "", ":4318", "h/../x", "h/./x", "h/%41", "h?q=1", "h#f",
        "h:4318x", "h h", "h\\x", "1.2.3", "0x7f.1", "h/.hidden", "h/a b"};
    static const loom_exporter_kind kinds[] = {LOOM_EXPORTER_OTLP_GRPC, LOOM_EXPORTER_OTLP_HTTP};
    for (size_t i = 0; i < sizeof rests / sizeof rests[0] * 4; i++) {
        char plain[64], capital[64], *made, *by_curl;
        (void)snprintf(plain, sizeof plain, "https://%s", rests[i / 4]);
        (void)snprintf(capital, sizeof capital, "HTTPS://%s", rests[i / 4]);
        loom_span_processor_options o = {.exporter = kinds[i % 2], .endpoint_is_exact = i % 4 >= 2, .endpoint = plain};
        const loom_status st = endpoint_url(&made, &o);
        o.endpoint = capital;
        assert_status(st, endpoint_url(&by_curl, &o));
        if (st == LOOM_OK) {
            assert_string_equal(by_curl, made);
        }
        free(made);
        free(by_curl);
    }
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

/* OTLP exporter configuration: "OTEL_EXPORTER_OTLP_INSECURE", whose default is false. */
static void an_endpoint_without_a_scheme_is_secure_unless_it_is_here(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *endpoint, *insecure;
        bool secure;
    } vectors[] = {
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317", NULL, false},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4317", "false", true},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", NULL, true},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "TRUE", false},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317", "perhaps", true},
        {"TRACING_ENDPOINT", "collector:4317", NULL, false},
        {"TRACING_ENDPOINT", "tempo.example:443", NULL, true},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        (void)clear_environment(NULL);
        setenv(vectors[i].variable, vectors[i].endpoint, 1);
        if (vectors[i].insecure != NULL) {
            setenv("OTEL_EXPORTER_OTLP_INSECURE", vectors[i].insecure, 1);
        }
        loom_span_processor_options o = from_env(NULL);
        assert_string_equal(vectors[i].endpoint, o.endpoint);
        assert_int_equal(vectors[i].secure, o.secure);
    }
}

static void blanks_around_an_endpoint_do_not_count(void **state)
{
    (void)state;
    static const struct {
        const char *endpoint, *url;
    } vectors[] = {
        {" http://collector:4317\t", "http://collector:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export"},
        {"http://collector:4318 ", "http://collector:4318/v1/traces"},
        {"\tlocalhost:4318 ", "http://localhost:4318/v1/traces"},
        {" collector:4318", "https://collector:4318/v1/traces"},
        {" HTTP://collector:4318 ", "http://collector:4318/v1/traces"}, /* by libcurl */
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        setenv("OTEL_EXPORTER_OTLP_ENDPOINT", vectors[i].endpoint, 1);
        heard t = {.count = 0};
        loom_telemetry_check_env(hear, &t);
        assert_int_equal(0, t.count);
        char *made;
        const loom_span_processor_options o = from_env(NULL);
        assert_status(LOOM_OK, endpoint_url(&made, &o));
        assert_string_equal(vectors[i].url, made);
        free(made);
    }
    char *made;
    assert_status(LOOM_EINVAL, endpoint_url(&made, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = "http:// h"}));
    assert_status(LOOM_EINVAL, endpoint_url(&made, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = " "}));
}

static void headers_without_a_good_one_leave_it_to_the_general_ones(void **state)
{
    (void)state;
    static const struct {
        const char *traces, *general, *used, *told;
    } vectors[] = {
        {"a=1,Bearer secret", "b=2", "a=1,Bearer secret", "OTEL_EXPORTER_OTLP_TRACES_HEADERS: \"\" is no header as key=value, percent-encoded; using the other headers\n"},
        {"Bearer secret", "b=2", "b=2", "OTEL_EXPORTER_OTLP_TRACES_HEADERS: \"\" is no header as key=value, percent-encoded; using OTEL_EXPORTER_OTLP_HEADERS\n"},
        {"Host=secret", "b=2", "b=2", "OTEL_EXPORTER_OTLP_TRACES_HEADERS: \"Host\" is no header that can be sent; using OTEL_EXPORTER_OTLP_HEADERS\n"},
        {" , ", "b=2", "b=2", "OTEL_EXPORTER_OTLP_TRACES_HEADERS: \" , \" names no header; using OTEL_EXPORTER_OTLP_HEADERS\n"},
        {"x", NULL, NULL, "OTEL_EXPORTER_OTLP_TRACES_HEADERS: \"\" is no header as key=value, percent-encoded; using no header\n"},
        {NULL, "a b=secret", NULL, "OTEL_EXPORTER_OTLP_HEADERS: \"a b\" is no header that can be sent; using no header\n"},
        {"a=1", "b", "a=1", ""},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", vectors[i].traces != NULL ? vectors[i].traces : "", 1);
        setenv("OTEL_EXPORTER_OTLP_HEADERS", vectors[i].general != NULL ? vectors[i].general : "", 1);
        heard t = {.count = 0};
        loom_telemetry_check_env(hear, &t);
        assert_string_equal(vectors[i].told, t.text);
        const char *used = from_env(NULL).headers;
        assert_string_equal(vectors[i].used != NULL ? vectors[i].used : "none", used != NULL ? used : "none");
    }
}

static void a_batch_above_the_default_queue_is_told(void **state)
{
    (void)state;
    heard t = {.count = 0};
    loom_span_processor *processor;
    loom_span_processor_options o = {.exporter = LOOM_EXPORTER_NONE, .max_export_batch_size = 4096, .on_error = hear, .user = &t};
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &o));
    loom_span_processor_unref(processor);
    assert_int_equal(1, t.count);
    assert_non_null(strstr(t.text, "a batch of 4096 spans is more than may wait (OTEL_BSP_MAX_QUEUE_SIZE); batches have at most 2048"));
    o.max_queue_size = 4096;
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &o));
    loom_span_processor_unref(processor);
    o = (loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE, .max_queue_size = 10, .on_error = hear, .user = &t};
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &o)); /* the default batch is nobody's mistake */
    loom_span_processor_unref(processor);
    assert_int_equal(1, t.count);
}

static void an_endpoint_that_makes_no_sense_leaves_it_to_the_next(void **state)
{
    (void)state;
    static const struct {
        const char *traces, *general, *tracing, *used;
        unsigned told;
    } vectors[] = {
        {"no url", "http://a:4318", NULL, "http://a:4318", 1},
        {"ftp://x", "http://u:secret@b c", "c:4317", "c:4317", 2},
        {"http://a:4318", "no url", "no url either", "http://a:4318", 0},
        {"no url", NULL, "", "no url", 0}, /* what the exporter tells */
        {NULL, "no url", NULL, "no url", 0},
        {"no url", "nor this", NULL, "nor this", 1},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        (void)clear_environment(NULL);
        setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", vectors[i].traces != NULL ? vectors[i].traces : "", 1);
        setenv("OTEL_EXPORTER_OTLP_ENDPOINT", vectors[i].general != NULL ? vectors[i].general : "", 1);
        setenv("TRACING_ENDPOINT", vectors[i].tracing != NULL ? vectors[i].tracing : "", 1);
        heard t = {.count = 0};
        loom_telemetry_check_env(hear, &t);
        assert_int_equal(vectors[i].told, t.count);
        assert_null(strstr(t.text, "secret"));
        assert_string_equal(vectors[i].used, from_env(NULL).endpoint);
        assert_int_equal(vectors[i].traces != NULL && strcmp(vectors[i].traces, vectors[i].used) == 0,
                         from_env(NULL).endpoint_is_exact);
    }
}

/* A command line counts before the environment, and takes the rest from it. */
static void an_endpoint_of_the_command_line_is_read_as_one_of_the_environment(void **state)
{
    (void)state;
    static const struct {
        const char *exporter, *endpoint, *protocol, *insecure;
        loom_exporter_kind kind;
        bool secure;
        const char *goes_to;
    } vectors[] = {
        {NULL, "collector:4317", NULL, NULL, LOOM_EXPORTER_OTLP_GRPC, true, "collector:4317"},
        {NULL, "collector:4317", NULL, "true", LOOM_EXPORTER_OTLP_GRPC, false, "collector:4317"},
        {NULL, "localhost:4318", NULL, NULL, LOOM_EXPORTER_OTLP_HTTP, false, "localhost:4318"},
        {NULL, "127.0.0.1:4318", "grpc", "False", LOOM_EXPORTER_OTLP_GRPC, true, "127.0.0.1:4318"},
        {"none", "collector:4318", "http/json", NULL, LOOM_EXPORTER_OTLP_HTTP_JSON, true, "collector:4318"},
        {"otlp/file", "localhost:4317", NULL, NULL, LOOM_EXPORTER_OTLP_GRPC, false, "localhost:4317"},
        {NULL, NULL, "http/json", NULL, LOOM_EXPORTER_OTLP_HTTP_JSON, true, "of-the-environment:4317"},
        {"none", NULL, "grpc", NULL, LOOM_EXPORTER_NONE, false, NULL},
        {"otlp/file", NULL, "grpc", NULL, LOOM_EXPORTER_FILE, false, NULL},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        (void)clear_environment(NULL);
        setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "of-the-environment:4317", 1);
        setenv("OTEL_EXPORTER_OTLP_HEADERS", "key=value", 1);
        setenv("OTEL_TRACES_EXPORTER", vectors[i].exporter != NULL ? vectors[i].exporter : "", 1);
        setenv("OTEL_EXPORTER_OTLP_INSECURE", vectors[i].insecure != NULL ? vectors[i].insecure : "", 1);
        loom_span_processor_options o = from_env(NULL);
        assert_true(exporter_set_otlp(&o, vectors[i].endpoint, vectors[i].protocol));
        assert_int_equal(vectors[i].kind, o.exporter);
        assert_int_equal(vectors[i].secure, o.secure);
        if (vectors[i].goes_to != NULL) {
            assert_string_equal(vectors[i].goes_to, o.endpoint);
            assert_string_equal("key=value", o.headers);
        } else {
            assert_null(o.endpoint);
        }
        assert_int_equal(vectors[i].goes_to != NULL && vectors[i].endpoint == NULL, o.endpoint_is_exact);
        assert_false(exporter_set_otlp(&o, vectors[i].endpoint, "http/xml"));
    }
}

static void several_exporters_get_the_same_batches(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        loom_exporter_kind main;
        bool file, out, console;
        unsigned told;
    } vectors[] = {
        {"otlp,console", LOOM_EXPORTER_OTLP_GRPC, false, false, true, 0},
        {" Console , OTLP/stdout ,otlp/FILE,otlp", LOOM_EXPORTER_OTLP_GRPC, true, true, true, 0},
        {"console,otlp/file", LOOM_EXPORTER_FILE, false, false, true, 0},
        {"console,otlp/stdout", LOOM_EXPORTER_STDOUT, false, false, true, 0},
        {"console,,console", LOOM_EXPORTER_CONSOLE, false, false, false, 0},
        {"none", LOOM_EXPORTER_NONE, false, false, false, 0},
        {"none,console", LOOM_EXPORTER_CONSOLE, false, false, false, 1},
        {"jaeger,console", LOOM_EXPORTER_CONSOLE, false, false, false, 1},
        {"zipkin", LOOM_EXPORTER_OTLP_GRPC, false, false, false, 1},
        {"Loom/stderr", LOOM_EXPORTER_LINES, false, false, false, 0},
        {"loom/stderr,console", LOOM_EXPORTER_CONSOLE, false, false, false, 0},
        {" , ", LOOM_EXPORTER_OTLP_GRPC, false, false, false, 0},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        heard t = {.count = 0};
        setenv("OTEL_TRACES_EXPORTER", vectors[i].list, 1);
        loom_span_processor_options o = from_env(NULL);
        assert_int_equal(vectors[i].main, o.exporter);
        assert_int_equal(vectors[i].file, o.also_file != NULL);
        assert_int_equal(vectors[i].out, o.also_stdout);
        assert_int_equal(vectors[i].console, o.also_console);
        assert_int_equal(i == 10, o.also_lines);
        loom_telemetry_check_env(hear, &t);
        assert_int_equal(vectors[i].told, t.count);
    }
}

/* Environment variables, "Timeout": zero is no limit; "Duration": zero is none at all. */
static void zero_is_no_limit_for_a_timeout_and_no_delay(void **state)
{
    (void)state;
    setenv("OTEL_BSP_SCHEDULE_DELAY", "0", 1);
    setenv("OTEL_BSP_EXPORT_TIMEOUT", "0", 1);
    setenv("OTEL_EXPORTER_OTLP_TIMEOUT", " 0 ", 1);
    const char *bad;
    loom_span_processor_options o = from_env(&bad);
    assert_null(bad);
    assert_int_equal(1, o.schedule_delay_ms);
    assert_int_equal(UINT32_MAX, o.export_timeout_ms);
    assert_int_equal(UINT32_MAX, o.otlp_timeout_ms);
}

static void a_bad_value_of_the_traces_form_falls_through_to_the_general_one(void **state)
{
    (void)state;
    setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon", 1);
    setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "70", 1);
    setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "carrier pigeon", 1);
    setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/JSON", 1);
    setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd", 1);
    setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "GZip", 1);
    setenv("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/nowhere/ca.pem", 1);
    setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null", 1);
    heard t = {.count = 0};
    loom_span_processor_options o = from_env(NULL);
    assert_int_equal(70, o.otlp_timeout_ms);
    assert_int_equal(LOOM_EXPORTER_OTLP_HTTP_JSON, o.exporter);
    assert_true(o.gzip);
    assert_string_equal("/dev/null", o.ca_file);
    loom_telemetry_check_env(hear, &t);
    assert_int_equal(4, t.count);
}

static void the_limits_of_spans_have_general_forms(void **state)
{
    (void)state;
    setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "7", 1);
    setenv("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "0", 1);
    setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", 1);
    setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10", 1);
    setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "1000", 1);
    loom_span_limits l = loom_span_limits_from_env();
    assert_int_equal(7, l.attribute_count);
    assert_int_equal(7, l.event_attribute_count);
    assert_int_equal(0, l.link_attribute_count);
    assert_int_equal(10, l.attribute_value_length);
    assert_int_equal(1000, l.event_count);
    assert_int_equal(128, l.link_count);
    heard t = {.count = 0};
    setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "-1", 1);
    setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1025", 1);
    loom_telemetry_check_env(hear, &t);
    assert_non_null(strstr(t.text, "OTEL_ATTRIBUTE_COUNT_LIMIT: \"-1\" is no whole number from 0; using 128\n"));
    assert_non_null(strstr(t.text, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: \"1025\" is more than is kept; using 1024\n"));
    assert_int_equal(2, t.count);
    assert_int_equal(1024, loom_span_limits_from_env().attribute_count);
    t = (heard){.count = 0};
    setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "4000000000", 1);
    unsetenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT");
    loom_telemetry_check_env(hear, &t);
    assert_non_null(strstr(t.text, "OTEL_ATTRIBUTE_COUNT_LIMIT: \"4000000000\" is more than is kept; using 1024\n"));
    assert_int_equal(1, t.count);
    assert_int_equal(1024, loom_span_limits_from_env().event_attribute_count);
}

static void a_name_that_is_nearly_right_is_told_with_the_right_one(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        {"OTEL_TRACE_SAMPLER", "OTEL_TRACES_SAMPLER"},
        {"OTEL_EXPORTER_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"},
        {"OTEL_TRACE_EXPORTER", "OTEL_TRACES_EXPORTER"},
        {"OTEL_EXPORTER_OLTP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"},
        {"OTEL_SERVICENAME", "OTEL_SERVICE_NAME"},
        {"otel_service_name", "OTEL_SERVICE_NAME"},
        {"OTEL_PROPAGATOR", "OTEL_PROPAGATORS"},
        {"LOOM_TRACE_MASKS", "LOOM_TRACE_MASK"},
        {"LOOM_TRACES_MASK", "LOOM_TRACE_MASK"},
        {"LOOM_TRACE_MASK_KEY", "LOOM_TRACE_MASK_KEYS"},
        {"LOOM_TRACE_ATTRIBUTE", "LOOM_TRACE_ATTRIBUTES"},
        {"LOOM_LOG_SPAN", "LOOM_LOG_SPANS"},
        {"LOOM_SPAN_FILE", "LOOM_SPANS_FILE"},
        {"loom_trace_mask", "LOOM_TRACE_MASK"},
        {"OTEL_TRACE_PARENT", "OTEL_TRACEPARENT"},
        {"OTEL_BSP_SCHEDULE_DELAY_MILLIS", "OTEL_BSP_SCHEDULE_DELAY"},
        {"OTEL_EXPORTER_OTLP_SPAN_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"},
        {"OTEL_SPAN_ATTRIBUTE_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"},
        {"TRACING_ENDPOINTS", "TRACING_ENDPOINT"},
        {"TRACING_ENABLE", "TRACING_ENABLED"},
        {"tracing_sample_rate", "TRACING_SAMPLE_RATE"},
        {"TRACING_RATE", "TRACING_SAMPLE_RATE"},
        {"TRACING_SERVICE", "TRACING_SERVICE_NAME"},
        {"TRACING_HEADERS_TO_COPY", NULL}, /* of somebody else */
        {"OTEL_TRACEPARENT", NULL},
        {"LOOM_TRACE_DB", NULL},
        {"LOOM_TRACE", NULL}, /* what `loom exec` tells the commands that it runs */
        {"LOOM_TRACE_SAMPLE", NULL},
        {"LOOM_LOG_FORMAT", NULL},
        {"LOOM_LOG_LEVEL", NULL},
        {"LOOM_TRACE_FORWARDING_ENABLED", NULL},
        {"LOOM_URLS", NULL}, /* not about traces */
        {"OTEL_BLRP_SCHEDULE_DELAY", NULL}, /* of logs */
        {"OTEL_METRICS_EXPORTER", NULL},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", NULL},
        {"OTEL_BLRP_SCHEDULE_DELAYS", NULL}, /* nearer to a variable of logs than to one of ours */
        {"OTEL_SEMCONV_STABILITY_OPT_IN", NULL},
        {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", NULL},
        {"OTEL_GO_X_OBSERVABILITY", NULL},
        {"OTEL_", NULL},
        {"OTEL_SERVICE_\x1b[1mNAME", NULL},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        heard t = {.count = 0};
        setenv(vectors[i][0], "always_off", 1);
        loom_telemetry_check_env(hear, &t);
        unsetenv(vectors[i][0]);
        if (vectors[i][1] == NULL) {
            assert_string_equal("", t.text);
            continue;
        }
        assert_int_equal(1, t.count);
        assert_int_equal(0, strncmp(t.text, vectors[i][0], strlen(vectors[i][0])));
        assert_non_null(strstr(t.text, vectors[i][1]));
    }
}

static void the_older_names_count_when_those_of_opentelemetry_are_unset(void **state)
{
    (void)state;
    setenv("TRACING_ENDPOINT", "localhost:4318", 1);
    setenv("TRACING_SAMPLE_RATE", "0.25", 1);
    assert_string_equal("localhost:4318", from_env(NULL).endpoint);
    assert_int_equal(LOOM_EXPORTER_OTLP_HTTP, from_env(NULL).exporter);
    assert_int_equal(LOOM_SAMPLER_PARENTBASED_RATIO, loom_sampler_from_env().kind);
    assert_true(loom_sampler_from_env().ratio == 0.25);
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1", 1);
    setenv("OTEL_TRACES_SAMPLER", "always_on", 1);
    assert_string_equal("http://a:1", from_env(NULL).endpoint);
    assert_int_equal(LOOM_SAMPLER_ALWAYS_ON, loom_sampler_from_env().kind);
    setenv("TRACING_ENABLED", "false", 1);
    assert_true(from_env(NULL).disabled);
    setenv("OTEL_SDK_DISABLED", "false", 1);
    assert_false(from_env(NULL).disabled);
}

static void the_log_level_says_what_is_complained_of(void **state)
{
    (void)state;
    static const struct {
        const char *level;
        loom_complaints complaints;
        unsigned told;
    } vectors[] = {{"", LOOM_COMPLAINTS_ALL, 1},       {"INFO", LOOM_COMPLAINTS_ALL, 1},  {"debug", LOOM_COMPLAINTS_ALL, 1},
                   {"Warn", LOOM_COMPLAINTS_ALL, 1},   {"Error", LOOM_COMPLAINTS_LOSSES, 0},
                   {"none", LOOM_COMPLAINTS_NONE, 0}, {"loud", LOOM_COMPLAINTS_ALL, 2}};
    setenv("OTEL_BSP_MAX_QUEUE_SIZE", "nothing", 1);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        heard t = {.count = 0};
        setenv("OTEL_LOG_LEVEL", vectors[i].level, 1);
        assert_int_equal(vectors[i].complaints, from_env(NULL).complaints);
        loom_telemetry_check_env(hear, &t);
        assert_int_equal(vectors[i].told, t.count);
    }
}

static void a_batch_is_no_larger_than_the_queue(void **state)
{
    (void)state;
    heard t = {.count = 0};
    setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512", 1);
    setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100", 1);
    assert_int_equal(100, from_env(NULL).max_export_batch_size);
    loom_telemetry_check_env(hear, &t);
    assert_string_equal("OTEL_BSP_MAX_EXPORT_BATCH_SIZE: \"512\" is more than OTEL_BSP_MAX_QUEUE_SIZE; using 100\n", t.text);
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
        CLEARED(what_is_used_instead_is_the_weaker_variable_that_is_set),
        CLEARED(standard_error_gets_one_report),
        CLEARED(what_the_exporters_do_not_read_is_told_all_the_same),
        CLEARED(an_argument_that_no_sampler_reads_is_told),
        CLEARED(every_name_of_a_log_level_is_known),
        CLEARED(a_grpc_endpoint_is_its_host_and_port),
        CLEARED(plain_endpoints_are_read_as_libcurl_reads_them),
        CLEARED(host_and_port_are_an_endpoint),
        CLEARED(an_endpoint_without_a_scheme_is_secure_unless_it_is_here),
        CLEARED(blanks_around_an_endpoint_do_not_count),
        CLEARED(headers_without_a_good_one_leave_it_to_the_general_ones),
        CLEARED(a_batch_above_the_default_queue_is_told),
        CLEARED(an_endpoint_that_makes_no_sense_leaves_it_to_the_next),
        CLEARED(an_endpoint_of_the_command_line_is_read_as_one_of_the_environment),
        CLEARED(several_exporters_get_the_same_batches),
        CLEARED(zero_is_no_limit_for_a_timeout_and_no_delay),
        CLEARED(a_bad_value_of_the_traces_form_falls_through_to_the_general_one),
        CLEARED(the_limits_of_spans_have_general_forms),
        CLEARED(a_name_that_is_nearly_right_is_told_with_the_right_one),
        CLEARED(the_older_names_count_when_those_of_opentelemetry_are_unset),
        CLEARED(the_log_level_says_what_is_complained_of),
        CLEARED(a_batch_is_no_larger_than_the_queue),
        CLEARED(an_endpoint_is_shown_without_its_secrets),
        CLEARED(only_whole_names_are_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
