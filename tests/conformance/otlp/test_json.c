/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf in, OTLP/JSON out (OTLP specification, "JSON Protobuf Encoding"). */
#include "tests/support/check.h"
#include "trace/otlp/json.h"

#include <math.h>

typedef struct nest {
    pb_buf *b;
    size_t marks[16];
    size_t depth;
} nest;

static void open_field(nest *n, uint32_t field)
{
    n->marks[n->depth++] = pb_open(n->b, field);
}

static void close_fields(nest *n, size_t down_to)
{
    while (n->depth > down_to) {
        pb_close(n->b, n->marks[--n->depth]);
    }
}

/* A request with one span that holds one attribute `k`; value writes the fields of its AnyValue. */
static void check_value(const char *expected, void (*value)(pb_buf *b))
{
    uint8_t storage[512];
    pb_buf in;
    pb_init(&in, storage, sizeof storage, sizeof storage);
    nest n = {.b = &in};
    const uint32_t path[] = {1, 2, 2, 9};
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
        open_field(&n, path[i]);
    }
    pb_string_field(&in, 1, STR("k"));
    open_field(&n, 2);
    value(&in);
    close_fields(&n, 0);
    assert_false(in.failed);

    pb_buf out;
    pb_init(&out, NULL, 0, 4096);
    assert_status(LOOM_OK, otlp_json_request(&out, (loom_bytes){in.data, in.len}));
    char whole[1024];
    (void)snprintf(whole, sizeof whole,
                   "{\"resourceSpans\":[{\"resource\":{\"attributes\":[]},\"scopeSpans\":[{\"scope\":{\"name\":\"\"},\"spans\":[{"
                   "\"traceId\":\"\",\"spanId\":\"\",\"name\":\"\",\"kind\":0,\"startTimeUnixNano\":\"0\","
                   "\"endTimeUnixNano\":\"0\",\"attributes\":[{\"key\":\"k\",\"value\":{%s}}],\"status\":{\"code\":0}}]}]}]}",
                   expected);
    assert_str(whole, ((loom_str){(const char *)out.data, out.len}));
    pb_fini(&out);
}

static void put_text(pb_buf *b)
{
    pb_bytes_field(b, 1, "q\"\\\n\x01\x7f\xc2\x85\xff\xc3\xa4", 11);
}

static void put_true(pb_buf *b)
{
    pb_varint_field(b, 2, 1);
}

static void put_int(pb_buf *b)
{
    pb_varint_field(b, 3, (uint64_t)INT64_MIN);
}

static void put_double(pb_buf *b)
{
    pb_double_field(b, 4, 0.1);
}

static void put_nan(pb_buf *b)
{
    pb_double_field(b, 4, (double)NAN);
}

static void put_infinity(pb_buf *b)
{
    pb_double_field(b, 4, -(double)INFINITY);
}

static void put_bytes(pb_buf *b)
{
    pb_bytes_field(b, 7, "\x00\xff\x10", 3);
}

static void put_array(pb_buf *b)
{
    size_t array = pb_open(b, 5);
    size_t first = pb_open(b, 1);
    pb_string_field(b, 1, STR("a"));
    pb_close(b, first);
    size_t second = pb_open(b, 1);
    pb_varint_field(b, 3, 2);
    pb_close(b, second);
    pb_close(b, array);
}

static void put_kvlist(pb_buf *b)
{
    size_t list = pb_open(b, 6);
    size_t entry = pb_open(b, 1);
    pb_string_field(b, 1, STR("n"));
    size_t value = pb_open(b, 2);
    pb_varint_field(b, 2, 0);
    pb_close(b, value);
    pb_close(b, entry);
    pb_close(b, list);
}

static void put_nothing(pb_buf *b)
{
    (void)b;
}

static void values_take_the_form_of_the_specification(void **state)
{
    (void)state;
    check_value("\"stringValue\":\"q\\\"\\\\\\n\\u0001\\u007f\\u0085\xef\xbf\xbd\xc3\xa4\"", put_text);
    check_value("\"boolValue\":true", put_true);
    check_value("\"intValue\":\"-9223372036854775808\"", put_int);
    check_value("\"doubleValue\":0.1", put_double);
    check_value("\"doubleValue\":\"NaN\"", put_nan);
    check_value("\"doubleValue\":\"-Infinity\"", put_infinity);
    check_value("\"bytesValue\":\"AP8Q\"", put_bytes);
    check_value("\"arrayValue\":{\"values\":[{\"stringValue\":\"a\"},{\"intValue\":\"2\"}]}", put_array);
    check_value("\"kvlistValue\":{\"values\":[{\"key\":\"n\",\"value\":{\"boolValue\":false}}]}", put_kvlist);
    check_value("", put_nothing);
}

static void nesting_beyond_the_bound_is_cut_off(void **state)
{
    (void)state;
    pb_buf in, out;
    pb_init(&in, NULL, 0, 65536);
    size_t marks[3000];
    size_t depth = 0;
    const uint32_t path[] = {1, 2, 2, 9, 2};
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
        marks[depth++] = pb_open(&in, path[i]);
    }
    while (depth < 3000) {
        marks[depth] = pb_open(&in, depth % 2 == 0 ? 1 : 5); /* ArrayValue in AnyValue in ArrayValue … */
        depth++;
    }
    while (depth > 0) {
        pb_close(&in, marks[--depth]);
    }
    pb_init(&out, NULL, 0, 65536);
    assert_status(LOOM_OK, otlp_json_request(&out, (loom_bytes){in.data, in.len}));
    assert_in_range(out.len, 100, 1000);
    pb_fini(&in);
    pb_fini(&out);
}

static void an_empty_request_is_an_empty_list(void **state)
{
    (void)state;
    pb_buf out;
    pb_init(&out, NULL, 0, 4096);
    assert_status(LOOM_OK, otlp_json_request(&out, (loom_bytes){0}));
    assert_str("{\"resourceSpans\":[]}", ((loom_str){(const char *)out.data, out.len}));
    pb_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_take_the_form_of_the_specification),
        cmocka_unit_test(nesting_beyond_the_bound_is_cut_off),
        cmocka_unit_test(an_empty_request_is_an_empty_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
