/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic under the figures: percentiles of a histogram, medians of rounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tools/bench/histogram.h"
#include "tools/bench/series.h"

static void an_empty_histogram_has_quantile_zero(void **state)
{
    static histogram h;
    (void)state;
    assert_int_equal(0, histogram_quantile(&h, 0.5));
}

static void small_values_are_kept_exactly(void **state)
{
    static histogram h;
    (void)state;
    for (uint64_t v = 1; v <= 60; v++) {
        histogram_add(&h, v);
    }
    assert_int_equal(30, histogram_quantile(&h, 0.5));
    assert_int_equal(60, histogram_quantile(&h, 1.0));
}

static void large_values_are_within_one_part_in_64(void **state)
{
    (void)state;
    for (uint64_t v = 1; v < UINT64_MAX / 3; v = v * 3 + 1) {
        static histogram h;
        memset(&h, 0, sizeof h);
        histogram_add(&h, v);
        const uint64_t q = histogram_quantile(&h, 0.99), off = q > v ? q - v : v - q;
        assert_true(off <= v / 64);
    }
}

static void the_largest_value_has_a_bucket(void **state)
{
    static histogram h;
    (void)state;
    histogram_add(&h, UINT64_MAX);
    assert_true(histogram_quantile(&h, 0.5) > UINT64_MAX - UINT64_MAX / 64);
}

static void a_rare_large_value_does_not_move_the_median(void **state)
{
    static histogram h;
    (void)state;
    for (unsigned i = 0; i < 99; i++) {
        histogram_add(&h, 10);
    }
    histogram_add(&h, 1000000);
    assert_int_equal(10, histogram_quantile(&h, 0.5));
    assert_int_equal(10, histogram_quantile(&h, 0.99));
    assert_true(histogram_quantile(&h, 1.0) > 900000);
}

static void the_summary_has_medians_ranges_and_totals(void **state)
{
    bench_sample samples[3] = {{.rate = 30, .p50_us = 3, .p99_us = 9, .sent = 5, .lost = 1, .usage_count = 1},
                               {.rate = 10, .p50_us = 1, .p99_us = 7, .sent = 5, .usage_count = 1},
                               {.rate = 20, .p50_us = 2, .p99_us = 8, .sent = 5, .misordered = 2, .usage_count = 1}};
    bench_summary s;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        samples[i].usage[0] = (bench_usage){"server", (double)i, 10.0 * (double)i};
    }
    series_summarize(&s, samples, 3);
    assert_true(s.rate.median == 20 && s.rate.low == 10 && s.rate.high == 30);
    assert_true(s.p50_us.median == 2 && s.p99_us.median == 8);
    assert_int_equal(15, s.sent);
    assert_int_equal(1, s.lost);
    assert_int_equal(2, s.misordered);
    assert_string_equal("server", s.usage[0].role);
    assert_true(s.usage[0].cpu_s_per_million == 1 && s.usage[0].switches_per_million == 10);
}

static void the_median_of_an_even_count_is_between_the_middle_two(void **state)
{
    const bench_sample samples[2] = {{.rate = 10}, {.rate = 20}};
    bench_summary s;
    (void)state;
    series_summarize(&s, samples, 2);
    assert_true(s.rate.median == 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_has_quantile_zero),
        cmocka_unit_test(small_values_are_kept_exactly),
        cmocka_unit_test(large_values_are_within_one_part_in_64),
        cmocka_unit_test(the_largest_value_has_a_bucket),
        cmocka_unit_test(a_rare_large_value_does_not_move_the_median),
        cmocka_unit_test(the_summary_has_medians_ranges_and_totals),
        cmocka_unit_test(the_median_of_an_even_count_is_between_the_middle_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
