/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers have a point in every locale. A locale with a comma is made by localedef(1) from what stands here, so that none has
 * to be installed. */
#include "base/number.h"
#include "tests/support/check.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/loom-locale-XXXXXX";

/* false: localedef is not installed. */
static bool make_locale(void)
{
    char command[512], path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/source", folder);
    FILE *source = fopen(path, "we");
    assert_non_null(source);
    fputs("LC_NUMERIC\ndecimal_point \"<U002C>\"\nthousands_sep \"<U002E>\"\ngrouping 3;3\nEND LC_NUMERIC\n", source);
    assert_int_equal(0, fclose(source));
    (void)snprintf(command, sizeof command, "localedef -c -i %s -f ANSI_X3.4-1968 %s/comma >%s/log 2>&1", path, folder, folder);
    (void)!system(command); /* warns of the categories that are not there */
    setenv("LOCPATH", folder, 1);
    return setlocale(LC_NUMERIC, "comma") != NULL;
}

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
    if (!make_locale()) {
        skip();
    }
    char text[16];
    (void)snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal("0,5", text); /* it is in force */
    check_all();
    (void)setlocale(LC_NUMERIC, "C");
}

static int remove_locale(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_and_read_with_a_point),
        cmocka_unit_test(a_locale_with_a_comma_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, remove_locale);
}
