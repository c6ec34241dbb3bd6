/* SPDX-License-Identifier: Apache-2.0 */
/* Before the loop sleeps: whatever is left to be said has the kernel, a timer or the next round to see to it. */
#include <stdlib.h>

#include "bridge/bus/remote/internal.h"
#include "tests/unit/bridge/bus/bus_home.h"
#include "trace/export/processor.h"

enum { PORTS = 15000, HALF = 60000 };

typedef struct sleep_world {
    bus_home home;
    loom_span_processor *processor;
    bus_remote *bridge;
    test_port agent;
    test_port *many;
} sleep_world;

static int setup(void **state)
{
    sleep_world *w = test_calloc(1, sizeof *w);
    home_open(&w->home);
    home_close_server(&w->home);
    home_be_quiet(&w->home);
    home_open_server(&w->home);
    assert_status(LOOM_OK, loom_span_processor_create(&w->processor, &(loom_span_processor_options){
        .exporter = LOOM_EXPORTER_LINK, .schedule_delay_ms = 60000}));
    assert_status(LOOM_OK, bus_remote_open(&w->bridge, &w->home.loop, &(bus_remote_options){
        .url = w->home.urls[BUS_SERVER_BRIDGE], .bridge_id = "b", .ping_ms = HOME_FOR_EVER_MS, .parts_ms = HOME_FOR_EVER_MS,
        .spans = processor_span_link(w->processor)}));
    agent_attach(&w->agent, bus_remote_bus(w->bridge), "agent");
    assert_status(LOOM_OK, agent_subscribe(&w->home, &w->agent, 1, "none", LOOM_QOS_BATCHED, 0));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    sleep_world *w = *state;
    w->home.at_last = NULL;
    home_close_bridge(&w->home, w->bridge, 0);
    home_close(&w->home);
    (void)loom_span_processor_shutdown(w->processor, 0);
    loom_span_processor_unref(w->processor);
    free(w->many);
    test_free(w);
    return 0;
}

static bool may_sleep(const sleep_world *w)
{
    return uv_backend_timeout(&w->home.loop) != 0;
}

/* ---- spans ---- */

/* The exporter thread has woken the loop, and more waits than spans may stand behind. */
static void have_spans_behind_messages(void *user)
{
    sleep_world *w = user;
    agent_publish(&w->agent, "topic", HALF);
    agent_publish(&w->agent, "topic", HALF);
    w->bridge->spans_wait = true;
}

static void spans_do_not_sleep(void *user)
{
    const sleep_world *w = user;
    assert_false(remote_waiting(w->bridge) == 0 && w->bridge->spans_wait && may_sleep(w));
}

static void spans_go_on_when_what_stood_before_them_has_left(void **state)
{
    sleep_world *w = *state;
    w->home.at_last = spans_do_not_sleep;
    home_at_first(&w->home, have_spans_behind_messages, w);
    uv_run(&w->home.loop, UV_RUN_NOWAIT);
    home_until(&w->home, !w->bridge->spans_wait);
}

/* ---- credit ---- */

/* As they are when they have granted while the broker was behind. */
static void have_credit_due(void *user)
{
    sleep_world *w = user;
    for (unsigned i = 0; i < PORTS; i++) {
        bus_port *p = w->many[i].port;
        p->granted_messages = p->granted_bytes = UINT64_MAX;
        p->credit_due = true;
        remote_port_due(p);
    }
}

static void credit_does_not_sleep(void *user)
{
    const sleep_world *w = user;
    assert_false(remote_waiting(w->bridge) == 0 && w->bridge->due.first != NULL && may_sleep(w));
}

static void more_credit_than_is_said_at_once_goes_on_in_the_next_round(void **state)
{
    sleep_world *w = *state;
    w->many = calloc(PORTS, sizeof *w->many); /* freed behind the bridge, in the teardown */
    assert_non_null(w->many);
    for (unsigned i = 0; i < PORTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "agent-%u", i);
        agent_attach(&w->many[i], bus_remote_bus(w->bridge), name);
    }
    home_until(&w->home, bus_server_get_stats(w->home.server).sessions == PORTS + 1);
    w->home.at_last = credit_does_not_sleep;
    home_at_first(&w->home, have_credit_due, w);
    uv_run(&w->home.loop, UV_RUN_NOWAIT);
    home_until(&w->home, w->bridge->due.first == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spans_go_on_when_what_stood_before_them_has_left, setup, teardown),
        cmocka_unit_test_setup_teardown(more_credit_than_is_said_at_once_goes_on_in_the_next_round, setup, teardown),
    };
    return cmocka_run_group_tests_name("bus_sleep", tests, NULL, NULL);
}
