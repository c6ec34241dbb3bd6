/* SPDX-License-Identifier: Apache-2.0 */
/* Traces that are to be kept: who is told of them, and of how many at most. */
#include <stdlib.h>

#include "bridge/session/session.h"
#include "tests/unit/bridge/fake_bus.h"

enum { UNREAD = 64 * 1024, BURST = 4000, TOO_MANY = 5000 };

static const uint8_t trace_id[LOOM_TRACE_ID_SIZE] = {1, 2, 3};

typedef struct fixture {
    loop_clock clock;
    fake_bus bus;
    bridge *bridge;
    fake_agent a, b, without; /* the last has no recorder */
} fixture;

static void enter(fixture *f, fake_agent *a, const char *id, bool recorder)
{
    assert_status(LOOM_OK, fake_agent_open(a, f->bridge));
    assert_status(LOOM_OK, frame_put_hello(&a->say, &(frame_hello){.protocol = LINK_PROTOCOL, .agent = str_of(id),
                                                                   .software = STR("test/1"), .recorder = recorder}));
    fake_agent_send(a);
    fake_agent_hear(a);
    (void)fake_agent_frame(a, FRAME_WELCOME);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fake_bus_init(&f->bus);
    f->clock.now_ms = 10000;
    assert_status(LOOM_OK, bridge_create(&f->bridge, &f->clock,
                                         &(bridge_options){.id = "bridge-1", .software = "test", .bus = &f->bus.base}));
    enter(f, &f->a, "a", true);
    enter(f, &f->b, "b", true);
    enter(f, &f->without, "without", false);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    fake_agent_close(&f->a);
    fake_agent_close(&f->b);
    fake_agent_close(&f->without);
    bridge_destroy(f->bridge);
    free(f);
    return 0;
}

static size_t waits(const fake_agent *a)
{
    return session_output(a->session)->len;
}

static void every_agent_with_a_recorder_is_told_but_who_asked(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, frame_put_keep(&f->a.say, &(frame_keep){.trace_id = trace_id, .reason = STR("error")}));
    fake_agent_send(&f->a);
    fake_agent_hear(&f->b);
    const frame_keep *told = &fake_agent_frame(&f->b, FRAME_KEEP)->u.keep;
    assert_memory_equal(trace_id, told->trace_id, sizeof trace_id);
    assert_str("error", told->reason);
    assert_int_equal(0, waits(&f->a));
    assert_int_equal(0, waits(&f->without));
    assert_int_equal(1, f->bus.kept);
}

static void who_does_not_read_is_told_of_64_kib_and_the_rest_is_counted(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < TOO_MANY; i++) {
        bridge_told_to_keep(f->bridge, &(frame_keep){.trace_id = trace_id, .reason = STR("error")});
    }
    while (bridge_goes_on(f->bridge)) {
        bridge_new_round(f->bridge);
    }
    const size_t each = 1 + LOOM_TRACE_ID_SIZE + sizeof "error"; /* at least */
    assert_in_range(waits(&f->a), UNREAD, UNREAD + 64);
    assert_int_equal(waits(&f->a), waits(&f->b));
    assert_int_equal(0, waits(&f->without));
    assert_in_range(bridge_get_stats(f->bridge).keeps_dropped, 2 * (TOO_MANY - UNREAD / each), 2 * TOO_MANY);
}

static void a_burst_is_told_to_all_agents_in_several_rounds(void **state)
{
    fixture *f = *state;
    enum { KEEPS = 1700 };
    for (unsigned i = 0; i < KEEPS; i++) {
        const uint8_t id[LOOM_TRACE_ID_SIZE] = {(uint8_t)(i >> 8), (uint8_t)i, 1};
        bridge_told_to_keep(f->bridge, &(frame_keep){.trace_id = id, .reason = STR("error")});
    }
    const size_t at_once = waits(&f->a);
    assert_true(at_once > 0 && bridge_goes_on(f->bridge));
    while (bridge_goes_on(f->bridge)) {
        bridge_new_round(f->bridge);
    }
    assert_true(waits(&f->a) > at_once);
    assert_int_equal(waits(&f->a), waits(&f->b));
    assert_int_equal(0, bridge_get_stats(f->bridge).keeps_dropped);
    bridge_told_to_keep(f->bridge, &(frame_keep){.trace_id = trace_id, .reason = STR("error")});
    for (unsigned i = 0; i < KEEPS; i++) { /* some are left when the bridge goes */
        bridge_told_to_keep(f->bridge, &(frame_keep){.trace_id = trace_id, .reason = STR("error")});
    }
}

static void what_agents_ask_for_beyond_what_is_allowed_is_counted_and_goes_nowhere(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < TOO_MANY; i++) {
        assert_status(LOOM_OK, frame_put_keep(&f->a.say, &(frame_keep){.trace_id = trace_id, .reason = STR("error")}));
    }
    fake_agent_send(&f->a);
    assert_int_equal(BURST, f->bus.kept);
    assert_int_equal(BURST, bridge_get_stats(f->bridge).keeps);
    assert_true(bridge_get_stats(f->bridge).keeps_dropped >= TOO_MANY - BURST);
    f->clock.now_ms += 1;
    assert_status(LOOM_OK, frame_put_keep(&f->a.say, &(frame_keep){.trace_id = trace_id, .reason = STR("error")}));
    fake_agent_send(&f->a);
    assert_int_equal(BURST + 1, f->bus.kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_agent_with_a_recorder_is_told_but_who_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(who_does_not_read_is_told_of_64_kib_and_the_rest_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_burst_is_told_to_all_agents_in_several_rounds, setup, teardown),
        cmocka_unit_test_setup_teardown(what_agents_ask_for_beyond_what_is_allowed_is_counted_and_goes_nowhere, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
