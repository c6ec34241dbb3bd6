/* SPDX-License-Identifier: Apache-2.0 */
/* Groups: subscriptions that share their messages. */
#include <stdlib.h>

#include "tests/unit/broker/bus_fixture.h"

enum { MEMBERS = 4 };

typedef struct fixture {
    loop_clock clock;
    eventbus *bus;
    test_publisher publisher;
    test_subscriber members[MEMBERS];
} fixture;

static const char *const names[MEMBERS] = {"a", "b", "c", "d"};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_status(LOOM_OK, eventbus_create(&f->bus, &f->clock, NULL));
    assert_status(LOOM_OK, test_publisher_open(&f->publisher, f->bus));
    for (int i = 0; i < MEMBERS; i++) {
        assert_status(LOOM_OK, test_subscriber_open(&f->members[i], f->bus, names[i]));
    }
    *state = f;
    return 0;
}

static void leave(fixture *f, int member)
{
    eventbus_subscriber_close(f->members[member].handle);
    f->members[member].handle = NULL;
}

static int teardown(void **state)
{
    fixture *f = *state;
    assert_conserved(f->bus);
    for (int i = 0; i < MEMBERS; i++) {
        leave(f, i);
    }
    test_bus_settle(f->bus);
    assert_conserved(f->bus);
    const eventbus_stats stats = eventbus_get_stats(f->bus);
    assert_int_equal(0, stats.groups);
    assert_int_equal(0, stats.subscriptions);
    assert_int_equal(0, stats.queued_bytes);
    eventbus_publisher_close(f->publisher.handle);
    eventbus_destroy(f->bus);
    free(f);
    return 0;
}

static loom_status join_as(test_subscriber *s, uint64_t id, const eventbus_subscription_options *options)
{
    return eventbus_subscribe(s->handle, id, options);
}

static void join(fixture *f, int member, uint64_t id)
{
    assert_status(LOOM_OK, join_as(&f->members[member], id, &(eventbus_subscription_options){
        .filter = STR("t.>"), .group = STR("workers")}));
}

static void publish(fixture *f, uint32_t first, uint32_t last)
{
    test_publish_range(f->bus, &f->publisher, "t.x", first, last);
}

static eventbus_subscription_stats group_stats(const fixture *f)
{
    return test_subscription_stats(f->bus, 0); /* members have other numbers here */
}

/* ---- who gets a message ---- */

static void each_message_goes_to_the_member_with_the_most_credit(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < MEMBERS; i++) {
        join(f, i, 1);
    }
    eventbus_grant(f->members[0].handle, 2, UINT64_MAX);
    eventbus_grant(f->members[1].handle, 5, UINT64_MAX);
    eventbus_grant(f->members[2].handle, 3, UINT64_MAX);
    publish(f, 1, 2); /* b: 5, 4 */
    assert_numbers(&f->members[1], 1, 1, 2);
    publish(f, 3, 10);
    assert_int_equal(2, f->members[0].count);
    assert_int_equal(5, f->members[1].count);
    assert_int_equal(3, f->members[2].count);
    assert_int_equal(0, f->members[3].count);
}

static void credit_in_bytes_counts_too(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    join(f, 1, 1);
    eventbus_grant(f->members[0].handle, UINT64_MAX, 1);
    eventbus_grant(f->members[1].handle, 100, 64 * 1024);
    publish(f, 1, 1);
    assert_numbers(&f->members[1], 1, 1);
}

static void equal_members_take_turns(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < MEMBERS; i++) {
        join(f, i, 1);
        eventbus_grant(f->members[i].handle, 100, UINT64_MAX);
    }
    publish(f, 1, 200);
    for (int i = 0; i < MEMBERS; i++) {
        assert_int_equal(50, f->members[i].count);
    }
}

static void other_deliveries_use_up_a_members_credit(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    join(f, 1, 1);
    assert_status(LOOM_OK, test_subscribe(&f->members[0], 2, "other"));
    eventbus_grant(f->members[0].handle, 10, UINT64_MAX);
    eventbus_grant(f->members[1].handle, 8, UINT64_MAX);
    test_publish_range(f->bus, &f->publisher, "other", 1, 5);
    publish(f, 6, 6); /* a has 5 left, b 8 */
    assert_numbers(&f->members[1], 1, 6);
}

static void others_get_everything_beside_a_group(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    join(f, 1, 1);
    assert_status(LOOM_OK, test_subscribe(&f->members[2], 7, "t.x"));
    for (int i = 0; i < 3; i++) {
        eventbus_grant(f->members[i].handle, UNLIMITED);
    }
    eventbus_result result;
    assert_status(LOOM_OK, test_publish(f->bus, NULL, &(test_message){.topic = "t.x", .number = 1}, &result));
    assert_int_equal(2, result.matched); /* a group counts once */
    assert_int_equal(2, result.delivered);
    publish(f, 2, 4);
    assert_numbers(&f->members[2], 7, 1, 2, 3, 4);
    assert_int_equal(4, f->members[0].count + f->members[1].count);
}

static void one_agent_may_be_in_a_group_twice(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    join(f, 0, 2);
    eventbus_grant(f->members[0].handle, UNLIMITED);
    publish(f, 1, 3);
    assert_int_equal(3, f->members[0].count);
}

/* ---- what waits ---- */

static void what_finds_no_credit_goes_to_the_member_that_grants_first(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    join(f, 1, 1);
    publish(f, 1, 5);
    assert_int_equal(5, group_stats(f).queued);
    eventbus_grant(f->members[1].handle, 3, UINT64_MAX);
    assert_numbers(&f->members[1], 1, 1, 2, 3);
    eventbus_grant(f->members[0].handle, 10, UINT64_MAX);
    assert_numbers(&f->members[0], 1, 4, 5);
    assert_int_equal(0, group_stats(f).queued);
}

static void a_member_that_ends_leaves_what_waits_to_the_others(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    join(f, 1, 1);
    publish(f, 1, 3);
    leave(f, 0);
    eventbus_grant(f->members[1].handle, UNLIMITED);
    assert_numbers(&f->members[1], 1, 1, 2, 3);
    assert_int_equal(0, eventbus_get_stats(f->bus).dropped[EVENTBUS_DROP_GONE]);
}

static void what_waits_when_the_last_member_ends_is_gone(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    join(f, 1, 1);
    publish(f, 1, 3);
    assert_status(LOOM_OK, eventbus_unsubscribe(f->members[0].handle, 1));
    assert_status(LOOM_OK, eventbus_unsubscribe(f->members[1].handle, 1));
    const eventbus_stats stats = eventbus_get_stats(f->bus);
    assert_int_equal(3, stats.dropped[EVENTBUS_DROP_GONE]);
    assert_int_equal(0, stats.groups);
    publish(f, 4, 4);
    assert_int_equal(1, eventbus_get_stats(f->bus).unmatched);
}

static void who_joins_with_credit_gets_what_waits(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    publish(f, 1, 100);
    eventbus_grant(f->members[1].handle, 99, UINT64_MAX);
    join(f, 1, 1);
    assert_int_equal(99, f->members[1].count);
    assert_int_equal(1, group_stats(f).queued);
}

static void a_members_own_queues_and_its_groups_take_turns(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    assert_status(LOOM_OK, test_subscribe(&f->members[0], 2, "own"));
    assert_status(LOOM_OK, join_as(&f->members[0], 3, &(eventbus_subscription_options){
        .filter = STR("first"), .group = STR("workers"), .qos = LOOM_QOS_REALTIME}));
    publish(f, 1, 100);
    test_publish_range(f->bus, &f->publisher, "own", 1, 100);
    test_publish_range(f->bus, &f->publisher, "first", 1, 10);
    eventbus_grant(f->members[0].handle, 10 + 128, UINT64_MAX);
    uint32_t of[4] = {0};
    for (size_t i = 0; i < f->members[0].count; i++) {
        of[f->members[0].got[i].subscription]++;
        assert_true(i >= 10 || f->members[0].got[i].subscription == 3);
    }
    assert_int_equal(64, of[1]);
    assert_int_equal(64, of[2]);
    assert_int_equal(10, of[3]);
}

static void a_full_queue_makes_publishers_wait_and_lets_them_go(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, join_as(&f->members[0], 1, &(eventbus_subscription_options){
        .filter = STR("t.>"), .group = STR("workers"), .queue_messages = 2}));
    assert_status(LOOM_OK, join_as(&f->members[1], 1, &(eventbus_subscription_options){
        .filter = STR("t.>"), .group = STR("workers"), .queue_messages = 4})); /* the largest counts */
    publish(f, 1, 3);
    assert_false(f->publisher.waits);
    publish(f, 4, 4);
    assert_true(f->publisher.waits);
    assert_true(group_stats(f).pressing);
    eventbus_grant(f->members[1].handle, 2, UINT64_MAX);
    assert_false(f->publisher.waits);
}

static void a_realtime_group_keeps_the_newest(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, join_as(&f->members[0], 1, &(eventbus_subscription_options){
        .filter = STR("t.x"), .group = STR("workers"), .qos = LOOM_QOS_REALTIME, .queue_messages = 2}));
    publish(f, 1, 5);
    eventbus_grant(f->members[0].handle, UNLIMITED);
    assert_numbers(&f->members[0], 1, 4, 5);
    assert_int_equal(3, group_stats(f).dropped);
}

static void the_oldest_member_pays_for_what_waits(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    join(f, 1, 1);
    publish(f, 1, 3);
    const uint64_t bytes = eventbus_get_stats(f->bus).queued_bytes;
    assert_int_equal(bytes, eventbus_queued_for(f->members[0].handle));
    assert_int_equal(0, eventbus_queued_for(f->members[1].handle));
    leave(f, 0);
    assert_int_equal(bytes, eventbus_queued_for(f->members[1].handle));
    eventbus_grant(f->members[1].handle, UNLIMITED);
    assert_int_equal(0, eventbus_queued_for(f->members[1].handle));
}

/* ---- what is one group ---- */

static void a_group_is_known_by_its_name_and_its_filter(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    assert_status(LOOM_OK, join_as(&f->members[1], 1, &(eventbus_subscription_options){
        .filter = STR("t.x"), .group = STR("workers")}));
    assert_status(LOOM_OK, join_as(&f->members[2], 1, &(eventbus_subscription_options){
        .filter = STR("t.>"), .group = STR("others")}));
    for (int i = 0; i < 3; i++) {
        eventbus_grant(f->members[i].handle, UNLIMITED);
    }
    publish(f, 1, 1);
    for (int i = 0; i < 3; i++) {
        assert_numbers(&f->members[i], 1, 1);
    }
    assert_int_equal(3, eventbus_get_stats(f->bus).groups);
}

static void members_have_the_same_qos_and_types(void **state)
{
    fixture *f = *state;
    const loom_str types[] = {STR("made"), STR("gone")}, swapped[] = {STR("gone"), STR("made")};
    eventbus_subscription_options options = {.filter = STR("t.>"), .group = STR("typed"), .types = types, .type_count = 2};
    assert_status(LOOM_OK, join_as(&f->members[0], 1, &options));
    assert_status(LOOM_OK, join_as(&f->members[1], 1, &options));
    options.type_count = 1;
    assert_status(LOOM_EINVAL, join_as(&f->members[2], 1, &options));
    options.type_count = 2;
    options.types = swapped;
    assert_status(LOOM_EINVAL, join_as(&f->members[2], 1, &options));
    options.types = types;
    options.qos = LOOM_QOS_REALTIME;
    assert_status(LOOM_EINVAL, join_as(&f->members[2], 1, &options));
    assert_int_equal(2, eventbus_get_stats(f->bus).subscriptions);
    eventbus_grant(f->members[0].handle, UNLIMITED);
    assert_status(LOOM_OK, test_publish(f->bus, NULL, &(test_message){.topic = "t.x", .type = "made", .number = 1}, NULL));
    assert_status(LOOM_OK, test_publish(f->bus, NULL, &(test_message){.topic = "t.x", .type = "else", .number = 2}, NULL));
    assert_numbers(&f->members[0], 1, 1);
}

static void names_are_one_segment(void **state)
{
    fixture *f = *state;
    char long_name[LOOM_AGENT_ID_MAX + 1];
    memset(long_name, 'n', sizeof long_name);
    const loom_str bad[] = {STR("a.b"), STR("*"), STR(">"), STR("a b"), STR("\n"), STR("\xff"), {long_name, sizeof long_name}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_status(LOOM_EINVAL, join_as(&f->members[0], 1, &(eventbus_subscription_options){
            .filter = STR("t"), .group = bad[i]}));
    }
    assert_status(LOOM_OK, join_as(&f->members[0], 1, &(eventbus_subscription_options){
        .filter = STR("t"), .group = {long_name, LOOM_AGENT_ID_MAX}}));
}

static void an_agent_is_in_so_many_groups_and_no_more(void **state)
{
    fixture *f = *state;
    eventbus_subscription_options options = {.group = STR("workers")};
    char filter[16];
    for (uint32_t i = 0; i < EVENTBUS_GROUPS_MAX; i++) {
        options.filter = (loom_str){filter, (size_t)snprintf(filter, sizeof filter, "t.%u", i)};
        assert_status(LOOM_OK, join_as(&f->members[0], i, &options));
    }
    options.filter = STR("t.x");
    assert_status(LOOM_EFULL, join_as(&f->members[0], EVENTBUS_GROUPS_MAX, &options));
    assert_string_equal("the agent is in as many groups as one agent may be in",
                        eventbus_subscribe_limit(f->members[0].handle, &options));
    assert_status(LOOM_OK, test_subscribe(&f->members[0], EVENTBUS_GROUPS_MAX, "t.x"));
    assert_status(LOOM_OK, join_as(&f->members[1], 1, &options));
}

static void a_group_has_statistics_of_its_own(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    join(f, 1, 2);
    eventbus_grant(f->members[0].handle, 2, UINT64_MAX);
    publish(f, 1, 5);
    const eventbus_subscription_stats group = group_stats(f), member = test_subscription_stats(f->bus, 1);
    assert_memory_equal("group.workers", group.subscriber.data, group.subscriber.len);
    assert_memory_equal("workers", group.group.data, group.group.len);
    assert_int_equal(2, group.members);
    assert_int_equal(2, group.delivered);
    assert_int_equal(3, group.queued);
    assert_memory_equal("a", member.subscriber.data, member.subscriber.len);
    assert_memory_equal("workers", member.group.data, member.group.len);
    assert_int_equal(0, member.members);
    assert_int_equal(2, member.delivered);
    assert_int_equal(1, eventbus_topic_subscriptions(f->bus, STR("t.x")));
}

/* ---- what comes back ---- */

static void hand_back(fixture *f, int member, uint64_t id, uint32_t number)
{
    loom_envelope *env;
    envelope_view view;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){
        .topic = STR("t.x"), .payload = {(const uint8_t *)&number, sizeof number}}));
    assert_status(LOOM_OK, envelope_scan(&view, loom_envelope_wire(env), NULL, NULL));
    assert_status(LOOM_OK, eventbus_give_back(f->members[member].handle, id, &view));
    loom_envelope_unref(env);
}

static void what_a_member_gives_back_goes_to_another(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    join(f, 1, 1);
    eventbus_grant(f->members[0].handle, UNLIMITED);
    publish(f, 1, 2);
    eventbus_grant(f->members[1].handle, 1, UINT64_MAX);
    hand_back(f, 0, 1, 1);
    assert_numbers(&f->members[1], 1, 1);
    hand_back(f, 0, 1, 2);
    leave(f, 0);
    assert_int_equal(1, group_stats(f).queued);
    eventbus_grant(f->members[1].handle, 9, UINT64_MAX);
    assert_numbers(&f->members[1], 1, 1, 2);
    assert_int_equal(2, eventbus_get_stats(f->bus).given_back);
}

static void who_gives_back_gets_nothing_more(void **state)
{
    fixture *f = *state;
    join(f, 0, 1);
    eventbus_grant(f->members[0].handle, UNLIMITED);
    publish(f, 1, 1);
    hand_back(f, 0, 1, 1);
    publish(f, 2, 2);
    eventbus_grant(f->members[0].handle, UNLIMITED);
    assert_int_equal(1, f->members[0].count);
    assert_int_equal(2, group_stats(f).queued);
    join(f, 1, 1);
    eventbus_grant(f->members[1].handle, UNLIMITED);
    assert_numbers(&f->members[1], 1, 1, 2);
}

static void a_full_queue_takes_what_comes_back(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, join_as(&f->members[0], 1, &(eventbus_subscription_options){
        .filter = STR("t.>"), .group = STR("workers"), .queue_messages = 1}));
    eventbus_grant(f->members[0].handle, 1, UINT64_MAX);
    publish(f, 1, 2);
    hand_back(f, 0, 1, 1);
    assert_int_equal(2, group_stats(f).queued);
    assert_int_equal(0, group_stats(f).dropped);
}

static void only_members_give_back(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->members[0], 1, "t.x"));
    const envelope_view none = {0};
    assert_status(LOOM_ENOTFOUND, eventbus_give_back(f->members[0].handle, 1, &none));
    assert_status(LOOM_ENOTFOUND, eventbus_give_back(f->members[0].handle, 2, &none));
}

/* ---- members that come and go ---- */

/* Every message is handed to exactly one member, in order for each, or is counted, whoever joins, grants and ends. */
static void nothing_is_lost_or_doubled_while_members_come_and_go(void **state)
{
    fixture *f = *state;
    enum { STEPS = 20000 };
    uint64_t granted[MEMBERS] = {0}, random = 42;
    uint32_t number = 0, taken = 0;
    static test_subscriber keeper; /* so that the group never ends */
    assert_status(LOOM_OK, test_subscriber_open(&keeper, f->bus, "keeper"));
    const eventbus_subscription_options options = {.filter = STR("t.>"), .group = STR("workers"), .queue_messages = 1u << 20};
    assert_status(LOOM_OK, join_as(&keeper, 9, &options));
    for (int step = 0; step < STEPS; step++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const int m = (int)(random >> 33) % MEMBERS, what = (int)(random >> 50) % 16;
        if (what < 10) {
            publish(f, number + 1, number + 1);
            number++;
        } else if (what < 13) {
            granted[m] += (random >> 40) % 8;
            eventbus_grant(f->members[m].handle, granted[m], UINT64_MAX);
        } else if (what < 15) {
            loom_status st = join_as(&f->members[m], 1, &options);
            assert_true(st == LOOM_OK || st == LOOM_EEXIST);
        } else {
            for (size_t i = 1; i < f->members[m].count; i++) {
                assert_true(f->members[m].got[i].number > f->members[m].got[i - 1].number);
            }
            taken += (uint32_t)f->members[m].count;
            leave(f, m);
            granted[m] = 0;
            assert_status(LOOM_OK, test_subscriber_open(&f->members[m], f->bus, names[m]));
        }
        assert_conserved(f->bus);
    }
    for (int i = 0; i < MEMBERS; i++) {
        taken += (uint32_t)f->members[i].count;
    }
    eventbus_grant(keeper.handle, UNLIMITED);
    assert_int_equal(number, taken + keeper.count);
    assert_true(taken > STEPS / 10);
    assert_int_equal(0, group_stats(f).dropped);
    eventbus_subscriber_close(keeper.handle);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_message_goes_to_the_member_with_the_most_credit),
        TEST(credit_in_bytes_counts_too),
        TEST(equal_members_take_turns),
        TEST(other_deliveries_use_up_a_members_credit),
        TEST(others_get_everything_beside_a_group),
        TEST(one_agent_may_be_in_a_group_twice),
        TEST(what_finds_no_credit_goes_to_the_member_that_grants_first),
        TEST(a_member_that_ends_leaves_what_waits_to_the_others),
        TEST(what_waits_when_the_last_member_ends_is_gone),
        TEST(who_joins_with_credit_gets_what_waits),
        TEST(a_members_own_queues_and_its_groups_take_turns),
        TEST(a_full_queue_makes_publishers_wait_and_lets_them_go),
        TEST(a_realtime_group_keeps_the_newest),
        TEST(the_oldest_member_pays_for_what_waits),
        TEST(a_group_is_known_by_its_name_and_its_filter),
        TEST(members_have_the_same_qos_and_types),
        TEST(names_are_one_segment),
        TEST(an_agent_is_in_so_many_groups_and_no_more),
        TEST(a_group_has_statistics_of_its_own),
        TEST(what_a_member_gives_back_goes_to_another),
        TEST(who_gives_back_gets_nothing_more),
        TEST(a_full_queue_takes_what_comes_back),
        TEST(only_members_give_back),
        TEST(nothing_is_lost_or_doubled_while_members_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
