/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers have a point in every locale. */
#include "base/number.h"
#include "tests/support/locales.h"

#include <math.h>

static void check_all(void)
{
    static const struct {
        double value;
        const char *text;
    } vectors[] = {{0.5, "0.5"}, {-1234567.25, "-1234567.25"}, {1e300, "1.0000000000000001e+300"}, {3, "3"}, {0, "0"}};
    char text[NUMBER_SIZE];
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        double back = NAN;
        assert_int_equal(strlen(vectors[i].text), number_format(text, vectors[i].value, 17));
        assert_string_equal(vectors[i].text, text);
        assert_true(number_parse(str_of(text), &back));
        assert_true(back >= vectors[i].value && back <= vectors[i].value);
    }
    static const char *const shortest[] = {"0.1", "45.2", "0.3333333333333333", "0.21000000000000002", "-2.5e-07", "-0",
                                           "123456789", "1.7976931348623157e+308"};
    static const double values[] = {0.1, 45.2, 1.0 / 3, 0.1 + 0.11, -2.5e-7, -0.0, 123456789, 1.7976931348623157e308};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_int_equal(strlen(shortest[i]), number_format_shortest(text, values[i]));
        assert_string_equal(shortest[i], text);
    }
    (void)number_format_fixed(text, 1234.5678, 2);
    assert_string_equal("1234.57", text);
    (void)number_format_fixed(text, 1e20, 2);
    assert_string_equal("1e+20", text);
    (void)number_format(text, INFINITY, 17);
    assert_string_equal("inf", text);
    static const char *const bad[] = {"", "1,5", "1.5.5", " 1", "1 ", "0x10", "nan", "inf", "1e999", "1e", ".", "e5", "--1", "1.000.000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value = 7;
        if (number_parse(str_of(bad[i]), &value)) {
            fail_msg("\"%s\" is no number", bad[i]);
        }
        assert_true(value > 6);
    }
    assert_false(number_parse(STR("1\0.5"), &(double){0}));
}

static void numbers_are_written_and_read_with_a_point(void **state)
{
    (void)state;
    check_all();
}

static void a_locale_with_a_comma_changes_nothing(void **state)
{
    (void)state;
    if (!locale_set(LOCALE_COMMA)) {
        locale_reset();
        skip();
    }
    check_all();
    locale_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_and_read_with_a_point),
        cmocka_unit_test(a_locale_with_a_comma_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
