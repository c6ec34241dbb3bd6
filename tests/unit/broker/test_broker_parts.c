/* SPDX-License-Identifier: Apache-2.0 */
/* The containers the bus is built of: hash index, delivery queue, deadline heap, topic table. */
#include <stdlib.h>

#include "broker/deadline_heap.h"
#include "broker/delivery_queue.h"
#include "broker/hash_index.h"
#include "broker/topic_table.h"
#include "tests/support/check.h"

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
        unsigned seen = 0;
        for (hash_node *node = hash_index_first(&index, i / 2 * 31); node != NULL; node = hash_index_next(node)) {
            assert_int_equal(i / 2, ((item *)node)->number / 2);
            seen++;
        }
        assert_int_equal(2, seen);
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

/* ---- delivery_queue ---- */

static loom_envelope *numbered(uint8_t number)
{
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t"), .payload = {&number, 1}}));
    return env;
}

static void queue_gives_back_in_order_and_empty_holds_no_memory(void **state)
{
    (void)state;
    delivery_queue queue = {0};
    uint8_t in = 0, out = 0;
    /* Fills in steps of five and empties in steps of three, so that the ring wraps and grows with its head anywhere. */
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 5; i++) {
            loom_envelope *env = numbered(in++);
            assert_true(delivery_queue_push(&queue, env));
            loom_envelope_unref(env);
        }
        for (int i = 0; i < 3; i++) {
            loom_envelope *env = delivery_queue_pop(&queue);
            assert_int_equal(out++, loom_envelope_payload(env).data[0]);
            loom_envelope_unref(env);
        }
    }
    assert_int_equal(60, queue.count);
    assert_true(queue.bytes > 0);
    while (queue.count > 0) {
        loom_envelope *env = delivery_queue_pop(&queue);
        assert_int_equal(out++, loom_envelope_payload(env).data[0]);
        loom_envelope_unref(env);
    }
    assert_int_equal(0, queue.bytes);
    assert_int_equal(0, queue.capacity);
    assert_null(queue.ring);
}

/* ---- deadline_heap ---- */

static void heap_gives_the_earliest_deadline_whatever_is_removed(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    deadline_node nodes[COUNT] = {{0}};
    deadline_heap heap = {0};
    assert_true(deadline_heap_reserve(&heap, COUNT));
    for (uint32_t i = 0; i < COUNT; i++) {
        deadline_heap_add(&heap, &nodes[i], (i * 7919) % 211);
    }
    for (uint32_t i = 0; i < COUNT; i += 3) {
        deadline_heap_remove(&heap, &nodes[i]);
        deadline_heap_remove(&heap, &nodes[i]); /* not in it: nothing happens */
    }
    uint64_t before = 0;
    uint32_t left = COUNT - (COUNT + 2) / 3;
    for (deadline_node *first; (first = deadline_heap_first(&heap)) != NULL; left--) {
        assert_true(first->at_ms >= before);
        before = first->at_ms;
        deadline_heap_remove(&heap, first);
    }
    assert_int_equal(0, left);
    deadline_heap_fini(&heap);
}

/* ---- topic_table ---- */

static void table_forgets_all_matches_rather_than_grow_past_its_bound(void **state)
{
    (void)state;
    topic_table table;
    topic_table_init(&table, 16);
    const uint32_t count = TOPIC_TABLE_MATCHES_MAX / 2 + 1;
    void **matches = calloc(count, sizeof *matches);
    assert_non_null(matches);
    topic_entry *a, *b;
    assert_status(LOOM_OK, topic_table_use(&table, STR("a"), &a));
    assert_true(topic_table_remember(&table, a, matches, count, 1));
    assert_status(LOOM_OK, topic_table_use(&table, STR("b"), &b));
    assert_true(topic_table_remember(&table, b, matches, count, 1));
    assert_int_equal(count, table.remembered);
    assert_int_equal(0, a->generation);
    assert_int_equal(1, b->generation);
    free(matches);
    topic_table_fini(&table);
}

static void table_checks_a_topic_it_does_not_know_and_takes_nothing_from_a_bad_one(void **state)
{
    (void)state;
    topic_table table;
    topic_table_init(&table, 16);
    char text[LOOM_TOPIC_MAX + 1];
    memset(text, 'x', sizeof text);
    topic_entry *entry;
    assert_status(LOOM_EINVAL, topic_table_use(&table, (loom_str){text, sizeof text}, &entry));
    assert_null(entry);
    assert_status(LOOM_EINVAL, topic_table_use(&table, (loom_str){0}, &entry));
    assert_status(LOOM_OK, topic_table_use(&table, (loom_str){text, LOOM_TOPIC_MAX}, &entry));
    assert_ptr_equal(entry, topic_table_find(&table, (loom_str){text, LOOM_TOPIC_MAX}));
    assert_null(topic_table_find(&table, STR("y")));
    assert_int_equal(1, table.index.count);
    topic_table_fini(&table);
}

static void table_of_one_topic_keeps_the_one_in_use(void **state)
{
    (void)state;
    topic_table table;
    topic_table_init(&table, 1);
    topic_entry *entry;
    for (int i = 0; i < 10; i++) {
        assert_status(LOOM_OK, topic_table_use(&table, i % 2 == 0 ? STR("a") : STR("b"), &entry));
        assert_ptr_equal(entry, topic_table_find(&table, i % 2 == 0 ? STR("a") : STR("b")));
        assert_null(topic_table_find(&table, i % 2 == 0 ? STR("b") : STR("a")));
        assert_int_equal(1, table.index.count);
    }
    topic_table_fini(&table);
}

int main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_finds_each_node_while_it_grows_and_shrinks),
        cmocka_unit_test(queue_gives_back_in_order_and_empty_holds_no_memory),
        cmocka_unit_test(heap_gives_the_earliest_deadline_whatever_is_removed),
        cmocka_unit_test(table_forgets_all_matches_rather_than_grow_past_its_bound),
        cmocka_unit_test(table_checks_a_topic_it_does_not_know_and_takes_nothing_from_a_bad_one),
        cmocka_unit_test(table_of_one_topic_keeps_the_one_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
