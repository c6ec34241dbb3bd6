/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/trace/recorded.h"
#include "trace/otlp/read.h"
#include "trace/otlp/protobuf_read.h"
#include "trace/span/provider.h"

#include <stdlib.h>
#include <unistd.h>

static loom_bytes resource_of(const loom_tracer_provider *provider)
{
    pb_cursor c = pb_cursor_on(provider->resource.encoded);
    pb_field f;
    assert_true(pb_next(&c, &f));
    assert_true(pb_is(&f, 1, PB_LENGTH));
    return f.bytes;
}

static loom_tracer_provider *provider_with(loom_tracer_provider_options options)
{
    loom_span_processor *processor;
    loom_span_processor_options none = {.exporter = LOOM_EXPORTER_NONE};
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &none));
    options.processor = processor;
    loom_tracer_provider *provider;
    assert_status(LOOM_OK, loom_tracer_provider_create(&provider, &options));
    loom_span_processor_unref(processor);
    return provider;
}

static int clear_environment(void **state)
{
    (void)state;
    unsetenv("OTEL_SERVICE_NAME");
    unsetenv("OTEL_RESOURCE_ATTRIBUTES");
    return 0;
}

static void a_resource_names_host_instance_and_sdk(void **state)
{
    (void)state;
    loom_tracer_provider *a = provider_with((loom_tracer_provider_options){0});
    loom_tracer_provider *b = provider_with((loom_tracer_provider_options){0});
    loom_bytes resource = resource_of(a);
    assert_int_equal(36, otlp_resource_string(resource, "service.instance.id").len);
    assert_memory_not_equal(otlp_resource_string(resource, "service.instance.id").data,
                            otlp_resource_string(resource_of(b), "service.instance.id").data, 36);
    assert_true(otlp_resource_string(resource, "host.name").len > 0);
    assert_true(otlp_resource_string(resource, "ip").len >= sizeof "1.1.1.1" - 1);
    assert_str("loom", otlp_resource_string(resource, "telemetry.sdk.name"));
    assert_str("c", otlp_resource_string(resource, "telemetry.sdk.language"));
    assert_true(otlp_resource_string(resource, "telemetry.sdk.version").len > 0);
    loom_tracer_provider_unref(a);
    loom_tracer_provider_unref(b);
}

static void the_service_name_has_an_order_of_sources(void **state)
{
    (void)state;
    loom_tracer_provider *p = provider_with((loom_tracer_provider_options){0});
    assert_int_equal(0, strncmp("unknown_service:", loom_tracer_provider_service_name(p), 16));
    loom_tracer_provider_unref(p);
    loom_tracer_provider_options with_default = {.default_service_name = "fallback"};
    p = provider_with(with_default);
    assert_string_equal("fallback", loom_tracer_provider_service_name(p));
    loom_tracer_provider_unref(p);
    setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=from-attributes", 1);
    p = provider_with(with_default);
    assert_string_equal("from-attributes", loom_tracer_provider_service_name(p));
    loom_tracer_provider_unref(p);
    setenv("OTEL_SERVICE_NAME", "from-env", 1);
    p = provider_with(with_default);
    assert_string_equal("from-env", loom_tracer_provider_service_name(p));
    loom_tracer_provider_unref(p);
    p = provider_with((loom_tracer_provider_options){.service_name = "given"});
    assert_string_equal("given", loom_tracer_provider_service_name(p));
    assert_str("given", otlp_resource_string(resource_of(p), "service.name"));
    loom_tracer_provider_unref(p);
}

static void resource_attributes_of_the_environment_are_percent_decoded(void **state)
{
    (void)state;
    setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod, team = a%2Cb%3D%C3%BC ,broken,=x,bad=%zz,host.name=override", 1);
    loom_attr mine = {.key = "team.size", .type = LOOM_ATTR_STRING, .value.string = STR("7")};
    loom_tracer_provider *p = provider_with((loom_tracer_provider_options){.resource = &mine, .resource_count = 1});
    loom_bytes resource = resource_of(p);
    assert_str("prod", otlp_resource_string(resource, "deployment.environment"));
    assert_str("a,b=\xc3\xbc", otlp_resource_string(resource, "team"));
    assert_str("override", otlp_resource_string(resource, "host.name"));
    assert_str("7", otlp_resource_string(resource, "team.size"));
    assert_str("", otlp_resource_string(resource, "bad"));
    loom_tracer_provider_unref(p);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    loom_tracer_provider *p;
    assert_status(LOOM_EINVAL, loom_tracer_provider_create(&p, NULL));
    assert_null(p);
    assert_status(LOOM_EINVAL, loom_tracer_provider_create(&p, &(loom_tracer_provider_options){.service_name = "x"}));
    assert_null(loom_tracer_get(NULL, "x", NULL));
}

int main(void)
{
#define CLEARED(test) cmocka_unit_test_setup_teardown(test, clear_environment, clear_environment)
    const struct CMUnitTest tests[] = {
        CLEARED(a_resource_names_host_instance_and_sdk),
        CLEARED(the_service_name_has_an_order_of_sources),
        CLEARED(resource_attributes_of_the_environment_are_percent_decoded),
        CLEARED(options_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
