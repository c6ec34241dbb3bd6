/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once: opening and subscribing report it, publishing carries on and counts what it lost. */
#include <stdlib.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/broker/bus_fixture.h"

/* Kept out of the scenarios' allocations. */
static const loop_clock clock_at_rest;
static test_subscriber subscriber;

static loom_status create_only(void *user)
{
    (void)user;
    eventbus *bus;
    const loom_status st = eventbus_create(&bus, &clock_at_rest, NULL);
    assert_int_equal(st == LOOM_OK, bus != NULL);
    eventbus_destroy(bus);
    return st;
}

static void creating_reports_out_of_memory(void **state)
{
    (void)state;
    alloc_fault_each(create_only, NULL);
}

static loom_status open_publisher_and_subscriber(void *user)
{
    eventbus *bus = user;
    test_publisher publisher;
    loom_status st = test_publisher_open(&publisher, bus);
    if (st == LOOM_OK) {
        st = test_subscriber_open(&subscriber, bus, "s");
        if (st == LOOM_OK) {
            eventbus_subscriber_close(subscriber.handle);
        }
    }
    eventbus_publisher_close(publisher.handle);
    return st;
}

static void opening_reports_out_of_memory(void **state)
{
    (void)state;
    eventbus *bus;
    assert_status(LOOM_OK, eventbus_create(&bus, &clock_at_rest, NULL));
    alloc_fault_each(open_publisher_and_subscriber, bus);
    eventbus_destroy(bus);
}

static loom_status subscribe_twenty(void *user)
{
    eventbus *bus = user;
    loom_status st = test_subscriber_open(&subscriber, bus, "s");
    if (st != LOOM_OK) {
        return st;
    }
    for (uint64_t id = 0; id < 20 && st == LOOM_OK; id++) {
        char filter[16];
        snprintf(filter, sizeof filter, "a.%u.*", (unsigned)id);
        st = eventbus_subscribe(subscriber.handle, id, &(eventbus_subscription_options){
            .filter = str_of(filter), .types = &STR("x"), .type_count = 1});
        assert_int_equal(st == LOOM_OK ? id + 1 : id, eventbus_get_stats(bus).subscriptions);
    }
    eventbus_subscriber_close(subscriber.handle);
    assert_int_equal(0, eventbus_get_stats(bus).subscriptions);
    return st;
}

/* The index of subscriptions grows if it can; that one failure is not reported, for nothing is lost by it. */
static void subscribing_leaves_nothing_behind_when_out_of_memory(void **state)
{
    (void)state;
    eventbus *bus;
    assert_status(LOOM_OK, eventbus_create(&bus, &clock_at_rest, NULL));
    alloc_fault_each_survived(subscribe_twenty, bus);
    eventbus_destroy(bus);
}

static loom_status subscribe_once(void *user)
{
    eventbus *bus;
    (void)user;
    loom_status st = eventbus_create(&bus, &clock_at_rest, NULL);
    if (st != LOOM_OK) {
        return st;
    }
    st = test_subscriber_open(&subscriber, bus, "s");
    if (st == LOOM_OK) {
        st = test_subscribe(&subscriber, 1, "a.*.>");
        eventbus_subscriber_close(subscriber.handle);
    }
    eventbus_destroy(bus);
    return st;
}

static void subscribing_reports_out_of_memory(void **state)
{
    (void)state;
    alloc_fault_each(subscribe_once, NULL);
}

/* Two members, a message that waits, and the end of both. */
static loom_status share(void *user)
{
    (void)user;
    static test_subscriber other;
    eventbus *bus;
    loom_status st = eventbus_create(&bus, &clock_at_rest, NULL);
    if (st != LOOM_OK) {
        return st;
    }
    const eventbus_subscription_options options = {.filter = STR("a.*"), .group = STR("workers")};
    st = test_subscriber_open(&subscriber, bus, "s");
    if (st == LOOM_OK) {
        st = test_subscriber_open(&other, bus, "t");
        for (uint64_t id = 0; id < 6 && st == LOOM_OK; id++) { /* more than a group has room for at first */
            st = eventbus_subscribe(id % 2 == 0 ? subscriber.handle : other.handle, id, &options);
            assert_int_equal(st == LOOM_OK ? id + 1 : id, eventbus_get_stats(bus).subscriptions);
            assert_int_equal(st == LOOM_OK || id > 0, eventbus_get_stats(bus).groups);
        }
        eventbus_subscriber_close(subscriber.handle);
        eventbus_subscriber_close(other.handle);
    }
    assert_int_equal(0, eventbus_get_stats(bus).groups);
    eventbus_destroy(bus);
    return st;
}

static void joining_a_group_reports_out_of_memory(void **state)
{
    (void)state;
    alloc_fault_each(share, NULL);
}

typedef struct queueing {
    eventbus *bus;
    test_publisher publisher;
} queueing;

/* Two that queue, one with credit: the one with credit gets its message whatever memory there is. */
static loom_status publish_with_queueing(void *user)
{
    queueing *q = user;
    uint8_t wire[512];
    loom_envelope *env;
    loom_status st = loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t"), .payload = {(const uint8_t *)"abcd", 4}});
    if (st != LOOM_OK) {
        return st;
    }
    const loom_bytes encoded = loom_envelope_wire(env);
    memcpy(wire, encoded.data, encoded.len);
    envelope_view view = *envelope_as_view(env);
    view.data = wire;
    const eventbus_stats before = eventbus_get_stats(q->bus);
    eventbus_result result;
    assert_status(LOOM_OK, eventbus_publish(q->bus, q->publisher.handle, &view, wire, &result));
    const eventbus_stats after = eventbus_get_stats(q->bus);
    loom_envelope_unref(env);
    assert_int_equal(3, result.matched);
    assert_int_equal(3, result.delivered + result.dropped);
    assert_int_equal(1, after.delivered - before.delivered);
    assert_int_equal(result.dropped, after.dropped[EVENTBUS_DROP_MEMORY] - before.dropped[EVENTBUS_DROP_MEMORY]);
    assert_conserved(q->bus);
    return LOOM_OK;
}

static void publishing_without_memory_loses_only_what_would_have_to_wait_and_counts_it(void **state)
{
    (void)state;
    /* A fresh bus for each n, so that the topic, the matches, the copy, the rings and the push-back all allocate. */
    for (size_t n = 0, fired = 1; fired; n++) {
        static test_subscriber slow, fast;
        queueing q;
        assert_status(LOOM_OK, eventbus_create(&q.bus, &clock_at_rest, NULL));
        assert_status(LOOM_OK, test_publisher_open(&q.publisher, q.bus));
        assert_status(LOOM_OK, test_subscriber_open(&slow, q.bus, "slow"));
        assert_status(LOOM_OK, test_subscriber_open(&fast, q.bus, "fast"));
        eventbus_grant(fast.handle, UNLIMITED);
        assert_status(LOOM_OK, test_subscribe_with(&slow, 1, "t", LOOM_QOS_BATCHED, 1, 0));
        assert_status(LOOM_OK, test_subscribe_with(&slow, 2, ">", LOOM_QOS_REALTIME, 2, 0));
        assert_status(LOOM_OK, test_subscribe(&fast, 3, "*"));
        alloc_fault_arm(n);
        for (int i = 0; i < 2; i++) {
            (void)publish_with_queueing(&q);
        }
        fired = alloc_fault_disarm();
        eventbus_subscriber_close(slow.handle);
        assert_false(q.publisher.waits);
        eventbus_subscriber_close(fast.handle);
        eventbus_publisher_close(q.publisher.handle);
        assert_conserved(q.bus);
        eventbus_destroy(q.bus);
    }
}

static void publishing_with_credit_to_a_known_topic_allocates_nothing(void **state)
{
    (void)state;
    eventbus *bus;
    assert_status(LOOM_OK, eventbus_create(&bus, &clock_at_rest, NULL));
    assert_status(LOOM_OK, test_subscriber_open(&subscriber, bus, "s"));
    assert_status(LOOM_OK, test_subscribe(&subscriber, 1, "t"));
    eventbus_grant(subscriber.handle, UNLIMITED);
    test_publish_range(bus, NULL, "t", 1, 1);
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){
        .topic = STR("t"), .payload = {(const uint8_t *)"abcd", 4}}));
    uint8_t wire[512];
    memcpy(wire, loom_envelope_wire(env).data, loom_envelope_wire(env).len);
    envelope_view view = *envelope_as_view(env);
    view.data = wire;
    alloc_fault_arm(0);
    const loom_status st = eventbus_publish(bus, NULL, &view, wire, NULL);
    assert_false(alloc_fault_disarm());
    assert_status(LOOM_OK, st);
    assert_int_equal(2, subscriber.count);
    loom_envelope_unref(env);
    eventbus_subscriber_close(subscriber.handle);
    eventbus_destroy(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creating_reports_out_of_memory),
        cmocka_unit_test(opening_reports_out_of_memory),
        cmocka_unit_test(subscribing_leaves_nothing_behind_when_out_of_memory),
        cmocka_unit_test(subscribing_reports_out_of_memory),
        cmocka_unit_test(joining_a_group_reports_out_of_memory),
        cmocka_unit_test(publishing_without_memory_loses_only_what_would_have_to_wait_and_counts_it),
        cmocka_unit_test(publishing_with_credit_to_a_known_topic_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
