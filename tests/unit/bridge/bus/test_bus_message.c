/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of the bridge bus, without any socket. */
#include <loom/envelope.h>
#include <stdlib.h>

#include "envelope/frame/bus_message.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

static bus_frame next_of(loom_bytes *rest)
{
    char reason[FRAME_REASON_SIZE];
    bus_frame f;
    assert_status(LOOM_OK, bus_frame_next(rest, &f, reason));
    return f;
}

static void frames_of_the_bus_are_read_as_they_were_written(void **state)
{
    (void)state;
    static const uint8_t instance[LOOM_UUID_SIZE] = {1, 2, 3};
    bus_outgoing out = {0};
    assert_status(LOOM_OK, bus_put_greeting(bus_outgoing_to(&out, 0), 
        &(bus_greeting){BUS_PROTOCOL, STR("eu"), STR("x/1"), 1500, 32768, true, 4096, 9}));
    assert_status(LOOM_OK, bus_put_taken(bus_outgoing_to(&out, 0), 300, true, 70000));
    assert_status(LOOM_OK, bus_put_taken(bus_outgoing_to(&out, 0), 301, false, 0));
    assert_status(LOOM_OK, bus_put_attach(bus_outgoing_to(&out, 70000), &(bus_attach){
        STR("agent"), STR("y/2"), BYTES(instance), 15000, STR("tcp 1.2.3.4"), 0, true, true, true}));
    bus_attach_set_age(out.w.data, out.w.len, 70001);
    assert_status(LOOM_OK, bus_put_pressure(bus_outgoing_to(&out, 70000), true));
    assert_status(LOOM_OK, bus_put_mark(&out.w, 1234567));
    loom_bytes rest = {out.w.data, out.w.len};
    bus_frame f = next_of(&rest);
    assert_int_equal(f.type, BUS_FRAME_GREETING);
    assert_int_equal(f.greeting.protocol, BUS_PROTOCOL);
    assert_str("eu", f.greeting.id);
    assert_str("x/1", f.greeting.software);
    assert_int_equal(f.greeting.hold_ms, 1500);
    assert_int_equal(f.greeting.span_credit, 32768);
    assert_true(f.greeting.parts);
    assert_int_equal(4096, f.greeting.payload_max);
    assert_int_equal(9, f.greeting.ttl);
    f = next_of(&rest);
    assert_int_equal(f.type, BUS_FRAME_TAKEN);
    assert_int_equal(f.number, 300);
    assert_true(f.answer);
    assert_int_equal(f.queued, 70000);
    f = next_of(&rest);
    assert_int_equal(f.number, 301);
    assert_false(f.answer);
    assert_int_equal(f.queued, 0);
    f = next_of(&rest);
    assert_int_equal(f.type, BUS_FRAME_SESSION);
    assert_int_equal(f.number, 70000);
    f = next_of(&rest);
    assert_int_equal(f.type, BUS_FRAME_ATTACH);
    assert_str("agent", f.attach.agent);
    assert_str("y/2", f.attach.software);
    assert_int_equal(f.attach.instance.len, LOOM_UUID_SIZE);
    assert_int_equal(f.attach.heartbeat_ms, 15000);
    assert_str("tcp 1.2.3.4", f.attach.peer);
    assert_int_equal(f.attach.age_ms, 70001);
    assert_true(f.attach.quiet && f.attach.own && f.attach.unrecorded);
    f = next_of(&rest);
    assert_int_equal(f.type, BUS_FRAME_PRESSURE);
    assert_int_equal(f.number, 1);
    f = next_of(&rest);
    assert_int_equal(f.type, BUS_FRAME_MARK);
    assert_int_equal(f.number, 1234567);
    assert_int_equal(rest.len, 0);
    frame_writer_fini(&out.w);
}

static void what_is_given_back_names_its_subscription(void **state)
{
    (void)state;
    bus_outgoing out = {0};
    loom_envelope *env;
    envelope_view view;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t"), .sender = STR("s")}));
    const loom_bytes wire = loom_envelope_wire(env);
    assert_status(LOOM_OK, envelope_scan(&view, wire, NULL, NULL));
    assert_status(LOOM_OK, bus_put_give_back(&out.w, UINT64_MAX, &view));
    loom_bytes rest = {out.w.data, out.w.len};
    const bus_frame f = next_of(&rest);
    assert_int_equal(f.type, BUS_FRAME_GIVE_BACK);
    assert_true(f.number == UINT64_MAX);
    assert_int_equal(wire.len, f.envelope.len);
    assert_memory_equal(wire.data, f.envelope.data, wire.len);
    static const uint8_t empty[] = {0, 0, 0, 3, 0x93, 71, 1}, two[] = {0, 0, 0, 3, 0x92, 71, 1}, text[] = {0, 0, 0, 5, 0x93, 71, 0xa1, 'x', 0xc0};
    const loom_bytes bad[] = {BYTES(empty), BYTES(two), BYTES(text)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char reason[FRAME_REASON_SIZE];
        bus_frame none;
        loom_bytes left = bad[i];
        assert_status(LOOM_EMALFORMED, bus_frame_next(&left, &none, reason));
    }
    loom_envelope_unref(env);
    frame_writer_fini(&out.w);
}

static void every_cut_of_a_message_is_malformed(void **state)
{
    (void)state;
    bus_outgoing out = {0};
    assert_status(LOOM_OK, bus_put_attach(bus_outgoing_to(&out, 0), &(bus_attach){.agent = STR("agent"), .peer = STR("p")}));
    for (size_t len = 1; len < out.w.len; len++) {
        char reason[FRAME_REASON_SIZE];
        bus_frame f;
        loom_bytes rest = {out.w.data, len};
        assert_status(LOOM_EMALFORMED, bus_frame_next(&rest, &f, reason));
    }
    frame_writer_fini(&out.w);
}

static void a_bridge_id_is_printable_and_bounded(void **state)
{
    (void)state;
    char longest[BUS_BRIDGE_ID_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(bus_bridge_id_valid(STR("host-1.example_x")));
    assert_true(bus_bridge_id_valid((loom_str){longest, BUS_BRIDGE_ID_MAX}));
    assert_false(bus_bridge_id_valid((loom_str){longest, BUS_BRIDGE_ID_MAX + 1}));
    assert_false(bus_bridge_id_valid(STR("")));
    assert_false(bus_bridge_id_valid(STR("a b")));
    assert_false(bus_bridge_id_valid(STR("a\nb")));
}

static loom_envelope *envelope(const char *payload)
{
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){
        .topic = STR("a.b"), .payload = {(const uint8_t *)payload, strlen(payload)}}));
    return env;
}

static void equal_envelopes_in_a_row_are_written_once_with_all_their_targets(void **state)
{
    (void)state;
    bus_outgoing out = {0};
    loom_envelope *one = envelope("one");
    loom_envelope *two = envelope("two");
    const envelope_view *views[] = {envelope_as_view(one), envelope_as_view(one), envelope_as_view(two)};
    for (unsigned i = 0; i < 3; i++) {
        assert_status(LOOM_OK, bus_put_delivery(&out, 10 + i, 1000000 + i, views[i]));
    }
    frame_writer_seal(&out.w);
    loom_bytes rest = {out.w.data, out.w.len};
    bus_frame f;
    char reason[FRAME_REASON_SIZE];
    assert_status(LOOM_OK, bus_frame_next(&rest, &f, reason));
    assert_int_equal(f.type, BUS_FRAME_FANOUT);
    assert_int_equal(f.fanout.count, 2);
    envelope_view view;
    bus_targets targets;
    const char *text;
    uint64_t session, subscription;
    assert_status(LOOM_OK, bus_fanout_next(&f.fanout, &view, &targets, &text));
    assert_int_equal(targets.count, 2);
    assert_true(bus_target_next(&targets, &session, &subscription));
    assert_true(bus_target_next(&targets, &session, &subscription));
    assert_int_equal(session, 11);
    assert_int_equal(subscription, 1000001);
    assert_false(bus_target_next(&targets, &session, &subscription));
    assert_status(LOOM_OK, bus_fanout_next(&f.fanout, &view, &targets, &text));
    assert_int_equal(targets.count, 1);
    assert_status(LOOM_ENOTFOUND, bus_fanout_next(&f.fanout, &view, &targets, &text));
    assert_status(LOOM_ENOTFOUND, bus_frame_next(&rest, &f, reason));
    loom_envelope_unref(one);
    loom_envelope_unref(two);
    frame_writer_fini(&out.w);
}

static void no_frame_grows_over_its_limit_however_many_targets_there_are(void **state)
{
    (void)state;
    bus_outgoing out = {0};
    loom_envelope *one = envelope("one");
    for (uint64_t i = 0; i < 100000; i++) {
        assert_status(LOOM_OK, bus_put_delivery(&out, UINT64_MAX - i, i, envelope_as_view(one)));
    }
    frame_writer_seal(&out.w);
    loom_bytes rest = {out.w.data, out.w.len};
    bus_frame f;
    char reason[FRAME_REASON_SIZE];
    uint64_t targets_read = 0;
    while (bus_frame_next(&rest, &f, reason) == LOOM_OK) {
        envelope_view view;
        bus_targets targets;
        const char *text;
        assert_true(f.fanout.items.len < FRAME_MAX);
        while (bus_fanout_next(&f.fanout, &view, &targets, &text) == LOOM_OK) {
            targets_read += targets.count;
        }
    }
    assert_int_equal(targets_read, 100000);
    loom_envelope_unref(one);
    frame_writer_fini(&out.w);
}

static void frames_that_lie_are_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t bytes[16];
        size_t len;
        loom_status status;
    } cases[] = {
        {"cut length", {0, 0, 0}, 3, LOOM_EMALFORMED},
        {"cut body", {0, 0, 0, 9, 0x92}, 5, LOOM_EMALFORMED},
        {"zero length", {0, 0, 0, 0}, 4, LOOM_ETOOBIG},
        {"huge length", {0xff, 0xff, 0xff, 0xff}, 4, LOOM_ETOOBIG},
        {"no array", {0, 0, 0, 1, 0x40}, 5, LOOM_EMALFORMED},
        {"session that is no number", {0, 0, 0, 3, 0x92, 64, 0xc0}, 7, LOOM_EMALFORMED},
        {"odd fanout", {0, 0, 0, 4, 0x92, 66, 0x91, 0xc0}, 8, LOOM_EMALFORMED},
        {"greeting without a name", {0, 0, 0, 4, 0x92, 67, 1, 0}, 7, LOOM_EMALFORMED},
        {"taken without an answer", {0, 0, 0, 3, 0x92, 68, 1}, 7, LOOM_EMALFORMED},
        {"instance of 3 bytes", {0, 0, 0, 9, 0x96, 69, 0xa1, 'a', 0xa0, 0xc4, 3, 1, 2, 3, 0, 0xa0}, 13, LOOM_EMALFORMED},
        {"later values", {0, 0, 0, 4, 0x93, 64, 7, 0xc0}, 8, LOOM_OK},
        {"later type", {0, 0, 0, 3, 0x92, 99, 0xc0}, 7, LOOM_EVERSION},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_bytes rest = {cases[i].bytes, cases[i].len};
        bus_frame f;
        char reason[FRAME_REASON_SIZE];
        assert_status(cases[i].status, bus_frame_next(&rest, &f, reason));
    }
}

static loom_status write_everything(void *user)
{
    (void)user;
    bus_outgoing out = {0};
    static const uint8_t large[BUS_MESSAGE_TARGET + 1] = {0};
    loom_envelope *env = NULL;
    loom_status st = loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("a")});
    frame_writer *w = st == LOOM_OK ? bus_outgoing_to(&out, 5) : NULL;
    st = w != NULL ? bus_put_raw(w, BYTES(large)) : LOOM_ENOMEM;
    st = st == LOOM_OK ? bus_put_delivery(&out, 1, 2, envelope_as_view(env)) : st;
    loom_envelope_unref(env);
    frame_writer_fini(&out.w);
    return st;
}

static void every_lack_of_memory_is_told(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(write_everything, NULL) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_the_bus_are_read_as_they_were_written),
        cmocka_unit_test(what_is_given_back_names_its_subscription),
        cmocka_unit_test(every_cut_of_a_message_is_malformed),
        cmocka_unit_test(a_bridge_id_is_printable_and_bounded),
        cmocka_unit_test(equal_envelopes_in_a_row_are_written_once_with_all_their_targets),
        cmocka_unit_test(no_frame_grows_over_its_limit_however_many_targets_there_are),
        cmocka_unit_test(frames_that_lie_are_malformed),
        cmocka_unit_test(every_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests_name("bus_message", tests, NULL, NULL);
}
