/* SPDX-License-Identifier: Apache-2.0 */
/* Large frames in parts, from the lane of one end to the parts of the other, without any connection. */
#include <loom/envelope.h>
#include <stdlib.h>

#include "bridge/bus/lane.h"
#include "bridge/bus/parts.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

enum { LARGE = 300 * 1000 };

typedef struct lane_world {
    bus_lane lane;
    bus_parts parts;
    shared_pool *pool;
    loom_envelope *env;
    envelope_view view;
    shared_bytes *block;
} lane_world;

static int setup(void **state)
{
    lane_world *w = test_calloc(1, sizeof *w);
    static uint8_t payload[LARGE];
    for (size_t i = 0; i < sizeof payload; i++) {
        payload[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    assert_status(LOOM_OK, loom_envelope_create(&w->env, &(loom_envelope_fields){
        .topic = STR("t"), .sender = STR("s"), .payload = BYTES(payload)}));
    assert_status(LOOM_OK, envelope_scan(&w->view, loom_envelope_wire(w->env), NULL, NULL));
    w->pool = shared_pool_create();
    assert_non_null(w->pool);
    w->block = shared_bytes_create(w->pool, w->view.len + 5);
    assert_non_null(w->block);
    memcpy(w->block->data + 5, w->view.data, w->view.len);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    lane_world *w = *state;
    bus_lane_clear(&w->lane);
    bus_parts_clear(&w->parts);
    assert_int_equal(1, w->block->refs);
    shared_bytes_unref(w->block);
    shared_pool_close(w->pool);
    loom_envelope_unref(w->env);
    test_free(w);
    return 0;
}

static envelope_view shared_view(const lane_world *w)
{
    envelope_view view = w->view;
    view.data = w->block->data + 5;
    view.shared = w->block;
    return view;
}

/* What leaves next, as the other end reads it. The bytes are good until the next call. */
static loom_bytes next_message(lane_world *w, size_t most, uint64_t *envelopes)
{
    static uint8_t bytes[2 * LARGE];
    loom_bytes slices[BUS_LANE_SLICES];
    size_t count = bus_lane_next(&w->lane, most, 0, slices), len = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + len, slices[i].data, slices[i].len);
        len += slices[i].len;
    }
    *envelopes += count > 0 ? bus_lane_sent(&w->lane) : 0;
    return (loom_bytes){bytes, len};
}

/* Takes messages until a whole frame has come; how many parts it took in *parts (0: it was not cut). */
static bus_frame receive(lane_world *w, size_t most, uint64_t *session, unsigned *parts, uint64_t *envelopes)
{
    char reason[FRAME_REASON_SIZE];
    for (*parts = 0;;) {
        bus_frame f;
        loom_bytes whole, rest = next_message(w, most, envelopes);
        assert_status(LOOM_OK, bus_frame_next(&rest, &f, reason));
        assert_int_equal(BUS_FRAME_SESSION, f.type);
        *session = f.number;
        assert_status(LOOM_OK, bus_frame_next(&rest, &f, reason));
        assert_int_equal(0, rest.len);
        if (f.type != BUS_FRAME_PART) {
            return f;
        }
        assert_in_range(f.part.len, 1, most);
        ++*parts;
        assert_status(LOOM_OK, bus_parts_take(&w->parts, w->pool, *session, &f, &whole, reason));
        if (whole.len > 0) {
            assert_status(LOOM_OK, bus_parts_read(whole, &f, reason));
            return f;
        }
    }
}

static void expect_publish(lane_world *w, const envelope_view *sent, size_t most, unsigned parts_expected)
{
    uint64_t session, envelopes = 0;
    unsigned parts;
    lane_item *item = bus_lane_add(&w->lane, 7, 0);
    assert_non_null(item);
    assert_status(LOOM_OK, lane_item_publish(item, sent));
    assert_in_range(bus_lane_bytes(&w->lane), sent->len, sent->len + 50);
    assert_int_equal(1, bus_lane_envelopes(&w->lane));
    bus_frame f = receive(w, most, &session, &parts, &envelopes);
    envelope_view view;
    const char *reason;
    assert_int_equal(7, session);
    assert_int_equal(1, envelopes);
    assert_int_equal(parts_expected, parts);
    assert_int_equal(FRAME_PUBLISH, f.type);
    assert_int_equal(1, f.link.u.batch.count);
    assert_status(LOOM_OK, bus_publish_next(&f.link.u.batch, &view, &reason));
    assert_int_equal(sent->len, view.len);
    assert_memory_equal(sent->data, view.data, view.len);
    bus_parts_clear(&w->parts);
    assert_null(w->lane.first);
    assert_int_equal(0, bus_lane_bytes(&w->lane));
    assert_int_equal(0, bus_lane_envelopes(&w->lane));
}

static void a_large_envelope_is_the_same_after_its_parts(void **state)
{
    static const size_t sizes[] = {1, 127, 128, 129, 131, 65536, LARGE - 1, LARGE + 1000};
    lane_world *w = *state;
    const envelope_view shared = shared_view(w);
    expect_publish(w, &w->view, 65536, 5);
    expect_publish(w, &shared, 65536, 5);
    expect_publish(w, &shared, SIZE_MAX, 0);
    for (size_t i = 3; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t len = w->view.len + 11; /* header, array, type, count */
        expect_publish(w, &shared, sizes[i], sizes[i] < len ? (unsigned)((len + sizes[i] - 1) / sizes[i]) : 0);
    }
}

static void a_delivery_in_parts_carries_its_targets(void **state)
{
    enum { TARGETS = 20 };
    lane_world *w = *state;
    const envelope_view shared = shared_view(w);
    for (unsigned copy = 0; copy < 2; copy++) {
        const envelope_view *view = copy == 1 ? &w->view : &shared;
        uint64_t session, envelopes = 0, number;
        unsigned parts;
        for (uint64_t i = 1; i <= TARGETS; i++) {
            assert_status(LOOM_OK, bus_lane_deliver(&w->lane, w->pool, i, 1000 * i, view));
        }
        assert_in_range(bus_lane_bytes(&w->lane), view->len, view->len + 500); /* one copy */
        bus_frame f = receive(w, 65536, &session, &parts, &envelopes);
        envelope_view back;
        bus_targets targets;
        const char *reason;
        assert_int_equal(BUS_FRAME_FANOUT, f.type);
        assert_int_equal(5, parts);
        assert_status(LOOM_OK, bus_fanout_next(&f.fanout, &back, &targets, &reason));
        assert_memory_equal(w->view.data, back.data, back.len);
        for (uint64_t i = 1; i <= TARGETS; i++) {
            assert_true(bus_target_next(&targets, &session, &number));
            assert_int_equal(i, session);
            assert_int_equal(1000 * i, number);
        }
        assert_false(bus_target_next(&targets, &session, &number));
        assert_status(LOOM_ENOTFOUND, bus_fanout_next(&f.fanout, &back, &targets, &reason));
        bus_parts_clear(&w->parts);
        assert_null(w->lane.first);
    }
}

static void another_envelope_is_another_frame(void **state)
{
    lane_world *w = *state;
    envelope_view shared = shared_view(w);
    assert_status(LOOM_OK, bus_lane_deliver(&w->lane, w->pool, 1, 1, &shared));
    loom_envelope *other;
    envelope_view view;
    static uint8_t payload[LARGE];
    assert_status(LOOM_OK, loom_envelope_create(&other, &(loom_envelope_fields){
        .topic = STR("t"), .sender = STR("s"), .payload = BYTES(payload)}));
    assert_status(LOOM_OK, envelope_scan(&view, loom_envelope_wire(other), NULL, NULL));
    assert_status(LOOM_OK, bus_lane_deliver(&w->lane, w->pool, 1, 1, &view));
    loom_envelope_unref(other);
    assert_int_equal(2, w->lane.added);
    /* and one that is under way takes no more targets */
    bus_lane_clear(&w->lane);
    uint64_t envelopes = 0;
    assert_status(LOOM_OK, bus_lane_deliver(&w->lane, w->pool, 1, 1, &shared));
    assert_true(next_message(w, 1000, &envelopes).len > 1000);
    assert_status(LOOM_OK, bus_lane_deliver(&w->lane, w->pool, 2, 2, &shared));
    assert_int_equal(4, w->lane.added);
}

static void what_a_session_says_after_a_large_frame_leaves_after_it(void **state)
{
    lane_world *w = *state;
    const envelope_view shared = shared_view(w);
    char reason[FRAME_REASON_SIZE];
    uint64_t session, envelopes = 0;
    unsigned parts;
    bus_frame f;
    lane_item *item = bus_lane_add(&w->lane, 3, 0);
    const uint64_t number = w->lane.added;
    assert_status(LOOM_OK, lane_item_publish(item, &shared));
    assert_true(bus_lane_holds(&w->lane, number));
    assert_false(bus_lane_holds(&w->lane, 0));
    item = bus_lane_end(&w->lane);
    assert_status(LOOM_OK, frame_put_number(bus_outgoing_to(&item->after, 3), FRAME_PING, 5));
    (void)receive(w, 65536, &session, &parts, &envelopes);
    assert_true(bus_lane_holds(&w->lane, number)); /* its ping has not left */
    loom_bytes rest = next_message(w, 65536, &envelopes);
    assert_status(LOOM_OK, bus_frame_next(&rest, &f, reason));
    assert_int_equal(3, f.number);
    assert_status(LOOM_OK, bus_frame_next(&rest, &f, reason));
    assert_int_equal(FRAME_PING, f.type);
    assert_false(bus_lane_holds(&w->lane, number));
    assert_int_equal(0, next_message(w, 65536, &envelopes).len);
}

static void what_comes_after_a_large_frame_leaves_in_messages_of_the_usual_size(void **state)
{
    enum { COUNT = 4000 };
    lane_world *w = *state;
    const envelope_view shared = shared_view(w);
    static const char text[100] = "text";
    uint64_t session, envelopes = 0;
    unsigned parts;
    assert_status(LOOM_OK, lane_item_publish(bus_lane_add(&w->lane, 1, 0), &shared));
    for (unsigned i = 0; i < COUNT; i++) {
        bus_outgoing *out = &bus_lane_end(&w->lane)->after;
        assert_status(LOOM_OK, frame_put_outcome(bus_outgoing_to(out, 1), FRAME_NOTICE, &(frame_outcome){
            .text = {text, sizeof text}}));
    }
    assert_true(bus_lane_bytes(&w->lane) > shared.len + COUNT * sizeof text);
    (void)receive(w, 65536, &session, &parts, &envelopes);
    size_t left = bus_lane_bytes(&w->lane);
    for (loom_bytes message; (message = next_message(w, 65536, &envelopes)).len > 0;) {
        assert_in_range(message.len, 1, BUS_MESSAGE_TARGET + 1000);
        left -= message.len;
        assert_int_equal(left, bus_lane_bytes(&w->lane));
    }
    assert_int_equal(0, bus_lane_bytes(&w->lane));
}

static void an_item_waits_for_what_has_to_leave_before_it(void **state)
{
    lane_world *w = *state;
    const envelope_view shared = shared_view(w);
    loom_bytes slices[BUS_LANE_SLICES];
    assert_status(LOOM_OK, lane_item_publish(bus_lane_add(&w->lane, 1, 5), &shared));
    assert_int_equal(0, bus_lane_next(&w->lane, 1000, 4, slices));
    assert_int_not_equal(0, bus_lane_next(&w->lane, 1000, 5, slices));
}

/* Over another connection; and the envelope is one as long as its last part has not left. */
static void a_frame_that_was_under_way_leaves_from_its_beginning_again(void **state)
{
    lane_world *w = *state;
    const envelope_view shared = shared_view(w);
    uint64_t session, envelopes = 0;
    unsigned parts;
    assert_status(LOOM_OK, lane_item_publish(bus_lane_add(&w->lane, 1, 0), &shared));
    assert_status(LOOM_OK, lane_item_publish(bus_lane_add(&w->lane, 2, 0), &shared));
    const size_t bytes = bus_lane_bytes(&w->lane);
    assert_true(next_message(w, 65536, &envelopes).len > 65536);
    assert_int_equal(bytes - 65536, bus_lane_bytes(&w->lane));
    assert_int_equal(2, bus_lane_envelopes(&w->lane));
    bus_lane_restart(&w->lane);
    assert_int_equal(bytes, bus_lane_bytes(&w->lane));
    (void)receive(w, 65536, &session, &parts, &envelopes);
    assert_int_equal(5, parts);
    assert_int_equal(1, session);
    assert_int_equal(1, envelopes);
    bus_parts_clear(&w->parts);
    (void)receive(w, SIZE_MAX, &session, &parts, &envelopes);
    assert_int_equal(2, session);
    assert_int_equal(0, bus_lane_bytes(&w->lane));
}

/* ---- what is no part ---- */

static void what_is_no_part_of_the_frame_under_way_is_refused_with_a_reason(void **state)
{
    static const uint8_t bytes[100];
    static const struct {
        uint64_t session, left;
        size_t len;
        loom_status status;
        const char *reason;
    } cases[] = {
        {1, 901, 100, LOOM_EPROTO, "a part does not continue the frame that is under way"},
        {1, 899, 100, LOOM_EPROTO, "a part does not continue the frame that is under way"},
        {1, 0, 100, LOOM_EPROTO, "a part does not continue the frame that is under way"},
        {1, UINT64_MAX, 100, LOOM_EPROTO, "a part does not continue the frame that is under way"},
        {2, 800, 100, LOOM_EPROTO, "a part is of another session than the frame that is under way"},
        {1, 900, 0, LOOM_EPROTO, "a part of a frame is empty"},
    };
    lane_world *w = *state;
    char reason[FRAME_REASON_SIZE];
    loom_bytes whole;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bus_frame first = {.type = BUS_FRAME_PART, .number = 900, .part = {bytes, 100}};
        bus_frame next = {.type = BUS_FRAME_PART, .number = cases[i].left, .part = {bytes, cases[i].len}};
        assert_status(LOOM_OK, bus_parts_take(&w->parts, w->pool, 1, &first, &whole, reason));
        assert_int_equal(0, whole.len);
        assert_status(cases[i].status, bus_parts_take(&w->parts, w->pool, cases[i].session, &next, &whole, reason));
        assert_string_equal(cases[i].reason, reason);
        bus_parts_clear(&w->parts);
    }
    static const uint64_t too_large[] = {FRAME_HEADER_SIZE + FRAME_MAX - 99, UINT64_MAX, UINT64_MAX - 99};
    for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
        bus_frame f = {.type = BUS_FRAME_PART, .number = too_large[i], .part = {bytes, 100}};
        assert_status(LOOM_ETOOBIG, bus_parts_take(&w->parts, w->pool, 1, &f, &whole, reason));
        assert_string_equal("a frame in parts is over the limit", reason);
        assert_null(w->parts.block);
    }
}

static void parts_make_one_frame_that_may_be_large_and_nothing_else(void **state)
{
    static const struct {
        uint8_t bytes[24];
        size_t len;
        loom_status status;
    } cases[] = {
        {{0, 0, 0, 3, 0x92, 12, 5}, 7, LOOM_OK},                                           /* ping */
        {{0, 0, 0, 3, 0x92, 12, 5, 0}, 8, LOOM_EMALFORMED},                                /* and a byte behind it */
        {{0, 0, 0, 3, 0x92, 12, 5, 0, 0, 0, 3, 0x92, 12, 5}, 14, LOOM_EMALFORMED},         /* two of them */
        {{0, 0, 0, 4, 0x92, 12, 5}, 7, LOOM_EMALFORMED},                                   /* cut short */
        {{0, 0, 0, 3, 0x92, 64, 5}, 7, LOOM_EPROTO},                                       /* session */
        {{0, 0, 0, 6, 0x93, 72, 0, 0xc4, 1, 0}, 10, LOOM_EPROTO},                          /* a part of a part */
        {{0, 0, 0, 3, 0x92, 127, 5}, 7, LOOM_EVERSION},                                    /* of a later version */
    };
    char reason[FRAME_REASON_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bus_frame f;
        assert_status(cases[i].status, bus_parts_read((loom_bytes){cases[i].bytes, cases[i].len}, &f, reason));
    }
}

/* ---- memory ---- */

static loom_status a_life(void *user)
{
    lane_world *w = user;
    const envelope_view shared = shared_view(w);
    loom_bytes slices[BUS_LANE_SLICES];
    loom_status st = bus_lane_deliver(&w->lane, w->pool, 1, 1, &w->view);
    lane_item *item = st == LOOM_OK ? bus_lane_add(&w->lane, 2, 0) : NULL;
    st = item == NULL ? LOOM_ENOMEM : lane_item_publish(item, &shared);
    const size_t added = w->lane.added;
    while (bus_lane_next(&w->lane, 65536, 0, slices) > 0) {
        (void)bus_lane_sent(&w->lane);
    }
    assert_null(w->lane.first); /* nothing is stuck because of what could not be written */
    assert_int_equal(added, w->lane.gone);
    assert_int_equal(0, bus_lane_bytes(&w->lane));
    static const uint8_t bytes[100];
    loom_bytes whole;
    char reason[FRAME_REASON_SIZE];
    if (st == LOOM_OK) {
        st = bus_parts_take(&w->parts, NULL, 1, &(bus_frame){.number = 100000, .part = {bytes, 100}}, &whole, reason);
    }
    bus_parts_clear(&w->parts);
    return st;
}

static void every_lack_of_memory_is_told(void **state)
{
    assert_in_range(alloc_fault_each(a_life, *state), 5, 20);
}

int main(void)
{
#define IN_LANE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_LANE(a_large_envelope_is_the_same_after_its_parts),
        IN_LANE(a_delivery_in_parts_carries_its_targets),
        IN_LANE(another_envelope_is_another_frame),
        IN_LANE(what_a_session_says_after_a_large_frame_leaves_after_it),
        IN_LANE(what_comes_after_a_large_frame_leaves_in_messages_of_the_usual_size),
        IN_LANE(an_item_waits_for_what_has_to_leave_before_it),
        IN_LANE(a_frame_that_was_under_way_leaves_from_its_beginning_again),
        IN_LANE(what_is_no_part_of_the_frame_under_way_is_refused_with_a_reason),
        IN_LANE(parts_make_one_frame_that_may_be_large_and_nothing_else),
        IN_LANE(every_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests_name("bus_lane", tests, NULL, NULL);
}
