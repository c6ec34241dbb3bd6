/* SPDX-License-Identifier: Apache-2.0 */
/* What is repeated: attempts, by backoff.h, and messages, by rate_limit.h. */
#include "base/backoff.h"
#include "base/rate_limit.h"
#include "tests/support/check.h"

static void each_delay_is_between_half_and_all_of_twice_the_last(void **state)
{
    (void)state;
    for (int round = 0; round < 1000; round++) {
        for (unsigned attempt = 0; attempt < 6; attempt++) {
            const uint64_t full = UINT64_C(50) << attempt, delay = backoff_delay(50, 5000, attempt);
            assert_in_range(delay, full / 2, full);
        }
    }
}

static void no_delay_is_above_the_maximum_however_many_attempts_there_were(void **state)
{
    (void)state;
    static const unsigned attempts[] = {7, 8, 62, 63, 64, 65, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        assert_in_range(backoff_delay(50, 5000, attempts[i]), 2500, 5000);
    }
    assert_in_range(backoff_delay(1, UINT64_MAX, 63), UINT64_C(1) << 62, UINT64_C(1) << 63);
}

static void delays_differ(void **state)
{
    (void)state;
    const uint64_t first = backoff_delay(1000000, 1000000, 0);
    bool differ = false;
    for (int i = 0; i < 100 && !differ; i++) {
        differ = backoff_delay(1000000, 1000000, 0) != first;
    }
    assert_true(differ);
}

static void the_smallest_delays_stay_in_bounds(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_in_range(backoff_delay(1, 1, 0), 0, 1);
        assert_in_range(backoff_delay(3, 3, 5), 1, 3);
    }
}

static void the_first_message_passes_and_the_rest_of_its_interval_is_counted(void **state)
{
    (void)state;
    rate_limit limit = {0};
    uint64_t suppressed = 99;
    assert_true(rate_limit_pass(&limit, 0, 10, 1, &suppressed));
    assert_int_equal(0, suppressed);
    assert_false(rate_limit_pass(&limit, 0, 10, 1, &suppressed));
    assert_false(rate_limit_pass(&limit, 9, 10, 1, &suppressed));
    assert_true(rate_limit_pass(&limit, 10, 10, 1, &suppressed));
    assert_int_equal(2, suppressed);
    assert_false(rate_limit_pass(&limit, 19, 10, 1, &suppressed));
    assert_true(rate_limit_pass(&limit, 1000, 10, 1, &suppressed));
    assert_int_equal(1, suppressed);
    assert_true(rate_limit_pass(&limit, 1010, 10, 1, &suppressed));
    assert_int_equal(0, suppressed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_delay_is_between_half_and_all_of_twice_the_last),
        cmocka_unit_test(no_delay_is_above_the_maximum_however_many_attempts_there_were),
        cmocka_unit_test(delays_differ),
        cmocka_unit_test(the_smallest_delays_stay_in_bounds),
        cmocka_unit_test(the_first_message_passes_and_the_rest_of_its_interval_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
