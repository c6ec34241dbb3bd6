/* SPDX-License-Identifier: Apache-2.0 */
#include "base/descriptors.h"

#include <limits.h>
#include <sys/resource.h>

#include "tests/support/check.h"

static void allow(rlim_t descriptors)
{
    struct rlimit limit;
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = descriptors;
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &limit));
}

static void each_use_leaves_something_to_the_next(void **state)
{
    (void)state;
    static const rlim_t sizes[] = {96, 256, 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        allow(sizes[i]);
        assert_true(descriptors_limit(DESCRIPTORS_AGENTS) < descriptors_limit(DESCRIPTORS_BRIDGES));
        assert_true(descriptors_limit(DESCRIPTORS_BRIDGES) < descriptors_limit(DESCRIPTORS_CONTROL));
        assert_true(descriptors_limit(DESCRIPTORS_CONTROL) < descriptors_limit(DESCRIPTORS_METRICS));
        assert_true(descriptors_limit(DESCRIPTORS_METRICS) < (int)sizes[i]);
    }
}

static void agents_get_most_of_them(void **state)
{
    (void)state;
    allow(96);
    assert_int_equal(72, descriptors_limit(DESCRIPTORS_AGENTS));
    allow(1024);
    assert_int_equal(960, descriptors_limit(DESCRIPTORS_AGENTS));
}

static void a_share_is_bounded_by_both_and_never_nothing(void **state)
{
    (void)state;
    allow(96);
    assert_int_equal(24, descriptors_share(1024, 4));
    assert_int_equal(8, descriptors_share(8, 4));
    allow(16);
    assert_int_equal(4, descriptors_share(1024, 8));
}

static void a_process_without_descriptors_knows_it(void **state)
{
    (void)state;
    allow(256);
    assert_true(descriptors_free(DESCRIPTORS_FOR_A_LOOP));
    allow(5);
    assert_false(descriptors_free(DESCRIPTORS_FOR_A_LOOP));
    allow(256);
    assert_true(descriptors_free(DESCRIPTORS_FOR_A_LOOP)); /* nothing is kept */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_use_leaves_something_to_the_next),
        cmocka_unit_test(agents_get_most_of_them),
        cmocka_unit_test(a_process_without_descriptors_knows_it),
        cmocka_unit_test(a_share_is_bounded_by_both_and_never_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
