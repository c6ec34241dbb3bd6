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
        uint64_t back = 0;
        if (strcmp(expected, text) != 0) {
            assert_string_equal(expected, text);
        }
        assert_true(rfc3339_parse((loom_str){text, strlen(text)}, &back) && back == (uint64_t)seconds * S);
    }
}

static void times_of_every_zone_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2025-01-15T10:30:00.123Z", 1736937000u * (uint64_t)S + 123000000u},
        {"2025-01-15t10:30:00.123456789z", 1736937000u * (uint64_t)S + 123456789u},
        {"2025-01-15 10:30:00.1234567899+00:00", 1736937000u * (uint64_t)S + 123456789u},
        {"2025-01-15T12:00:00+01:30", 1736937000u * (uint64_t)S},
        {"2025-01-14T23:30:00-11:00", 1736937000u * (uint64_t)S},
        {"1969-12-31T23:00:00-01:00", 0},
        {"2016-12-31T23:59:60Z", 1483228800u * (uint64_t)S},
        {"2000-02-29T00:00:00Z", 951782400u * (uint64_t)S},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ns = 1;
        assert_true(rfc3339_parse((loom_str){cases[i].text, strlen(cases[i].text)}, &ns));
        assert_int_equal(cases[i].ns, ns);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"", "2025-01-15", "2025-01-15T10:30:00", "2025-01-15T10:30Z", "2025-1-15T10:30:00Z",
                                        "2025-13-15T10:30:00Z", "2025-02-29T10:30:00Z", "2025-01-00T10:30:00Z",
                                        "2025-01-15T24:30:00Z", "2025-01-15T10:60:00Z", "2025-01-15T10:30:61Z",
                                        "2025-01-15T10:30:00.Z", "2025-01-15T10:30:00+24:00", "2025-01-15T10:30:00+0100",
                                        "2025-01-15T10:30:00Zx", "1969-12-31T23:59:59Z", "2555-01-01T00:00:00Z",
                                        "-025-01-15T10:30:00Z", "2025-01-15T10:30:00 Z"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ns;
        assert_false(rfc3339_parse((loom_str){cases[i], strlen(cases[i])}, &ns));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fraction_is_cut_to_the_digits_asked_for),
        cmocka_unit_test(leap_days_are_where_the_gregorian_calendar_has_them),
        cmocka_unit_test(every_day_until_the_clock_ends_is_as_the_c_library_has_it),
        cmocka_unit_test(times_of_every_zone_are_read),
        cmocka_unit_test(what_is_no_time_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
