/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shared_library.h"
#include "tests/support/check.h"

typedef struct functions {
    double (*cosine)(double);
    double (*sine)(double);
} functions;

static const struct library_function known[] = {{"cos", offsetof(functions, cosine)}, {"sin", offsetof(functions, sine)}};

static void the_functions_of_a_library_are_found(void **state)
{
    (void)state;
    functions table;
    char problem[SHARED_LIBRARY_PROBLEM_SIZE];
    const shared_library library = {"a test needs libm", "libm 6", {"libnone.so.99", "libm.so.6"}, known, 2};
    assert_status(LOOM_OK, shared_library_load(&table, &library, problem));
    assert_true(table.cosine(0) > 0.99 && table.sine(0) < 0.01);
}

static void a_library_that_is_missing_is_told_with_its_package(void **state)
{
    (void)state;
    functions table;
    char problem[SHARED_LIBRARY_PROBLEM_SIZE];
    const shared_library library = {"wss needs OpenSSL (Debian: libssl3)", "OpenSSL 3", {"libnone.so.99"}, known, 2};
    assert_status(LOOM_ENOTFOUND, shared_library_load(&table, &library, problem));
    assert_non_null(strstr(problem, "wss needs OpenSSL (Debian: libssl3): libnone.so.99"));
}

static void a_library_that_is_too_old_is_told_with_what_it_lacks(void **state)
{
    (void)state;
    functions table;
    char problem[SHARED_LIBRARY_PROBLEM_SIZE];
    static const struct library_function newer[] = {{"cos", offsetof(functions, cosine)}, {"cos_of_tomorrow", offsetof(functions, sine)}};
    const shared_library library = {"a test needs libm", "libm 99", {"libm.so.6"}, newer, 2};
    assert_status(LOOM_EVERSION, shared_library_load(&table, &library, problem));
    assert_string_equal("libm.so.6 has no cos_of_tomorrow: libm 99 or later is needed", problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_functions_of_a_library_are_found),
        cmocka_unit_test(a_library_that_is_missing_is_told_with_its_package),
        cmocka_unit_test(a_library_that_is_too_old_is_told_with_what_it_lacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
