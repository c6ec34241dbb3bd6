/* SPDX-License-Identifier: Apache-2.0 */
/* What one subscriber may cost the others: time its publishers are made to wait, and memory. */
#include <stdlib.h>

#include "tests/unit/broker/bus_fixture.h"

enum { START_MS = 1000, STALL_MS = 50, DEADLINE_MS = 20 * STALL_MS, QUEUE = 4 }; /* as they are by default */

typedef struct fixture {
    eventbus *bus;
    loop_clock clock;
    test_publisher p;
    test_subscriber a, b;
} fixture;

static int open_with(void **state, const eventbus_options *options)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->clock.now_ms = START_MS;
    assert_status(LOOM_OK, eventbus_create(&f->bus, &f->clock, options));
    assert_status(LOOM_OK, test_publisher_open(&f->p, f->bus));
    assert_status(LOOM_OK, test_subscriber_open(&f->a, f->bus, "a"));
    assert_status(LOOM_OK, test_subscriber_open(&f->b, f->bus, "b"));
    *state = f;
    return 0;
}

static int open_bus(void **state)
{
    return open_with(state, &(eventbus_options){.queue_messages = QUEUE});
}

static int close_bus(void **state)
{
    fixture *f = *state;
    assert_conserved(f->bus);
    eventbus_subscriber_close(f->a.handle);
    eventbus_subscriber_close(f->b.handle);
    eventbus_publisher_close(f->p.handle);
    assert_int_equal(UINT64_MAX, eventbus_next_deadline_ms(f->bus));
    eventbus_destroy(f->bus);
    free(f);
    return 0;
}

/* As a loop would: it wakes for each deadline on the way. */
static void pass(fixture *f, uint64_t ms)
{
    const uint64_t end = f->clock.now_ms + ms;
    for (uint64_t next; (next = eventbus_next_deadline_ms(f->bus)) <= end;) {
        f->clock.now_ms = next > f->clock.now_ms ? next : f->clock.now_ms;
        eventbus_expire(f->bus);
    }
    f->clock.now_ms = end;
}

/* Fills a queue of its own and counts for how long the publisher is held, at most limit_ms. */
static uint64_t held_by(fixture *f, test_subscriber *subscriber, uint64_t id, uint64_t limit_ms)
{
    uint64_t held = 0;
    assert_status(LOOM_OK, test_subscribe(subscriber, id, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, QUEUE + 1);
    for (; f->p.waits && held < limit_ms; held++) {
        pass(f, 1);
    }
    return held;
}

/* ---- time ---- */

static void a_subscriber_that_takes_nothing_holds_publishers_for_its_deadline(void **state)
{
    fixture *f = *state;
    assert_int_equal(STALL_MS, held_by(f, &f->a, 1, DEADLINE_MS));
    assert_true(test_subscription_stats(f->bus, 1).overdue);
}

static void one_that_takes_something_holds_them_for_twenty(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    uint64_t taken = 0, held = 0;
    for (test_publish_range(f->bus, &f->p, "t", 1, QUEUE); f->p.waits; held++) {
        pass(f, 1);
        if (held % (STALL_MS / 2) == 0) { /* and never comes down to half */
            eventbus_grant(f->a.handle, ++taken, UINT64_MAX);
            test_publish_range(f->bus, NULL, "t", 9, 9);
        }
    }
    assert_int_equal(DEADLINE_MS, held);
}

static void new_subscriptions_of_a_stalled_subscriber_hold_nobody(void **state)
{
    fixture *f = *state;
    uint64_t held = held_by(f, &f->a, 1, DEADLINE_MS);
    for (uint64_t id = 2; id < 42; id++) { /* for ten seconds, four times a second */
        assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, id - 1));
        held += held_by(f, &f->a, id, DEADLINE_MS);
        pass(f, 250);
    }
    assert_in_range(held, STALL_MS, STALL_MS + (held + 40 * 250) / 20 + STALL_MS);
}

static void leaving_while_others_wait_is_no_way_out_of_the_debt(void **state)
{
    fixture *f = *state;
    uint64_t held = 0;
    for (unsigned i = 0; i < 40; i++) {
        held += held_by(f, &f->a, 1, STALL_MS - 1); /* and goes just before it would be found out */
        eventbus_subscriber_close(f->a.handle);
        assert_status(LOOM_OK, test_subscriber_open(&f->a, f->bus, "a"));
        pass(f, 250);
    }
    assert_in_range(held, STALL_MS, 2 * STALL_MS + (held + 40 * 250) / 20);
}

static void another_subscriber_may_hold_all_the_same(void **state)
{
    fixture *f = *state;
    assert_int_equal(STALL_MS, held_by(f, &f->a, 1, DEADLINE_MS));
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_int_equal(STALL_MS, held_by(f, &f->b, 2, DEADLINE_MS));
}

static void one_that_keeps_up_may_hold_as_often_as_it_likes(void **state)
{
    fixture *f = *state;
    uint64_t granted = 0;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    for (uint32_t i = 0; i < 200; i++) {
        test_publish_range(f->bus, &f->p, "t", 1, QUEUE);
        assert_true(f->p.waits);
        pass(f, STALL_MS - 1);
        eventbus_grant(f->a.handle, granted += QUEUE, UINT64_MAX);
        assert_false(f->p.waits);
    }
    assert_int_equal(0, eventbus_get_stats(f->bus).dropped[EVENTBUS_DROP_DEADLINE]);
}

static int open_without_deadline(void **state)
{
    return open_with(state, &(eventbus_options){.queue_messages = QUEUE, .batched_deadline_ms = EVENTBUS_NO_DEADLINE});
}

static void without_a_deadline_nobody_waits(void **state)
{
    fixture *f = *state;
    assert_int_equal(0, held_by(f, &f->a, 1, DEADLINE_MS));
    assert_int_equal(0, f->p.on);
    assert_int_equal(1, eventbus_get_stats(f->bus).dropped[EVENTBUS_DROP_DEADLINE]);
}

/* ---- memory ---- */

enum { MESSAGES = 100 };

/* Room for MESSAGES in all; a quarter of the bytes for one subscriber. */
static int open_small_bus(void **state)
{
    const uint64_t size = test_message_size("t");
    return open_with(state, &(eventbus_options){
        .total_queue_bytes = MESSAGES * (size + EVENTBUS_MESSAGE_UPKEEP + 3 * sizeof(void *)),
        .subscriber_queue_bytes = MESSAGES / 4 * size,
    });
}

static void many_subscriptions_of_one_get_no_more_than_its_share(void **state)
{
    fixture *f = *state;
    for (uint64_t id = 0; id < 20; id++) {
        char topic[8];
        snprintf(topic, sizeof topic, "t%llu", (unsigned long long)id);
        assert_status(LOOM_OK, test_subscribe(&f->a, id, topic));
        test_publish_range(f->bus, NULL, topic, 1, 20);
    }
    const uint64_t queued = eventbus_get_stats(f->bus).queued;
    assert_in_range(queued, 1, MESSAGES / 4 + 1);
    assert_status(LOOM_OK, test_subscribe(&f->b, 1, "u"));
    test_publish_range(f->bus, NULL, "u", 1, MESSAGES / 4);
    assert_int_equal(queued + MESSAGES / 4, eventbus_get_stats(f->bus).queued); /* none of b's is lost */
    eventbus_grant(f->a.handle, UNLIMITED);
    eventbus_grant(f->b.handle, UNLIMITED);
    assert_int_equal(MESSAGES / 4, f->b.count);
}

static void realtime_queues_too_keep_to_the_share_of_their_subscriber(void **state)
{
    fixture *f = *state;
    for (uint64_t id = 0; id < 20; id++) {
        char topic[8];
        snprintf(topic, sizeof topic, "t%llu", (unsigned long long)id);
        assert_status(LOOM_OK, test_subscribe_with(&f->a, id, topic, LOOM_QOS_REALTIME, 0, 0));
        test_publish_range(f->bus, NULL, topic, 1, 20);
    }
    assert_in_range(eventbus_get_stats(f->bus).queued, 1, MESSAGES / 4);
}

static void a_message_that_several_queues_hold_is_paid_for_once(void **state)
{
    fixture *f = *state;
    enum { SHARING = 3 };
    for (uint64_t id = 0; id < SHARING; id++) {
        assert_status(LOOM_OK, test_subscribe(id % 2 == 0 ? &f->a : &f->b, id, "t"));
    }
    test_publish_range(f->bus, NULL, "t", 1, 10);
    assert_int_equal(SHARING * 10, eventbus_get_stats(f->bus).queued);
    assert_int_equal(0, eventbus_get_stats(f->bus).dropped[EVENTBUS_DROP_MEMORY]);
    eventbus_grant(f->a.handle, UNLIMITED);
    eventbus_grant(f->b.handle, UNLIMITED);
    assert_int_equal(SHARING * 10, f->a.count + f->b.count);
    test_publish_range(f->bus, NULL, "t", 1, 10); /* and all of it is given back */
    assert_int_equal(0, eventbus_get_stats(f->bus).queued_bytes);
}

static int open_few_subscriptions(void **state)
{
    return open_with(state, &(eventbus_options){.subscriber_subscriptions = 10, .max_subscriptions = 15,
                                                .subscriber_filter_bytes = 32 * 1024});
}

static void the_subscriptions_of_one_subscriber_are_limited_and_it_is_told_by_what(void **state)
{
    fixture *f = *state;
    char deep[LOOM_TOPIC_MAX + 1] = "a";
    for (size_t i = 1; i + 1 < LOOM_TOPIC_MAX; i += 2) {
        memcpy(deep + i, ".a", 3);
    }
    for (uint64_t id = 0; id < 10; id++) {
        assert_status(LOOM_OK, test_subscribe(&f->a, id, "t"));
    }
    const eventbus_subscription_options one = {.filter = STR("t")}, large = {.filter = str_of(deep)};
    assert_status(LOOM_EFULL, eventbus_subscribe(f->a.handle, 10, &one));
    assert_string_equal("the agent has as many subscriptions as one agent may have",
                        eventbus_subscribe_limit(f->a.handle, &one));
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 3));
    assert_status(LOOM_OK, eventbus_subscribe(f->a.handle, 10, &one));

    uint64_t id = 0;
    loom_status st;
    while ((st = eventbus_subscribe(f->b.handle, id, &large)) == LOOM_OK) {
        id++;
    }
    assert_status(LOOM_EFULL, st);
    assert_in_range(id, 1, 4);
    assert_string_equal("the agent's subscriptions take as much memory as one agent's may take",
                        eventbus_subscribe_limit(f->b.handle, &large));
    for (; eventbus_get_stats(f->bus).subscriptions < 15; id++) {
        assert_status(LOOM_OK, eventbus_subscribe(f->b.handle, id, &one));
    }
    assert_status(LOOM_EFULL, eventbus_subscribe(f->b.handle, id, &one));
    assert_string_equal("the broker has as many subscriptions as it may have", eventbus_subscribe_limit(f->b.handle, &one));
    eventbus_subscriber_close(f->a.handle);
    assert_status(LOOM_OK, test_subscriber_open(&f->a, f->bus, "a"));
    assert_status(LOOM_OK, eventbus_subscribe(f->a.handle, 0, &one));
}

int main(void)
{
#define TEST(name, open) cmocka_unit_test_setup_teardown(name, open, close_bus)
    const struct CMUnitTest tests[] = {
        TEST(a_subscriber_that_takes_nothing_holds_publishers_for_its_deadline, open_bus),
        TEST(one_that_takes_something_holds_them_for_twenty, open_bus),
        TEST(new_subscriptions_of_a_stalled_subscriber_hold_nobody, open_bus),
        TEST(leaving_while_others_wait_is_no_way_out_of_the_debt, open_bus),
        TEST(another_subscriber_may_hold_all_the_same, open_bus),
        TEST(one_that_keeps_up_may_hold_as_often_as_it_likes, open_bus),
        TEST(without_a_deadline_nobody_waits, open_without_deadline),
        TEST(many_subscriptions_of_one_get_no_more_than_its_share, open_small_bus),
        TEST(realtime_queues_too_keep_to_the_share_of_their_subscriber, open_small_bus),
        TEST(a_message_that_several_queues_hold_is_paid_for_once, open_small_bus),
        TEST(the_subscriptions_of_one_subscriber_are_limited_and_it_is_told_by_what, open_few_subscriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
