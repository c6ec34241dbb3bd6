/* SPDX-License-Identifier: Apache-2.0 */
/* The containers the bus is built of: delivery queue and its messages, pool of blocks, topic table. */
#include <stdlib.h>

#include "broker/eventbus/delivery_queue.h"
#include "broker/eventbus/topic_table.h"
#include "tests/support/check.h"

/* ---- delivery_queue ---- */

static queued_message *numbered(block_pool *pool, uint8_t number)
{
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t"), .payload = {&number, 1}}));
    queued_message *message = queued_message_create(pool, envelope_as_view(env));
    assert_non_null(message);
    loom_envelope_unref(env);
    return message;
}

static void assert_pops(delivery_queue *queue, block_pool *pool, uint8_t number)
{
    queued_message *message = delivery_queue_pop(queue, pool);
    envelope_view view;
    queued_message_view(message, &view);
    assert_int_equal(number, envelope_view_bytes(&view, ENV_PAYLOAD).data[0]);
    queued_message_unref(pool, message);
}

static void queue_gives_back_in_order_and_empty_holds_no_memory(void **state)
{
    (void)state;
    block_pool pool = {0};
    delivery_queue queue = {0};
    uint8_t in = 0, out = 0;
    /* Fills in steps of five and empties in steps of three, so that pages begin and end anywhere. */
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 5; i++) {
            queued_message *message = numbered(&pool, in++);
            assert_true(delivery_queue_push(&queue, &pool, message));
            queued_message_unref(&pool, message);
        }
        for (int i = 0; i < 3; i++) {
            assert_pops(&queue, &pool, out++);
        }
    }
    assert_int_equal(60, queue.count);
    assert_true(queue.bytes > 0);
    while (queue.count > 0) {
        assert_pops(&queue, &pool, out++);
    }
    assert_int_equal(0, queue.bytes);
    assert_null(queue.first);
    assert_null(queue.last);
    block_pool_fini(&pool);
}

static void message_in_two_queues_is_stored_until_both_have_given_it_out(void **state)
{
    (void)state;
    block_pool pool = {0};
    delivery_queue a = {0}, b = {0};
    queued_message *message = numbered(&pool, 7);
    assert_true(delivery_queue_push(&a, &pool, message));
    assert_true(delivery_queue_push(&b, &pool, message));
    queued_message_unref(&pool, message);
    assert_pops(&a, &pool, 7);
    assert_pops(&b, &pool, 7);
    block_pool_fini(&pool);
}

/* ---- queued_message ---- */

static void assert_queued_as_it_is(const loom_envelope_fields *fields)
{
    block_pool pool = {0};
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, fields));
    const envelope_view *original = envelope_as_view(env);
    queued_message *message = queued_message_create(&pool, original);
    assert_non_null(message);
    envelope_view view;
    queued_message_view(message, &view);
    assert_ptr_not_equal(original->data, view.data);
    assert_int_equal(original->len, view.len);
    assert_memory_equal(original->data, view.data, view.len);
    assert_int_equal(original->headers_count, view.headers_count);
    assert_true(view.hop_in_place);
    for (size_t i = ENV_HOP; i < ENVELOPE_FIELDS; i++) { /* the version has no place of its own in a view */
        assert_int_equal(original->field[i].off, view.field[i].off);
        assert_int_equal(original->field[i].len, view.field[i].len);
    }
    queued_message_unref(&pool, message);
    block_pool_fini(&pool);
    loom_envelope_unref(env);
}

static void queued_message_gives_back_the_view_it_was_made_of(void **state)
{
    (void)state;
    assert_queued_as_it_is(&(loom_envelope_fields){.topic = STR("t")});
    assert_queued_as_it_is(&(loom_envelope_fields){.topic = STR("a.b"), .sender = STR("s"), .type = STR("reading"),
        .thread_id = STR("thread"), .reply_to = STR("r"), .content_type = STR("text/plain"),
        .payload = {(const uint8_t *)"xyz", 3}});
}

static void a_large_queued_message_shares_the_block_it_came_in(void **state)
{
    (void)state;
    block_pool pool = {0};
    uint8_t *payload = calloc(1, SHARED_BYTES_MIN);
    loom_envelope *env;
    assert_non_null(payload);
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t"), .payload = {payload, SHARED_BYTES_MIN}}));
    free(payload);
    envelope_view view = *envelope_as_view(env), queued;
    view.shared = shared_bytes_create(NULL, view.len);
    assert_non_null(view.shared);
    view.data = memcpy(view.shared->data, view.data, view.len);
    queued_message *message = queued_message_create(&pool, &view);
    assert_non_null(message);
    assert_int_equal(2, view.shared->refs);
    queued_message_view(message, &queued);
    assert_ptr_equal(view.data, queued.data);
    assert_ptr_equal(view.shared, queued.shared);
    queued_message_unref(&pool, message);
    assert_int_equal(1, view.shared->refs);
    shared_bytes_unref(view.shared);
    block_pool_fini(&pool);
    loom_envelope_unref(env);
}

static void queued_message_keeps_every_field_at_its_limit(void **state)
{
    (void)state;
    char text[LOOM_HEADERS_MAX];
    memset(text, 'x', sizeof text);
    uint8_t *payload = calloc(1, LOOM_PAYLOAD_MAX);
    assert_non_null(payload);
    const loom_header header = {STR("k"), {text, LOOM_HEADERS_MAX - 16}};
    assert_queued_as_it_is(&(loom_envelope_fields){
        .topic = {text, LOOM_TOPIC_MAX}, .type = {text, LOOM_TYPE_MAX}, .sender = {text, LOOM_AGENT_ID_MAX},
        .thread_id = {text, LOOM_THREAD_ID_MAX}, .correlation_id = {text, LOOM_THREAD_ID_MAX},
        .reply_to = {text, LOOM_TOPIC_MAX}, .content_type = {text, LOOM_CONTENT_TYPE_MAX},
        .tracestate = {text, LOOM_TRACESTATE_MAX}, .baggage = {text, LOOM_BAGGAGE_MAX},
        .headers = &header, .header_count = 1, .payload = {payload, LOOM_PAYLOAD_MAX}});
    free(payload);
}

/* ---- block_pool ---- */

static void pool_uses_a_block_again_for_whatever_is_about_as_large(void **state)
{
    (void)state;
    block_pool pool = {0};
    void *block = block_pool_take(&pool, 65);
    assert_non_null(block);
    block_pool_give(&pool, block, 65);
    assert_int_equal(128, pool.kept_bytes);
    assert_ptr_equal(block, block_pool_take(&pool, 128));
    assert_int_equal(0, pool.kept_bytes);
    block_pool_give(&pool, block, 128);
    void *other = block_pool_take(&pool, 64);
    assert_ptr_not_equal(block, other);
    block_pool_give(&pool, other, 64);
    block_pool_fini(&pool);
}

static void pool_keeps_no_more_than_its_bound_and_no_large_block(void **state)
{
    (void)state;
    enum { SIZE = 4096, COUNT = BLOCK_POOL_KEPT_MAX / SIZE + 10 };
    block_pool pool = {0};
    void **blocks = calloc(COUNT, sizeof *blocks);
    assert_non_null(blocks);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = block_pool_take(&pool, SIZE);
        assert_non_null(blocks[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        block_pool_give(&pool, blocks[i], SIZE);
    }
    assert_int_equal(BLOCK_POOL_KEPT_MAX, pool.kept_bytes);
    block_pool_fini(&pool);
    void *large = block_pool_take(&pool, SIZE + 1);
    assert_non_null(large);
    block_pool_give(&pool, large, SIZE + 1);
    assert_int_equal(0, pool.kept_bytes);
    free(blocks);
}

/* ---- topic_table ---- */

static void table_forgets_all_matches_rather_than_grow_past_its_bound(void **state)
{
    (void)state;
    topic_table table;
    topic_table_init(&table, 16);
    const uint32_t count = TOPIC_TABLE_MATCHES_MAX / 2 + 1;
    topic_match *matches = calloc(count, sizeof *matches);
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
        cmocka_unit_test(queue_gives_back_in_order_and_empty_holds_no_memory),
        cmocka_unit_test(message_in_two_queues_is_stored_until_both_have_given_it_out),
        cmocka_unit_test(queued_message_gives_back_the_view_it_was_made_of),
        cmocka_unit_test(a_large_queued_message_shares_the_block_it_came_in),
        cmocka_unit_test(queued_message_keeps_every_field_at_its_limit),
        cmocka_unit_test(pool_uses_a_block_again_for_whatever_is_about_as_large),
        cmocka_unit_test(pool_keeps_no_more_than_its_bound_and_no_large_block),
        cmocka_unit_test(table_forgets_all_matches_rather_than_grow_past_its_bound),
        cmocka_unit_test(table_checks_a_topic_it_does_not_know_and_takes_nothing_from_a_bad_one),
        cmocka_unit_test(table_of_one_topic_keeps_the_one_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
