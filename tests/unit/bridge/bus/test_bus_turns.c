/* SPDX-License-Identifier: Apache-2.0 */
/* Agents of one bridge take turns: what one has sent that is much work, or is owed, does not stand before what others say. */
#include "bridge/bus/refused_calls.h"
#include "broker/endpoints/internal.h"
#include "host/net/sp/sp.h"
#include "tests/unit/bridge/bus/bus_home.h"

enum { WIDE = 4200, FLOOD = 200 }; /* two messages on `wide` are a turn */

typedef struct turns {
    bus_home home;
    bus_remote *bridge;
    test_port flood, wide, reader, neighbour;
    uint64_t told; /* before the test began */
} turns;

/* By agents, and not by the directory. */
static uint64_t published(turns *t)
{
    return eventbus_get_stats(t->home.cores.events).published - t->told;
}

static uint64_t deferred(turns *t)
{
    return bus_server_get_stats(t->home.server).deferred;
}

static int setup(void **state)
{
    turns *t = test_calloc(1, sizeof *t);
    home_open(&t->home);
    t->bridge = home_bridge(&t->home, "b");
    agent_attach(&t->flood, bus_remote_bus(t->bridge), "flood");
    agent_attach(&t->wide, bus_remote_bus(t->bridge), "wide");
    agent_attach(&t->reader, bus_remote_bus(t->bridge), "reader");
    agent_attach(&t->neighbour, bus_remote_bus(t->bridge), "neighbour");
    for (uint64_t i = 1; i <= WIDE; i++) {
        agent_ask(&t->wide, i, i, "wide", LOOM_QOS_REALTIME, 1);
    }
    agent_grant(&t->reader, UINT64_MAX);
    agent_grant(&t->neighbour, UINT64_MAX);
    assert_status(LOOM_OK, agent_subscribe(&t->home, &t->reader, 1, "wide", LOOM_QOS_BATCHED, 0));
    assert_status(LOOM_OK, agent_subscribe(&t->home, &t->neighbour, 1, "narrow", LOOM_QOS_BATCHED, 0));
    home_until(&t->home, t->wide.answers == WIDE);
    t->told = eventbus_get_stats(t->home.cores.events).published;
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    turns *t = *state;
    home_close_bridge(&t->home, t->bridge, 0);
    home_close(&t->home);
    test_free(t);
    return 0;
}

static void publish_wide(test_port *p, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        agent_publish(p, "wide", 100);
    }
}

static void what_many_subscriptions_get_does_not_keep_others_waiting(void **state)
{
    turns *t = *state;
    publish_wide(&t->flood, FLOOD);
    agent_publish(&t->neighbour, "narrow", 0);
    home_until(&t->home, t->neighbour.delivered == 1);
    assert_true(published(t) < FLOOD / 2);
    home_until(&t->home, t->reader.delivered == FLOOD);
    assert_int_equal(t->reader.out_of_order, 0);
    assert_int_equal(published(t), FLOOD + 1);
    assert_true(deferred(t) >= 1);
}

static void the_bridge_is_told_to_send_nothing_more_and_then_to_go_on(void **state)
{
    turns *t = *state;
    publish_wide(&t->flood, FLOOD);
    home_until(&t->home, t->flood.pressed);
    assert_true(published(t) < FLOOD);
    home_until(&t->home, !t->flood.pressed);
    assert_int_equal(published(t), FLOOD);
    assert_int_equal(t->flood.pressed_times, 1);
    assert_int_equal(t->neighbour.pressed_times, 0);
}

static void what_an_agent_says_next_comes_behind_what_waits(void **state)
{
    turns *t = *state;
    publish_wide(&t->flood, FLOOD);
    assert_status(LOOM_OK, agent_subscribe(&t->home, &t->flood, 1, "own", LOOM_QOS_BATCHED, 0));
    assert_int_equal(published(t), FLOOD);
}

static void an_agent_that_comes_anew_comes_behind_what_its_last_session_said(void **state)
{
    turns *t = *state;
    publish_wide(&t->flood, FLOOD);
    const uint64_t last = t->flood.number;
    agent_detach(&t->flood);
    agent_attach(&t->flood, bus_remote_bus(t->bridge), "flood");
    t->flood.number = last;
    publish_wide(&t->flood, 1);
    home_until(&t->home, t->reader.delivered == FLOOD + 1);
    assert_int_equal(t->reader.out_of_order, 0);
    home_until(&t->home, bus_server_is_through(t->home.server));
    assert_int_equal(directory_get_stats(t->home.cores.agents).agents, 4);
    assert_int_equal(t->flood.refusals, 0);
    assert_status(LOOM_OK, agent_subscribe(&t->home, &t->flood, 1, "own", LOOM_QOS_BATCHED, 0));
}

static void more_than_may_wait_is_done_at_once(void **state)
{
    turns *t = *state;
    for (unsigned i = 0; i < FLOOD; i++) {
        agent_publish(&t->flood, "wide", 10000); /* 2 MB */
    }
    home_until(&t->home, t->reader.delivered == FLOOD);
    assert_int_equal(t->reader.out_of_order, 0);
    home_until(&t->home, bus_server_is_through(t->home.server));
}

static void large_messages_wait_in_their_order(void **state)
{
    turns *t = *state;
    for (unsigned i = 0; i < 20; i++) {
        publish_wide(&t->flood, 5);
        agent_publish(&t->flood, "wide", 100000);
    }
    agent_publish(&t->neighbour, "narrow", 0);
    home_until(&t->home, t->neighbour.delivered == 1);
    home_until(&t->home, t->reader.delivered == 120);
    assert_int_equal(t->reader.out_of_order, 0);
}

static void what_waits_when_the_connection_ends_counts_as_not_confirmed(void **state)
{
    turns *t = *state;
    publish_wide(&t->flood, FLOOD);
    home_until(&t->home, deferred(t) == 1);
    const uint64_t done = published(t);
    assert_true(done < FLOOD);
    home_close_server(&t->home);
    home_until(&t->home, !bus_remote_get_stats(t->bridge).connected);
    assert_int_equal(bus_remote_get_stats(t->bridge).unconfirmed, FLOOD - done);
    home_open_server(&t->home); /* for the end of the test */
}

static void what_a_bridge_said_before_it_went_is_published(void **state)
{
    turns *t = *state;
    publish_wide(&t->flood, FLOOD);
    home_until(&t->home, deferred(t) == 1);
    assert_true(published(t) < FLOOD);
    home_close_bridge(&t->home, t->bridge, 0);
    home_until(&t->home, bus_server_get_stats(t->home.server).bridges == 0);
    assert_true(published(t) >= FLOOD); /* and what the directory says */
    assert_int_equal(bus_server_get_stats(t->home.server).deferred_lost, 0);
    t->bridge = home_bridge(&t->home, "b"); /* for the end of the test */
}

static void beyond_a_bound_what_a_bridge_said_before_it_went_is_counted(void **state)
{
    enum { MORE = 1000 };
    turns *t = *state;
    publish_wide(&t->flood, MORE);
    home_until(&t->home, deferred(t) == 1);
    home_until(&t->home, bus_remote_get_stats(t->bridge).unsent_bytes == 0);
    home_turn(&t->home);
    home_close_bridge(&t->home, t->bridge, 0);
    home_until(&t->home, bus_server_get_stats(t->home.server).bridges == 0);
    const uint64_t lost = bus_server_get_stats(t->home.server).deferred_lost;
    assert_true(lost > 0);
    const uint64_t left = eventbus_get_stats(t->home.cores.events).published - t->told - MORE + lost;
    assert_int_equal(left, 4); /* that four agents did */
    t->bridge = home_bridge(&t->home, "b");
}

static void owe(turns *t, unsigned messages)
{
    assert_status(LOOM_OK, agent_subscribe(&t->home, &t->flood, 1, "owed", LOOM_QOS_BACKGROUND, messages));
    for (unsigned i = 0; i < messages; i++) {
        agent_publish(&t->neighbour, "owed", 1000);
    }
    home_until(&t->home, eventbus_get_stats(t->home.cores.events).queued == messages);
}

static void what_an_agent_is_owed_does_not_keep_others_waiting(void **state)
{
    enum { OWED = 3000 };
    turns *t = *state;
    owe(t, OWED);
    t->neighbour.last_number = t->neighbour.number;
    agent_grant(&t->flood, UINT64_MAX);
    agent_publish(&t->neighbour, "narrow", 0);
    home_until(&t->home, t->neighbour.delivered == 1);
    assert_true(t->flood.delivered < OWED / 2);
    home_until(&t->home, t->flood.delivered == OWED);
    assert_int_equal(t->flood.out_of_order, 0);
}

static void who_has_no_messages_left_has_no_turn(void **state)
{
    enum { OWED = 1000, GRANTED = 600 };
    turns *t = *state;
    owe(t, OWED);
    agent_grant(&t->flood, GRANTED);
    home_until(&t->home, t->flood.delivered == GRANTED);
    home_until(&t->home, !bridge_endpoint_has_turns(t->home.server));
    agent_grant(&t->flood, OWED);
    home_until(&t->home, t->flood.delivered == OWED);
    home_until(&t->home, !bridge_endpoint_has_turns(t->home.server));
    assert_int_equal(t->flood.out_of_order, 0);
}

static void ignore(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    (void)user;
    (void)peer;
    (void)data;
    (void)len;
    (void)reply_to;
}

static void on_opened(void *user, sp_peer *peer)
{
    (void)peer;
    *(bool *)user = true;
}

static void what_an_nng_program_pushes_does_not_keep_others_waiting(void **state)
{
    static const sp_handlers handlers = {.opened = on_opened, .message = ignore};
    turns *t = *state;
    sp_peer *peer;
    bool opened = false;
    frame_writer w = {0};
    assert_status(LOOM_OK, sp_dial(&peer, &t->home.loop, t->home.urls[BUS_SERVER_PULL],
                                   &(sp_options){.protocol = SP_PUSH, .handlers = &handlers, .user = &opened}, 0));
    home_until(&t->home, opened);
    for (uint64_t number = 1; number <= FLOOD; number++) {
        loom_envelope *env;
        assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){
            .topic = STR("wide"), .payload = {(const uint8_t *)&number, sizeof number}, .sender = STR("nng")}));
        const envelope_view *view = envelope_as_view(env);
        assert_status(LOOM_OK, bus_put_raw(&w, (loom_bytes){view->data, view->len}));
        loom_envelope_unref(env);
    }
    assert_status(LOOM_OK, sp_peer_send(peer, &(loom_bytes){w.data, w.len}, 1));
    sp_peer_close(peer); /* what it has said is published all the same */
    home_until(&t->home, published(t) > 0);
    agent_publish(&t->neighbour, "narrow", 0);
    home_until(&t->home, t->neighbour.delivered == 1);
    assert_true(published(t) < FLOOD / 2);
    assert_true(bus_server_unread(t->home.server) > 0);
    home_until(&t->home, t->reader.delivered == FLOOD);
    assert_int_equal(t->reader.out_of_order, 0);
    assert_int_equal(bus_server_unread(t->home.server), 0);
    frame_writer_fini(&w);
}

/* ---- before the loop sleeps ---- */

typedef struct quiet_world {
    bus_home home;
    bus_remote *slow, *other; /* the latter came later, and is written to first */
    test_port provider, caller;
    bool answered, slept; /* the answer was about to leave; and the loop would have slept with it */
} quiet_world;

/* As when the provider's bridge does not read, and the call was one of those that were put off. */
static void refuse_call(void *user)
{
    quiet_world *w = user;
    bridge_peer *slow = w->home.server->bridges.first->next;
    void *session;
    size_t at = 0;
    assert_true(number_table_next(&slow->sessions, &at, &session));
    assert_true(refused_calls_add(&slow->refusals, session, (loom_bytes){w->provider.call_id, w->provider.call_id_len}));
}

static void look(void *user)
{
    quiet_world *w = user;
    if (w->home.server->bridges.first->out.w.len > 0) {
        w->answered = true;
        w->slept = w->slept || uv_backend_timeout(&w->home.loop) != 0;
    }
}

static void the_answer_to_a_refused_call_waits_for_nothing(void **state)
{
    quiet_world *w = test_calloc(1, sizeof *w);
    (void)state;
    home_open(&w->home);
    home_close_server(&w->home);
    home_be_quiet(&w->home);
    home_open_server(&w->home);
    w->slow = home_bridge(&w->home, "slow");
    agent_attach(&w->provider, bus_remote_bus(w->slow), "provider");
    assert_status(LOOM_OK, agent_provide(&w->home, &w->provider, "work", false));
    w->other = home_bridge(&w->home, "other");
    agent_attach(&w->caller, bus_remote_bus(w->other), "caller");
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->caller, 1, "none", LOOM_QOS_BATCHED, 0));
    agent_call(&w->caller, "1", "work");
    home_until(&w->home, w->provider.calls == 1);
    w->home.at_last = look;
    home_at_first(&w->home, refuse_call, w);
    uv_run(&w->home.loop, UV_RUN_NOWAIT);
    assert_true(w->answered);
    assert_false(w->slept);
    home_until(&w->home, w->caller.results == 1);
    w->home.at_last = NULL;
    home_close_bridge(&w->home, w->slow, 0);
    home_close_bridge(&w->home, w->other, 0);
    home_close(&w->home);
    test_free(w);
}

int main(void)
{
#define IN_TURNS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_TURNS(what_many_subscriptions_get_does_not_keep_others_waiting),
        IN_TURNS(the_bridge_is_told_to_send_nothing_more_and_then_to_go_on),
        IN_TURNS(what_an_agent_says_next_comes_behind_what_waits),
        IN_TURNS(an_agent_that_comes_anew_comes_behind_what_its_last_session_said),
        IN_TURNS(more_than_may_wait_is_done_at_once),
        IN_TURNS(large_messages_wait_in_their_order),
        IN_TURNS(what_waits_when_the_connection_ends_counts_as_not_confirmed),
        IN_TURNS(what_a_bridge_said_before_it_went_is_published),
        IN_TURNS(beyond_a_bound_what_a_bridge_said_before_it_went_is_counted),
        IN_TURNS(what_an_agent_is_owed_does_not_keep_others_waiting),
        IN_TURNS(who_has_no_messages_left_has_no_turn),
        IN_TURNS(what_an_nng_program_pushes_does_not_keep_others_waiting),
        cmocka_unit_test(the_answer_to_a_refused_call_waits_for_nothing),
    };
    return cmocka_run_group_tests_name("bus_turns", tests, NULL, NULL);
}
