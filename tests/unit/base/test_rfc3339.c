/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rfc3339.h"

#include "tests/support/check.h"

#include <time.h>

#define S 1000000000u

static void check(const char *expected, uint64_t unix_ns, unsigned digits)
{
    char text[RFC3339_SIZE];
    assert_int_equal(strlen(expected), rfc3339_put(text, unix_ns, digits));
    assert_string_equal(expected, text);
}

static void the_fraction_is_cut_to_the_digits_asked_for(void **state)
{
    (void)state;
    check("1970-01-01T00:00:00.000Z", 0, 3);
    check("2023-11-14T22:13:20.123456789Z", 1700000000123456789u, 9);
    check("2023-11-14T22:13:20.123456Z", 1700000000123456789u, 6);
    check("2023-11-14T22:13:20.9Z", 1700000000999999999u, 1);
}

static void leap_days_are_where_the_gregorian_calendar_has_them(void **state)
{
    (void)state;
    check("2000-02-29T23:59:59.0Z", 951868799u * (uint64_t)S, 1);
    check("2000-03-01T00:00:00.0Z", 951868800u * (uint64_t)S, 1);
    check("2100-02-28T00:00:00.0Z", 4107456000u * (uint64_t)S, 1);
    check("2100-03-01T00:00:00.0Z", (4107456000u + 86400u) * (uint64_t)S, 1);
}

static void every_day_until_the_clock_ends_is_as_the_c_library_has_it(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < UINT64_MAX / S / 86400u; day++) {
        time_t seconds = (time_t)(day * 86400u + day % 86400u);
        struct tm utc;
        char expected[RFC3339_SIZE], text[RFC3339_SIZE];
        assert_non_null(gmtime_r(&seconds, &utc));
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.0Z", &utc);
        rfc3339_put(text, (uint64_t)seconds * S, 1);
        if (strcmp(expected, text) != 0) {
            assert_string_equal(expected, text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fraction_is_cut_to_the_digits_asked_for),
        cmocka_unit_test(leap_days_are_where_the_gregorian_calendar_has_them),
        cmocka_unit_test(every_day_until_the_clock_ends_is_as_the_c_library_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
