/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator is told of slow subscriptions and of those that lose messages. */
#include <stdlib.h>

#include "broker/eventbus/loss.h"
#include "tests/unit/broker/bus_fixture.h"

enum { START_MS = 1000, QUEUE = 4, LINES_MAX = 64 };

typedef struct fixture {
    loop_clock clock;
    eventbus *bus;
    test_publisher p;
    test_subscriber a;
    unsigned count;
    log_level level[LINES_MAX];
    char lines[LINES_MAX][256];
} fixture;

static void hear(void *user, log_level level, const char *format, va_list args)
{
    fixture *f = user;
    assert_true(f->count < LINES_MAX);
    f->level[f->count] = level;
    vsnprintf(f->lines[f->count++], sizeof f->lines[0], format, args);
}

static int open_bus(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->clock.now_ms = START_MS;
    assert_status(LOOM_OK, eventbus_create(&f->bus, &f->clock, &(eventbus_options){
        .queue_messages = QUEUE, .patience = 1, .subscriber_subscriptions = 3, .log = {hear, f}}));
    assert_status(LOOM_OK, test_publisher_open(&f->p, f->bus));
    assert_status(LOOM_OK, test_subscriber_open(&f->a, f->bus, "slow one"));
    *state = f;
    return 0;
}

static int close_bus(void **state)
{
    fixture *f = *state;
    eventbus_subscriber_close(f->a.handle);
    eventbus_publisher_close(f->p.handle);
    assert_int_equal(UINT64_MAX, eventbus_next_deadline_ms(f->bus));
    eventbus_destroy(f->bus);
    free(f);
    return 0;
}

static void at_ms(fixture *f, uint64_t ms)
{
    while (f->clock.now_ms < ms) { /* as a loop does: at each deadline on the way */
        const uint64_t next = eventbus_next_deadline_ms(f->bus);
        f->clock.now_ms = next < ms ? (next > f->clock.now_ms ? next : f->clock.now_ms + 1) : ms;
        eventbus_expire(f->bus);
    }
}

/* One of the lines begins so. */
static const char *line(const fixture *f, const char *start)
{
    for (unsigned i = 0; i < f->count; i++) {
        if (strncmp(f->lines[i], start, strlen(start)) == 0) {
            return f->lines[i];
        }
    }
    fail_msg("no line begins \"%s\"", start);
    return NULL;
}

static void the_first_loss_is_one_line_with_who_what_and_why(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t.*", LOOM_QOS_REALTIME, QUEUE, 0));
    test_publish_range(f->bus, NULL, "t.x", 1, QUEUE);
    assert_int_equal(0, f->count);
    test_publish_range(f->bus, NULL, "t.x", QUEUE + 1, 100);
    assert_int_equal(1, f->count);
    assert_int_equal(LOG_INFO, f->level[0]); /* that is what realtime is for */
    assert_non_null(strstr(f->lines[0], "agent=slow one filter=t.* qos=realtime reason=queue_full_oldest "));
}

static void recovery_is_one_line_with_how_many_were_lost(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_BATCHED, QUEUE, 0));
    test_publish_range(f->bus, NULL, "t", 1, QUEUE + 7); /* nobody to push back on */
    assert_int_equal(1, f->count);
    assert_int_equal(LOG_WARN, f->level[0]);
    at_ms(f, START_MS + 2 * LOSS_QUIET_MS);
    assert_int_equal(1, f->count); /* its queue is still full */
    eventbus_grant(f->a.handle, UNLIMITED);
    at_ms(f, START_MS + 3 * LOSS_QUIET_MS);
    assert_int_equal(2, f->count);
    assert_non_null(strstr(line(f, "subscription has recovered "), "lost=7 "));
    at_ms(f, START_MS + 20 * LOSS_QUIET_MS);
    assert_int_equal(2, f->count);
    assert_int_equal(UINT64_MAX, eventbus_next_deadline_ms(f->bus)); /* nobody is watched any longer */
}

static void a_loss_that_goes_on_is_told_once_a_minute(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_BATCHED, QUEUE, 0));
    test_publish_range(f->bus, NULL, "t", 1, QUEUE);
    for (unsigned second = 0; second < 130; second++) {
        test_publish_range(f->bus, NULL, "t", 1, 2);
        at_ms(f, f->clock.now_ms + 1000);
    }
    assert_int_equal(3, f->count);
    assert_non_null(strstr(line(f, "subscription still loses messages "), "reason=queue_full_deadline lost=1"));
}

static void one_that_publishers_wait_for_in_vain_is_named_before_it_loses_anything(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_BATCHED, QUEUE, 0));
    test_publish_range(f->bus, &f->p, "t", 1, QUEUE);
    assert_true(f->p.waits);
    assert_int_equal(0, f->count); /* that is what pushing back is for */
    at_ms(f, START_MS + 60);
    assert_false(f->p.waits);
    assert_int_equal(1, f->count);
    assert_non_null(strstr(line(f, "slow subscription"), "agent=slow one filter=t qos=batched queued=4 "));
    eventbus_grant(f->a.handle, UNLIMITED);
    at_ms(f, START_MS + 2 * LOSS_QUIET_MS);
    assert_non_null(strstr(line(f, "subscription has recovered "), "lost=0 "));
}

static void one_that_ends_with_messages_waiting_says_how_many_are_lost(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t", LOOM_QOS_BATCHED, QUEUE, 0));
    test_publish_range(f->bus, NULL, "t", 1, QUEUE + 2);
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_int_equal(2, f->count);
    assert_non_null(strstr(line(f, "subscription ended with messages lost "), "lost=6 still_queued=4"));
    assert_int_equal(UINT64_MAX, eventbus_next_deadline_ms(f->bus));
}

static void a_crowd_gets_a_few_lines_a_second(void **state)
{
    fixture *f = *state;
    test_subscriber *crowd = calloc(40, sizeof *crowd);
    assert_non_null(crowd);
    for (size_t i = 0; i < 40; i++) {
        assert_status(LOOM_OK, test_subscriber_open(&crowd[i], f->bus, "one"));
        assert_status(LOOM_OK, test_subscribe_with(&crowd[i], 1, "t", LOOM_QOS_BATCHED, QUEUE, 0));
    }
    test_publish_range(f->bus, NULL, "t", 1, QUEUE + 1);
    assert_int_equal(LOSS_LINES_A_SECOND, f->count);
    for (size_t i = 0; i < 40; i++) {
        eventbus_subscriber_close(crowd[i].handle);
    }
    free(crowd);
    assert_int_equal(2 * LOSS_LINES_A_SECOND, f->count);
}

static void a_subscription_over_the_limit_is_refused_in_the_log_once_a_second(void **state)
{
    fixture *f = *state;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_status(LOOM_OK, test_subscribe(&f->a, id, "t"));
    }
    for (uint64_t id = 4; id <= 50; id++) {
        assert_status(LOOM_EFULL, test_subscribe(&f->a, id, "one.more"));
    }
    assert_int_equal(1, f->count);
    assert_string_equal("subscription refused agent=slow one filter=one.more "
                        "reason=the agent has as many subscriptions as one agent may have", f->lines[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_loss_is_one_line_with_who_what_and_why, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(recovery_is_one_line_with_how_many_were_lost, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(a_loss_that_goes_on_is_told_once_a_minute, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(one_that_publishers_wait_for_in_vain_is_named_before_it_loses_anything, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(one_that_ends_with_messages_waiting_says_how_many_are_lost, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(a_crowd_gets_a_few_lines_a_second, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(a_subscription_over_the_limit_is_refused_in_the_log_once_a_second, open_bus, close_bus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
