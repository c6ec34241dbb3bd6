/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/str.h"
#include "tests/support/check.h"

static void a_null_string_is_the_empty_slice(void **state)
{
    (void)state;
    assert_true(str_equal(str_of(NULL), str_of("")));
    assert_int_equal(0, bytes_of(NULL).len);
    assert_true(bytes_equal(bytes_of(NULL), bytes_of("")));
}

static void slices_are_equal_byte_for_byte(void **state)
{
    (void)state;
    assert_true(str_equal(str_of("topic"), (loom_str){"topics", 5}));
    assert_false(str_equal(str_of("topic"), str_of("topid")));
    assert_false(str_equal(str_of("topic"), str_of("topics")));
    assert_true(bytes_equal(bytes_of("abc"), (loom_bytes){(const uint8_t *)"abcd", 3}));
    assert_false(bytes_equal(bytes_of("abc"), bytes_of("abd")));
}

static void a_nul_inside_a_slice_is_compared_like_any_byte(void **state)
{
    (void)state;
    assert_false(str_equal(STR("a\0b"), STR("a\0c")));
    assert_false(str_is(STR("a\0b"), "a"));
    assert_true(str_is((loom_str){"ab", 1}, "a"));
}

static void case_is_that_of_ascii_and_no_byte_is_left_out(void **state)
{
    (void)state;
    assert_true(str_is_any_case(STR("X-B3-TraceId"), "x-b3-traceid"));
    assert_true(str_equal_any_case((loom_str){0}, STR("")));
    assert_false(str_is_any_case(STR("@[`{"), "`{@["));
    assert_false(str_is_any_case(STR("\xc9"), "\xe9")); /* the same letter in Latin-1 */
    assert_false(str_equal_any_case(STR("a\0b"), STR("a\0c")));
    assert_false(str_is_any_case(STR("ab"), "abc"));
}

static void only_spaces_and_tabs_are_trimmed_unless_it_is_about_lines(void **state)
{
    (void)state;
    assert_str("a b", str_trim(str_of(" \ta b\t ")));
    assert_str("\na", str_trim(str_of(" \na")));
    assert_str("", str_trim(str_of(" \t ")));
    assert_str("", str_trim((loom_str){0}));
    assert_str("a\nb", str_trim_lines(str_of(" \r\na\nb\t\r\n")));
    assert_str("", str_trim_lines(str_of("\n")));
    assert_str("", str_trim_lines((loom_str){0}));
}

static void a_list_of_n_separators_has_n_plus_one_items(void **state)
{
    (void)state;
    loom_str rest = str_of("a, b,,");
    loom_str item;
    assert_true(str_next_item(&rest, ',', &item));
    assert_str("a", item);
    assert_true(str_next_item(&rest, ',', &item));
    assert_str(" b", item);
    assert_true(str_next_item(&rest, ',', &item));
    assert_str("", item);
    assert_true(str_next_item(&rest, ',', &item));
    assert_str("", item);
    assert_false(str_next_item(&rest, ',', &item));
}

static void letters_of_ascii_alone_have_two_cases(void **state)
{
    (void)state;
    assert_true(str_is_any_case(STR("TraceIdRatio"), "traceidratio"));
    assert_false(str_is_any_case(STR("["), "{")); /* 32 apart, as letters are */
    assert_false(str_is_any_case(STR("\xc3\x84"), "\xc3\xa4"));
    assert_false(str_is_any_case(STR("a"), "ab"));
    assert_true(str_is_any_case(STR(""), ""));
}

static void an_empty_list_has_one_empty_item_and_none_is_no_list(void **state)
{
    (void)state;
    loom_str rest = str_of("");
    loom_str item;
    assert_true(str_next_item(&rest, '.', &item));
    assert_int_equal(0, item.len);
    assert_false(str_next_item(&rest, '.', &item));
    rest = str_of(NULL);
    assert_false(str_next_item(&rest, '.', &item));
}

/* Every length that has a way of its own, and a difference in each of its bytes. */
static void short_names_are_the_same_byte_for_byte(void **state)
{
    (void)state;
    static const char text[] = "agent.of.some.length.or.other";
    for (size_t len = 0; len < sizeof text; len++) {
        char *copy = malloc(len + 1); /* so that a sanitizer sees a byte too many */
        assert_non_null(copy);
        char *end = copy + 1;
        memcpy(end, text, len);
        assert_true(str_same(text, end, len));
        for (size_t at = 0; at < len; at++) {
            end[at] = (char)(end[at] ^ 0x20);
            assert_false(str_same(text, end, len));
            end[at] = text[at];
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_null_string_is_the_empty_slice),
        cmocka_unit_test(slices_are_equal_byte_for_byte),
        cmocka_unit_test(a_nul_inside_a_slice_is_compared_like_any_byte),
        cmocka_unit_test(case_is_that_of_ascii_and_no_byte_is_left_out),
        cmocka_unit_test(short_names_are_the_same_byte_for_byte),
        cmocka_unit_test(only_spaces_and_tabs_are_trimmed_unless_it_is_about_lines),
        cmocka_unit_test(a_list_of_n_separators_has_n_plus_one_items),
        cmocka_unit_test(letters_of_ascii_alone_have_two_cases),
        cmocka_unit_test(an_empty_list_has_one_empty_item_and_none_is_no_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
