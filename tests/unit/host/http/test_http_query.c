/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/http/query.h"
#include "host/http/status.h"
#include "tests/support/check.h"

static void parameters_come_one_after_the_other(void **state)
{
    (void)state;
    loom_str rest = str_of("&a=1&&b&c==&=x");
    static const struct {
        const char *name, *value;
        bool has_value;
    } expected[] = {{"a", "1", true}, {"b", "", false}, {"c", "=", true}, {"", "x", true}};
    http_parameter p;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(http_query_next(&rest, &p));
        assert_true(str_is(p.name, expected[i].name));
        assert_true(str_is(p.value, expected[i].value));
        assert_int_equal(expected[i].has_value, p.has_value);
    }
    assert_false(http_query_next(&rest, &p));
}

static void a_name_that_comes_twice_is_not_the_only_one(void **state)
{
    (void)state;
    loom_str value;
    assert_true(http_query_only(str_of("a=1&token=x&b=2"), "token", &value));
    assert_true(str_is(value, "x"));
    assert_false(http_query_only(str_of("token=x&token=x"), "token", &value));
    assert_false(http_query_only(str_of("Token=x"), "token", &value));
}

static void text_is_decoded_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *decoded; /* NULL: refused */
    } cases[] = {{"a%20b+c", "a b c"}, {"%C3%A9", "\xc3\xa9"}, {"", ""}, {"5%00x", NULL}, {"%", NULL}, {"%4", NULL}, {"%zz", NULL},
                 {"%ff", NULL}, {"%0a", NULL}, {"%c2%85", NULL}, {"12345678901", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[11];
        const char *why = "";
        const bool taken = http_decode_text(out, sizeof out, str_of(cases[i].text), true, &why);
        assert_int_equal(cases[i].decoded != NULL, taken);
        if (taken) {
            assert_string_equal(cases[i].decoded, out);
        } else {
            assert_true(why[0] != '\0');
        }
    }
}

static void a_number_is_digits_and_nothing_else(void **state)
{
    (void)state;
    static const char *const refused[] = {"", "+5", "-5", " 5", "5 ", "0x5", "5.0", "0", "1001", "99999999999999999999999"};
    uint64_t number = 0;
    assert_true(http_decode_number(&number, str_of("1000"), 1, 1000));
    assert_int_equal(1000, number);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_false(http_decode_number(&number, str_of(refused[i]), 1, 1000));
    }
}

static void every_status_that_is_sent_has_a_name(void **state)
{
    (void)state;
    static const uint16_t sent[] = {100, 101, 200, 202, 204, 207, 303, 304, 400, 401, 403, 404, 405, 406, 408, 409, 411, 413, 414,
                                    415, 417, 421, 422, 426, 429, 431, 499, 500, 501, 502, 503, 504, 505, 507};
    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++) {
        assert_string_not_equal("Status", http_status_name(sent[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_come_one_after_the_other),
        cmocka_unit_test(a_name_that_comes_twice_is_not_the_only_one),
        cmocka_unit_test(text_is_decoded_or_refused),
        cmocka_unit_test(a_number_is_digits_and_nothing_else),
        cmocka_unit_test(every_status_that_is_sent_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
