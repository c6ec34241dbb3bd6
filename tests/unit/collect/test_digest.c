/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"
#include "trace/collect/digest.h"

#include <stdio.h>

static loom_str numbered(char text[32], const char *name, size_t number)
{
    int len = snprintf(text, 32, "%s%zu", name, number);
    return (loom_str){text, (size_t)len};
}

static loom_bytes filter_of(digest *d, size_t count)
{
    loom_bytes filter;
    char text[32];
    for (size_t i = 0; i < count; i++) {
        assert_status(LOOM_OK, digest_put(d, STR("key"), numbered(text, "value", i)));
    }
    assert_status(LOOM_OK, digest_take(d, &filter));
    return filter;
}

static void what_was_put_may_be_there_and_little_else(void **state)
{
    (void)state;
    digest d;
    digest_init(&d);
    char text[32];
    loom_bytes filter = filter_of(&d, 10000);
    size_t wrong = 0;
    for (size_t i = 0; i < 10000; i++) {
        assert_true(digest_may_hold(filter, STR("key"), numbered(text, "value", i)));
        wrong += digest_may_hold(filter, STR("key"), numbered(text, "other", i));
    }
    assert_in_range(wrong, 0, 150);
    digest_fini(&d);
}

static void key_and_value_do_not_run_together(void **state)
{
    (void)state;
    digest d;
    loom_bytes filter;
    digest_init(&d);
    assert_status(LOOM_OK, digest_put(&d, STR("ab"), STR("c")));
    assert_status(LOOM_OK, digest_take(&d, &filter));
    assert_true(digest_may_hold(filter, STR("ab"), STR("c")));
    assert_false(digest_may_hold(filter, STR("a"), STR("bc")));
    digest_fini(&d);
}

static void taking_it_forgets_what_was_put(void **state)
{
    (void)state;
    digest d;
    digest_init(&d);
    (void)filter_of(&d, 3);
    loom_bytes filter = filter_of(&d, 0);
    assert_false(digest_may_hold(filter, STR("key"), STR("value1")));
    digest_fini(&d);
}

static void size_is_bounded_and_bytes_that_are_no_filter_may_hold_anything(void **state)
{
    (void)state;
    digest d;
    digest_init(&d);
    assert_int_equal(filter_of(&d, 0).len, 8);
    assert_int_equal(filter_of(&d, 1000000).len, 1u << 20);
    static const uint8_t bytes[12] = {0};
    for (size_t len = 0; len <= sizeof bytes; len++) {
        assert_int_equal(digest_may_hold((loom_bytes){bytes, len}, STR("a"), STR("b")), len != 8);
    }
    digest_fini(&d);
}

static loom_status digest_scenario(void *user)
{
    (void)user;
    digest d;
    loom_bytes filter;
    digest_init(&d);
    loom_status st = digest_put(&d, STR("a"), STR("b"));
    if (st == LOOM_OK) {
        st = digest_take(&d, &filter);
    }
    digest_fini(&d);
    return st;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(digest_scenario, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_may_be_there_and_little_else),
        cmocka_unit_test(key_and_value_do_not_run_together),
        cmocka_unit_test(taking_it_forgets_what_was_put),
        cmocka_unit_test(size_is_bounded_and_bytes_that_are_no_filter_may_hold_anything),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
