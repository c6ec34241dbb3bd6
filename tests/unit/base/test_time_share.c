/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time_share.h"
#include "tests/support/check.h"

enum { PARTS = 20, MS = 1000 * 1000, RESERVE = 200 * MS };
static const uint64_t START = 5 * (uint64_t)MS; /* a machine that has just booted */

static bool has_any(time_share *s, uint64_t at_ms)
{
    return time_share_has_any(s, START + at_ms * MS, PARTS, RESERVE);
}

static void who_asks_seldom_has_the_reserve_at_once(void **state)
{
    (void)state;
    time_share s = {0};
    for (unsigned spent_ms = 0; spent_ms < 200; spent_ms += 10) {
        assert_true(has_any(&s, 0));
        time_share_spend(&s, 10 * MS);
    }
    assert_false(has_any(&s, 0));
}

static void a_part_of_the_time_that_passes_is_added(void **state)
{
    (void)state;
    time_share s = {0};
    assert_true(has_any(&s, 0));
    time_share_spend(&s, RESERVE);
    assert_false(has_any(&s, 0));
    unsigned answers = 0;
    for (unsigned ms = 1; ms <= 2000; ms++) { /* asked all the time, each answer takes a millisecond */
        if (has_any(&s, ms)) {
            time_share_spend(&s, MS);
            answers++;
        }
    }
    assert_in_range(answers, 2000 / PARTS - 1, 2000 / PARTS + 1);
}

static void what_took_long_is_a_debt(void **state)
{
    (void)state;
    time_share s = {0};
    assert_true(has_any(&s, 0));
    time_share_spend(&s, RESERVE + 50 * MS);
    assert_false(has_any(&s, 999));
    assert_true(has_any(&s, 1002));
}

static void the_reserve_is_all_that_a_long_time_gives(void **state)
{
    (void)state;
    time_share s = {0};
    assert_true(has_any(&s, 0));
    assert_true(has_any(&s, 1000 * 1000 * 1000));
    assert_int_equal(RESERVE, s.left_ns);
    time_share_spend(&s, RESERVE);
    assert_false(has_any(&s, 1000 * 1000 * 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_seldom_has_the_reserve_at_once),
        cmocka_unit_test(a_part_of_the_time_that_passes_is_added),
        cmocka_unit_test(what_took_long_is_a_debt),
        cmocka_unit_test(the_reserve_is_all_that_a_long_time_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
