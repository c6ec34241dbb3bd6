/* SPDX-License-Identifier: Apache-2.0 */
#include "host/config/units.h"
#include "host/config/problems.h"
#include "base/suggest.h"
#include "tests/support/check.h"

#include <stdlib.h>

static void a_duration_is_a_number_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0}, {"0s", 0}, {"250ms", 250}, {"5s", 5000}, {"2m", 120000}, {"1h", 3600000}, {"1.5s", 1500}, {"1.1s", 1100}};
    static const char *const bad[] = {"", "5", "s", "-5s", "5 s", "5sec", "1.s", ".5s", "1.2.3s", "0.5ms", "1e3s",
                                      "99999999999999999999h", "9999999999999h"};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(config_parse_duration(&ms, str_of(good[i].text)));
        assert_int_equal(good[i].ms, ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(config_parse_duration(&ms, str_of(bad[i])));
    }
}

static void a_size_is_a_number_with_or_without_a_unit(void **state)
{
    (void)state;
    int64_t bytes;
    assert_true(config_parse_size(&bytes, STR("4096")) && bytes == 4096);
    assert_true(config_parse_size(&bytes, STR("64KiB")) && bytes == 65536);
    assert_true(config_parse_size(&bytes, STR("1.5MiB")) && bytes == 1572864);
    assert_true(config_parse_size(&bytes, STR("2GiB")) && bytes == 2147483648);
    assert_false(config_parse_size(&bytes, STR("1MB")));
    assert_false(config_parse_size(&bytes, STR("MiB")));
    assert_false(config_parse_size(&bytes, STR("-1")));
}

static void units_are_written_as_short_as_they_are_exact(void **state)
{
    (void)state;
    char out[CONFIG_UNITS_SIZE];
    config_format_duration(out, 120000);
    assert_string_equal("2m", out);
    config_format_duration(out, 1500);
    assert_string_equal("1500ms", out);
    config_format_duration(out, 0);
    assert_string_equal("0ms", out);
    config_format_size(out, 8 << 20);
    assert_string_equal("8MiB", out);
    config_format_size(out, 1000);
    assert_string_equal("1000B", out);
}

static void quoting_escapes_what_json_and_a_terminal_mind(void **state)
{
    (void)state;
    char out[128] = "x";
    size_t used = 1;
    assert_true(config_append_quoted(out, sizeof out, &used, STR("a\"b\\\n\t\033[1m\x7f\xc2\x9b\xc3\xa4\xff\xed\xa0\x80\xe2\x80\xae")));
    assert_string_equal("x\"a\\\"b\\\\\\n\\t\\u001b[1m\\u007f\\u009b\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\u202e\"", out);
}

static void quoting_never_writes_beyond_its_room(void **state)
{
    (void)state;
    for (size_t size = 0; size < 12; size++) {
        char *out = malloc(size + 1); /* the sanitizer watches what lies behind */
        size_t used = 0;
        bool fits = config_append_quoted(out, size, &used, STR("ab\ncd"));
        assert_int_equal(size >= 9, fits);
        assert_int_equal(fits ? 8 : 0, used);
        free(out);
    }
}

static void the_edit_distance_counts_swaps_once(void **state)
{
    (void)state;
    assert_int_equal(0, suggest_distance(STR("listen"), STR("listen")));
    assert_int_equal(1, suggest_distance(STR("lisen"), STR("listen")));
    assert_int_equal(1, suggest_distance(STR("lsiten"), STR("listen")));
    assert_int_equal(6, suggest_distance(STR(""), STR("listen")));
    char big[SUGGEST_WORD_MAX + 1];
    memset(big, 'a', sizeof big);
    assert_true(suggest_distance((loom_str){big, sizeof big}, STR("a")) == SIZE_MAX);
}

static void only_a_near_name_is_suggested(void **state)
{
    (void)state;
    suggestion s;
    suggestion_init(&s, STR("lisen"));
    suggestion_consider(&s, "level");
    suggestion_consider(&s, "listen");
    assert_string_equal("listen", suggestion_result(&s));
    suggestion_init(&s, STR("zz"));
    suggestion_consider(&s, "listen");
    assert_null(suggestion_result(&s));
}

static void twenty_problems_are_kept_and_the_rest_counted(void **state)
{
    (void)state;
    problems list;
    problems_init(&list);
    for (unsigned i = 0; i < 25; i++) {
        problems_add_at(&list, PROBLEM_ERROR, 25 - i, 1, "line %u", 25 - i);
    }
    problems_sort(&list);
    assert_int_equal(20, list.count);
    assert_int_equal(25, list.errors);
    assert_int_equal(5, list.omitted);
    assert_string_equal("line 6", list.items[0].text);
}

static void a_problem_is_one_printable_line(void **state)
{
    (void)state;
    problems list;
    char big[1000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    problems_init(&list);
    problems_add(&list, PROBLEM_WARNING, "key \"%s\"", "a\nb\033[2J\xc2\x9b\xe2\x80\xae");
    problems_add(&list, PROBLEM_ERROR, "%s", big);
    assert_string_equal("key \"a?b?[2J??\"", list.items[0].text);
    assert_int_equal(PROBLEM_TEXT_SIZE - 1, strlen(list.items[1].text));
    assert_int_equal(1, list.errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_is_a_number_and_a_unit),
        cmocka_unit_test(a_size_is_a_number_with_or_without_a_unit),
        cmocka_unit_test(units_are_written_as_short_as_they_are_exact),
        cmocka_unit_test(quoting_escapes_what_json_and_a_terminal_mind),
        cmocka_unit_test(quoting_never_writes_beyond_its_room),
        cmocka_unit_test(the_edit_distance_counts_swaps_once),
        cmocka_unit_test(only_a_near_name_is_suggested),
        cmocka_unit_test(twenty_problems_are_kept_and_the_rest_counted),
        cmocka_unit_test(a_problem_is_one_printable_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
