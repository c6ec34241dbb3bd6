/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribers that go with much: it is taken down in slices, and everybody sees what they would see if it were gone at once. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/broker/bus_fixture.h"

enum { MANY = 2000, A_TURN = 64 + MANY / 256, GROUPS = 200 };

typedef struct fixture {
    loop_clock clock;
    eventbus *bus;
    test_publisher publisher;
    test_subscriber gone, other;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->clock.now_ms = 1000;
    assert_status(LOOM_OK, eventbus_create(&f->bus, &f->clock, NULL));
    assert_status(LOOM_OK, test_publisher_open(&f->publisher, f->bus));
    assert_status(LOOM_OK, test_subscriber_open(&f->gone, f->bus, "gone"));
    assert_status(LOOM_OK, test_subscriber_open(&f->other, f->bus, "other"));
    *state = f;
    return 0;
}

static void leave(test_subscriber *s)
{
    eventbus_subscriber_close(s->handle);
    s->handle = NULL;
}

static int teardown(void **state)
{
    fixture *f = *state;
    leave(&f->gone);
    leave(&f->other);
    eventbus_publisher_close(f->publisher.handle);
    assert_conserved(f->bus);
    eventbus_destroy(f->bus); /* with whatever is left of them */
    free(f);
    return 0;
}

static eventbus_stats stats_of(const fixture *f)
{
    return eventbus_get_stats(f->bus);
}

static void subscribe_many(test_subscriber *s, const char *format)
{
    for (unsigned i = 0; i < MANY; i++) {
        char filter[64];
        snprintf(filter, sizeof filter, format, i);
        assert_status(LOOM_OK, test_subscribe(s, 1000 + i, filter));
    }
}

static eventbus_result publish(fixture *f, const char *topic)
{
    eventbus_result result;
    assert_status(LOOM_OK, test_publish(f->bus, &f->publisher, &(test_message){.topic = topic}, &result));
    return result;
}

static void subscriptions_of_one_that_has_gone_end_a_few_at_a_time(void **state)
{
    fixture *f = *state;
    subscribe_many(&f->gone, "of.its.own.%u");
    leave(&f->gone);
    assert_int_equal(1, stats_of(f).subscribers);
    uint32_t left = MANY;
    for (unsigned turns = 0; eventbus_next_deadline_ms(f->bus) == 0; turns++) {
        assert_in_range(left - stats_of(f).subscriptions, 1, A_TURN);
        assert_in_range(turns, 0, MANY);
        left = stats_of(f).subscriptions;
        eventbus_expire(f->bus);
    }
    assert_int_equal(0, stats_of(f).subscriptions);
    assert_int_equal(0, eventbus_get_memory(f->bus).filters);
    assert_int_equal(UINT64_MAX, eventbus_next_deadline_ms(f->bus));
}

static void nothing_reaches_one_that_has_gone_or_counts_as_matched(void **state)
{
    fixture *f = *state;
    subscribe_many(&f->gone, "topic");
    assert_status(LOOM_OK, test_subscribe(&f->other, 1, "topic"));
    eventbus_grant(f->gone.handle, UNLIMITED);
    eventbus_grant(f->other.handle, UNLIMITED);
    leave(&f->gone);
    const uint64_t work = eventbus_work(f->bus);
    const eventbus_result result = publish(f, "topic");
    assert_int_equal(1, result.matched);
    assert_int_equal(1, result.delivered);
    assert_int_equal(0, f->gone.count);
    assert_int_equal(1, f->other.count);
    assert_in_range(eventbus_work(f->bus) - work, MANY / 2, MANY + 10); /* it was work all the same */
    assert_int_equal(1, stats_of(f).matched);
    test_bus_settle(f->bus);
    assert_int_equal(1, publish(f, "topic").matched);
    assert_int_equal(0, f->gone.count);
}

static void what_waits_for_one_that_has_gone_is_dropped_a_few_at_a_time(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->gone, 1, "topic"));
    test_publish_range(f->bus, NULL, "topic", 1, MANY);
    leave(&f->gone);
    uint64_t left = MANY;
    for (; eventbus_next_deadline_ms(f->bus) == 0; eventbus_expire(f->bus)) {
        assert_in_range(left - stats_of(f).queued, 1, 256);
        assert_conserved(f->bus);
        left = stats_of(f).queued;
    }
    assert_int_equal(MANY, stats_of(f).dropped[EVENTBUS_DROP_GONE]);
    assert_int_equal(0, eventbus_get_memory(f->bus).messages);
}

static void publishers_go_on_at_once_however_much_is_left(void **state)
{
    fixture *f = *state;
    subscribe_many(&f->gone, "of.its.own.%u");
    assert_status(LOOM_OK, test_subscribe_with(&f->gone, 1, "held", LOOM_QOS_BATCHED, 1, 0));
    subscribe_many(&f->other, "of.the.others.%u");
    assert_status(LOOM_OK, test_subscribe_with(&f->other, 1, "held.too", LOOM_QOS_BATCHED, 1, 0));
    (void)publish(f, "held");
    (void)publish(f, "held.too");
    assert_true(f->publisher.waits);
    leave(&f->gone);
    assert_true(f->publisher.waits);
    leave(&f->other);
    assert_false(f->publisher.waits);
    assert_in_range(stats_of(f).subscriptions, MANY, 2 * MANY);
    assert_int_equal(0, publish(f, "held").matched);
    assert_false(f->publisher.waits);
}

static const eventbus_subscription_options in_group = {.filter = {"work", 4}, .group = {"g", 1}, .qos = LOOM_QOS_BATCHED};

static void groups_do_not_choose_one_that_has_gone(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, eventbus_subscribe(f->gone.handle, 1, &in_group));
    assert_status(LOOM_OK, eventbus_subscribe(f->other.handle, 1, &in_group));
    subscribe_many(&f->gone, "of.its.own.%u");
    eventbus_grant(f->gone.handle, UNLIMITED);
    eventbus_grant(f->other.handle, 1000, UINT64_MAX);
    leave(&f->gone);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(1, publish(f, "work").delivered);
    }
    assert_int_equal(0, f->gone.count);
    assert_int_equal(10, f->other.count);
}

static void a_group_of_members_that_have_gone_is_nobodys(void **state)
{
    fixture *f = *state;
    char names[GROUPS][8];
    for (unsigned i = 0; i < GROUPS; i++) {
        snprintf(names[i], sizeof names[i], "g%u", i);
        assert_status(LOOM_OK, eventbus_subscribe(f->gone.handle, i, &(eventbus_subscription_options){
            .filter = {"work", 4}, .group = {names[i], strlen(names[i])}, .qos = LOOM_QOS_BATCHED}));
    }
    leave(&f->gone);
    assert_in_range(stats_of(f).groups, 1, GROUPS - 1);
    for (unsigned i = 0; i < GROUPS; i++) { /* in another way, which a group does not allow its members */
        assert_status(LOOM_OK, eventbus_subscribe(f->other.handle, i, &(eventbus_subscription_options){
            .filter = {"work", 4}, .group = {names[i], strlen(names[i])}, .qos = LOOM_QOS_REALTIME}));
    }
    assert_int_equal(GROUPS, stats_of(f).groups);
    eventbus_grant(f->other.handle, UNLIMITED);
    assert_int_equal(GROUPS, publish(f, "work").matched);
    assert_int_equal(GROUPS, f->other.count);
}

static void what_waits_in_a_group_that_ends_is_dropped_a_few_at_a_time(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, eventbus_subscribe(f->gone.handle, 1, &in_group));
    test_publish_range(f->bus, NULL, "work", 1, MANY);
    assert_status(LOOM_OK, eventbus_unsubscribe(f->gone.handle, 1));
    assert_int_equal(0, stats_of(f).groups);
    assert_in_range(stats_of(f).queued, MANY - 256, MANY - 1);
    assert_status(LOOM_OK, eventbus_subscribe(f->other.handle, 1, &in_group));
    eventbus_grant(f->other.handle, UNLIMITED);
    assert_int_equal(0, f->other.count); /* another group of the same name */
    test_bus_settle(f->bus);
    assert_int_equal(MANY, stats_of(f).dropped[EVENTBUS_DROP_GONE]);
}

static void an_agent_that_is_back_at_once_finds_nothing_of_its_own(void **state)
{
    fixture *f = *state;
    subscribe_many(&f->gone, "topic");
    leave(&f->gone);
    assert_status(LOOM_OK, test_subscriber_open(&f->gone, f->bus, "gone"));
    assert_status(LOOM_OK, test_subscribe(&f->gone, 1000, "topic"));
    eventbus_grant(f->gone.handle, UNLIMITED);
    assert_int_equal(1, publish(f, "topic").matched);
    test_bus_settle(f->bus);
    assert_int_equal(1, stats_of(f).subscriptions);
    assert_int_equal(1, publish(f, "topic").matched);
    assert_int_equal(2, f->gone.count);
}

static void its_debt_is_known_before_all_of_it_has_gone(void **state)
{
    fixture *f = *state;
    subscribe_many(&f->gone, "of.its.own.%u");
    assert_status(LOOM_OK, test_subscribe_with(&f->gone, 1, "held", LOOM_QOS_BATCHED, 1, 0));
    (void)publish(f, "held");
    f->clock.now_ms += 49;
    eventbus_expire(f->bus);
    assert_true(f->publisher.waits);
    leave(&f->gone);
    f->clock.now_ms++;
    assert_status(LOOM_OK, test_subscriber_open(&f->gone, f->bus, "gone"));
    assert_status(LOOM_OK, test_subscribe_with(&f->gone, 1, "held", LOOM_QOS_BATCHED, 1, 0));
    (void)publish(f, "held");
    assert_true(f->publisher.waits); /* it owes 49 of 50 ms */
    f->clock.now_ms += 2;
    leave(&f->gone);
    assert_status(LOOM_OK, test_subscriber_open(&f->gone, f->bus, "gone"));
    assert_status(LOOM_OK, test_subscribe_with(&f->gone, 1, "held", LOOM_QOS_BATCHED, 1, 0));
    (void)publish(f, "held");
    assert_false(f->publisher.waits);
}

#define BUS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUS_TEST(subscriptions_of_one_that_has_gone_end_a_few_at_a_time),
        BUS_TEST(nothing_reaches_one_that_has_gone_or_counts_as_matched),
        BUS_TEST(what_waits_for_one_that_has_gone_is_dropped_a_few_at_a_time),
        BUS_TEST(publishers_go_on_at_once_however_much_is_left),
        BUS_TEST(groups_do_not_choose_one_that_has_gone),
        BUS_TEST(a_group_of_members_that_have_gone_is_nobodys),
        BUS_TEST(what_waits_in_a_group_that_ends_is_dropped_a_few_at_a_time),
        BUS_TEST(an_agent_that_is_back_at_once_finds_nothing_of_its_own),
        BUS_TEST(its_debt_is_known_before_all_of_it_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
