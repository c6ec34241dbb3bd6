/* SPDX-License-Identifier: Apache-2.0 */
#include "base/duration.h"
#include "base/str.h"
#include "tests/support/check.h"

static void a_duration_is_a_number_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"0ns", 0}, {"7ns", 7}, {"5us", 5000}, {"5µs", 5000}, {"250ms", 250000000}, {"1.1s", 1100000000}, {"0.5MS", 500000},
                {"2m", 120000000000}, {"1.5h", 5400000000000}, {"1d", 86400000000000}, {"0.4ns", 0}, {"106751d", 9223286400000000000}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t ns = 1;
        if (!duration_parse(&ns, str_of(good[i].text)) || ns != good[i].ns) {
            fail_msg("\"%s\" is read as %llu ns", good[i].text, (unsigned long long)ns);
        }
    }
}

static void whatever_else_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "5", "s", "-5s", "+5s", "5 s", " 5s", "5s ", "5sec", "1.s", ".5s", "1.2.3s", "1e3s", "infs",
                                      "106752d", "99999999999999999999h"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t ns;
        if (duration_parse(&ns, str_of(bad[i]))) {
            fail_msg("\"%s\" is taken for a duration", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_is_a_number_and_a_unit),
        cmocka_unit_test(whatever_else_is_none),
    };
    return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
