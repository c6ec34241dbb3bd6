/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic under the figures: percentiles of a histogram, medians of rounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tools/bench/histogram.h"
#include "tools/bench/series.h"
#include "tools/bench/setup.h"

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

static void merging_adds_up_counts(void **state)
{
    static histogram a, b;
    (void)state;
    histogram_add(&a, 10);
    histogram_add(&b, 20);
    histogram_add(&b, 20);
    histogram_merge(&a, &b);
    assert_int_equal(3, a.count);
    assert_int_equal(20, histogram_quantile(&a, 0.5));
}

static bench_sample sample_of(double rate, double p50)
{
    bench_sample s;
    series_clear(&s);
    s.values[METRIC_RATE] = rate;
    s.values[METRIC_P50_US] = p50;
    s.sent = 5;
    return s;
}

static void the_summary_has_medians_ranges_and_totals(void **state)
{
    bench_sample samples[3] = {sample_of(30, 3), sample_of(10, 1), sample_of(20, 2)};
    bench_summary s;
    (void)state;
    samples[0].lost = 1;
    samples[2].misordered = 2;
    for (size_t i = 0; i < 3; i++) {
        samples[i].usage[0] = (bench_usage){"server", 2, (double)i, 10.0 * (double)i, 100.0 * (double)i};
        samples[i].usage_count = 1;
    }
    series_summarize(&s, samples, 3);
    assert_true(s.values[METRIC_RATE].median == 20 && s.values[METRIC_RATE].low == 10 && s.values[METRIC_RATE].high == 30);
    assert_true(s.values[METRIC_P50_US].median == 2);
    assert_int_equal(15, s.sent);
    assert_int_equal(1, s.lost);
    assert_int_equal(2, s.misordered);
    assert_string_equal("server", s.usage[0].role);
    assert_int_equal(2, s.usage[0].processes);
    assert_true(s.usage[0].cpu_s_per_million == 1 && s.usage[0].switches_per_million == 10 && s.usage[0].peak_bytes == 100);
}

static void the_median_of_an_even_count_is_between_the_middle_two(void **state)
{
    const bench_sample samples[2] = {sample_of(10, 1), sample_of(20, 1)};
    bench_summary s;
    (void)state;
    series_summarize(&s, samples, 2);
    assert_true(s.values[METRIC_RATE].median == 15);
}

static void what_was_not_measured_stays_unknown(void **state)
{
    const bench_sample samples[2] = {sample_of(10, 1), sample_of(20, 1)};
    bench_summary s;
    (void)state;
    series_summarize(&s, samples, 2);
    assert_true(isnan(s.values[METRIC_P99_US].median));
    assert_true(isnan(series_ratio(&s, &s, METRIC_P99_US)));
}

static void a_ratio_divides_medians_and_never_by_zero(void **state)
{
    const bench_sample twenty = sample_of(20, 1), ten = sample_of(10, 0);
    bench_summary a, b;
    (void)state;
    series_summarize(&a, &twenty, 1);
    series_summarize(&b, &ten, 1);
    assert_true(series_ratio(&a, &b, METRIC_RATE) == 2);
    assert_true(isnan(series_ratio(&a, &b, METRIC_P50_US)));
}

static void large_messages_are_paced_and_windowed_by_their_bytes(void **state)
{
    const bench_setup small = {.shape = {.producers = 1, .consumers = 4}, .size = 128, .latency_rate = 10000, .window = 100000};
    bench_setup large = small;
    (void)state;
    large.size = 256 * 1024;
    assert_true(bench_setup_pace(&small) == 2500);
    assert_true(bench_setup_pace(&large) < 64);
    assert_int_equal(100000, bench_setup_window(&small, 0));
    assert_int_equal(1024, bench_setup_window(&small, 1024));
    assert_int_equal(256, bench_setup_window(&large, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_has_quantile_zero),
        cmocka_unit_test(small_values_are_kept_exactly),
        cmocka_unit_test(large_values_are_within_one_part_in_64),
        cmocka_unit_test(the_largest_value_has_a_bucket),
        cmocka_unit_test(a_rare_large_value_does_not_move_the_median),
        cmocka_unit_test(merging_adds_up_counts),
        cmocka_unit_test(the_summary_has_medians_ranges_and_totals),
        cmocka_unit_test(the_median_of_an_even_count_is_between_the_middle_two),
        cmocka_unit_test(what_was_not_measured_stays_unknown),
        cmocka_unit_test(a_ratio_divides_medians_and_never_by_zero),
        cmocka_unit_test(large_messages_are_paced_and_windowed_by_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
