/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"
#include "tests/support/check.h"

static void stars_and_question_marks_match(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } vectors[] = {
        {"", "", true},           {"", "a", false},          {"*", "", true},         {"*", "anything", true},
        {"a", "a", true},         {"a", "A", false},         {"a*", "a", true},       {"a*c", "abbc", true},
        {"a*c", "abbd", false},   {"?", "", false},          {"?", "x", true},        {"??", "x", false},
        {"*a*b*", "xxaxxb", true}, {"*ab", "aab", true},     {"*ab", "aba", false},   {"**", "x", true},
        {"a.b", "axb", false},    {"[a]", "a", false},       {"[a]", "[a]", true},    {"GET /*", "GET /health", true},
        {"caf?", "caf\xc3\xa9", true}, {"caf??", "caf\xc3\xa9", false}, {"*?", "", false}, {"*?", "z", true},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        if (glob_match(str_of(vectors[i].pattern), str_of(vectors[i].text), false) != vectors[i].matches) {
            fail_msg("\"%s\" against \"%s\"", vectors[i].pattern, vectors[i].text);
        }
    }
}

static void case_is_ignored_when_asked_for(void **state)
{
    (void)state;
    assert_true(glob_match(STR("*.PassWord"), STR("user.password"), true));
    assert_false(glob_match(STR("*.PassWord"), STR("user.password"), false));
    assert_false(glob_match(STR("["), STR("{"), true)); /* no letters, though 32 apart */
}

/* What makes a backtracking matcher take exponential time. */
static void many_stars_end_in_time(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 'a', sizeof text);
    assert_false(glob_match(STR("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"), (loom_str){text, sizeof text}, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stars_and_question_marks_match),
        cmocka_unit_test(case_is_ignored_when_asked_for),
        cmocka_unit_test(many_stars_end_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
