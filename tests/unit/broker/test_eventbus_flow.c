/* SPDX-License-Identifier: Apache-2.0 */
/* Who published what and who got it, as the EventBus counts it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "tests/unit/broker/bus_fixture.h"
#include "tests/unit/broker/flow_fixture.h"

enum { EDGES = 64 };

typedef struct fixture {
    loop_clock clock;
    eventbus *bus;
    test_publisher publisher; /* agent p */
    test_subscriber a, b;
} fixture;

static loom_status open_publisher(test_publisher *publisher, eventbus *bus, const char *name)
{
    return eventbus_publisher_open(bus, &publisher->handle, NULL, NULL, str_of(name));
}

static int open_bus(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_status(LOOM_OK, eventbus_create(&f->bus, &f->clock, &(eventbus_options){.flow_edges = EDGES}));
    assert_status(LOOM_OK, open_publisher(&f->publisher, f->bus, "p"));
    assert_status(LOOM_OK, test_subscriber_open(&f->a, f->bus, "a"));
    assert_status(LOOM_OK, test_subscriber_open(&f->b, f->bus, "b"));
    *state = f;
    return 0;
}

static int close_bus(void **state)
{
    fixture *f = *state;
    eventbus_subscriber_close(f->a.handle);
    eventbus_subscriber_close(f->b.handle);
    eventbus_publisher_close(f->publisher.handle);
    eventbus_destroy(f->bus);
    free(f);
    return 0;
}

#define TOTAL(agent, direction, name) flow_total(eventbus_flow(f->bus), (agent), (direction), (name))
#define LOST(agent, name, reason) (flow_of(eventbus_flow(f->bus), (agent), FLOW_IN, (name)).counts.lost[reason])

static void publishes_and_deliveries_count_for_agent_and_topic(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    eventbus_grant(f->b.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t.*"));
    assert_status(LOOM_OK, test_subscribe(&f->a, 2, ">"));
    assert_status(LOOM_OK, test_subscribe(&f->b, 1, "t.y"));
    for (uint32_t i = 0; i < 5; i++) { /* in turn, so that nothing is the same as before */
        test_publish_range(f->bus, &f->publisher, "t.x", i, i);
        test_publish_range(f->bus, &f->publisher, "t.y", i, i);
    }
    assert_int_equal(5, TOTAL("p", FLOW_OUT, "t.x"));
    assert_int_equal(5, TOTAL("p", FLOW_OUT, "t.y"));
    assert_int_equal(10, TOTAL("a", FLOW_IN, "t.x"));
    assert_int_equal(10, TOTAL("a", FLOW_IN, "t.y"));
    assert_int_equal(0, TOTAL("b", FLOW_IN, "t.x"));
    assert_int_equal(5, TOTAL("b", FLOW_IN, "t.y"));
}

static void each_publisher_of_a_topic_has_its_own_count(void **state)
{
    fixture *f = *state;
    test_publisher q;
    assert_status(LOOM_OK, open_publisher(&q, f->bus, "q"));
    for (uint32_t i = 0; i < 4; i++) {
        test_publish_range(f->bus, &f->publisher, "t", 1, 3);
        test_publish_range(f->bus, &q, "t", 1, 2);
    }
    eventbus_publisher_close(q.handle);
    test_publisher r; /* may well be where q was */
    assert_status(LOOM_OK, open_publisher(&r, f->bus, "r"));
    test_publish_range(f->bus, &r, "t", 1, 1);
    eventbus_publisher_close(r.handle);
    assert_int_equal(12, TOTAL("p", FLOW_OUT, "t"));
    assert_int_equal(8, TOTAL("q", FLOW_OUT, "t"));
    assert_int_equal(1, TOTAL("r", FLOW_OUT, "t"));
}

static void a_publisher_without_a_name_counts_for_its_senders(void **state)
{
    fixture *f = *state;
    test_publish_range(f->bus, NULL, "t", 1, 3);
    test_publish_range(f->bus, NULL, "u", 1, 2);
    test_publish_range(f->bus, NULL, "t", 4, 4);
    assert_int_equal(4, TOTAL("tester", FLOW_OUT, "t")); /* the sender of all messages of the fixture */
    assert_int_equal(2, TOTAL("tester", FLOW_OUT, "u"));
}

static void changes_of_subscriptions_lose_no_count(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    for (uint32_t i = 0; i < 10; i++) {
        test_publish_range(f->bus, &f->publisher, "t", 1, 2);
        assert_status(LOOM_OK, test_subscribe(&f->b, 7, "t"));
        test_publish_range(f->bus, &f->publisher, "t", 3, 3);
        assert_status(LOOM_OK, eventbus_unsubscribe(f->b.handle, 7));
    }
    assert_int_equal(30, TOTAL("p", FLOW_OUT, "t"));
    assert_int_equal(30, TOTAL("a", FLOW_IN, "t"));
    assert_int_equal(0, TOTAL("b", FLOW_IN, "t"));
    assert_int_equal(10, LOST("b", "t", EVENTBUS_DROP_GONE)); /* without credit they were queued */
}

static void queued_copies_count_when_they_are_handed_over_or_lost(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, ">", LOOM_QOS_REALTIME, 4, 0));
    for (uint32_t i = 0; i < 3; i++) {
        test_publish_range(f->bus, &f->publisher, "t", i, i);
        test_publish_range(f->bus, &f->publisher, "u", i, i);
    }
    assert_int_equal(0, TOTAL("a", FLOW_IN, NULL));
    assert_int_equal(1, LOST("a", "t", EVENTBUS_DROP_OLDEST));
    assert_int_equal(1, LOST("a", "u", EVENTBUS_DROP_OLDEST));
    assert_status(LOOM_OK, test_subscribe(&f->b, 1, "elsewhere")); /* what was remembered of topics holds no longer */
    eventbus_grant(f->a.handle, 3, UINT64_MAX);
    assert_int_equal(2, TOTAL("a", FLOW_IN, "t"));
    assert_int_equal(1, TOTAL("a", FLOW_IN, "u"));
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_int_equal(1, LOST("a", "u", EVENTBUS_DROP_GONE));
}

static void a_message_whose_ttl_is_used_up_is_lost_on_its_publishers_edge(void **state)
{
    fixture *f = *state;
    test_publish_range(f->bus, &f->publisher, "t", 1, 1);
    assert_status(LOOM_ETIMEDOUT, test_publish(f->bus, &f->publisher, &(test_message){.topic = "t", .expired = true}, NULL));
    const flow_wanted w = flow_of(eventbus_flow(f->bus), "p", FLOW_OUT, "t");
    assert_int_equal(2, w.counts.total);
    assert_int_equal(1, w.counts.lost[EVENTBUS_DROP_TTL]);
}

static void an_agent_that_left_keeps_its_counts(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->publisher, "t", 1, 3);
    eventbus_publisher_close(f->publisher.handle);
    eventbus_subscriber_close(f->a.handle);
    assert_int_equal(3, TOTAL("p", FLOW_OUT, "t"));
    assert_int_equal(3, TOTAL("a", FLOW_IN, "t"));
    assert_status(LOOM_OK, open_publisher(&f->publisher, f->bus, "p"));
    assert_status(LOOM_OK, test_subscriber_open(&f->a, f->bus, "a"));
    test_publish_range(f->bus, &f->publisher, "t", 4, 4);
    assert_int_equal(4, TOTAL("p", FLOW_OUT, "t"));
}

/* Topics that come once, between messages of one that stays: edges come and go under what is remembered. */
static void a_flood_of_topics_is_bounded_and_exact(void **state)
{
    fixture *f = *state;
    enum { TOPICS = 3000 };
    char topic[16];
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, ">"));
    assert_status(LOOM_OK, test_subscribe_with(&f->b, 1, ">", LOOM_QOS_REALTIME, 4, 0));
    test_publisher steady;
    assert_status(LOOM_OK, open_publisher(&steady, f->bus, "steady"));
    for (uint32_t i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "t%u", (unsigned)i);
        test_publish_range(f->bus, &f->publisher, topic, i, i);
        test_publish_range(f->bus, &steady, "steady", i, i);
    }
    eventbus_publisher_close(steady.handle);
    const flow_table *flow = eventbus_flow(f->bus);
    assert_true(flow->edges.count <= EDGES && flow->agents.count <= EDGES / 4);
    assert_int_equal(TOPICS, TOTAL("p", FLOW_OUT, NULL));
    assert_int_equal(TOPICS, TOTAL("steady", FLOW_OUT, "steady"));
    assert_int_equal(2 * TOPICS, TOTAL("a", FLOW_IN, NULL));
    assert_int_equal(2 * TOPICS - 4, flow_of(flow, "b", FLOW_IN, NULL).counts.lost[EVENTBUS_DROP_OLDEST]);
    assert_true(flow_of(flow, "p", FLOW_OUT, NULL).edges <= EDGES / 16 + 1);
    assert_true(TOTAL("p", FLOW_OUT, OTHER) > TOPICS / 2);
}

static void comings_and_goings_of_agents_are_bounded_and_exact(void **state)
{
    fixture *f = *state;
    char name[16];
    for (unsigned i = 0; i < 1000; i++) {
        test_publisher brief;
        snprintf(name, sizeof name, "brief%u", i);
        assert_status(LOOM_OK, open_publisher(&brief, f->bus, name));
        test_publish_range(f->bus, &brief, "t", 1, 2);
        test_publish_range(f->bus, &f->publisher, "t", 1, 1);
        eventbus_publisher_close(brief.handle);
    }
    assert_true(eventbus_flow(f->bus)->agents.count <= EDGES / 4);
    assert_int_equal(1000, TOTAL("p", FLOW_OUT, "t"));
    assert_int_equal(3000, TOTAL(NULL, FLOW_OUT, NULL));
    assert_int_equal(2, TOTAL("brief999", FLOW_OUT, "t"));
}

int main(void)
{
#define ON_BUS(test) cmocka_unit_test_setup_teardown(test, open_bus, close_bus)
    const struct CMUnitTest tests[] = {
        ON_BUS(publishes_and_deliveries_count_for_agent_and_topic),
        ON_BUS(each_publisher_of_a_topic_has_its_own_count),
        ON_BUS(a_publisher_without_a_name_counts_for_its_senders),
        ON_BUS(changes_of_subscriptions_lose_no_count),
        ON_BUS(queued_copies_count_when_they_are_handed_over_or_lost),
        ON_BUS(a_message_whose_ttl_is_used_up_is_lost_on_its_publishers_edge),
        ON_BUS(an_agent_that_left_keeps_its_counts),
        ON_BUS(a_flood_of_topics_is_bounded_and_exact),
        ON_BUS(comings_and_goings_of_agents_are_bounded_and_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
