/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of base: hash_index, bytes_table on top of it, number_table. */
#include "base/bytes_table.h"
#include "base/number_table.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

#include <stdlib.h>

/* ---- hash_index ---- */

typedef struct item {
    hash_node node; /* first */
    unsigned number;
} item;

static void index_finds_each_node_while_it_grows_and_shrinks(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    item *items = calloc(COUNT, sizeof *items);
    assert_non_null(items);
    hash_index index;
    hash_index_init(&index);
    for (unsigned i = 0; i < COUNT; i++) {
        items[i].number = i;
        hash_index_insert(&index, &items[i].node, i / 2 * 31); /* two of each hash */
    }
    assert_int_equal(COUNT, index.count);
    for (unsigned i = 0; i < COUNT; i += 2) {
        /* The last one inserted first, however often the index has grown. */
        hash_node *node = hash_index_first(&index, i / 2 * 31);
        assert_ptr_equal(&items[i + 1].node, node);
        assert_ptr_equal(&items[i].node, hash_index_next(node));
        assert_null(hash_index_next(&items[i].node));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        hash_index_remove(&index, &items[i].node);
        assert_int_equal(i % 2 == 0, hash_index_first(&index, i / 2 * 31) != NULL);
    }
    assert_int_equal(0, index.count);
    assert_ptr_equal(index.small, index.buckets);
    hash_index_fini(&index);
    free(items);
}

static void index_without_memory_to_grow_gets_longer_chains(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    item items[COUNT];
    hash_index index;
    hash_index_init(&index);
    alloc_fault_arm(0);
    for (unsigned i = 0; i < COUNT; i++) {
        hash_index_insert(&index, &items[i].node, i);
        alloc_fault_arm(0);
    }
    alloc_fault_disarm();
    assert_ptr_equal(index.small, index.buckets);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_ptr_equal(&items[i].node, hash_index_first(&index, i));
    }
    hash_index_fini(&index);
}

static void index_is_emptied_by_taking_any_node_until_none_is_left(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    item *items = calloc(COUNT, sizeof *items);
    assert_non_null(items);
    hash_index index;
    hash_index_init(&index);
    for (unsigned i = 0; i < COUNT; i++) {
        hash_index_insert(&index, &items[i].node, i * 2654435761u);
    }
    size_t hint = 0;
    unsigned taken = 0;
    for (hash_node *node; (node = hash_index_any(&index, &hint)) != NULL; taken++) {
        hash_index_remove(&index, node);
    }
    assert_int_equal(COUNT, taken);
    hash_index_fini(&index);
    free(items);
}

/* ---- bytes_table ---- */

static void equal_keys_are_found_in_the_order_in_which_they_were_added(void **state)
{
    (void)state;
    enum { EQUAL = 3, OTHERS = 1000 };
    bytes_table table;
    bytes_table_init(&table);
    bytes_node equal[EQUAL], *others = calloc(OTHERS, sizeof *others);
    char(*names)[16] = calloc(OTHERS, sizeof *names);
    assert_true(others != NULL && names != NULL);
    bytes_table_add(&table, &equal[0], bytes_of("twice"));
    for (int i = 0; i < OTHERS; i++) { /* it grows between the equal ones */
        (void)snprintf(names[i], sizeof names[i], "other-%d", i);
        bytes_table_add(&table, &others[i], bytes_of(names[i]));
        if (i == OTHERS / 4) {
            bytes_table_add(&table, &equal[1], bytes_of("twice"));
        }
    }
    bytes_table_add(&table, &equal[2], bytes_of("twice"));
    assert_int_equal(EQUAL + OTHERS, bytes_table_count(&table));
    for (int i = 0; i < OTHERS; i++) {
        assert_ptr_equal(&others[i], bytes_table_find(&table, bytes_of(names[i])));
        bytes_table_remove(&table, &others[i]);
    }
    for (int i = 0; i < EQUAL; i++) {
        assert_ptr_equal(&equal[i], bytes_table_find(&table, bytes_of("twice")));
        bytes_table_remove(&table, &equal[i]);
    }
    assert_null(bytes_table_find(&table, bytes_of("twice")));
    bytes_table_fini(&table);
    free(names);
    free(others);
}

/* Every way to leave a list: from its beginning, its end, and between. */
static void any_of_many_equal_keys_can_be_removed(void **state)
{
    (void)state;
    enum { EQUAL = 7 };
    bytes_table table;
    bytes_node other;
    bytes_table_init(&table);
    bytes_table_add(&table, &other, bytes_of("other"));
    for (unsigned first = 0; first < EQUAL; first++) {
        bytes_node equal[EQUAL + 1];
        bool there[EQUAL + 1] = {0};
        for (unsigned i = 0; i < EQUAL; i++) {
            bytes_table_add(&table, &equal[i], bytes_of("same"));
            there[i] = true;
        }
        for (unsigned step = 0, at = first; step < EQUAL; step++, at = (at + 3) % EQUAL) {
            bytes_table_remove(&table, &equal[at]);
            there[at] = false;
            if (step == 2) { /* one that comes now is the last */
                bytes_table_add(&table, &equal[EQUAL], bytes_of("same"));
                there[EQUAL] = true;
            }
            unsigned oldest = 0;
            while (oldest <= EQUAL && !there[oldest]) {
                oldest++;
            }
            assert_ptr_equal(oldest > EQUAL ? NULL : &equal[oldest], bytes_table_find(&table, bytes_of("same")));
            assert_int_equal(EQUAL - step - 1 + (step >= 2) + 1, bytes_table_count(&table));
        }
        assert_ptr_equal(&equal[EQUAL], bytes_table_find(&table, bytes_of("same")));
        bytes_table_remove(&table, &equal[EQUAL]);
        assert_null(bytes_table_find(&table, bytes_of("same")));
    }
    assert_ptr_equal(&other, bytes_table_find(&table, bytes_of("other")));
    bytes_table_fini(&table);
}

/* 200,000 of one key: with a search for each it would be 20 thousand million steps. */
static void many_equal_keys_take_no_longer_than_others(void **state)
{
    (void)state;
    enum { EQUAL = 200000 };
    bytes_table table;
    bytes_node *equal = calloc(EQUAL, sizeof *equal);
    assert_non_null(equal);
    bytes_table_init(&table);
    for (unsigned i = 0; i < EQUAL; i++) {
        bytes_table_add(&table, &equal[i], bytes_of("same"));
    }
    for (unsigned i = 0; i < EQUAL / 2; i++) { /* from both ends to the middle */
        assert_ptr_equal(&equal[i], bytes_table_find(&table, bytes_of("same")));
        bytes_table_remove(&table, &equal[EQUAL - 1 - i]);
        bytes_table_remove(&table, &equal[i]);
    }
    assert_int_equal(0, bytes_table_count(&table));
    bytes_table_fini(&table);
    free(equal);
}

static void an_empty_key_is_a_key(void **state)
{
    (void)state;
    bytes_table table;
    bytes_table_init(&table);
    bytes_node node;
    assert_null(bytes_table_find(&table, (loom_bytes){0}));
    bytes_table_add(&table, &node, (loom_bytes){0});
    assert_ptr_equal(&node, bytes_table_find(&table, bytes_of("")));
    size_t hint = 0;
    assert_ptr_equal(&node, bytes_table_any(&table, &hint));
    bytes_table_fini(&table);
}

/* ---- number_table ---- */

static void numbers_are_found_while_others_come_and_go(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static int values[COUNT];
    number_table table = {0};
    assert_null(number_table_get(&table, 1));
    assert_null(number_table_remove(&table, 1));
    for (unsigned i = 0; i < COUNT; i++) {
        assert_status(LOOM_OK, number_table_add(&table, (uint64_t)i << 20, &values[i]));
        assert_status(LOOM_EEXIST, number_table_add(&table, (uint64_t)i << 20, &values[0]));
    }
    for (unsigned i = 0; i < COUNT; i += 2) {
        assert_ptr_equal(&values[i], number_table_remove(&table, (uint64_t)i << 20));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_ptr_equal(i % 2 == 0 ? NULL : &values[i], number_table_get(&table, (uint64_t)i << 20));
    }
    size_t seen = 0;
    void *value;
    for (size_t at = 0; number_table_next(&table, &at, &value);) {
        assert_int_equal(1, ((int *)value - values) % 2);
        seen++;
    }
    assert_int_equal(COUNT / 2, seen);
    number_table_fini(&table);
}

static void numbers_without_memory_are_refused_and_nothing_is_lost(void **state)
{
    (void)state;
    number_table table = {0};
    int value;
    alloc_fault_arm(0);
    assert_status(LOOM_ENOMEM, number_table_add(&table, 7, &value));
    alloc_fault_disarm();
    assert_status(LOOM_OK, number_table_add(&table, 7, &value));
    assert_ptr_equal(&value, number_table_get(&table, 7));
    number_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_finds_each_node_while_it_grows_and_shrinks),
        cmocka_unit_test(index_without_memory_to_grow_gets_longer_chains),
        cmocka_unit_test(index_is_emptied_by_taking_any_node_until_none_is_left),
        cmocka_unit_test(equal_keys_are_found_in_the_order_in_which_they_were_added),
        cmocka_unit_test(any_of_many_equal_keys_can_be_removed),
        cmocka_unit_test(many_equal_keys_take_no_longer_than_others),
        cmocka_unit_test(an_empty_key_is_a_key),
        cmocka_unit_test(numbers_are_found_while_others_come_and_go),
        cmocka_unit_test(numbers_without_memory_are_refused_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
