/* SPDX-License-Identifier: Apache-2.0 */
#include <loom/topic.h>

#include "tests/support/check.h"

static void names_of_dot_separated_segments_are_topics(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "orders.eu.created", "a.b.c.d", "agent.42.replies", "snow.☃", "naïve-UPPER_1/2",
                                       "$sys", "a.-.b", "emoji.🧵"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(loom_topic_valid(str_of(good[i])));
        assert_true(loom_filter_valid(str_of(good[i])));
        assert_true(loom_filter_matches(str_of(good[i]), str_of(good[i])));
    }
}

static void a_refused_topic_says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        size_t len;
        const char *reason;
    } bad[] = {
        {"", 0, "it is empty"},
        {".", 1, "a segment is empty"},
        {".a", 2, "a segment is empty"},
        {"a.", 2, "a segment is empty"},
        {"a..b", 4, "a segment is empty"},
        {"a b", 3, "it contains a space"},
        {"a\tb", 3, "it contains a control character"},
        {"a\0b", 3, "it contains a control character"},
        {"a\x7f", 2, "it contains a control character"},
        {"a\xc2\x85", 3, "it contains a control character"}, /* U+0085, next line */
        {"a.*", 3, "it contains a wildcard (* or >)"},
        {"a.b>", 4, "it contains a wildcard (* or >)"},
        {"a\xff", 2, "it is not valid UTF-8"},
        {"a\xc0\xaf", 3, "it is not valid UTF-8"},         /* overlong '/' */
        {"a\xed\xa0\x80", 4, "it is not valid UTF-8"},     /* a surrogate */
        {"a\xf4\x90\x80\x80", 5, "it is not valid UTF-8"}, /* U+110000 */
        {"a\xe2\x98", 3, "it is not valid UTF-8"},         /* cut short */
        {"a.\xe2\x98.b", 6, "it is not valid UTF-8"},      /* cut by a dot */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *reason = NULL;
        const loom_str topic = {.data = bad[i].topic, .len = bad[i].len};
        assert_status(LOOM_EINVAL, loom_topic_check(topic, &reason));
        assert_string_equal(bad[i].reason, reason);
        assert_false(loom_topic_valid(topic));
    }
}

static void a_topic_ends_at_256_bytes(void **state)
{
    (void)state;
    char longest[LOOM_TOPIC_MAX + 1];
    memset(longest, 'x', sizeof longest);
    const char *reason = "";
    assert_status(LOOM_OK, loom_topic_check((loom_str){longest, LOOM_TOPIC_MAX}, &reason));
    assert_null(reason);
    assert_status(LOOM_ETOOBIG, loom_topic_check((loom_str){longest, LOOM_TOPIC_MAX + 1}, &reason));
    assert_string_equal("it is over 256 bytes", reason);
    assert_status(LOOM_ETOOBIG, loom_filter_check((loom_str){longest, LOOM_TOPIC_MAX + 1}, NULL));
}

static void wildcards_are_whole_segments_of_a_filter(void **state)
{
    (void)state;
    static const char *const good[] = {"*", ">", "a.*", "*.*", "a.*.c", "*.>", "a.>", "*.a.*.>"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(loom_filter_valid(str_of(good[i])));
        assert_false(loom_topic_valid(str_of(good[i])));
    }
}

static void a_refused_filter_says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        const char *reason;
    } bad[] = {
        {"", "it is empty"},
        {"*.", "a segment is empty"},
        {">.", "> is not the last segment"},
        {">.a", "> is not the last segment"},
        {"a.>.>", "> is not the last segment"},
        {"a*", "a wildcard is not a whole segment"},
        {"a.**", "a wildcard is not a whole segment"},
        {"a.>>", "a wildcard is not a whole segment"},
        {"a.b>", "a wildcard is not a whole segment"},
        {"* ", "a wildcard is not a whole segment"},
        {"a .*", "it contains a space"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *reason = NULL;
        assert_status(LOOM_EINVAL, loom_filter_check(str_of(bad[i].filter), &reason));
        assert_string_equal(bad[i].reason, reason);
    }
}

static void a_filter_selects_what_its_segments_say(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        const char *topic;
        bool matches;
    } cases[] = {
        {"a.b", "a.b", true},      {"a.b", "a", false},        {"a.b", "a.b.c", false},  {"a.b", "a.bc", false},
        {"a.b", "A.b", false},     {"*", "a", true},           {"*", "a.b", false},      {"a.*", "a", false},
        {"a.*", "a.b", true},      {"a.*", "a.b.c", false},    {"*.b", "a.b", true},     {"a.*.c", "a.b.c", true},
        {"a.*.c", "a.b.d", false}, {">", "a", true},           {">", "a.b.c", true},     {"a.>", "a", false},
        {"a.>", "a.b", true},      {"a.>", "a.b.c.d", true},   {"a.>", "b.a", false},    {"*.>", "a", false},
        {"*.>", "a.b", true},      {"a.*.>", "a.b.c.d", true}, {"a.*.>", "a.b", false},  {"ab", "a.b", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const bool matches = loom_filter_matches(str_of(cases[i].filter), str_of(cases[i].topic));
        if (matches != cases[i].matches) {
            fail_msg("%s against %s", cases[i].filter, cases[i].topic);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_dot_separated_segments_are_topics),
        cmocka_unit_test(a_refused_topic_says_what_is_wrong),
        cmocka_unit_test(a_topic_ends_at_256_bytes),
        cmocka_unit_test(wildcards_are_whole_segments_of_a_filter),
        cmocka_unit_test(a_refused_filter_says_what_is_wrong),
        cmocka_unit_test(a_filter_selects_what_its_segments_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
