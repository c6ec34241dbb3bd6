/* SPDX-License-Identifier: Apache-2.0 */
#include "base/deadline_heap.h"
#include "tests/support/check.h"

enum { COUNT = 200 };

static uint64_t key_of(uint32_t i)
{
    return (i * 7919) % 211;
}

static void fill(binary_heap *h, heap_node nodes[COUNT])
{
    assert_true(heap_reserve(h, COUNT));
    for (uint32_t i = 0; i < COUNT; i++) {
        heap_add(h, &nodes[i], key_of(i));
    }
}

/* Empties h; the number of nodes it gave, each with a key not smaller than the one before. */
static uint32_t drain(binary_heap *h)
{
    uint64_t before = 0;
    uint32_t given = 0;
    for (heap_node *first; (first = heap_first(h)) != NULL; given++) {
        assert_true(first->key >= before);
        before = first->key;
        heap_remove(h, first);
        assert_false(heap_holds(first));
    }
    heap_fini(h);
    return given;
}

static void nodes_come_out_by_their_keys(void **state)
{
    (void)state;
    heap_node nodes[COUNT] = {0};
    binary_heap h = {0};
    fill(&h, nodes);
    assert_int_equal(COUNT, drain(&h));
}

static void any_node_can_be_removed_and_twice_is_once(void **state)
{
    (void)state;
    heap_node nodes[COUNT] = {0};
    binary_heap h = {0};
    fill(&h, nodes);
    for (uint32_t i = 0; i < COUNT; i += 3) {
        heap_remove(&h, &nodes[i]);
        heap_remove(&h, &nodes[i]);
    }
    assert_int_equal(COUNT - (COUNT + 2) / 3, drain(&h));
}

static void a_node_that_moves_either_way_keeps_the_order(void **state)
{
    (void)state;
    heap_node nodes[COUNT] = {0};
    binary_heap h = {0};
    fill(&h, nodes);
    for (uint32_t i = 0; i < COUNT; i++) {
        heap_move(&h, &nodes[i], key_of(COUNT - 1 - i) * (i % 2 + 1));
    }
    heap_move(&h, &nodes[COUNT / 2], 0);
    heap_move(&h, &nodes[COUNT / 3], UINT64_MAX);
    assert_int_equal(0, heap_first(&h)->key);
    assert_int_equal(COUNT, drain(&h));
}

static void room_is_given_back_down_to_what_is_used(void **state)
{
    (void)state;
    heap_node nodes[COUNT] = {0};
    binary_heap h = {0};
    fill(&h, nodes);
    while (h.count > 4) {
        heap_remove(&h, heap_first(&h));
    }
    assert_true(heap_reserve(&h, 4));
    assert_int_equal(4, h.capacity);
    assert_int_equal(4, drain(&h));
}

static void an_empty_heap_has_no_first(void **state)
{
    (void)state;
    binary_heap h = {0};
    assert_null(heap_first(&h));
    heap_fini(&h);
}

static void a_deadline_is_the_key_of_its_node(void **state)
{
    (void)state;
    deadline_node late = {0}, early = {0};
    deadline_heap deadlines = {0};
    assert_true(deadline_heap_reserve(&deadlines, 2));
    deadline_heap_add(&deadlines, &late, 2000);
    deadline_heap_add(&deadlines, &early, 1000);
    assert_ptr_equal(&early, deadline_heap_first(&deadlines));
    assert_int_equal(1000, early.at_ms);
    deadline_heap_remove(&deadlines, &early);
    assert_ptr_equal(&late, deadline_heap_first(&deadlines));
    deadline_heap_fini(&deadlines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_come_out_by_their_keys),
        cmocka_unit_test(any_node_can_be_removed_and_twice_is_once),
        cmocka_unit_test(a_node_that_moves_either_way_keeps_the_order),
        cmocka_unit_test(room_is_given_back_down_to_what_is_used),
        cmocka_unit_test(an_empty_heap_has_no_first),
        cmocka_unit_test(a_deadline_is_the_key_of_its_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
