/* SPDX-License-Identifier: Apache-2.0 */
/* The bus under full rate: order, no loss, and bounds. */
#include "tests/unit/bridge/bus/bus_home.h"

typedef struct flow {
    bus_home home;
    bus_remote *from, *to;
    test_port sensor, reader;
} flow;

static int setup(void **state)
{
    flow *f = test_calloc(1, sizeof *f);
    home_open(&f->home);
    f->from = home_bridge(&f->home, "from");
    f->to = home_bridge(&f->home, "to");
    agent_attach(&f->sensor, bus_remote_bus(f->from), "sensor");
    agent_attach(&f->reader, bus_remote_bus(f->to), "reader");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    flow *f = *state;
    home_close_bridge(&f->home, f->from, 0);
    home_close_bridge(&f->home, f->to, 0);
    home_close(&f->home);
    test_free(f);
    return 0;
}

/* Publishes count messages as fast as pressure lets it, granting credit in steps as a slow agent would. */
static void pump(flow *f, uint64_t count, size_t padding, uint64_t credit)
{
    uint64_t granted = credit;
    agent_grant(&f->reader, granted);
    assert_status(LOOM_OK, agent_subscribe(&f->home, &f->reader, 1, "flow.>", LOOM_QOS_BATCHED, 0));
    home_until(&f->home, bus_remote_get_stats(f->from).connected);
    uint64_t progress = 0;
    uint64_t until_ms = uv_hrtime() / 1000000 + HOME_DEADLINE_MS;
    while (f->reader.delivered < count) {
        for (unsigned i = 0; i < 500 && !f->sensor.pressed && f->sensor.number < count; i++) {
            agent_publish(&f->sensor, "flow.data", padding);
        }
        home_turn(&f->home);
        if (f->reader.delivered + credit / 2 >= granted) {
            agent_grant(&f->reader, granted += credit);
        }
        if (f->reader.delivered > progress) {
            progress = f->reader.delivered;
            until_ms = uv_hrtime() / 1000000 + HOME_DEADLINE_MS;
        }
        if (uv_hrtime() / 1000000 >= until_ms) {
            bus_remote_stats a = bus_remote_get_stats(f->from), b = bus_remote_get_stats(f->to);
            bus_server_stats v = bus_server_get_stats(f->home.server);
            print_error("published %llu delivered %llu granted %llu pressed %d; from sent %llu unsent %zu; "
                        "server received %llu sent %llu; queued %llu; to received %llu\n",
                        (unsigned long long)f->sensor.number, (unsigned long long)f->reader.delivered,
                        (unsigned long long)granted, f->sensor.pressed, (unsigned long long)a.sent, a.unsent_bytes,
                        (unsigned long long)v.bridge_received, (unsigned long long)v.bridge_sent,
                        (unsigned long long)eventbus_get_stats(f->home.cores.events).queued, (unsigned long long)b.received);
            fail_msg("no progress within %d ms", HOME_DEADLINE_MS);
        }
    }
}

static void check_nothing_lost(flow *f)
{
    eventbus_stats core = eventbus_get_stats(f->home.cores.events);
    assert_int_equal(f->reader.out_of_order, 0);
    for (unsigned i = 0; i < EVENTBUS_DROP_REASONS; i++) {
        assert_int_equal(core.dropped[i], 0);
    }
    assert_int_equal(bus_remote_get_stats(f->from).refused, 0);
}

static void a_hundred_thousand_messages_arrive_in_order(void **state)
{
    pump(*state, 100000, 100, 100000);
    check_nothing_lost(*state);
}

static void a_subscriber_with_little_credit_gets_everything_all_the_same(void **state)
{
    pump(*state, 20000, 100, 50);
    check_nothing_lost(*state);
}

static void the_largest_messages_pass(void **state)
{
    pump(*state, 200, 1000 * 1000, 32);
    check_nothing_lost(*state);
}

static void under_load_many_messages_share_one_of_the_bus(void **state)
{
    flow *f = *state;
    pump(f, 20000, 100, 100000);
    assert_true(bus_remote_get_stats(f->to).received < 2000);
}

int main(void)
{
#define IN_FLOW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_FLOW(a_hundred_thousand_messages_arrive_in_order),
        IN_FLOW(a_subscriber_with_little_credit_gets_everything_all_the_same),
        IN_FLOW(the_largest_messages_pass),
        IN_FLOW(under_load_many_messages_share_one_of_the_bus),
    };
    return cmocka_run_group_tests_name("bus_flow", tests, NULL, NULL);
}
