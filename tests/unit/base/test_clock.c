/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

#include "tests/support/check.h"

enum { HOUR_S = 3600 };

static void monotonic_time_does_not_go_back(void **state)
{
    (void)state;
    for (uint64_t last = clock_monotonic_ns(), i = 0; i < 1000; i++) {
        const uint64_t now = clock_monotonic_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void milliseconds_are_those_of_the_same_clock(void **state)
{
    (void)state;
    const uint64_t before = clock_monotonic_ns(), ms = clock_monotonic_ms(), after = clock_monotonic_ns();
    assert_in_range(ms, before / 1000000u, after / 1000000u);
}

static void unix_time_is_that_of_the_c_library(void **state)
{
    (void)state;
    const uint64_t now_s = (uint64_t)time(NULL);
    assert_in_range(clock_unix_ns() / 1000000000u, now_s - HOUR_S, now_s + HOUR_S);
    assert_in_range(clock_unix_ms() / 1000u, now_s - HOUR_S, now_s + HOUR_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_does_not_go_back),
        cmocka_unit_test(milliseconds_are_those_of_the_same_clock),
        cmocka_unit_test(unix_time_is_that_of_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
