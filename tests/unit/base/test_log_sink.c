/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_sink.h"

#include <stdlib.h>

#include "tests/support/check.h"

enum { PER_SECOND = 2 };

typedef struct ear {
    unsigned lines;
    log_level level;
    char last[128];
} ear;

static void hear(void *user, log_level level, const char *format, va_list args)
{
    ear *e = user;
    e->lines++;
    e->level = level;
    vsnprintf(e->last, sizeof e->last, format, args);
}

static void a_line_comes_with_its_level_and_its_values(void **state)
{
    ear e = {0};
    (void)state;
    log_to(&(log_sink){hear, &e}, LOG_WARN, "peer is gone peer=%s count=%d", "tcp:1", 7);
    assert_int_equal(1, e.lines);
    assert_int_equal(LOG_WARN, e.level);
    assert_string_equal("peer is gone peer=tcp:1 count=7", e.last);
}

static void without_a_callback_nothing_is_written(void **state)
{
    const log_sink nowhere = {NULL, NULL};
    rate_limit limit = {0};
    (void)state;
    log_to(&nowhere, LOG_ERROR, "%d", 1);
    log_to_limited(&nowhere, &limit, 1, 0, LOG_ERROR, "%d", 1);
    assert_int_equal(0, limit.passed);
}

static void what_comes_too_often_is_counted_and_told_in_the_next_second(void **state)
{
    ear e = {0};
    const log_sink sink = {hear, &e};
    rate_limit limit = {0};
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        log_to_limited(&sink, &limit, PER_SECOND, 500 + i, LOG_WARN, "line %u", i);
    }
    assert_int_equal(PER_SECOND, e.lines);
    assert_string_equal("line 1", e.last);
    log_to_limited(&sink, &limit, PER_SECOND, 1499, LOG_WARN, "line 10");
    assert_int_equal(PER_SECOND, e.lines);
    log_to_limited(&sink, &limit, PER_SECOND, 1500, LOG_WARN, "line 11");
    assert_int_equal(PER_SECOND + 2, e.lines);
    assert_string_equal("suppressed similar messages count=9", e.last);
    log_to_limited(&sink, &limit, PER_SECOND, 1501, LOG_WARN, "line 12");
    assert_string_equal("line 12", e.last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_comes_with_its_level_and_its_values),
        cmocka_unit_test(without_a_callback_nothing_is_written),
        cmocka_unit_test(what_comes_too_often_is_counted_and_told_in_the_next_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
