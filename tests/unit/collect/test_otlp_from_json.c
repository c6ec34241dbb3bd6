/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/alloc_fault.h"
#include "tests/unit/collect/trace_fixture.h"
#include "trace/collect/otlp_from_json.h"
#include "trace/otlp/json.h"

#include <stdlib.h>

#define SPAN(fields)                                                                                               \
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\","             \
    "\"spanId\":\"00f067aa0ba902b7\"" fields "}]}]}]}"

static loom_status convert(pb_buf *out, const char *json, char *why)
{
    pb_init(out, NULL, 0, 1 << 20);
    return otlp_from_json(out, str_of(json), why);
}

static void assert_refused(const char *json, const char *expected)
{
    pb_buf out;
    char why[OTLP_JSON_PROBLEM_SIZE];
    assert_status(LOOM_EMALFORMED, convert(&out, json, why));
    assert_int_equal(out.len, 0);
    assert_string_equal(why, expected);
    pb_fini(&out);
}

/* JSON to protobuf and, by the exporter's own writer, back. */
static void assert_round_trip(const char *json)
{
    pb_buf request;
    pb_buf back;
    char why[OTLP_JSON_PROBLEM_SIZE];
    assert_status(LOOM_OK, convert(&request, json, why));
    pb_init(&back, NULL, 0, 1 << 20);
    assert_status(LOOM_OK, otlp_json_request(&back, (loom_bytes){request.data, request.len}));
    assert_str(json, ((loom_str){(const char *)back.data, back.len}));
    pb_fini(&back);
    pb_fini(&request);
}

static void what_the_file_exporter_writes_is_read_back_the_same(void **state)
{
    (void)state;
    pb_buf request;
    pb_buf json;
    pb_init(&request, NULL, 0, 1 << 20);
    pb_init(&json, NULL, 0, 1 << 20);
    static const fixture_span span = {.id = 1, .parent = 2, .name = "näme \"\\\n", .kind = LOOM_SPAN_SERVER, .service = "s", .start_us = 1, .end_us = 2, .link = 3, .status = LOOM_SPAN_ERROR, .message = "no", .key = "k", .value = "v", .event = "e"};
    fixture_request(&request, 7, &span, 1);
    assert_status(LOOM_OK, otlp_json_request(&json, (loom_bytes){request.data, request.len}));
    pb_raw(&json, "", 1);
    assert_round_trip((const char *)json.data);
    pb_fini(&json);
    pb_fini(&request);
}

static bool take_span(void *user, const otlp_span *span)
{
    *(otlp_span *)user = *span;
    return true;
}

typedef struct wanted_attr {
    const char *key;
    otlp_any any;
} wanted_attr;

static bool take_attr(void *user, otlp_attr attr)
{
    wanted_attr *wanted = user;
    if (strlen(wanted->key) == attr.key.len && memcmp(wanted->key, attr.key.data, attr.key.len) == 0) {
        wanted->any = otlp_read_any(attr.value);
    }
    return true;
}

static void values_of_every_type_are_read(void **state)
{
    (void)state;
    pb_buf request;
    char why[OTLP_JSON_PROBLEM_SIZE];
    assert_status(LOOM_OK, convert(&request, SPAN(",\"attributes\":[{\"key\":\"i\",\"value\":{\"intValue\":\"-9223372036854775808\"}},"
                                                  "{\"key\":\"b\",\"value\":{\"boolValue\":true}},"
                                                  "{\"key\":\"d\",\"value\":{\"doubleValue\":1.5}},"
                                                  "{\"key\":\"x\",\"value\":{\"bytesValue\":\"AQL/\"}},"
                                                  "{\"key\":\"a\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":7}]}}}]"), why));
    otlp_span span = {0};
    assert_status(LOOM_OK, otlp_read_request((loom_bytes){request.data, request.len}, take_span, &span));
    wanted_attr i = {.key = "i"}, b = {.key = "b"}, d = {.key = "d"}, x = {.key = "x"}, a = {.key = "a"};
    otlp_read_span_attrs(span.span, take_attr, &i);
    otlp_read_span_attrs(span.span, take_attr, &b);
    otlp_read_span_attrs(span.span, take_attr, &d);
    otlp_read_span_attrs(span.span, take_attr, &x);
    otlp_read_span_attrs(span.span, take_attr, &a);
    assert_true(i.any.type == OTLP_ANY_INT && i.any.integer == INT64_MIN);
    assert_true(b.any.type == OTLP_ANY_BOOL && b.any.boolean);
    assert_true(d.any.type == OTLP_ANY_DOUBLE && d.any.real > 1.49 && d.any.real < 1.51);
    assert_int_equal(x.any.type, OTLP_ANY_BYTES);
    assert_int_equal(x.any.bytes.len, 3);
    assert_memory_equal(x.any.bytes.data, "\x01\x02\xff", 3);
    assert_int_equal(a.any.type, OTLP_ANY_ARRAY);
    pb_fini(&request);
}

static void unknown_fields_and_nulls_are_ignored(void **state)
{
    (void)state;
    pb_buf out;
    char why[OTLP_JSON_PROBLEM_SIZE];
    assert_status(LOOM_OK, convert(&out, SPAN(",\"future\":{\"a\":[1]},\"name\":null,\"events\":null"), why));
    pb_fini(&out);
}

static void what_is_no_request_is_refused_with_its_reason(void **state)
{
    (void)state;
    assert_refused("", "not JSON: line 1, column 0: '[' or '{' expected near end of file");
    assert_refused("[]", "an ExportTraceServiceRequest is a JSON object");
    assert_refused("{\"resourceSpans\":{}}", "resourceSpans has to be an array");
    assert_refused("{\"resourceSpans\":[7]}", "resourceSpans has to be an array of objects");
    assert_refused(SPAN(",\"name\":7"), "name has to be a string");
    assert_refused(SPAN(",\"parentSpanId\":\"000000000000000g\""), "parentSpanId has to be 16 hex digits");
    assert_refused(SPAN(",\"parentSpanId\":\"00000000000000000000000000000000000000\""), "parentSpanId has to be 16 hex digits");
    assert_refused(SPAN(",\"startTimeUnixNano\":\"-1\""), "startTimeUnixNano has to be a non-negative integer");
    assert_refused(SPAN(",\"startTimeUnixNano\":\"18446744073709551616\""), "startTimeUnixNano has to be a non-negative integer");
    assert_refused(SPAN(",\"kind\":\"SPAN_KIND_SERVER\""), "kind has to be a non-negative integer");
    assert_refused(SPAN(",\"flags\":4294967296"), "flags has to be a 32-bit integer");
    assert_refused(SPAN(",\"attributes\":[{\"key\":\"k\",\"value\":{\"bytesValue\":\"?\"}}]"), "bytesValue has to be bytes in base64");
    assert_refused(SPAN(",\"attributes\":[{\"key\":\"k\",\"value\":{\"boolValue\":1}}]"), "boolValue has to be true or false");
}

static void values_nested_too_deep_are_refused(void **state)
{
    (void)state;
    char *json = calloc(1, 65536);
    assert_non_null(json);
    strcat(json, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"k\",\"value\":");
    for (int i = 0; i < 100; i++) {
        strcat(json, "{\"arrayValue\":{\"values\":[");
    }
    for (int i = 0; i < 100; i++) {
        strcat(json, "]}}");
    }
    strcat(json, "}]}}]}");
    pb_buf out;
    char why[OTLP_JSON_PROBLEM_SIZE];
    assert_status(LOOM_EMALFORMED, convert(&out, json, why));
    assert_non_null(strstr(why, "nested less deep"));
    pb_fini(&out);
    free(json);
}

static loom_status convert_scenario(void *user)
{
    pb_buf out;
    char why[OTLP_JSON_PROBLEM_SIZE];
    loom_status st = convert(&out, user, why);
    pb_fini(&out);
    return st;
}

static void converting_reports_every_failed_allocation(void **state)
{
    (void)state;
    char json[] = SPAN(",\"attributes\":[{\"key\":\"x\",\"value\":{\"bytesValue\":\"AQL/\"}}]");
    assert_true(alloc_fault_each(convert_scenario, json) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_file_exporter_writes_is_read_back_the_same),
        cmocka_unit_test(values_of_every_type_are_read),
        cmocka_unit_test(unknown_fields_and_nulls_are_ignored),
        cmocka_unit_test(what_is_no_request_is_refused_with_its_reason),
        cmocka_unit_test(values_nested_too_deep_are_refused),
        cmocka_unit_test(converting_reports_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
