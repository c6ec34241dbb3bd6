/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shared_bytes.h"
#include "tests/support/check.h"

enum { LARGE = 1024 * 1024 };

static void a_block_lives_as_long_as_anybody_holds_it(void **state)
{
    (void)state;
    shared_bytes *b = shared_bytes_create(NULL, 3);
    assert_non_null(b);
    b->data[2] = 7;
    assert_ptr_equal(b, shared_bytes_ref(b));
    shared_bytes_unref(b);
    assert_int_equal(7, b->data[2]);
    shared_bytes_unref(b);
    shared_bytes_unref(NULL);
}

static void a_pool_hands_out_again_what_was_given_up(void **state)
{
    (void)state;
    shared_pool *p = shared_pool_create();
    assert_non_null(p);
    shared_bytes *first = shared_bytes_create(p, LARGE);
    assert_non_null(first);
    shared_bytes_unref(first);
    shared_bytes *small = shared_bytes_create(p, LARGE / 4); /* would waste most of it */
    assert_ptr_not_equal(first, small);
    shared_bytes *again = shared_bytes_create(p, LARGE - 100);
    assert_ptr_equal(first, again);
    assert_int_equal(1, again->refs);
    shared_bytes_unref(small);
    shared_bytes_unref(again);
    shared_pool_close(p);
}

static void a_pool_keeps_so_much_and_only_while_it_is_used(void **state)
{
    (void)state;
    enum { BLOCKS = 2 * (int)SHARED_POOL_KEPT_MAX / LARGE };
    shared_bytes *all[BLOCKS];
    shared_pool *p = shared_pool_create();
    assert_non_null(p);
    for (unsigned i = 0; i < BLOCKS; i++) {
        all[i] = shared_bytes_create(p, LARGE);
        assert_non_null(all[i]);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        shared_bytes_unref(all[i]);
    }
    assert_int_equal(SHARED_POOL_KEPT_MAX, shared_pool_kept(p));
    shared_pool_tidy(p);
    assert_int_equal(SHARED_POOL_KEPT_MAX, shared_pool_kept(p));
    shared_pool_tidy(p);
    assert_int_equal(0, shared_pool_kept(p));
    shared_pool_close(p);
}

static void blocks_outlive_their_pool(void **state)
{
    (void)state;
    shared_pool *p = shared_pool_create();
    assert_non_null(p);
    shared_bytes *b = shared_bytes_create(p, LARGE);
    assert_non_null(b);
    shared_pool_close(p);
    b->data[LARGE - 1] = 1;
    shared_bytes_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_lives_as_long_as_anybody_holds_it),
        cmocka_unit_test(a_pool_hands_out_again_what_was_given_up),
        cmocka_unit_test(a_pool_keeps_so_much_and_only_while_it_is_used),
        cmocka_unit_test(blocks_outlive_their_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
