/* SPDX-License-Identifier: Apache-2.0 */
/* A bridge and a broker that reach each other over a connection. */
#include "tests/unit/bridge/bus/bus_home.h"

typedef struct world {
    bus_home home;
    bus_remote *bridge;
    test_port sensor, reader; /* both on that bridge */
} world;

static int setup(void **state)
{
    world *w = test_calloc(1, sizeof *w);
    home_open(&w->home);
    w->bridge = home_bridge(&w->home, "b1");
    agent_attach(&w->sensor, bus_remote_bus(w->bridge), "sensor");
    agent_attach(&w->reader, bus_remote_bus(w->bridge), "reader");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    if (w->bridge != NULL) {
        home_close_bridge(&w->home, w->bridge, 0);
    }
    home_close(&w->home);
    test_free(w);
    return 0;
}

static void a_subscription_made_before_the_broker_is_reached_is_answered(void **state)
{
    world *w = *state;
    assert_false(bus_remote_get_stats(w->bridge).connected);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 7, "a.*", LOOM_QOS_BATCHED, 0));
    assert_true(bus_remote_get_stats(w->bridge).connected);
    assert_int_equal(bus_server_get_stats(w->home.server).sessions, 2);
}

static void a_message_reaches_the_subscription_that_matches(void **state)
{
    world *w = *state;
    agent_grant(&w->reader, 100);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 7, "a.*", LOOM_QOS_BATCHED, 0));
    agent_publish(&w->sensor, "a.b", 100);
    home_until(&w->home, w->reader.delivered == 1);
    assert_int_equal(w->reader.last_subscription, 7);
    assert_int_equal(w->reader.last_number, 1);
}

static void messages_published_before_the_broker_is_reached_arrive_in_order(void **state)
{
    world *w = *state;
    agent_grant(&w->reader, 1000);
    agent_ask(&w->reader, 1, 7, "a", LOOM_QOS_BATCHED, 0);
    for (unsigned i = 0; i < 500; i++) {
        agent_publish(&w->sensor, "a", 400);
    }
    home_until(&w->home, w->reader.delivered == 500);
    assert_int_equal(w->reader.out_of_order, 0);
}

static void an_envelope_for_many_sessions_of_a_bridge_travels_once(void **state)
{
    world *w = *state;
    test_port more[50];
    for (unsigned i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "more-%u", i);
        agent_attach(&more[i], bus_remote_bus(w->bridge), name);
        agent_grant(&more[i], 10);
        assert_status(LOOM_OK, agent_subscribe(&w->home, &more[i], i, "a", LOOM_QOS_BATCHED, 0));
    }
    bus_remote_stats before = bus_remote_get_stats(w->bridge);
    agent_publish(&w->sensor, "a", 60000); /* fifty copies would take fifty messages of the bus */
    home_until(&w->home, more[49].delivered == 1);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(more[i].delivered, 1);
        assert_int_equal(more[i].last_subscription, i);
    }
    assert_in_range(bus_remote_get_stats(w->bridge).received - before.received, 1, 2);
}

static void without_credit_nothing_comes_and_with_credit_it_goes_on(void **state)
{
    world *w = *state;
    agent_grant(&w->reader, 10);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    for (unsigned i = 0; i < 30; i++) {
        agent_publish(&w->sensor, "a", 0);
    }
    home_until(&w->home, w->reader.delivered == 10 && eventbus_get_stats(w->home.cores.events).queued == 20);
    assert_int_equal(w->reader.delivered, 10);
    agent_grant(&w->reader, 25);
    home_until(&w->home, w->reader.delivered == 25);
    agent_grant(&w->reader, 40);
    home_until(&w->home, w->reader.delivered == 30);
    assert_int_equal(w->reader.out_of_order, 0);
}

static void a_full_queue_at_the_broker_presses_the_publisher_until_there_is_room(void **state)
{
    world *w = *state;
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 8));
    for (unsigned i = 0; i < 8; i++) {
        agent_publish(&w->sensor, "a", 0);
    }
    home_until(&w->home, w->sensor.pressed);
    assert_false(w->reader.pressed);
    agent_grant(&w->reader, 100);
    home_until(&w->home, !w->sensor.pressed && w->reader.delivered == 8);
}

static void what_waits_for_an_absent_broker_presses_every_port_and_then_goes(void **state)
{
    world *w = *state;
    agent_grant(&w->reader, 1000);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    home_close_server(&w->home);
    home_until(&w->home, !bus_remote_get_stats(w->bridge).connected);
    for (unsigned i = 0; i < 30; i++) { /* 1.2 MB where 1 MiB is the bound */
        agent_publish(&w->sensor, "a", 40000);
    }
    home_until(&w->home, w->sensor.pressed && w->reader.pressed);
    assert_int_equal(w->sensor.refusals, 0);
    home_open_server(&w->home);
    home_until(&w->home, w->reader.delivered == 30 && !w->sensor.pressed && !w->reader.pressed);
    assert_int_equal(w->reader.out_of_order, 0);
}

static void far_too_much_for_an_absent_broker_is_refused_and_counted(void **state)
{
    world *w = *state;
    home_until(&w->home, bus_remote_get_stats(w->bridge).connected);
    home_close_server(&w->home);
    for (unsigned i = 0; i < 20; i++) {
        agent_publish(&w->sensor, "a", 1000000);
    }
    assert_int_equal(w->sensor.refused_status, LOOM_EFULL);
    assert_int_equal(w->sensor.refusals, bus_remote_get_stats(w->bridge).refused);
    assert_in_range(w->sensor.refusals, 1, 4);
}

static void an_ended_subscription_brings_nothing_more(void **state)
{
    world *w = *state;
    agent_grant(&w->reader, 100);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 2, "b", LOOM_QOS_BATCHED, 0));
    assert_status(LOOM_OK, agent_unsubscribe(&w->home, &w->reader, 1));
    agent_publish(&w->sensor, "a", 0);
    agent_publish(&w->sensor, "b", 0);
    home_until(&w->home, w->reader.delivered > 0);
    assert_int_equal(w->reader.last_subscription, 2);
    assert_int_equal(w->reader.delivered, 1);
    assert_status(LOOM_ENOTFOUND, agent_unsubscribe(&w->home, &w->reader, 1));
}

static void a_bad_request_is_answered_with_its_reason(void **state)
{
    world *w = *state;
    assert_status(LOOM_EINVAL, agent_subscribe(&w->home, &w->reader, 1, "a..b", LOOM_QOS_BATCHED, 0));
    assert_string_not_equal(w->reader.last_text, "");
    assert_status(LOOM_EINVAL, agent_subscribe(&w->home, &w->reader, 1, "a", (loom_qos)9, 0));
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    assert_status(LOOM_EEXIST, agent_subscribe(&w->home, &w->reader, 1, "b", LOOM_QOS_BATCHED, 0));
    agent_publish(&w->sensor, "bad topic", 0);
    home_until(&w->home, w->sensor.refusals == 1);
    assert_status(LOOM_EINVAL, w->sensor.refused_status);
}

static void detaching_ends_the_session_at_the_broker(void **state)
{
    world *w = *state;
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    assert_int_equal(eventbus_get_stats(w->home.cores.events).subscriptions, 1);
    agent_detach(&w->reader);
    home_until(&w->home, bus_server_get_stats(w->home.server).sessions == 1);
    assert_int_equal(eventbus_get_stats(w->home.cores.events).subscriptions, 0);
}

static void after_a_restart_of_the_broker_subscriptions_and_credit_are_there_again(void **state)
{
    world *w = *state;
    agent_grant(&w->reader, 10);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 2, "b", LOOM_QOS_BATCHED, 0));
    assert_status(LOOM_OK, agent_unsubscribe(&w->home, &w->reader, 2));
    for (unsigned i = 0; i < 4; i++) {
        agent_publish(&w->sensor, "a", 0);
    }
    home_until(&w->home, w->reader.delivered == 4);
    home_restart(&w->home);
    home_until(&w->home, bus_server_get_stats(w->home.server).sessions == 2 &&
                             eventbus_get_stats(w->home.cores.events).subscriptions == 1);
    for (unsigned i = 0; i < 20; i++) {
        agent_publish(&w->sensor, "a", 0);
    }
    home_until(&w->home, w->reader.delivered == 10 && eventbus_get_stats(w->home.cores.events).queued == 14);
    agent_grant(&w->reader, 24);
    home_until(&w->home, w->reader.delivered == 24);
    assert_int_equal(w->reader.out_of_order, 0);
    assert_int_equal(bus_remote_get_stats(w->bridge).attachments, 2);
}

/* A mark is answered when, and not before, all that was said before it is done. */
static void a_mark_comes_back_behind_the_answers(void **state)
{
    enum { REQUESTS = 100 };
    world *w = *state;
    bus *b = bus_remote_bus(w->bridge);
    assert_int_equal(0, b->mark); /* there is no broker yet */
    home_until(&w->home, bus_remote_get_stats(w->bridge).connected);
    const uint64_t mark = b->mark;
    assert_true(mark > 0 && b->mark_done < mark);
    for (uint64_t i = 1; i <= REQUESTS; i++) {
        agent_ask(&w->reader, i, i, "a", LOOM_QOS_BATCHED, 0);
    }
    b->mark_wanted = true;
    home_until(&w->home, b->mark_done >= mark);
    assert_int_equal(REQUESTS, w->reader.answers);
    assert_int_equal(mark + 1, b->mark);
    assert_false(b->mark_wanted);
}

/* What was said to the broker before is not waited for, and the next one is told nothing of old marks. */
static void marks_go_on_after_a_restart_of_the_broker(void **state)
{
    world *w = *state;
    bus *b = bus_remote_bus(w->bridge);
    home_until(&w->home, bus_remote_get_stats(w->bridge).connected);
    uint64_t mark = b->mark;
    b->mark_wanted = true;
    home_restart(&w->home);
    home_until(&w->home, bus_remote_get_stats(w->bridge).attachments == 2);
    assert_true(b->mark > mark && b->mark_done >= mark);
    mark = b->mark;
    b->mark_wanted = true;
    home_until(&w->home, b->mark_done == mark);
}

static void a_request_that_the_old_broker_never_answered_is_answered_by_the_new_one(void **state)
{
    world *w = *state;
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    home_close_server(&w->home);
    unsigned before = w->reader.answers;
    agent_ask(&w->reader, 77, 2, "b", LOOM_QOS_BATCHED, 0);
    agent_ask_end(&w->reader, 78, 1);
    home_open_server(&w->home);
    home_until(&w->home, w->reader.answers == before + 2);
    assert_int_equal(w->reader.last_request, 78);
    assert_status(LOOM_OK, w->reader.last_status);
    assert_int_equal(eventbus_get_stats(w->home.cores.events).subscriptions, 1);
}

static void a_bridge_that_is_gone_leaves_nothing_at_the_broker(void **state)
{
    world *w = *state;
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    home_close_bridge(&w->home, w->bridge, 0);
    w->bridge = NULL;
    home_until(&w->home, bus_server_get_stats(w->home.server).bridges == 0);
    assert_int_equal(eventbus_get_stats(w->home.cores.events).subscriptions, 0);
    assert_int_equal(eventbus_get_stats(w->home.cores.events).subscribers, 0);
    assert_int_equal(bus_server_get_stats(w->home.server).bridges_lost, 1);
}

static void an_agent_on_another_bridge_replaces_its_older_session(void **state)
{
    world *w = *state;
    bus_remote *second = home_bridge(&w->home, "second");
    test_port older, newer;
    agent_attach(&older, bus_remote_bus(w->bridge), "twin");
    assert_status(LOOM_OK, agent_subscribe(&w->home, &older, 1, "a", LOOM_QOS_BATCHED, 0));
    agent_attach(&newer, bus_remote_bus(second), "twin");
    home_until(&w->home, older.ended != LOOM_OK);
    assert_status(LOOM_EREPLACED, older.ended);
    assert_status(LOOM_OK, newer.ended);
    assert_int_equal(eventbus_get_stats(w->home.cores.events).subscriptions, 0);
    agent_detach(&older); /* the broker has forgotten it already */
    assert_status(LOOM_OK, agent_subscribe(&w->home, &newer, 1, "a", LOOM_QOS_BATCHED, 0));
    home_close_bridge(&w->home, second, 1000);
}

static void a_bridge_is_idle_once_nothing_waits_for_its_agents_at_the_broker(void **state)
{
    world *w = *state;
    agent_grant(&w->reader, 10);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    for (unsigned i = 0; i < 30; i++) {
        agent_publish(&w->sensor, "a", 0);
    }
    home_until(&w->home, w->reader.delivered == 10 && eventbus_get_stats(w->home.cores.events).queued == 20);
    for (unsigned i = 0; i < 50; i++) {
        assert_false(bus_remote_idle(w->bridge));
        home_turn(&w->home);
    }
    agent_grant(&w->reader, 40);
    home_until(&w->home, bus_remote_idle(w->bridge));
    assert_int_equal(w->reader.delivered, 30);
}

static uint64_t lost_with_its_bridge(world *w)
{
    home_close_bridge(&w->home, w->bridge, 1000);
    w->bridge = NULL;
    home_until(&w->home, bus_server_get_stats(w->home.server).bridges == 0);
    return bus_server_get_stats(w->home.server).unconfirmed;
}

static void what_comes_for_a_session_that_has_ended_counts_as_lost(void **state)
{
    world *w = *state;
    agent_grant(&w->reader, 10);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    agent_publish(&w->sensor, "a", 0);
    agent_detach(&w->reader); /* leaves with the message, and is read after it */
    home_until(&w->home, bus_remote_get_stats(w->bridge).undeliverable == 1);
    assert_int_equal(lost_with_its_bridge(w), 1);
}

static void what_an_agents_connection_has_not_taken_counts_as_lost(void **state)
{
    world *w = *state;
    test_port slow;
    agent_attach_confirming(&slow, bus_remote_bus(w->bridge), "slow");
    agent_grant(&slow, 100);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &slow, 1, "a", LOOM_QOS_BATCHED, 0));
    for (unsigned i = 0; i < 10; i++) {
        agent_publish(&w->sensor, "a", 0);
    }
    home_until(&w->home, slow.delivered == 10);
    agent_confirm(&slow, 4);
    agent_confirm(&slow, 7);
    assert_int_equal(lost_with_its_bridge(w), 3);
}

static void what_another_broker_sent_is_not_confirmed_to_this_one(void **state)
{
    world *w = *state;
    test_port slow;
    agent_attach_confirming(&slow, bus_remote_bus(w->bridge), "slow");
    agent_grant(&slow, 100);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &slow, 1, "a", LOOM_QOS_BATCHED, 0));
    agent_publish(&w->sensor, "a", 0);
    home_until(&w->home, slow.delivered == 1);
    home_restart(&w->home);
    home_until(&w->home, bus_remote_get_stats(w->bridge).attachments == 2);
    agent_publish(&w->sensor, "a", 0);
    agent_publish(&w->sensor, "a", 0);
    home_until(&w->home, slow.delivered == 3);
    agent_confirm(&slow, 2);
    assert_int_equal(lost_with_its_bridge(w), 1);
}

static void after_a_restart_publishes_wait_for_the_subscribers_of_other_bridges(void **state)
{
    world *w = *state;
    w->home.core_options.publish_hold_ms = 400;
    home_until(&w->home, bus_remote_get_stats(w->bridge).connected);
    home_restart(&w->home);
    agent_publish(&w->sensor, "a", 0); /* before the broker is reached again */
    home_until(&w->home, bus_remote_get_stats(w->bridge).attachments == 2);
    agent_publish(&w->sensor, "a", 0);
    home_until(&w->home, w->sensor.pressed);
    bus_remote *second = home_bridge(&w->home, "second");
    test_port late;
    agent_attach(&late, bus_remote_bus(second), "late");
    agent_grant(&late, 10);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &late, 1, "a", LOOM_QOS_BATCHED, 0));
    assert_int_equal(eventbus_get_stats(w->home.cores.events).published, 2 /* the news of sensor and reader */ + 1);
    home_until(&w->home, late.delivered == 2);
    assert_int_equal(late.out_of_order, 0);
    home_until(&w->home, !w->sensor.pressed);
    agent_publish(&w->sensor, "a", 0);
    home_until(&w->home, late.delivered == 3);
    home_close_bridge(&w->home, second, 1000);
}

static void what_a_session_has_published_is_held_after_it_has_left(void **state)
{
    world *w = *state;
    w->home.core_options.publish_hold_ms = 200;
    home_until(&w->home, bus_remote_get_stats(w->bridge).connected);
    home_restart(&w->home);
    home_until(&w->home, bus_remote_get_stats(w->bridge).attachments == 2);
    agent_grant(&w->reader, 10);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    agent_publish(&w->sensor, "a", 0);
    agent_publish(&w->sensor, "a", 0);
    agent_detach(&w->sensor);
    home_until(&w->home, w->reader.delivered == 2);
    home_until(&w->home, bus_server_get_stats(w->home.server).sessions == 1);
    assert_int_equal(0, bus_remote_get_stats(w->bridge).unconfirmed);
}

static void closing_sends_what_waits_first(void **state)
{
    world *w = *state;
    bus_remote *other = home_bridge(&w->home, "b2");
    test_port far;
    agent_attach(&far, bus_remote_bus(other), "far");
    agent_grant(&far, 10000);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &far, 1, "a", LOOM_QOS_BATCHED, 0));
    home_until(&w->home, bus_remote_get_stats(w->bridge).connected);
    for (unsigned i = 0; i < 3000; i++) {
        agent_publish(&w->sensor, "a", 1000);
    }
    home_close_bridge(&w->home, w->bridge, 5000);
    w->bridge = NULL;
    assert_int_equal(0, w->home.lost.unsent + w->home.lost.unconfirmed);
    home_until(&w->home, far.delivered == 3000);
    assert_int_equal(far.out_of_order, 0);
    home_close_bridge(&w->home, other, 0);
}

static void a_close_without_time_says_what_it_left_behind(void **state)
{
    world *w = *state;
    home_until(&w->home, bus_remote_get_stats(w->bridge).connected);
    for (unsigned i = 0; i < 3000; i++) {
        agent_publish(&w->sensor, "a", 1000);
    }
    uint64_t before = eventbus_get_stats(w->home.cores.events).published;
    home_close_bridge(&w->home, w->bridge, 0);
    w->bridge = NULL;
    uint64_t lost = w->home.lost.unsent + w->home.lost.unconfirmed;
    home_until(&w->home, bus_server_get_stats(w->home.server).bridges == 0);
    uint64_t published = eventbus_get_stats(w->home.cores.events).published - before;
    assert_true(lost > 0);
    assert_true(published + lost >= 3000); /* what was not confirmed may have arrived */
    assert_true(lost <= 3000);
}

static void a_newer_bridge_of_the_same_id_replaces_the_older(void **state)
{
    world *w = *state;
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "a", LOOM_QOS_BATCHED, 0));
    bus_remote *newer = home_bridge(&w->home, "b1");
    home_until(&w->home, bus_remote_get_stats(newer).connected);
    assert_int_equal(bus_server_get_stats(w->home.server).bridges, 1);
    home_close_bridge(&w->home, newer, 0);
}

/* ---- calls ---- */

static void a_call_reaches_its_provider_and_its_result_the_caller(void **state)
{
    world *w = *state;
    assert_status(LOOM_OK, agent_provide(&w->home, &w->reader, "math.add", false));
    agent_call(&w->sensor, "id-1", "math.add");
    home_until(&w->home, w->reader.calls == 1);
    assert_string_equal(w->reader.payload, "question");
    agent_answer(&w->reader, "answer");
    home_until(&w->home, w->sensor.results == 1);
    assert_int_equal(w->sensor.outcome, FRAME_CALL_OK);
    assert_string_equal(w->sensor.payload, "answer");
    assert_status(LOOM_OK, agent_provide(&w->home, &w->reader, "math.add", true));
    agent_call(&w->sensor, "id-2", "math.add");
    home_until(&w->home, w->sensor.results == 2);
    assert_int_equal(w->sensor.outcome, FRAME_CALL_NO_RESPONDERS);
}

static void reports_credit_and_cancels_of_a_call_pass_through(void **state)
{
    world *w = *state;
    assert_status(LOOM_OK, agent_provide(&w->home, &w->reader, "slow", false));
    agent_call(&w->sensor, "id", "slow");
    home_until(&w->home, w->reader.calls == 1);
    w->reader.base->ops->frame(w->reader.base, w->reader.port, &(frame){.type = FRAME_REPORT, .u.report = {
        .call_id = {w->reader.call_id, w->reader.call_id_len}, .kind = FRAME_PROGRESS, .payload = BYTES("half")}});
    home_until(&w->home, w->sensor.reports == 1);
    w->sensor.base->ops->frame(w->sensor.base, w->sensor.port, &(frame){.type = FRAME_CANCEL, .u.cancel = {
        {(const uint8_t *)"id", 2}, STR("enough")}});
    home_until(&w->home, w->sensor.results == 1 && w->reader.cancels == 1);
    assert_int_equal(w->sensor.outcome, FRAME_CALL_CANCELLED);
    agent_answer(&w->reader, "too late");
    assert_int_equal(bus_remote_get_stats(w->bridge).late, 1);
}

static void say(test_port *p, const frame *f)
{
    p->base->ops->frame(p->base, p->port, f);
}

static void of_calls_that_are_not_there_nothing_is_said(void **state)
{
    world *w = *state;
    home_until(&w->home, bus_remote_get_stats(w->bridge).connected && bus_remote_get_stats(w->bridge).unsent_bytes == 0);
    for (unsigned i = 0; i < 1000; i++) {
        const loom_bytes id = {(const uint8_t *)&i, sizeof i};
        say(&w->sensor, &(frame){.type = FRAME_CANCEL, .u.cancel = {id, STR("why not")}});
        say(&w->sensor, &(frame){.type = FRAME_CALL_CREDIT, .u.call_credit = {id, 1, 1}});
    }
    assert_int_equal(bus_remote_get_stats(w->bridge).unsent_bytes, 0);
    agent_call(&w->sensor, "id", "slow");
    const size_t before = bus_remote_get_stats(w->bridge).unsent_bytes;
    for (unsigned i = 0; i < 1000; i++) { /* and of one that is there, once */
        say(&w->sensor, &(frame){.type = FRAME_CANCEL, .u.cancel = {{(const uint8_t *)"id", 2}, STR("why not")}});
    }
    assert_in_range(bus_remote_get_stats(w->bridge).unsent_bytes - before, 0, 64);
}

static void credit_for_a_broker_that_does_not_read_takes_no_room(void **state)
{
    world *w = *state;
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->reader, 1, "b", LOOM_QOS_BATCHED, 0));
    assert_status(LOOM_OK, agent_provide(&w->home, &w->reader, "slow", false));
    w->sensor.call_flags = FRAME_CALL_STREAMS;
    agent_call(&w->sensor, "id", "slow");
    home_until(&w->home, w->reader.calls == 1);
    for (unsigned i = 0; i < 40; i++) {
        agent_publish(&w->sensor, "a", 50000); /* no round is run: nothing leaves */
    }
    const size_t before = bus_remote_get_stats(w->bridge).unsent_bytes;
    for (unsigned i = 1; i <= 100000; i++) {
        agent_grant(&w->reader, i);
        say(&w->sensor, &(frame){.type = FRAME_CALL_CREDIT, .u.call_credit = {{(const uint8_t *)"id", 2}, i, i}});
    }
    assert_int_equal(bus_remote_get_stats(w->bridge).unsent_bytes, before);
    home_until(&w->home, w->reader.call_credits == 1); /* the newest totals, once */
    for (unsigned i = 0; i < 1000; i++) {
        agent_publish(&w->sensor, "b", 0);
    }
    home_until(&w->home, w->reader.delivered == 1000);
}

static void without_a_broker_a_call_fails_at_once(void **state)
{
    world *w = *state;
    agent_call(&w->sensor, "", "math.add");
    assert_int_equal(w->sensor.results, 1);
    assert_int_equal(w->sensor.outcome, FRAME_CALL_ERROR);
    assert_string_equal(w->sensor.code, "bus_lost");
}

static void when_the_connection_breaks_waiting_calls_fail_and_work_is_cancelled(void **state)
{
    world *w = *state;
    assert_status(LOOM_OK, agent_provide(&w->home, &w->reader, "slow", false));
    agent_call(&w->sensor, "same", "slow");
    agent_call(&w->sensor, "same", "slow"); /* joins the first, and has a result of its own */
    home_until(&w->home, w->reader.calls == 1);
    home_restart(&w->home);
    home_until(&w->home, w->sensor.results == 2 && w->reader.cancels == 1);
    assert_string_equal(w->sensor.code, "bus_lost");
    assert_int_equal(bus_remote_get_stats(w->bridge).calls_lost, 2);
    home_until(&w->home, actionbroker_get_stats(w->home.cores.actions).capabilities == 1); /* it is provided again */
    agent_answer(&w->reader, "of a call that the new broker has never heard of");
    agent_call(&w->sensor, "another", "slow");
    home_until(&w->home, w->reader.calls == 2);
    agent_answer(&w->reader, "answer");
    home_until(&w->home, w->sensor.results == 3);
    assert_string_equal(w->sensor.payload, "answer");
    assert_int_equal(actionbroker_get_stats(w->home.cores.actions).late, 0);
}

static void the_directory_knows_the_agents_behind_a_bridge(void **state)
{
    world *w = *state;
    directory_info info;
    home_until(&w->home, directory_find(w->home.cores.agents, STR("reader"), &info));
    assert_str("b1", info.about.bridge);
    assert_str("test/1", info.about.software);
    assert_str("somewhere", info.about.peer);
    agent_detach(&w->reader);
    home_until(&w->home, !directory_find(w->home.cores.agents, STR("reader"), &info));
}

static void an_address_in_use_is_told_with_its_url(void **state)
{
    world *w = *state;
    bus_server *second;
    unsigned before = w->home.warnings;
    assert_status(LOOM_EBUSY, bus_server_open(&second, &w->home.loop, &w->home.clock, &w->home.cores, &w->home.options));
    assert_null(second);
    assert_true(w->home.warnings > before);
    bus_server_options wrong = {.bus_pull = "nonsense://x"};
    assert_status(LOOM_EINVAL, bus_server_open(&second, &w->home.loop, &w->home.clock, &w->home.cores, &wrong));
}

static void bad_options_of_a_bridge_are_refused(void **state)
{
    world *w = *state;
    bus_remote *b;
    assert_status(LOOM_EINVAL, bus_remote_open(&b, &w->home.loop, &(bus_remote_options){.url = "ipc:///tmp/x"}));
    assert_status(LOOM_EINVAL, bus_remote_open(&b, &w->home.loop, &(bus_remote_options){.bridge_id = "b"}));
    assert_status(LOOM_EINVAL,
                  bus_remote_open(&b, &w->home.loop, &(bus_remote_options){.url = "ipc:///tmp/x", .bridge_id = "b 1"}));
    assert_status(LOOM_EINVAL,
                  bus_remote_open(&b, &w->home.loop, &(bus_remote_options){.url = "nonsense", .bridge_id = "b"}));
    assert_null(b);
}

static void over_tcp_with_ports_that_the_system_chose_it_works_too(void **state)
{
    world *w = *state;
    bus_server *server;
    assert_status(LOOM_OK, bus_server_open(&server, &w->home.loop, &w->home.clock, &w->home.cores, &(bus_server_options){
        .bus_bridge = "tcp://127.0.0.1:0"}));
    bus_remote *b;
    assert_status(LOOM_OK, bus_remote_open(&b, &w->home.loop, &(bus_remote_options){
        .url = bus_server_url_of(server, BUS_SERVER_BRIDGE), .bridge_id = "over-tcp"}));
    home_until(&w->home, bus_remote_get_stats(b).connected);
    home_close_bridge(&w->home, b, 0);
    bus_server_close(server, NULL, NULL);
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_subscription_made_before_the_broker_is_reached_is_answered),
        IN_WORLD(a_message_reaches_the_subscription_that_matches),
        IN_WORLD(messages_published_before_the_broker_is_reached_arrive_in_order),
        IN_WORLD(an_envelope_for_many_sessions_of_a_bridge_travels_once),
        IN_WORLD(without_credit_nothing_comes_and_with_credit_it_goes_on),
        IN_WORLD(a_full_queue_at_the_broker_presses_the_publisher_until_there_is_room),
        IN_WORLD(what_waits_for_an_absent_broker_presses_every_port_and_then_goes),
        IN_WORLD(far_too_much_for_an_absent_broker_is_refused_and_counted),
        IN_WORLD(an_ended_subscription_brings_nothing_more),
        IN_WORLD(a_bad_request_is_answered_with_its_reason),
        IN_WORLD(detaching_ends_the_session_at_the_broker),
        IN_WORLD(after_a_restart_of_the_broker_subscriptions_and_credit_are_there_again),
        IN_WORLD(a_mark_comes_back_behind_the_answers),
        IN_WORLD(marks_go_on_after_a_restart_of_the_broker),
        IN_WORLD(a_request_that_the_old_broker_never_answered_is_answered_by_the_new_one),
        IN_WORLD(a_bridge_that_is_gone_leaves_nothing_at_the_broker),
        IN_WORLD(an_agent_on_another_bridge_replaces_its_older_session),
        IN_WORLD(a_bridge_is_idle_once_nothing_waits_for_its_agents_at_the_broker),
        IN_WORLD(what_comes_for_a_session_that_has_ended_counts_as_lost),
        IN_WORLD(what_an_agents_connection_has_not_taken_counts_as_lost),
        IN_WORLD(what_another_broker_sent_is_not_confirmed_to_this_one),
        IN_WORLD(after_a_restart_publishes_wait_for_the_subscribers_of_other_bridges),
        IN_WORLD(what_a_session_has_published_is_held_after_it_has_left),
        IN_WORLD(closing_sends_what_waits_first),
        IN_WORLD(a_close_without_time_says_what_it_left_behind),
        IN_WORLD(a_newer_bridge_of_the_same_id_replaces_the_older),
        IN_WORLD(a_call_reaches_its_provider_and_its_result_the_caller),
        IN_WORLD(reports_credit_and_cancels_of_a_call_pass_through),
        IN_WORLD(of_calls_that_are_not_there_nothing_is_said),
        IN_WORLD(credit_for_a_broker_that_does_not_read_takes_no_room),
        IN_WORLD(without_a_broker_a_call_fails_at_once),
        IN_WORLD(when_the_connection_breaks_waiting_calls_fail_and_work_is_cancelled),
        IN_WORLD(the_directory_knows_the_agents_behind_a_bridge),
        IN_WORLD(an_address_in_use_is_told_with_its_url),
        IN_WORLD(bad_options_of_a_bridge_are_refused),
        IN_WORLD(over_tcp_with_ports_that_the_system_chose_it_works_too),
    };
    return cmocka_run_group_tests_name("bus_remote", tests, NULL, NULL);
}
