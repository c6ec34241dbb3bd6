/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to messages that have to wait: limits, push-back, deadlines, order of service. */
#include <stdlib.h>

#include "tests/unit/broker/bus_fixture.h"

typedef struct fixture {
    loop_clock clock;
    eventbus *bus;
    test_publisher p, q;
    test_subscriber a, b;
} fixture;

enum { START_MS = 1000, DEADLINE_MS = 50 };

static int open_with(void **state, const eventbus_options *options)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_status(LOOM_OK, eventbus_create(&f->bus, &f->clock, options));
    f->clock.now_ms = START_MS;
    assert_status(LOOM_OK, test_publisher_open(&f->p, f->bus));
    assert_status(LOOM_OK, test_publisher_open(&f->q, f->bus));
    assert_status(LOOM_OK, test_subscriber_open(&f->a, f->bus, "a"));
    assert_status(LOOM_OK, test_subscriber_open(&f->b, f->bus, "b"));
    *state = f;
    return 0;
}

static int open_bus(void **state)
{
    return open_with(state, &(eventbus_options){
        .queue_messages = 4, .batched_deadline_ms = DEADLINE_MS, .patience = 1, .hold_percent = 100});
}

static int open_patient_bus(void **state)
{
    return open_with(state, &(eventbus_options){
        .queue_messages = 4, .batched_deadline_ms = DEADLINE_MS, .patience = 20, .hold_percent = 50});
}

static int open_bus_that_has_just_begun(void **state)
{
    return open_with(state, &(eventbus_options){
        .queue_messages = 4, .batched_deadline_ms = DEADLINE_MS, .hold_percent = 100, .publish_hold_ms = START_MS + 100});
}

/* Room for three messages to "t" in all queues together. */
static int open_tight_bus(void **state)
{
    const uint32_t each = test_message_size("t") + EVENTBUS_MESSAGE_UPKEEP + sizeof(void *);
    return open_with(state, &(eventbus_options){.total_queue_bytes = 3 * each});
}

static int close_bus(void **state)
{
    fixture *f = *state;
    assert_conserved(f->bus);
    eventbus_subscriber_close(f->a.handle);
    eventbus_subscriber_close(f->b.handle);
    assert_false(f->p.waits);
    assert_false(f->q.waits);
    eventbus_publisher_close(f->p.handle);
    eventbus_publisher_close(f->q.handle);
    test_bus_settle(f->bus);
    assert_conserved(f->bus);
    assert_int_equal(0, eventbus_get_stats(f->bus).queued_bytes);
    assert_int_equal(UINT64_MAX, eventbus_next_deadline_ms(f->bus));
    eventbus_destroy(f->bus);
    free(f);
    return 0;
}

static uint64_t dropped(const fixture *f, eventbus_drop reason)
{
    return eventbus_get_stats(f->bus).dropped[reason];
}

static void at_ms(fixture *f, uint64_t ms)
{
    f->clock.now_ms = ms;
    eventbus_expire(f->bus);
}

/* ---- realtime ---- */

static void realtime_queue_drops_its_oldest_when_full_by_messages(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_REALTIME, 3, 0));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    eventbus_result result;
    assert_status(LOOM_OK, test_publish(f->bus, &f->p, &(test_message){.topic = "t", .number = 5}, &result));
    assert_int_equal(1, result.delivered);
    assert_int_equal(1, result.dropped);
    assert_int_equal(2, dropped(f, EVENTBUS_DROP_OLDEST));
    assert_int_equal(2, test_subscription_stats(f->bus, 1).dropped);
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_numbers(&f->a, 1, 3, 4, 5);
}

static void realtime_queue_drops_as_many_of_its_oldest_as_the_bytes_of_the_newest_need(void **state)
{
    fixture *f = *state;
    const uint32_t size = test_message_size("t");
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_REALTIME, 0, 3 * size));
    test_publish_range(f->bus, &f->p, "t", 1, 3);
    eventbus_result result;
    assert_status(LOOM_OK, test_publish(f->bus, &f->p, &(test_message){.topic = "t", .number = 4, .padding = size}, &result));
    assert_int_equal(2, result.dropped);
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_numbers(&f->a, 1, 3, 4);
}

static void realtime_queue_holds_one_message_of_any_length(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_REALTIME, 0, 10));
    test_publish_range(f->bus, &f->p, "t", 1, 2);
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_numbers(&f->a, 1, 2);
}

static void realtime_publisher_never_waits(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_REALTIME, 2, 0));
    test_publish_range(f->bus, &f->p, "t", 1, 9);
    assert_int_equal(0, f->p.on);
    assert_int_equal(0, eventbus_get_stats(f->bus).pressure);
}

/* ---- push-back ---- */

static void full_queue_still_takes_messages_and_makes_their_publisher_wait(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 3);
    assert_false(f->p.waits);
    test_publish_range(f->bus, &f->p, "t", 4, 6);
    assert_true(f->p.waits);
    assert_int_equal(1, f->p.on);
    assert_int_equal(1, eventbus_get_stats(f->bus).pressure);
    assert_true(test_subscription_stats(f->bus, 1).pressing);
    assert_int_equal(START_MS + DEADLINE_MS, eventbus_next_deadline_ms(f->bus));
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_numbers(&f->a, 1, 1, 2, 3, 4, 5, 6);
}

static void queue_full_by_bytes_makes_its_publisher_wait(void **state)
{
    fixture *f = *state;
    const uint32_t size = test_message_size("t");
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_BATCHED, 0, 2 * size));
    test_publish_range(f->bus, &f->p, "t", 1, 1);
    assert_false(f->p.waits);
    test_publish_range(f->bus, &f->p, "t", 2, 2);
    assert_true(f->p.waits);
    eventbus_grant(f->a.handle, 1, UINT64_MAX);
    assert_false(f->p.waits);
}

static void publisher_goes_on_when_the_queue_is_down_to_half(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    eventbus_grant(f->a.handle, 1, UINT64_MAX);
    assert_true(f->p.waits);
    eventbus_grant(f->a.handle, 2, UINT64_MAX);
    assert_false(f->p.waits);
    assert_int_equal(1, f->p.off);
    assert_false(test_subscription_stats(f->bus, 1).pressing);
    assert_int_equal(UINT64_MAX, eventbus_next_deadline_ms(f->bus));
}

static void publisher_pressed_by_several_is_told_once_and_goes_on_when_the_last_lets_go(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, test_subscribe(&f->b, 2, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    assert_int_equal(1, f->p.on);
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_true(f->p.waits);
    eventbus_grant(f->b.handle, UNLIMITED);
    assert_false(f->p.waits);
    assert_int_equal(1, f->p.off);
}

static void each_publisher_that_finds_the_queue_full_waits_and_all_go_on_together(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    assert_false(f->q.waits);
    test_publish_range(f->bus, &f->q, "t", 5, 5);
    assert_true(f->q.waits);
    eventbus_grant(f->a.handle, 3, UINT64_MAX);
    assert_false(f->p.waits);
    assert_false(f->q.waits);
}

static void nobody_to_push_back_on_means_the_newest_is_lost_at_the_limit(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, NULL, "t", 1, 6);
    assert_int_equal(2, dropped(f, EVENTBUS_DROP_DEADLINE));
    assert_false(test_subscription_stats(f->bus, 1).pressing);
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_numbers(&f->a, 1, 1, 2, 3, 4);
}

static void publisher_without_a_pressure_handler_cannot_be_pushed_back_on(void **state)
{
    fixture *f = *state;
    test_publisher deaf = {0};
    assert_status(LOOM_OK, eventbus_publisher_open(f->bus, &deaf.handle, NULL, NULL, (loom_str){NULL, 0}));
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &deaf, "t", 1, 6);
    assert_int_equal(2, dropped(f, EVENTBUS_DROP_DEADLINE));
    eventbus_publisher_close(deaf.handle);
}

/* ---- deadlines ---- */

static void deadline_lets_publishers_go_and_the_full_queue_loses_the_newest(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 5);
    at_ms(f, START_MS + DEADLINE_MS - 1);
    assert_true(f->p.waits);
    at_ms(f, START_MS + DEADLINE_MS);
    assert_false(f->p.waits);
    assert_true(test_subscription_stats(f->bus, 1).overdue);
    assert_int_equal(UINT64_MAX, eventbus_next_deadline_ms(f->bus));
    eventbus_result result;
    assert_status(LOOM_OK, test_publish(f->bus, &f->p, &(test_message){.topic = "t", .number = 6}, &result));
    assert_int_equal(1, result.matched);
    assert_int_equal(0, result.delivered);
    assert_int_equal(1, result.dropped);
    assert_false(f->p.waits);
    assert_int_equal(1, dropped(f, EVENTBUS_DROP_DEADLINE));
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_numbers(&f->a, 1, 1, 2, 3, 4, 5);
}

static void overdue_queue_takes_messages_below_its_limit_without_pushing_back(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    at_ms(f, START_MS + DEADLINE_MS);
    eventbus_grant(f->a.handle, 1, UINT64_MAX);
    test_publish_range(f->bus, &f->p, "t", 5, 6);
    assert_false(f->p.waits);
    assert_int_equal(1, dropped(f, EVENTBUS_DROP_DEADLINE));
    assert_true(test_subscription_stats(f->bus, 1).overdue);
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_numbers(&f->a, 1, 1, 2, 3, 4, 5);
}

static void overdue_queue_is_normal_again_at_half(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    at_ms(f, START_MS + DEADLINE_MS);
    eventbus_grant(f->a.handle, 2, UINT64_MAX);
    assert_false(test_subscription_stats(f->bus, 1).overdue);
    test_publish_range(f->bus, &f->p, "t", 5, 7);
    assert_true(f->p.waits);
    assert_int_equal(0, dropped(f, EVENTBUS_DROP_DEADLINE));
}

static void publishers_wait_again_for_a_subscriber_that_had_only_paused(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    const uint64_t let_go = START_MS + DEADLINE_MS, paid_off = let_go + 100; /* some of its debt */
    at_ms(f, let_go);
    assert_true(test_subscription_stats(f->bus, 1).overdue);
    at_ms(f, paid_off);
    eventbus_grant(f->a.handle, 1, UINT64_MAX);
    test_publish_range(f->bus, &f->p, "t", 5, 6);
    assert_true(f->p.waits);
    assert_false(test_subscription_stats(f->bus, 1).overdue);
    assert_int_equal(0, dropped(f, EVENTBUS_DROP_DEADLINE));
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_false(f->p.waits);
    assert_numbers(&f->a, 1, 1, 2, 3, 4, 5, 6);
}

static void deadline_counts_at_publish_even_before_expire_is_called(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    f->clock.now_ms = START_MS + DEADLINE_MS;
    test_publish_range(f->bus, &f->p, "t", 5, 5);
    assert_false(f->p.waits);
    assert_int_equal(1, dropped(f, EVENTBUS_DROP_DEADLINE));
}

static void subscriptions_expire_each_at_its_own_deadline(void **state)
{
    fixture *f = *state;
    enum { COUNT = 20 };
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_status(LOOM_OK, eventbus_subscribe(f->a.handle, i, &(eventbus_subscription_options){
            .filter = STR("t"), .queue_messages = 1, .deadline_ms = 1 + (i * 7) % COUNT}));
    }
    test_publish_range(f->bus, &f->p, "t", 1, 1);
    for (uint64_t ms = 1; ms <= COUNT; ms++) {
        assert_int_equal(START_MS + ms, eventbus_next_deadline_ms(f->bus));
        assert_true(f->p.waits);
        at_ms(f, START_MS + ms);
    }
    assert_false(f->p.waits);
}

static void of_many_subscriptions_that_are_due_some_let_go_at_a_time(void **state)
{
    fixture *f = *state;
    enum { COUNT = 200 };
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_status(LOOM_OK, eventbus_subscribe(f->a.handle, i, &(eventbus_subscription_options){
            .filter = STR("t"), .queue_messages = 1, .deadline_ms = 10}));
    }
    test_publish_range(f->bus, &f->p, "t", 1, 1);
    at_ms(f, START_MS + 10);
    assert_true(f->p.waits);
    assert_true(eventbus_next_deadline_ms(f->bus) <= START_MS + 10);
    for (uint32_t looks = 0; eventbus_next_deadline_ms(f->bus) <= START_MS + 10; looks++) {
        assert_true(looks < COUNT);
        eventbus_expire(f->bus);
    }
    assert_false(f->p.waits);
    assert_int_equal(1, f->p.off);
}

static void asking_for_more_than_the_default_gives_the_default(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, eventbus_subscribe(f->a.handle, 1, &(eventbus_subscription_options){
        .filter = STR("t"), .queue_messages = 1000, .deadline_ms = 1000}));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    assert_true(f->p.waits);
    assert_int_equal(START_MS + DEADLINE_MS, eventbus_next_deadline_ms(f->bus));
}

static void background_queue_is_four_times_as_large(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_BACKGROUND, 0, 0));
    test_publish_range(f->bus, &f->p, "t", 1, 15);
    assert_false(f->p.waits);
    test_publish_range(f->bus, &f->p, "t", 16, 16);
    assert_true(f->p.waits);
}

/* ---- memory ---- */

static void bound_of_all_queues_drops_the_newest(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 5);
    assert_int_equal(2, dropped(f, EVENTBUS_DROP_MEMORY));
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_numbers(&f->a, 1, 1, 2, 3);
}

static void bound_of_all_queues_costs_a_realtime_queue_its_own_oldest(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_REALTIME, 0, 0));
    assert_status(LOOM_OK, test_subscribe(&f->b, 2, "u"));
    test_publish_range(f->bus, &f->p, "u", 1, 2);
    test_publish_range(f->bus, &f->p, "t", 3, 5);
    assert_int_equal(2, dropped(f, EVENTBUS_DROP_MEMORY));
    eventbus_grant(f->a.handle, UNLIMITED);
    eventbus_grant(f->b.handle, UNLIMITED);
    assert_numbers(&f->a, 1, 5);
    assert_numbers(&f->b, 2, 1, 2);
}

/* ---- order of service ---- */

static void grant_serves_realtime_then_batched_then_background(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_BACKGROUND, 0, 0));
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 2, "t", LOOM_QOS_BATCHED, 0, 0));
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 3, "t", LOOM_QOS_REALTIME, 0, 0));
    test_publish_range(f->bus, &f->p, "t", 1, 3);
    eventbus_grant(f->a.handle, UNLIMITED);
    static const uint64_t order[] = {3, 3, 3, 2, 2, 2, 1, 1, 1};
    assert_int_equal(9, f->a.count);
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(order[i], f->a.got[i].subscription);
    }
}

static void subscriptions_of_one_class_take_turns(void **state)
{
    fixture *f = *state;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_status(LOOM_OK, test_subscribe(&f->a, id, "t"));
    }
    test_publish_range(f->bus, &f->p, "t", 1, 3);
    for (uint64_t credit = 1; credit <= 9; credit++) {
        eventbus_grant(f->a.handle, credit, UINT64_MAX);
    }
    for (size_t i = 0; i < 9; i += 3) {
        uint64_t seen = 0;
        for (size_t j = i; j < i + 3; j++) {
            seen |= UINT64_C(1) << f->a.got[j].subscription;
        }
        assert_int_equal(0xe, seen);
    }
    assert_numbers(&f->a, 1, 1, 2, 3);
    assert_numbers(&f->a, 2, 1, 2, 3);
    assert_numbers(&f->a, 3, 1, 2, 3);
}

static void long_queue_yields_to_another_of_its_class_after_a_batch(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->b, 1, "long", LOOM_QOS_BATCHED, 0, 0));
    assert_status(LOOM_OK, test_subscribe_with(&f->b, 2, "short", LOOM_QOS_BATCHED, 0, 0));
    test_publish_range(f->bus, &f->p, "long", 1, 200); /* on its way: taken over the limit */
    test_publish_range(f->bus, &f->p, "short", 1, 1);
    eventbus_grant(f->b.handle, 100, UINT64_MAX);
    assert_numbers(&f->b, 2, 1);
}

/* ---- coming and going ---- */

static void what_an_ended_subscription_held_is_gone_and_counted(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, test_subscribe(&f->a, 2, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 3);
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_int_equal(3, dropped(f, EVENTBUS_DROP_GONE));
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_numbers(&f->a, 2, 1, 2, 3);
    assert_int_equal(3, f->a.count);
}

/* Others wait for it, so whoever ends subscriptions is charged for it. */
static void what_an_ended_subscription_held_is_work(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_REALTIME, 100, 0));
    test_publish_range(f->bus, &f->p, "t", 1, 50);
    const uint64_t before = eventbus_work(f->bus), queued = eventbus_get_stats(f->bus).queued;
    assert_true(queued > 0);
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_int_equal(before + queued, eventbus_work(f->bus));
}

static void ending_a_pressing_subscription_lets_its_publishers_go(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    assert_true(f->p.waits);
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_false(f->p.waits);
    assert_int_equal(UINT64_MAX, eventbus_next_deadline_ms(f->bus));
}

static void closing_a_pressing_subscriber_lets_its_publishers_go(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 2, "t", LOOM_QOS_BACKGROUND, 1, 0));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    assert_true(f->p.waits);
    eventbus_subscriber_close(f->a.handle);
    f->a.handle = NULL;
    assert_false(f->p.waits);
    assert_int_equal(8, dropped(f, EVENTBUS_DROP_GONE));
}

static bool count_visit(void *user, const eventbus_subscription_stats *s)
{
    (void)s;
    ++*(uint32_t *)user;
    return true;
}

static void only_those_are_looked_at_for_whom_something_waits_or_was_lost(void **state)
{
    fixture *f = *state;
    uint32_t visits = 0;
    for (uint32_t i = 1; i <= EVENTBUS_UNWELL_MAX + 10; i++) {
        assert_status(LOOM_OK, test_subscribe(&f->a, i, "well"));
    }
    assert_status(LOOM_OK, test_subscribe_with(&f->b, 1, "t", LOOM_QOS_REALTIME, 1, 0));
    eventbus_visit_unwell(f->bus, count_visit, &visits);
    assert_int_equal(0, visits);
    test_publish_range(f->bus, &f->p, "t", 1, 2);
    eventbus_visit_unwell(f->bus, count_visit, &visits);
    assert_int_equal(1, visits);
    eventbus_grant(f->b.handle, UNLIMITED);
    eventbus_visit_unwell(f->bus, count_visit, &visits);
    assert_int_equal(2, visits); /* it has lost one */
    assert_status(LOOM_OK, test_publish(f->bus, NULL, &(test_message){.topic = "well"}, NULL));
    visits = 0;
    eventbus_visit_unwell(f->bus, count_visit, &visits);
    assert_int_equal(1 + EVENTBUS_UNWELL_MAX, visits);
    visits = 0;
    eventbus_visit_subscriptions(f->bus, 3, count_visit, &visits);
    assert_int_equal(1 + 3, visits);
}

static void closing_an_overdue_subscriber_is_quiet(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    at_ms(f, START_MS + DEADLINE_MS);
    eventbus_subscriber_close(f->a.handle);
    f->a.handle = NULL;
    assert_int_equal(1, f->p.off);
}

static void closing_a_waiting_publisher_does_not_put_the_deadline_off(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    eventbus_publisher_close(f->p.handle);
    assert_int_equal(0, f->p.off);
    f->p = (test_publisher){0};
    f->clock.now_ms = START_MS + 10;
    test_publish_range(f->bus, &f->q, "t", 5, 5);
    assert_true(f->q.waits);
    assert_int_equal(START_MS + DEADLINE_MS, eventbus_next_deadline_ms(f->bus));
}

static void closing_one_waiting_publisher_leaves_the_other_waiting(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, test_subscribe(&f->b, 2, "t"));
    test_publish_range(f->bus, &f->p, "t", 1, 4);
    test_publish_range(f->bus, &f->q, "t", 5, 5);
    eventbus_publisher_close(f->p.handle);
    f->p = (test_publisher){0};
    assert_true(f->q.waits);
    eventbus_grant(f->a.handle, UNLIMITED);
    eventbus_grant(f->b.handle, UNLIMITED);
    assert_false(f->q.waits);
}

static void in_the_first_moments_publishers_wait_and_then_go_on_together(void **state)
{
    fixture *f = *state;
    assert_true(f->p.waits);
    assert_true(f->q.waits);
    assert_int_equal(START_MS + 100, eventbus_next_deadline_ms(f->bus));
    f->clock.now_ms = START_MS + 99;
    eventbus_expire(f->bus);
    assert_true(f->p.waits);
    f->clock.now_ms = START_MS + 100;
    eventbus_expire(f->bus);
    assert_false(f->p.waits);
    assert_false(f->q.waits);
    test_publisher late;
    assert_status(LOOM_OK, test_publisher_open(&late, f->bus));
    assert_int_equal(0, late.on);
    eventbus_publisher_close(late.handle);
}

static void of_many_publishers_that_waited_in_the_first_moments_some_go_on_at_a_time(void **state)
{
    fixture *f = *state;
    enum { COUNT = 200 };
    test_publisher many[COUNT];
    for (int i = 0; i < COUNT; i++) {
        assert_status(LOOM_OK, test_publisher_open(&many[i], f->bus));
    }
    f->clock.now_ms = START_MS + 100;
    for (int waiting = COUNT, before; waiting > 0;) {
        before = waiting;
        waiting = 0;
        assert_true(eventbus_next_deadline_ms(f->bus) <= START_MS + 100);
        eventbus_expire(f->bus);
        for (int i = 0; i < COUNT; i++) {
            waiting += many[i].waits;
        }
        assert_in_range(before - waiting, 1, 50);
    }
    while (eventbus_next_deadline_ms(f->bus) <= START_MS + 100) { /* those of the fixture */
        eventbus_expire(f->bus);
    }
    assert_false(f->p.waits);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(1, many[i].off);
        eventbus_publisher_close(many[i].handle);
    }
}

static void a_full_queue_goes_on_holding_when_the_first_moments_are_over(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    f->clock.now_ms = START_MS + 90;
    test_publish_range(f->bus, &f->p, "t", 1, 5); /* what was on its way is taken */
    assert_int_equal(1, f->p.on);
    eventbus_publisher_close(f->q.handle); /* one that waits may leave */
    f->clock.now_ms = START_MS + 100;
    eventbus_expire(f->bus);
    assert_true(f->p.waits);
    assert_status(LOOM_OK, test_publisher_open(&f->q, f->bus));
    assert_false(f->q.waits);
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_false(f->p.waits);
    assert_int_equal(1, f->p.off);
}

int main(void)
{
#define BUS_TEST(name) cmocka_unit_test_setup_teardown(name, open_bus, close_bus)
#define NEW_BUS_TEST(name) cmocka_unit_test_setup_teardown(name, open_bus_that_has_just_begun, close_bus)
#define TIGHT_BUS_TEST(name) cmocka_unit_test_setup_teardown(name, open_tight_bus, close_bus)
    const struct CMUnitTest tests[] = {
        BUS_TEST(realtime_queue_drops_its_oldest_when_full_by_messages),
        BUS_TEST(realtime_queue_drops_as_many_of_its_oldest_as_the_bytes_of_the_newest_need),
        BUS_TEST(realtime_queue_holds_one_message_of_any_length),
        BUS_TEST(realtime_publisher_never_waits),
        BUS_TEST(full_queue_still_takes_messages_and_makes_their_publisher_wait),
        BUS_TEST(queue_full_by_bytes_makes_its_publisher_wait),
        BUS_TEST(publisher_goes_on_when_the_queue_is_down_to_half),
        BUS_TEST(publisher_pressed_by_several_is_told_once_and_goes_on_when_the_last_lets_go),
        BUS_TEST(each_publisher_that_finds_the_queue_full_waits_and_all_go_on_together),
        BUS_TEST(nobody_to_push_back_on_means_the_newest_is_lost_at_the_limit),
        BUS_TEST(publisher_without_a_pressure_handler_cannot_be_pushed_back_on),
        BUS_TEST(deadline_lets_publishers_go_and_the_full_queue_loses_the_newest),
        BUS_TEST(overdue_queue_takes_messages_below_its_limit_without_pushing_back),
        BUS_TEST(overdue_queue_is_normal_again_at_half),
        cmocka_unit_test_setup_teardown(publishers_wait_again_for_a_subscriber_that_had_only_paused, open_patient_bus, close_bus),
        BUS_TEST(deadline_counts_at_publish_even_before_expire_is_called),
        BUS_TEST(subscriptions_expire_each_at_its_own_deadline),
        BUS_TEST(of_many_subscriptions_that_are_due_some_let_go_at_a_time),
        BUS_TEST(asking_for_more_than_the_default_gives_the_default),
        BUS_TEST(background_queue_is_four_times_as_large),
        TIGHT_BUS_TEST(bound_of_all_queues_drops_the_newest),
        TIGHT_BUS_TEST(bound_of_all_queues_costs_a_realtime_queue_its_own_oldest),
        BUS_TEST(grant_serves_realtime_then_batched_then_background),
        BUS_TEST(subscriptions_of_one_class_take_turns),
        BUS_TEST(long_queue_yields_to_another_of_its_class_after_a_batch),
        BUS_TEST(what_an_ended_subscription_held_is_gone_and_counted),
        BUS_TEST(what_an_ended_subscription_held_is_work),
        BUS_TEST(ending_a_pressing_subscription_lets_its_publishers_go),
        BUS_TEST(closing_a_pressing_subscriber_lets_its_publishers_go),
        BUS_TEST(only_those_are_looked_at_for_whom_something_waits_or_was_lost),
        BUS_TEST(closing_an_overdue_subscriber_is_quiet),
        BUS_TEST(closing_a_waiting_publisher_does_not_put_the_deadline_off),
        BUS_TEST(closing_one_waiting_publisher_leaves_the_other_waiting),
        NEW_BUS_TEST(in_the_first_moments_publishers_wait_and_then_go_on_together),
        NEW_BUS_TEST(of_many_publishers_that_waited_in_the_first_moments_some_go_on_at_a_time),
        NEW_BUS_TEST(a_full_queue_goes_on_holding_when_the_first_moments_are_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
