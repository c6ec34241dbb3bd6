/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of the public entry points fails once: it is told, or made good, and nothing leaks. */
#include "broker/endpoints/control_internal.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/bridge/bus/bus_home.h"

typedef struct memory_world {
    bus_home home;
    bus_remote *bridge;
    test_port agent;
    unsigned handles; /* of the home itself */
    bool struck; /* the last fault met an allocation */
} memory_world;

static void count(uv_handle_t *handle, void *user)
{
    (void)handle;
    ++*(unsigned *)user;
}

static unsigned handles_of(bus_home *h)
{
    unsigned handles = 0;
    uv_walk(&h->loop, count, &handles);
    return handles;
}

/* Closed objects are freed by the loop, when their sockets are closed. */
static void settle(memory_world *w)
{
    home_until(&w->home, handles_of(&w->home) == w->handles);
}

static int setup(void **state)
{
    memory_world *w = test_calloc(1, sizeof *w);
    home_open(&w->home);
    w->handles = handles_of(&w->home);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    memory_world *w = *state;
    home_close(&w->home);
    test_free(w);
    return 0;
}

static loom_status server_life(memory_world *w, bool faults_in_close)
{
    bus_server *server;
    bus_server_options options = {.bus_pull = "tcp://127.0.0.1:0", .bus_pub = "tcp://127.0.0.1:0",
                                  .bus_bridge = "tcp://127.0.0.1:0", .control = "tcp://127.0.0.1:0"};
    loom_status st = bus_server_open(&server, &w->home.loop, &w->home.clock, &w->home.cores, &options);
    if (!faults_in_close) {
        (void)alloc_fault_disarm();
    }
    if (st == LOOM_OK) {
        bus_server_close(server, NULL, NULL);
    }
    settle(w);
    return st;
}

static loom_status open_server(void *user)
{
    return server_life(user, false);
}

static loom_status open_and_close_server(void *user)
{
    return server_life(user, true);
}

static loom_status bridge_life(memory_world *w, bool faults_in_close)
{
    bus_remote *b;
    loom_status st = bus_remote_open(&b, &w->home.loop, &(bus_remote_options){
        .url = "ipc:///tmp/loom-there-is-none", .bridge_id = "b"});
    if (st == LOOM_OK) {
        bus_remote_close(b, 0, NULL, NULL);
    }
    if (!faults_in_close) {
        (void)alloc_fault_disarm();
    }
    settle(w);
    return st;
}

static loom_status open_bridge(void *user)
{
    return bridge_life(user, false);
}

static loom_status open_and_close_bridge(void *user)
{
    return bridge_life(user, true);
}

static void opening_a_server_tells_of_every_lack_of_memory(void **state)
{
    memory_world *w = *state;
    assert_true(alloc_fault_each(open_server, w) > 3);
}

static void opening_a_bridge_tells_of_every_lack_of_memory(void **state)
{
    memory_world *w = *state;
    assert_true(alloc_fault_each(open_bridge, w) > 3);
}

static void closing_makes_do_without_memory(void **state)
{
    memory_world *w = *state;
    (void)alloc_fault_each_survived(open_and_close_server, w);
    (void)alloc_fault_each_survived(open_and_close_bridge, w);
}

/* A session asks and publishes while memory lacks. Whatever is lost on the way, every request is answered in the end and
 * both ends agree again: after that a message of another session passes. */
static void session_life(memory_world *w, size_t fault)
{
    test_port *p = &w->agent;
    test_port other;
    unsigned answers = p->answers;
    alloc_fault_arm(fault);
    agent_ask(p, 5, 2, "b", LOOM_QOS_BATCHED, 0);
    agent_ask_end(p, 6, 2);
    for (unsigned i = 0; i < 20; i++) {
        home_turn(&w->home);
    }
    w->struck = alloc_fault_disarm();
    home_until(&w->home, p->answers == answers + 2 && bus_remote_get_stats(w->bridge).connected);
    (void)agent_unsubscribe(&w->home, p, 2); /* when it was the unsubscribe that had no memory */

    uint64_t seen = p->delivered;
    agent_attach(&other, bus_remote_bus(w->bridge), "other");
    home_until(&w->home, eventbus_get_stats(w->home.cores.events).subscribers == 2 &&
                             eventbus_get_stats(w->home.cores.events).subscriptions == 1);
    other.number = p->last_number;
    agent_publish(&other, "a", 0);
    home_until(&w->home, p->delivered == seen + 1);
    agent_detach(&other);
    home_until(&w->home, bus_server_get_stats(w->home.server).sessions == 1);
}

static void after_any_lack_of_memory_both_ends_agree_again(void **state)
{
    memory_world *w = *state;
    w->bridge = home_bridge(&w->home, "b");
    agent_attach(&w->agent, bus_remote_bus(w->bridge), "agent");
    agent_grant(&w->agent, 100000);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->agent, 1, "a", LOOM_QOS_BATCHED, 0));
    w->struck = true;
    for (size_t fault = 0; w->struck && fault < 200; fault++) {
        session_life(w, fault);
    }
    assert_false(w->struck);
    home_close_bridge(&w->home, w->bridge, 0);
}

/* One question to the control socket, asked by nobody who still waits. */
typedef struct question {
    memory_world *world;
    loom_bytes body;
} question;

static loom_status ask(void *user)
{
    static const sp_reply_to nobody = {.peer_number = UINT64_MAX};
    const question *q = user;
    control_buffer answer;
    control_buffer_init(&answer);
    (void)!control_run(q->world->home.server, q->body, &nobody, &answer);
    const loom_status st = answer.failed ? LOOM_ENOMEM : LOOM_OK;
    control_buffer_fini(&answer);
    return st;
}

static void every_question_survives_every_lack_of_memory(void **state)
{
    static const char *const bodies[] = {
        "\x81\xa2op\xa5stats", "\x81\xa2op\xa6" "agents", "\x81\xa2op\xac" "capabilities", "\x81\xa2op\xa6topics",
        "\x82\xa2op\xa6invoke\xaa" "capability\xa1" "x", "\x82\xa2op\xa6invoke\xaa" "capability\xa1" "p",
    };
    memory_world *w = *state;
    w->bridge = home_bridge(&w->home, "b");
    agent_attach(&w->agent, bus_remote_bus(w->bridge), "agent");
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->agent, 1, "a", LOOM_QOS_BATCHED, 0));
    assert_status(LOOM_OK, agent_provide(&w->home, &w->agent, "p", false));
    agent_publish(&w->agent, "a", 0);
    home_until(&w->home, eventbus_get_stats(w->home.cores.events).matched == 1);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        question q = {w, {(const uint8_t *)bodies[i], strlen(bodies[i])}};
        assert_true(alloc_fault_each_survived(ask, &q) > 0);
    }
    home_close_bridge(&w->home, w->bridge, 0);
}

int main(void)
{
#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_MEMORY(opening_a_server_tells_of_every_lack_of_memory),
        IN_MEMORY(opening_a_bridge_tells_of_every_lack_of_memory),
        IN_MEMORY(closing_makes_do_without_memory),
        IN_MEMORY(every_question_survives_every_lack_of_memory),
        IN_MEMORY(after_any_lack_of_memory_both_ends_agree_again),
    };
    return cmocka_run_group_tests_name("bus_memory", tests, NULL, NULL);
}
