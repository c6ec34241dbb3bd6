/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

static void what_a_terminal_acts_on_is_a_control(void **state)
{
    (void)state;
    static const uint32_t controls[] = {0, '\n', 0x1b, 0x7f, 0x80, 0x9b, 0x9f, 0x061c, 0x200e, 0x200f, 0x2028, 0x2029,
                                        0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069};
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
        assert_true(utf8_is_control(controls[i]));
    }
}

static void what_is_shown_is_no_control(void **state)
{
    (void)state;
    static const uint32_t shown[] = {' ', '~', 0xa0, 0xe4, 0x05d0 /* alef */, 0x200d /* joins an emoji */, 0x2010, 0x2027, 0x202f,
                                     0x2065, 0x206a, 0x4e2d, 0x1f600};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        assert_false(utf8_is_control(shown[i]));
    }
}

static void what_is_cut_ends_between_two_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t max, len;
    } cases[] = {{"abc", 5, 3}, {"abc", 3, 3}, {"abc", 2, 2}, {"abc", 0, 0}, {"a\xc3\xa9z", 2, 1}, {"a\xc3\xa9z", 3, 3}, {"\xc3\xa9", 1, 0},
                 {"\xe6\x97\xa5", 2, 0}, {"\xf0\x9f\x9a\x80!", 3, 0}, {"\xf0\x9f\x9a\x80!", 4, 4},
                 {"\x80\x80\x80\x80\x80\x80", 5, 2}}; /* no UTF-8: most of it stays */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const loom_str text = {cases[i].text, strlen(cases[i].text)}, cut = utf8_cut(text, cases[i].max);
        assert_ptr_equal(text.data, cut.data);
        assert_int_equal(cases[i].len, cut.len);
    }
}

static void what_is_ill_formed_is_repaired(void **state)
{
    (void)state;
    static const struct {
        loom_str text;
        const char *repaired;
        size_t len;
    } cases[] = {{{"", 0}, "", 0}, {{NULL, 0}, "", 0}, {{"a\xc3\xa9", 3}, "a\xc3\xa9", 3}, {{"a\0b", 3}, "a\0b", 3},
                 {{"\xff\xfe", 2}, "\xef\xbf\xbd\xef\xbf\xbd", 6}, {{"\xe6\x97z", 3}, "\xef\xbf\xbdz", 4}, {{"z\xf0\x9f", 3}, "z\xef\xbf\xbd", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = 99;
        char *repaired = utf8_repair(cases[i].text, &len);
        assert_int_equal(cases[i].len, len);
        assert_memory_equal(cases[i].repaired, repaired, len + 1);
        free(repaired);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_terminal_acts_on_is_a_control),
        cmocka_unit_test(what_is_shown_is_no_control),
        cmocka_unit_test(what_is_ill_formed_is_repaired),
        cmocka_unit_test(what_is_cut_ends_between_two_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
