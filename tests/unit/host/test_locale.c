/* SPDX-License-Identifier: Apache-2.0 */
/* Every place that writes or reads a fraction, under a locale with a comma: the program that links a library chooses it. */
#include "base/duration.h"
#include "base/str.h"
#include "host/config/settings.h"
#include "host/config/units.h"
#include "tests/support/locales.h"
#include "trace/collect/otlp_from_json.h"
#include "trace/collect/spans.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/json.h"
#include "trace/otlp/read.h"
#include "trace/span/sampler.h"
#include "trace/view/text.h"

static int begin(void **state)
{
    (void)state;
    if (!locale_set(LOCALE_COMMA)) { /* without localedef the tests run all the same, and prove less */
        print_message("localedef is not installed\n");
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    locale_reset();
    return 0;
}

static bool keep_value(void *user, otlp_attr attr)
{
    *(loom_bytes *)user = attr.value;
    return true;
}

static bool keep_span_value(void *user, const otlp_span *span)
{
    otlp_read_span_attrs(span->span, keep_value, user);
    return true;
}

static void a_fraction_survives_json_in_both_directions(void **state)
{
    (void)state;
    static const char json[] = "{\"resourceSpans\":[{\"resource\":{\"attributes\":[]},\"scopeSpans\":[{\"scope\":{\"name\":\"\"},\"spans\":["
                               "{\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"spanId\":\"00f067aa0ba902b7\",\"name\":\"n\",\"kind\":1,"
                               "\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\",\"attributes\":[{\"key\":\"a\",\"value\":"
                               "{\"doubleValue\":1234.5}}],\"status\":{\"code\":0}}]}]}]}";
    char why[OTLP_JSON_PROBLEM_SIZE];
    pb_buf request, again;
    pb_init(&request, NULL, 0, 1u << 20);
    pb_init(&again, NULL, 0, 1u << 20);
    assert_status(LOOM_OK, otlp_from_json(&request, str_of(json), why));
    assert_status(LOOM_OK, otlp_json_request(&again, (loom_bytes){request.data, request.len}));
    assert_str(json, ((loom_str){(const char *)again.data, again.len}));

    loom_bytes value = {0};
    char text[64], *shown = NULL;
    size_t len, size;
    assert_status(LOOM_OK, otlp_read_request((loom_bytes){request.data, request.len}, keep_span_value, &value));
    assert_true(span_value_text(text, sizeof text, &len, value));
    assert_str("1234.5", ((loom_str){text, len}));
    FILE *out = open_memstream(&shown, &size);
    text_put_value(out, value);
    assert_int_equal(0, fclose(out));
    assert_string_equal("1234.5", shown);
    free(shown);
    pb_fini(&again);
    pb_fini(&request);
}

static void numbers_in_quotes_are_read(void **state)
{
    (void)state;
    static const char json[] = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"spanId\":"
                               "\"00f067aa0ba902b7\",\"attributes\":[{\"key\":\"a\",\"value\":{\"doubleValue\":\"0.25\"}}]}]}]}]}";
    char why[OTLP_JSON_PROBLEM_SIZE];
    pb_buf request;
    loom_bytes value = {0};
    pb_init(&request, NULL, 0, 1u << 20);
    assert_status(LOOM_OK, otlp_from_json(&request, str_of(json), why));
    assert_status(LOOM_OK, otlp_read_request((loom_bytes){request.data, request.len}, keep_span_value, &value));
    assert_true(otlp_read_any(value).real == 0.25);
    pb_fini(&request);
}

static void durations_have_a_point(void **state)
{
    (void)state;
    char text[TEXT_DURATION_SIZE];
    uint64_t ns;
    int64_t ms;
    double number;
    text_duration(text, 1230000000);
    assert_string_equal("1.23 s", text);
    assert_true(duration_parse(&ns, str_of("1.5s")));
    assert_int_equal(1500000000, ns);
    assert_true(config_parse_duration(&ms, STR("1.5s")));
    assert_int_equal(1500, ms);
    assert_true(config_parse_double(&number, STR("0.25")) && number == 0.25);
    assert_false(config_parse_double(&number, STR("0,25")));
}

static void settings_and_the_sampler_have_a_point(void **state)
{
    (void)state;
    static const char *const sections[] = {"telemetry", NULL};
    settings s;
    problems list;
    char *text = NULL;
    size_t size;
    problems_init(&list);
    assert_status(LOOM_OK, settings_init(&s));
    assert_status(LOOM_OK, config_load_toml(&s.config, "loom.toml", STR("[telemetry]\nsampler='traceidratio'\nsampler_arg = 0.25\n"), &list));
    assert_true(s.telemetry.sampler_arg == 0.25);
    FILE *out = open_memstream(&text, &size);
    settings_print(&s, sections, false, out);
    assert_int_equal(0, fclose(out));
    assert_non_null(strstr(text, "sampler_arg = 0.25 "));
    free(text);
    assert_status(LOOM_OK, settings_export_telemetry(&s));
    assert_string_equal("0.25", getenv("OTEL_TRACES_SAMPLER_ARG"));
    const loom_sampler sampler = loom_sampler_from_env();
    assert_true(sampler.kind == LOOM_SAMPLER_RATIO && sampler.ratio == 0.25);
    assert_status(LOOM_EINVAL, config_load_toml(&s.config, "loom.toml", STR("[telemetry]\nsampler_arg = -0.5\n"), &list));
    settings_fini(&s);
    unsetenv("OTEL_TRACES_SAMPLER");
    unsetenv("OTEL_TRACES_SAMPLER_ARG");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fraction_survives_json_in_both_directions),
        cmocka_unit_test(numbers_in_quotes_are_read),
        cmocka_unit_test(durations_have_a_point),
        cmocka_unit_test(settings_and_the_sampler_have_a_point),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
