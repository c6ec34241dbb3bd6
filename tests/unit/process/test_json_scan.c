/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/collect/json_scan.h"

#include "base/str.h"
#include "tests/support/check.h"

#include <string.h>

static bool read(const char *text, json_value *out)
{
    return json_read(str_of(text), out);
}

static void json_is_read_and_what_is_none_is_not(void **state)
{
    (void)state;
    static const char *const good[] = {"{}", "[]", " [1, 2.5e-3 ,\"x\"] ", "{\"a\":{\"b\":[null,true,false]}}", "-0", "0.1", "1E+2", "\"\\u00e9\\n\""};
    static const char *const bad[] = {"", "{", "[1,]", "{\"a\"}", "{a:1}", "01", "1.", ".5", "+1", "1e", "nul", "\"", "\"\\x\"", "\"\\u12g4\"",
                                      "\"\t\"", "[1] 2", "{\"a\":1,}", "'a'", "NaN"};
    json_value value;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(read(good[i], &value));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(read(bad[i], &value));
    }
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char text[2 * JSON_DEPTH_MAX + 3];
    json_value value;
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        assert_int_equal(depth == JSON_DEPTH_MAX, read(text, &value));
    }
}

static void members_and_items_come_in_order(void **state)
{
    (void)state;
    json_value object, key, value, item;
    assert_true(read("{ \"a\" : [1 , \"b\"] , \"c\" : 2.0 }", &object));
    json_cursor c = json_members(&object);
    assert_true(json_next_member(&c, &key, &value) && str_is(key.text, "a") && value.type == SCAN_ARRAY);
    json_cursor in = json_members(&value);
    assert_true(json_next_item(&in, &item) && item.type == SCAN_INTEGER);
    assert_true(json_next_item(&in, &item) && item.type == SCAN_STRING && str_is(item.text, "b"));
    assert_false(json_next_item(&in, &item));
    assert_true(json_next_member(&c, &key, &value) && str_is(key.text, "c") && value.type == SCAN_FRACTION);
    assert_false(json_next_member(&c, &key, &value));
}

static void escapes_become_what_they_mean(void **state)
{
    (void)state;
    char out[64];
    json_value value;
    assert_true(read("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00\\ud800x\\udc00\"", &value));
    const size_t len = json_unescape(&value, out);
    static const char expected[] = "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbdx\xef\xbf\xbd";
    assert_int_equal(sizeof expected - 1, len);
    assert_memory_equal(expected, out, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_read_and_what_is_none_is_not),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(members_and_items_come_in_order),
        cmocka_unit_test(escapes_become_what_they_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
