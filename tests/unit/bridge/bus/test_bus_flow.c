/* SPDX-License-Identifier: Apache-2.0 */
/* The bus under full rate: order, no loss, and bounds. */
#include "tests/unit/bridge/bus/nng_fixture.h"

typedef struct flow {
    bus_home home;
    bus_nng *from, *to;
    test_port sensor, reader;
} flow;

static int setup(void **state)
{
    flow *f = test_calloc(1, sizeof *f);
    home_open(&f->home);
    f->from = home_bridge(&f->home, "from");
    f->to = home_bridge(&f->home, "to");
    port_attach(&f->sensor, bus_nng_bus(f->from), "sensor");
    port_attach(&f->reader, bus_nng_bus(f->to), "reader");
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
    port_grant(&f->reader, granted);
    assert_status(LOOM_OK, port_subscribe(&f->home, &f->reader, 1, "flow.>", LOOM_QOS_BATCHED, 0));
    home_until(&f->home, bus_nng_get_stats(f->from).connected);
    uint64_t progress = 0;
    uint64_t until_ms = uv_hrtime() / 1000000 + HOME_DEADLINE_MS;
    while (f->reader.delivered < count) {
        for (unsigned i = 0; i < 500 && !f->sensor.pressed && f->sensor.number < count; i++) {
            port_publish(&f->sensor, "flow.data", padding);
        }
        home_turn(&f->home);
        if (f->reader.delivered + credit / 2 >= granted) {
            port_grant(&f->reader, granted += credit);
        }
        if (f->reader.delivered > progress) {
            progress = f->reader.delivered;
            until_ms = uv_hrtime() / 1000000 + HOME_DEADLINE_MS;
        }
        if (uv_hrtime() / 1000000 >= until_ms) {
            bus_nng_stats a = bus_nng_get_stats(f->from), b = bus_nng_get_stats(f->to);
            bus_server_stats v = bus_server_get_stats(f->home.server);
            eventbus_stats core = eventbus_get_stats(f->home.core);
            print_error("published %llu delivered %llu granted %llu pressed %d; from sent %llu received %llu unsent %zu; "
                        "server received %llu sent %llu gaps %llu resent %llu; queued %llu; to received %llu gaps %llu\n",
                        (unsigned long long)f->sensor.number, (unsigned long long)f->reader.delivered,
                        (unsigned long long)granted, f->sensor.pressed, (unsigned long long)a.sent,
                        (unsigned long long)a.received, a.unsent_bytes, (unsigned long long)v.bridge_received,
                        (unsigned long long)v.bridge_sent, (unsigned long long)v.gaps, (unsigned long long)v.resent,
                        (unsigned long long)core.queued, (unsigned long long)b.received, (unsigned long long)b.gaps);
            fail_msg("no progress within %d ms", HOME_DEADLINE_MS);
        }
    }
}

static void check_nothing_lost(flow *f)
{
    eventbus_stats core = eventbus_get_stats(f->home.core);
    bus_server_stats server = bus_server_get_stats(f->home.server);
    assert_int_equal(f->reader.out_of_order, 0);
    for (unsigned i = 0; i < EVENTBUS_DROP_REASONS; i++) {
        assert_int_equal(core.dropped[i], 0);
    }
    assert_int_equal(server.gaps, 0);
    assert_int_equal(server.resent, 0);
    assert_int_equal(bus_nng_get_stats(f->from).gaps, 0);
    assert_int_equal(bus_nng_get_stats(f->to).gaps, 0);
    assert_int_equal(bus_nng_get_stats(f->from).refused, 0);
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

static void the_largest_messages_pass_through_the_windows(void **state)
{
    pump(*state, 200, 1000 * 1000, 32);
    check_nothing_lost(*state);
}

static void under_load_many_messages_share_one_of_the_bus(void **state)
{
    flow *f = *state;
    pump(f, 20000, 100, 100000);
    assert_true(bus_nng_get_stats(f->to).received < 2000);
}

static void what_the_broker_could_not_hand_over_is_sent_again(void **state)
{
    flow *f = *state;
    home_close_server(&f->home);
    f->home.options.bridge_send_buffer = 1; /* the socket throws away nearly all of a burst */
    home_open_server(&f->home);
    pump(f, 4000, 1000, 100000);
    assert_int_equal(f->reader.out_of_order, 0);
    assert_true(bus_nng_get_stats(f->to).gaps > 0);
    assert_true(bus_server_get_stats(f->home.server).resent > 0);
}

int main(void)
{
#define IN_FLOW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_FLOW(a_hundred_thousand_messages_arrive_in_order),
        IN_FLOW(a_subscriber_with_little_credit_gets_everything_all_the_same),
        IN_FLOW(the_largest_messages_pass_through_the_windows),
        IN_FLOW(what_the_broker_could_not_hand_over_is_sent_again),
        IN_FLOW(under_load_many_messages_share_one_of_the_bus),
    };
    return cmocka_run_group_tests_name("bus_flow", tests, NULL, home_fini_nng);
}
