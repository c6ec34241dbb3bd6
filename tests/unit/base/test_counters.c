/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counters.h"

#include <string.h>

#include "tests/support/check.h"

typedef struct sample_stats {
    uint64_t eight;
    uint32_t four;
    bool flag;
    uint64_t by_color[3];
} sample_stats;

static const char *color(unsigned i)
{
    static const char *const names[] = {"red", "green", "blue"};
    return names[i];
}

static const counter rows[] = {
    COUNTER(sample_stats, eight, COUNTER_TOTAL, "sample_eight_total", "Eight bytes."),
    COUNTER(sample_stats, four, COUNTER_GAUGE, "sample_four", "Four bytes."),
    COUNTER(sample_stats, flag, COUNTER_FLAG, "sample_flag", "One byte."),
    COUNTER_FAMILY(sample_stats, by_color, "colors", "sample_colors_total", "color", 3, color, "Three values."),
};
static const counter_group sample = COUNTER_GROUP("sample", sample_stats, rows);

static void read_sample(const void *owner, void *stats)
{
    memcpy(stats, owner, sizeof(sample_stats));
}

static void fields_of_every_width_are_read(void **state)
{
    (void)state;
    const sample_stats now = {.eight = UINT64_MAX, .four = UINT32_MAX, .flag = true, .by_color = {1, 2, 3}};
    counter_stats stats;
    counter_read(&(counter_source){&sample, &now, read_sample}, &stats);
    assert_int_equal(4, sample.count);
    assert_true(counter_value(&rows[0], &stats, 0) == UINT64_MAX);
    assert_true(counter_value(&rows[1], &stats, 0) == UINT32_MAX);
    assert_int_equal(1, counter_value(&rows[2], &stats, 0));
    for (unsigned i = 0; i < rows[3].count; i++) {
        assert_int_equal(i + 1, counter_value(&rows[3], &stats, i));
    }
}

static void a_row_is_named_after_its_field(void **state)
{
    (void)state;
    assert_string_equal("eight", rows[0].key);
    assert_string_equal("colors", rows[3].key);
    assert_string_equal("green", rows[3].name_of(1));
    assert_null(rows[0].label);
}

static void a_list_keeps_the_order_in_which_sources_came(void **state)
{
    (void)state;
    const sample_stats first = {.eight = 1}, second = {.eight = 2};
    counter_list list = {.count = 0};
    counter_list_add(&list, (counter_source){&sample, &first, read_sample});
    counter_list_add(&list, (counter_source){&sample, &second, read_sample});
    assert_int_equal(2, list.count);
    for (size_t i = 0; i < list.count; i++) {
        counter_stats stats;
        counter_read(&list.items[i], &stats);
        assert_int_equal(i + 1, counter_value(&rows[0], &stats, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_every_width_are_read),
        cmocka_unit_test(a_row_is_named_after_its_field),
        cmocka_unit_test(a_list_keeps_the_order_in_which_sources_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
