/* SPDX-License-Identifier: Apache-2.0 */
#include "base/decimal.h"

#include "tests/support/locales.h"

#include <float.h>

static const struct {
    double value;
    const char *text;
} values[] = {
    {0, "0"},        {-0.0, "-0"},     {45.2, "45.2"},   {0.1, "0.1"},     {1.0 / 3, "0.3333333333333333"},
    {1e300, "1e+300"}, {-2.5e-7, "-2.5e-07"}, {123456789, "123456789"}, {DBL_MAX, "1.7976931348623157e+308"},
    {DBL_MIN, "2.2250738585072014e-308"},
};

static void check_all(void)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[DECIMAL_SIZE];
        assert_int_equal(strlen(values[i].text), decimal_put(text, values[i].value));
        assert_string_equal(values[i].text, text);
    }
}

static void the_shortest_text_that_reads_back_is_written(void **state)
{
    (void)state;
    check_all();
}

static void the_point_is_one_in_every_locale(void **state)
{
    (void)state;
    static const char *const names[] = {LOCALE_COMMA, LOCALE_TWO_BYTES};
    size_t found = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (locale_set(names[i])) {
            found++;
            check_all();
        }
        locale_reset();
    }
    if (found == 0) {
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shortest_text_that_reads_back_is_written),
        cmocka_unit_test(the_point_is_one_in_every_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
