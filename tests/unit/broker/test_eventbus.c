/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets what: filters, types, credit, ttl, topics, statistics. */
#include <stdlib.h>

#include "tests/unit/broker/bus_fixture.h"

typedef struct fixture {
    loop_clock clock;
    eventbus *bus;
    test_publisher publisher;
    test_subscriber a, b;
} fixture;

static int open_with(void **state, const eventbus_options *options)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_status(LOOM_OK, eventbus_create(&f->bus, &f->clock, options));
    assert_status(LOOM_OK, test_publisher_open(&f->publisher, f->bus));
    assert_status(LOOM_OK, test_subscriber_open(&f->a, f->bus, "a"));
    assert_status(LOOM_OK, test_subscriber_open(&f->b, f->bus, "b"));
    *state = f;
    return 0;
}

static int open_bus(void **state)
{
    return open_with(state, NULL);
}

static int open_small_bus(void **state)
{
    return open_with(state, &(eventbus_options){.max_topics = 2, .max_subscriptions = 3});
}

static int close_bus(void **state)
{
    fixture *f = *state;
    assert_conserved(f->bus);
    eventbus_subscriber_close(f->a.handle);
    eventbus_subscriber_close(f->b.handle);
    eventbus_publisher_close(f->publisher.handle);
    assert_conserved(f->bus);
    const eventbus_stats stats = eventbus_get_stats(f->bus);
    assert_int_equal(0, stats.queued);
    assert_int_equal(0, stats.queued_bytes);
    assert_int_equal(0, stats.subscriptions);
    eventbus_destroy(f->bus);
    free(f);
    return 0;
}

static eventbus_result publish(fixture *f, const char *topic, uint32_t number)
{
    eventbus_result result;
    assert_status(LOOM_OK, test_publish(f->bus, &f->publisher, &(test_message){.topic = topic, .number = number}, &result));
    return result;
}

/* ---- filters and types ---- */

static void message_reaches_the_subscriptions_whose_filter_selects_it(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "orders.*.created"));
    assert_status(LOOM_OK, test_subscribe(&f->a, 2, "orders.us.>"));
    const eventbus_result result = publish(f, "orders.eu.created", 7);
    assert_int_equal(1, result.matched);
    assert_int_equal(1, result.delivered);
    assert_int_equal(0, result.dropped);
    assert_numbers(&f->a, 1, 7);
    assert_int_equal(1, f->a.count);
}

static void overlapping_subscriptions_get_one_copy_each(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, test_subscribe(&f->a, 2, "*"));
    assert_status(LOOM_OK, test_subscribe(&f->a, 3, ">"));
    assert_int_equal(3, publish(f, "t", 1).delivered);
    assert_numbers(&f->a, 1, 1);
    assert_numbers(&f->a, 2, 1);
    assert_numbers(&f->a, 3, 1);
}

static void type_list_selects_exact_types_only(void **state)
{
    fixture *f = *state;
    const loom_str types[] = {STR("reading"), STR("alarm.high")};
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, eventbus_subscribe(f->a.handle, 1, &(eventbus_subscription_options){
        .filter = STR(">"), .types = types, .type_count = 2}));
    static const char *const published[] = {"reading", "readings", "alarm", "alarm.high", NULL};
    for (uint32_t i = 0; i < 5; i++) {
        eventbus_result result;
        assert_status(LOOM_OK, test_publish(f->bus, NULL, &(test_message){.topic = "t", .type = published[i], .number = i}, &result));
        assert_int_equal(i == 0 || i == 3, result.matched);
    }
    assert_numbers(&f->a, 1, 0, 3);
    assert_int_equal(3, eventbus_get_stats(f->bus).unmatched);
}

static void empty_type_selects_messages_without_a_type(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, eventbus_subscribe(f->a.handle, 1, &(eventbus_subscription_options){
        .filter = STR(">"), .types = &(loom_str){0}, .type_count = 1}));
    publish(f, "t", 1);
    assert_status(LOOM_OK, test_publish(f->bus, NULL, &(test_message){.topic = "t", .type = "x", .number = 2}, NULL));
    assert_numbers(&f->a, 1, 1);
}

static void subscription_made_or_ended_later_changes_who_gets_a_known_topic(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_int_equal(0, publish(f, "t", 1).matched);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_int_equal(1, publish(f, "t", 2).matched);
    assert_status(LOOM_OK, test_subscribe(&f->a, 2, ">"));
    assert_int_equal(2, publish(f, "t", 3).matched);
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_int_equal(1, publish(f, "t", 4).matched);
    assert_numbers(&f->a, 1, 2, 3);
    assert_numbers(&f->a, 2, 3, 4);
}

/* ---- refusals ---- */

static void invalid_topic_is_refused_and_nothing_is_done(void **state)
{
    fixture *f = *state;
    static const char *const bad[] = {"a..b", ".a", "a.", "a.*", ">", "a b"};
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, ">"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        eventbus_result result;
        assert_status(LOOM_EINVAL, test_publish(f->bus, NULL, &(test_message){.topic = bad[i]}, &result));
        assert_int_equal(0, result.matched);
    }
    const eventbus_stats stats = eventbus_get_stats(f->bus);
    assert_int_equal(0, stats.published);
    assert_int_equal(0, stats.topics);
}

static void bad_filter_qos_or_types_are_invalid(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_EINVAL, test_subscribe(&f->a, 1, ""));
    assert_status(LOOM_EINVAL, test_subscribe(&f->a, 1, "a.>.b"));
    assert_status(LOOM_EINVAL, test_subscribe_with(&f->a, 1, "a", (loom_qos)LOOM_QOS_COUNT, 0, 0));
    char text[LOOM_TYPE_MAX + 1];
    memset(text, 'x', sizeof text);
    const loom_str type = {text, sizeof text};
    assert_status(LOOM_EINVAL, eventbus_subscribe(f->a.handle, 1, &(eventbus_subscription_options){
        .filter = STR("a"), .types = &type, .type_count = 1}));
    assert_status(LOOM_EINVAL, eventbus_subscribe(f->a.handle, 1, &(eventbus_subscription_options){
        .filter = STR("a"), .types = &type, .type_count = EVENTBUS_TYPES_MAX + 1}));
    assert_int_equal(0, eventbus_get_stats(f->bus).subscriptions);
}

static void subscription_ids_are_each_subscribers_own(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_EEXIST, test_subscribe(&f->a, 1, "u"));
    assert_status(LOOM_OK, test_subscribe(&f->b, 1, "t"));
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_status(LOOM_ENOTFOUND, eventbus_unsubscribe(f->a.handle, 1));
    eventbus_grant(f->b.handle, UNLIMITED);
    publish(f, "t", 1);
    assert_numbers(&f->b, 1, 1);
}

static void subscriptions_over_the_maximum_are_refused(void **state)
{
    fixture *f = *state;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_status(LOOM_OK, test_subscribe(&f->a, id, "t"));
    }
    assert_status(LOOM_EFULL, test_subscribe(&f->b, 1, "t"));
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 2));
    assert_status(LOOM_OK, test_subscribe(&f->b, 1, "t"));
}

/* ---- ttl ---- */

static void ttl_is_counted_down_by_one(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, 1, UINT64_MAX);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    publish(f, "t", 1);
    publish(f, "t", 2);
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_int_equal(LOOM_TTL_DEFAULT - 1, f->a.got[0].ttl);
    assert_int_equal(LOOM_TTL_DEFAULT - 1, f->a.got[1].ttl);
}

static void used_up_ttl_is_dropped_and_counted(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    eventbus_result result;
    assert_status(LOOM_ETIMEDOUT, test_publish(f->bus, NULL, &(test_message){.topic = "t", .expired = true}, &result));
    assert_int_equal(0, result.matched);
    assert_int_equal(1, result.dropped);
    assert_int_equal(0, f->a.count);
    assert_int_equal(1, eventbus_get_stats(f->bus).dropped[EVENTBUS_DROP_TTL]);
}

/* ---- credit ---- */

static void without_credit_messages_wait_in_order(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    test_publish_range(f->bus, &f->publisher, "t", 1, 5);
    assert_int_equal(0, f->a.count);
    assert_int_equal(5, eventbus_get_stats(f->bus).queued);
    eventbus_grant(f->a.handle, 2, UINT64_MAX);
    assert_numbers(&f->a, 1, 1, 2);
    eventbus_grant(f->a.handle, 7, UINT64_MAX);
    test_publish_range(f->bus, &f->publisher, "t", 6, 8);
    assert_numbers(&f->a, 1, 1, 2, 3, 4, 5, 6, 7);
}

static void lower_total_than_before_is_ignored(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    eventbus_grant(f->a.handle, 2, UINT64_MAX);
    eventbus_grant(f->a.handle, 1, 0);
    test_publish_range(f->bus, &f->publisher, "t", 1, 3);
    assert_int_equal(2, f->a.count);
}

static void byte_credit_may_be_overdrawn_by_one_message(void **state)
{
    fixture *f = *state;
    const uint32_t size = test_message_size("t");
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    eventbus_grant(f->a.handle, UINT64_MAX, size + 1);
    test_publish_range(f->bus, &f->publisher, "t", 1, 4);
    assert_int_equal(2, f->a.count);
    eventbus_grant(f->a.handle, UINT64_MAX, 2 * size);
    assert_int_equal(2, f->a.count);
    eventbus_grant(f->a.handle, UINT64_MAX, 2 * size + 1);
    assert_int_equal(3, f->a.count);
}

static void one_slow_subscriber_does_not_delay_another(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, test_subscribe(&f->b, 1, "t"));
    eventbus_grant(f->b.handle, UNLIMITED);
    test_publish_range(f->bus, &f->publisher, "t", 1, 3);
    assert_int_equal(0, f->a.count);
    assert_numbers(&f->b, 1, 1, 2, 3);
}

/* ---- statistics ---- */

typedef struct topic_log {
    size_t count, stop_after;
    eventbus_topic_stats stats[8];
} topic_log;

static bool log_topic(void *user, const eventbus_topic_stats *stats)
{
    topic_log *log = user;
    log->stats[log->count++] = *stats;
    return log->count != log->stop_after;
}

static void topics_tell_what_became_of_their_messages(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "*", LOOM_QOS_REALTIME, 2, 0));
    f->clock.now_ms = 5;
    test_publish_range(f->bus, &f->publisher, "old", 1, 2);
    f->clock.now_ms = 9;
    publish(f, "new", 3); /* drops one of "old" */
    eventbus_grant(f->a.handle, UNLIMITED);
    topic_log log = {0};
    eventbus_visit_topics(f->bus, log_topic, &log);
    assert_int_equal(2, log.count);
    assert_str("new", log.stats[0].topic);
    assert_int_equal(1, log.stats[0].delivered);
    assert_int_equal(0, log.stats[0].dropped);
    assert_int_equal(9, log.stats[0].last_ms);
    assert_str("old", log.stats[1].topic);
    assert_int_equal(2, log.stats[1].published);
    assert_int_equal(2 * test_message_size("old"), log.stats[1].bytes);
    assert_int_equal(1, log.stats[1].delivered);
    assert_int_equal(1, log.stats[1].dropped);
    assert_int_equal(5, log.stats[1].last_ms);
    assert_int_equal(1, eventbus_topic_subscriptions(f->bus, log.stats[1].topic));
}

static void topic_knows_its_subscriptions_before_it_is_published_again(void **state)
{
    fixture *f = *state;
    publish(f, "t", 1);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, test_subscribe(&f->b, 1, ">"));
    topic_log log = {0};
    eventbus_visit_topics(f->bus, log_topic, &log);
    assert_int_equal(2, eventbus_topic_subscriptions(f->bus, log.stats[0].topic));
}

static void visit_stops_when_told(void **state)
{
    fixture *f = *state;
    publish(f, "t", 1);
    publish(f, "u", 1);
    topic_log log = {.stop_after = 1};
    eventbus_visit_topics(f->bus, log_topic, &log);
    assert_int_equal(1, log.count);
}

static void least_recently_used_topic_makes_room(void **state)
{
    fixture *f = *state;
    publish(f, "a", 1);
    publish(f, "b", 1);
    publish(f, "a", 2);
    publish(f, "c", 1);
    topic_log log = {0};
    eventbus_visit_topics(f->bus, log_topic, &log);
    assert_int_equal(2, log.count);
    assert_str("c", log.stats[0].topic);
    assert_str("a", log.stats[1].topic);
    assert_int_equal(2, log.stats[1].published);
    assert_int_equal(2, eventbus_get_stats(f->bus).topics);
}

static void topics_beyond_the_table_are_delivered_all_the_same(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, ">"));
    static const char *const topics[] = {"a", "b", "c", "d"};
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(1, publish(f, topics[i % 4], i).delivered);
    }
    assert_int_equal(40, f->a.count);
}

static void bus_counts_what_passes(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, 1, UINT64_MAX);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    publish(f, "t", 1);
    publish(f, "t", 2);
    publish(f, "u", 3);
    const eventbus_stats stats = eventbus_get_stats(f->bus);
    const uint64_t size = test_message_size("t");
    assert_int_equal(3, stats.published);
    assert_int_equal(3 * size, stats.published_bytes);
    assert_int_equal(2, stats.matched);
    assert_int_equal(1, stats.unmatched);
    assert_int_equal(1, stats.delivered);
    assert_int_equal(size, stats.delivered_bytes);
    assert_int_equal(1, stats.queued);
    assert_int_equal(size, stats.queued_bytes);
    assert_int_equal(1, stats.publishers);
    assert_int_equal(2, stats.subscribers);
    assert_int_equal(1, stats.subscriptions);
    assert_int_equal(2, stats.topics);
}

static void subscriptions_of_a_topic_are_counted_as_they_are_now(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t.u"));
    assert_status(LOOM_OK, test_subscribe(&f->a, 2, "t.*"));
    assert_status(LOOM_OK, test_subscribe(&f->b, 1, ">"));
    assert_status(LOOM_OK, test_subscribe(&f->b, 2, "*.agents"));
    assert_status(LOOM_OK, test_subscribe(&f->b, 3, "system.>"));
    publish(f, "t.u", 1);
    assert_int_equal(3, eventbus_topic_subscriptions(f->bus, STR("t.u")));
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_int_equal(2, eventbus_topic_subscriptions(f->bus, STR("t.u")));
    assert_int_equal(1, eventbus_topic_subscriptions(f->bus, STR("system.agents"))); /* not by wildcards */
    assert_int_equal(0, eventbus_topic_subscriptions(f->bus, STR("")));
}

static void subscription_tells_what_it_is_and_holds(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->b, 9, "x.>", LOOM_QOS_BACKGROUND, 0, 0));
    publish(f, "x.y", 1);
    const eventbus_subscription_stats stats = test_subscription_stats(f->bus, 9);
    assert_str("b", stats.subscriber);
    assert_str("x.>", stats.filter);
    assert_int_equal(LOOM_QOS_BACKGROUND, stats.qos);
    assert_int_equal(1, stats.queued);
    assert_int_equal(test_message_size("x.y"), stats.queued_bytes);
}

static void every_drop_reason_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < EVENTBUS_DROP_REASONS; i++) {
        assert_string_not_equal("?", eventbus_drop_name((eventbus_drop)i));
    }
    assert_string_equal("ttl_expired", eventbus_drop_name(EVENTBUS_DROP_TTL));
    assert_string_equal("?", eventbus_drop_name(EVENTBUS_DROP_REASONS));
}

/* ---- coming and going ---- */

static void hundred_thousand_subscriptions_come_and_go(void **state)
{
    fixture *f = *state;
    enum { COUNT = 100000, AT_ONCE = 1000 };
    char filter[32];
    for (uint64_t id = 0; id < COUNT; id++) {
        snprintf(filter, sizeof filter, "s.%llu.*", (unsigned long long)id);
        assert_status(LOOM_OK, test_subscribe(&f->a, id, filter));
        if (id >= AT_ONCE) {
            assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, id - AT_ONCE));
        }
    }
    assert_int_equal(AT_ONCE, eventbus_get_stats(f->bus).subscriptions);
    for (uint64_t id = COUNT - AT_ONCE; id < COUNT; id++) {
        assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, id));
    }
    assert_int_equal(0, eventbus_get_stats(f->bus).subscriptions);
    assert_int_equal(0, publish(f, "s.5.x", 1).matched);
}

static void sink_without_a_callback_is_invalid(void **state)
{
    fixture *f = *state;
    eventbus_subscriber *subscriber;
    assert_status(LOOM_EINVAL, eventbus_subscriber_open(f->bus, &subscriber, &(eventbus_sink){0}, NULL, STR("x")));
    assert_null(subscriber);
}

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    eventbus_subscriber_close(NULL);
    eventbus_publisher_close(NULL);
    eventbus_destroy(NULL);
}

static void reserved_topics_are_for_filters_that_name_them(void **state)
{
    fixture *f = *state;
    static const char *const filters[] = {">", "*.agents", "*.>", "system.>", "system.*", "system.agents", "*", "system"};
    for (uint64_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        assert_status(LOOM_OK, test_subscribe(&f->a, i, filters[i]));
    }
    eventbus_grant(f->a.handle, UNLIMITED);
    test_publish_range(f->bus, NULL, "system.agents", 1, 2); /* the second time from what was remembered */
    for (uint64_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        if (i >= 3 && i <= 5) {
            assert_numbers(&f->a, i, 1, 2);
        } else {
            check_numbers(&f->a, i, NULL, 0, __FILE__, __LINE__);
        }
    }
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 0)); /* so that they are counted anew */
    topic_log log = {0};
    eventbus_visit_topics(f->bus, log_topic, &log);
    assert_int_equal(1, log.count);
    assert_int_equal(3, eventbus_topic_subscriptions(f->bus, log.stats[0].topic));
    test_publish_range(f->bus, NULL, "system", 3, 3); /* is not under it */
    assert_numbers(&f->a, 6, 3);
    assert_numbers(&f->a, 7, 3);
}

/* Each request has a reply topic of its own, subscribed to for the time of the request. */
static void a_hundred_thousand_reply_topics_leave_bounded_statistics(void **state)
{
    fixture *f = *state;
    char topic[40];
    eventbus_grant(f->a.handle, UNLIMITED);
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(topic, sizeof topic, "thread.%u.reply", i);
        assert_status(LOOM_OK, test_subscribe(&f->a, i, topic));
        assert_status(LOOM_OK, test_publish(f->bus, NULL, &(test_message){.topic = topic, .number = i}, NULL));
        assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, i));
    }
    assert_int_equal(100000, f->a.count);
    assert_int_equal(65536, eventbus_get_stats(f->bus).topics);
    assert_int_equal(0, eventbus_get_stats(f->bus).subscriptions);
}

int main(void)
{
#define BUS_TEST(name) cmocka_unit_test_setup_teardown(name, open_bus, close_bus)
#define SMALL_BUS_TEST(name) cmocka_unit_test_setup_teardown(name, open_small_bus, close_bus)
    const struct CMUnitTest tests[] = {
        BUS_TEST(message_reaches_the_subscriptions_whose_filter_selects_it),
        BUS_TEST(overlapping_subscriptions_get_one_copy_each),
        BUS_TEST(type_list_selects_exact_types_only),
        BUS_TEST(empty_type_selects_messages_without_a_type),
        BUS_TEST(subscription_made_or_ended_later_changes_who_gets_a_known_topic),
        BUS_TEST(invalid_topic_is_refused_and_nothing_is_done),
        BUS_TEST(bad_filter_qos_or_types_are_invalid),
        BUS_TEST(subscription_ids_are_each_subscribers_own),
        SMALL_BUS_TEST(subscriptions_over_the_maximum_are_refused),
        BUS_TEST(ttl_is_counted_down_by_one),
        BUS_TEST(used_up_ttl_is_dropped_and_counted),
        BUS_TEST(without_credit_messages_wait_in_order),
        BUS_TEST(lower_total_than_before_is_ignored),
        BUS_TEST(byte_credit_may_be_overdrawn_by_one_message),
        BUS_TEST(one_slow_subscriber_does_not_delay_another),
        BUS_TEST(topics_tell_what_became_of_their_messages),
        BUS_TEST(topic_knows_its_subscriptions_before_it_is_published_again),
        BUS_TEST(visit_stops_when_told),
        SMALL_BUS_TEST(least_recently_used_topic_makes_room),
        SMALL_BUS_TEST(topics_beyond_the_table_are_delivered_all_the_same),
        BUS_TEST(bus_counts_what_passes),
        BUS_TEST(subscriptions_of_a_topic_are_counted_as_they_are_now),
        BUS_TEST(subscription_tells_what_it_is_and_holds),
        cmocka_unit_test(every_drop_reason_has_a_name),
        BUS_TEST(hundred_thousand_subscriptions_come_and_go),
        BUS_TEST(reserved_topics_are_for_filters_that_name_them),
        BUS_TEST(a_hundred_thousand_reply_topics_leave_bounded_statistics),
        BUS_TEST(sink_without_a_callback_is_invalid),
        cmocka_unit_test(closing_nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
