/* SPDX-License-Identifier: Apache-2.0 */
/* The window and the numbers of a link, and the codec, without any socket. */
#include <loom/envelope.h>
#include <stdlib.h>

#include "envelope/bus_link.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

#define TOPIC ((loom_bytes){(const uint8_t *)"bridge.b", 9})

typedef struct ends {
    bus_link broker, bridge;
    uint8_t wire[256][256]; /* messages that the broker sent, by number */
    size_t len[256];
} ends;

static int setup(void **state)
{
    ends *e = test_calloc(1, sizeof *e);
    bus_link_init(&e->broker, TOPIC, (loom_str){NULL, 0});
    bus_link_init(&e->bridge, (loom_bytes){NULL, 0}, STR("b"));
    *state = e;
    return 0;
}

static int teardown(void **state)
{
    ends *e = *state;
    bus_link_fini(&e->broker);
    bus_link_fini(&e->bridge);
    test_free(e);
    return 0;
}

static void keep(ends *e, uint64_t seq, const uint8_t *data, size_t len)
{
    assert_in_range(len, 1, sizeof e->wire[0]);
    memcpy(e->wire[seq], data, len);
    e->len[seq] = len;
}

/* Writes a small frame and sends what may leave; returns how many left. */
static unsigned say(ends *e, uint64_t number)
{
    bus_chunk *chunk = bus_link_chunk(&e->broker, number);
    assert_non_null(chunk);
    assert_status(LOOM_OK, bus_put_pressure(&chunk->w, true));
    unsigned left = 0;
    for (const bus_chunk *c; (c = bus_link_next(&e->broker, false)) != NULL; left++) {
        keep(e, e->broker.sent + 1, c->w.data, c->w.len);
        bus_link_sent(&e->broker, 0);
    }
    return left;
}

static loom_status hear(bus_link *at, const uint8_t *data, size_t len, size_t topic, uint64_t now_ms)
{
    bus_header header;
    loom_bytes frames;
    const char *reason;
    assert_status(LOOM_OK, bus_header_read(&header, (loom_bytes){data + topic, len - topic}, &frames, &reason));
    return bus_link_accept(at, &header, now_ms);
}

static loom_status bridge_hears(ends *e, uint64_t seq)
{
    return hear(&e->bridge, e->wire[seq], e->len[seq], TOPIC.len, 0);
}

static bool bridge_acks(ends *e)
{
    uint8_t ack[BUS_TOPIC_MAX + BUS_HEADER_MAX];
    size_t len;
    if (!bus_link_next_ack(&e->bridge, ack, &len)) {
        return false;
    }
    assert_status(LOOM_EEXIST, hear(&e->broker, ack, len, 0, 0));
    return true;
}

static void the_first_messages_leave_at_once_and_later_ones_wait_for_an_ack(void **state)
{
    ends *e = *state;
    for (uint64_t i = 1; i <= BUS_EAGER; i++) {
        assert_int_equal(say(e, i), 1);
    }
    assert_int_equal(say(e, 5), 0);
    assert_int_equal(say(e, 6), 0);
    assert_status(LOOM_OK, bridge_hears(e, 1));
    assert_status(LOOM_OK, bridge_hears(e, 2));
    assert_true(bridge_acks(e));
    assert_int_equal(say(e, 7), 1); /* the three together */
    assert_int_equal(e->broker.sent, BUS_EAGER + 1);
}

static void complete_messages_leave_until_the_window_is_full(void **state)
{
    ends *e = *state;
    static const uint8_t large[BUS_MESSAGE_TARGET] = {0};
    unsigned sent = 0;
    for (unsigned i = 0; i < BUS_WINDOW + 10; i++) {
        bus_chunk *chunk = bus_link_chunk(&e->broker, 1);
        assert_status(LOOM_OK, bus_put_raw(&chunk->w, BYTES(large)));
        while (bus_link_next(&e->broker, true) != NULL) {
            bus_link_sent(&e->broker, 0);
            sent++;
        }
    }
    assert_int_equal(sent, BUS_WINDOW);
    assert_true(bus_link_unsent(&e->broker) > 9 * sizeof large);
}

static void an_ack_leaves_after_two_messages_or_when_asked_for(void **state)
{
    ends *e = *state;
    say(e, 1);
    say(e, 2);
    assert_status(LOOM_OK, bridge_hears(e, 1));
    assert_false(bridge_acks(e));
    bus_link_tick(&e->bridge, BUS_ACK_DELAY_MS);
    assert_true(bridge_acks(e));
    assert_status(LOOM_OK, bridge_hears(e, 2));
    assert_false(bridge_acks(e));
    bus_link_want_ack(&e->bridge);
    assert_true(bridge_acks(e));
    assert_true(bus_link_drained(&e->broker));
}

static void a_missing_message_is_asked_for_and_sent_again(void **state)
{
    ends *e = *state;
    for (uint64_t i = 1; i <= 4; i++) {
        say(e, i);
    }
    assert_status(LOOM_OK, bridge_hears(e, 1));
    assert_status(LOOM_ENOTFOUND, bridge_hears(e, 3));
    assert_status(LOOM_ENOTFOUND, bridge_hears(e, 4));
    assert_int_equal(e->bridge.stats.gaps, 1);
    assert_true(bridge_acks(e));
    const bus_chunk *c;
    unsigned again = 0;
    for (; (c = bus_link_next_resend(&e->broker)) != NULL; again++) {
        assert_status(LOOM_OK, hear(&e->bridge, c->w.data, c->w.len, TOPIC.len, 0));
    }
    assert_int_equal(again, 3);
    assert_int_equal(e->bridge.received, 4);
    assert_true(bridge_acks(e));
    assert_true(bus_link_drained(&e->broker));
}

static void a_message_heard_twice_counts_once(void **state)
{
    ends *e = *state;
    say(e, 1);
    assert_status(LOOM_OK, bridge_hears(e, 1));
    assert_status(LOOM_EEXIST, bridge_hears(e, 1));
    assert_int_equal(e->bridge.stats.duplicates, 1);
    assert_true(bridge_acks(e));
}

static void the_last_message_is_sent_again_when_no_ack_comes(void **state)
{
    ends *e = *state;
    say(e, 1);
    bus_link_tick(&e->broker, BUS_RESEND_MS - 1);
    assert_null(bus_link_next_resend(&e->broker));
    bus_link_tick(&e->broker, BUS_RESEND_MS);
    const bus_chunk *c = bus_link_next_resend(&e->broker);
    assert_non_null(c);
    assert_status(LOOM_OK, hear(&e->bridge, c->w.data, c->w.len, TOPIC.len, 0));
    assert_true(bridge_acks(e)); /* it asks for one */
    assert_true(bus_link_drained(&e->broker));
}

static void after_a_lost_window_one_timeout_is_enough(void **state)
{
    ends *e = *state;
    for (uint64_t i = 1; i <= BUS_EAGER; i++) {
        say(e, i); /* none of them is heard */
    }
    bus_link_tick(&e->broker, BUS_RESEND_MS);
    unsigned again = 0;
    for (bool more = true; more;) {
        more = false;
        for (const bus_chunk *c; (c = bus_link_next_resend(&e->broker)) != NULL; again++) {
            assert_status(LOOM_OK, hear(&e->bridge, c->w.data, c->w.len, TOPIC.len, 0));
            more = true;
        }
        if (more) {
            assert_true(bridge_acks(e));
        }
    }
    assert_int_equal(again, BUS_EAGER);
    assert_true(bus_link_drained(&e->broker));
}

static void an_ack_of_what_was_never_sent_is_refused(void **state)
{
    ends *e = *state;
    bus_header header = {.ack = 1};
    assert_status(LOOM_EPROTO, bus_link_accept(&e->broker, &header, 0));
}

/* ---- codec ---- */

static void a_header_is_read_as_it_was_written(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0xc1, 'L', 1, 2, 0x11, 0, 0, 0, 0, 0, 0, 0x22, 0, 0, 0, 0, 0, 0, 1, 0,
                                       0,    0,   0, 0, 0,    0, 0, 7, 2, 'e', 'u'};
    uint8_t out[BUS_HEADER_MAX];
    bus_header h = {.flags = 2, .epoch = 0x1100000000000022, .seq = 256, .ack = 7, .bridge = STR("eu")};
    assert_int_equal(bus_header_write(out, &h), sizeof expected);
    assert_memory_equal(out, expected, sizeof expected);
    loom_bytes frames;
    const char *reason;
    bus_header back;
    assert_status(LOOM_OK, bus_header_read(&back, BYTES(expected), &frames, &reason));
    assert_int_equal(back.epoch, h.epoch);
    assert_int_equal(back.seq, 256);
    assert_int_equal(back.ack, 7);
    assert_str("eu", back.bridge);
    assert_int_equal(frames.len, 0);
}

static void a_header_that_is_cut_short_or_foreign_is_refused(void **state)
{
    (void)state;
    uint8_t whole[BUS_HEADER_MAX];
    loom_bytes frames;
    const char *reason;
    bus_header h = {.bridge = STR("eu")};
    size_t len = bus_header_write(whole, &h);
    for (size_t n = 0; n < len; n++) {
        assert_status(LOOM_EMALFORMED, bus_header_read(&h, (loom_bytes){whole, n}, &frames, &reason));
    }
    whole[2] = 2;
    assert_status(LOOM_EVERSION, bus_header_read(&h, (loom_bytes){whole, len}, &frames, &reason));
    whole[2] = 1;
    whole[len - 1] = 0;
    assert_status(LOOM_EMALFORMED, bus_header_read(&h, (loom_bytes){whole, len}, &frames, &reason));
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
    frame_writer w;
    bus_fanout last;
    frame_writer_init(&w);
    loom_envelope *one = envelope("one");
    loom_envelope *two = envelope("two");
    const envelope_view *views[] = {envelope_as_view(one), envelope_as_view(one), envelope_as_view(two)};
    for (unsigned i = 0; i < 3; i++) {
        assert_status(LOOM_OK, bus_put_delivery(&w, &last, 10 + i, 1000000 + i, views[i]));
    }
    frame_writer_seal(&w);
    loom_bytes rest = {w.data, w.len};
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
    frame_writer_fini(&w);
}

static void no_frame_grows_over_its_limit_however_many_targets_there_are(void **state)
{
    (void)state;
    frame_writer w;
    bus_fanout last;
    frame_writer_init(&w);
    loom_envelope *one = envelope("one");
    for (uint64_t i = 0; i < 100000; i++) {
        assert_status(LOOM_OK, bus_put_delivery(&w, &last, UINT64_MAX - i, i, envelope_as_view(one)));
    }
    frame_writer_seal(&w);
    loom_bytes rest = {w.data, w.len};
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
    frame_writer_fini(&w);
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
    bus_link link;
    (void)user;
    bus_link_init(&link, TOPIC, (loom_str){NULL, 0});
    loom_status st = LOOM_OK;
    static const uint8_t large[BUS_MESSAGE_TARGET + 1] = {0};
    loom_envelope *env = NULL;
    st = loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("a")});
    for (unsigned i = 0; i < 3 && st == LOOM_OK; i++) {
        bus_chunk *chunk = bus_link_chunk(&link, 5);
        st = chunk == NULL ? LOOM_ENOMEM : bus_put_raw(&chunk->w, BYTES(large));
        chunk = st == LOOM_OK ? bus_link_chunk(&link, 6) : NULL;
        st = chunk == NULL ? LOOM_ENOMEM : bus_put_delivery(&chunk->w, &chunk->fanout, 1, 2, envelope_as_view(env));
    }
    loom_envelope_unref(env);
    bus_link_fini(&link);
    return st;
}

static void every_lack_of_memory_is_told(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(write_everything, NULL) > 4);
}

int main(void)
{
#define ON_LINK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ON_LINK(the_first_messages_leave_at_once_and_later_ones_wait_for_an_ack),
        ON_LINK(complete_messages_leave_until_the_window_is_full),
        ON_LINK(an_ack_leaves_after_two_messages_or_when_asked_for),
        ON_LINK(a_missing_message_is_asked_for_and_sent_again),
        ON_LINK(a_message_heard_twice_counts_once),
        ON_LINK(the_last_message_is_sent_again_when_no_ack_comes),
        ON_LINK(after_a_lost_window_one_timeout_is_enough),
        ON_LINK(an_ack_of_what_was_never_sent_is_refused),
        cmocka_unit_test(a_header_is_read_as_it_was_written),
        cmocka_unit_test(a_header_that_is_cut_short_or_foreign_is_refused),
        cmocka_unit_test(equal_envelopes_in_a_row_are_written_once_with_all_their_targets),
        cmocka_unit_test(no_frame_grows_over_its_limit_however_many_targets_there_are),
        cmocka_unit_test(frames_that_lie_are_malformed),
        cmocka_unit_test(every_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests_name("bus_link", tests, NULL, NULL);
}
