/* SPDX-License-Identifier: Apache-2.0 */
#include "base/printable.h"

#include "tests/support/check.h"

static void nothing_that_a_terminal_obeys_is_copied(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"", ""},
        {"plain, größer", "plain, größer"},
        {"\x1b[31mred\n", "·[31mred·"},
        {"a\xc2\x9b" "31mb", "a·31mb"},                 /* the one-byte CSI, as U+009B */
        {"a\xe2\x80\xae" "b\xe2\x81\xa6" "c", "a·b·c"}, /* U+202E, U+2066 */
        {"a\xff\xc3", "a\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        printable_copy(out, sizeof out, (loom_str){cases[i].text, strlen(cases[i].text)});
        assert_string_equal(cases[i].shown, out);
    }
}

static void what_does_not_fit_is_cut_at_the_end_of_a_character(void **state)
{
    (void)state;
    static const char *const shown[] = {"", "a", "a", "aö", "aöb", "aöb"};
    for (size_t size = 1; size <= 6; size++) {
        char out[8] = "xxxxxxx";
        printable_copy(out, size, (loom_str){"a\xc3\xb6" "b", 4});
        assert_string_equal(shown[size - 1], out);
        assert_int_equal('x', out[size]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_a_terminal_obeys_is_copied),
        cmocka_unit_test(what_does_not_fit_is_cut_at_the_end_of_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
