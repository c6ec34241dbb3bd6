/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: hello, who it speaks for, silence, and its end. */
#include <stdlib.h>

#include "bridge/session/ahead.h"
#include "tests/unit/bridge/fake_bus.h"

typedef struct fixture {
    loop_clock clock;
    fake_bus bus;
    bridge *bridge;
    fake_agent a, b;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fake_bus_init(&f->bus);
    bridge_options options = {.id = "bridge-1", .software = "loom-bridge/test", .bus = &f->bus.base, .heartbeat_ms = 1000,
                              .max_sessions = 3};
    assert_status(LOOM_OK, bridge_create(&f->bridge, &f->clock, &options));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    fake_agent_close(&f->a);
    fake_agent_close(&f->b);
    assert_int_equal(f->bus.attached, f->bus.detached);
    assert_int_equal(0, bridge_get_stats(f->bridge).sessions);
    bridge_destroy(f->bridge);
    free(f);
    return 0;
}

static void hello(fake_agent *a, bridge *b, uint64_t protocol, loom_str id)
{
    assert_status(LOOM_OK, fake_agent_open(a, b));
    assert_status(LOOM_OK, frame_put_hello(&a->say, &(frame_hello){.protocol = protocol, .agent = id}));
    fake_agent_send(a);
}

static void hello_is_answered_by_a_welcome_that_says_what_holds(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    const frame_welcome *welcome = &fake_agent_frame(&f->a, FRAME_WELCOME)->u.welcome;
    assert_int_equal(LINK_PROTOCOL, welcome->protocol);
    assert_str("bridge-1", welcome->bridge);
    assert_str("loom-bridge/test", welcome->software);
    assert_int_equal(1024 * 1024, welcome->credit_bytes);
    assert_int_equal(LOOM_PAYLOAD_MAX, welcome->max_payload);
    assert_int_equal(1000, welcome->heartbeat_ms);
    assert_int_not_equal(0, welcome->session);
    assert_string_equal("a", fake_bus_port(&f->bus, "a")->agent);
    assert_int_equal(1, f->a.outputs);
}

static void the_bus_is_told_who_the_agent_is(void **state)
{
    fixture *f = *state;
    static const uint8_t instance[LOOM_UUID_SIZE] = {1, 2, 3};
    assert_status(LOOM_OK, fake_agent_open(&f->a, f->bridge));
    assert_status(LOOM_OK, frame_put_hello(&f->a.say, &(frame_hello){.protocol = LINK_PROTOCOL, .agent = STR("a"),
                                                                     .software = STR("libloom/0.2"), .instance = BYTES(instance)}));
    fake_agent_send(&f->a);
    const bus_port *port = fake_bus_port(&f->bus, "a");
    assert_string_equal("libloom/0.2", port->software);
    assert_string_equal("test", port->peer);
    assert_int_equal(LOOM_UUID_SIZE, port->instance_len);
    assert_memory_equal(instance, port->instance, sizeof instance);
    assert_int_equal(1000, port->heartbeat_ms);
}

static void what_an_agent_says_of_itself_is_left_out_when_it_makes_no_sense(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, fake_agent_open(&f->a, f->bridge));
    assert_status(LOOM_OK, frame_put_hello(&f->a.say, &(frame_hello){.protocol = LINK_PROTOCOL, .agent = STR("a"),
                                                                     .software = STR("\xff\xfe"), .instance = BYTES("short")}));
    fake_agent_send(&f->a);
    assert_string_equal("", fake_bus_port(&f->bus, "a")->software);
    assert_int_equal(0, fake_bus_port(&f->bus, "a")->instance_len);
}

static void another_protocol_version_is_refused(void **state)
{
    fixture *f = *state;
    hello(&f->a, f->bridge, 2, STR("a"));
    assert_ended(&f->a, FRAME_ERROR, LOOM_EVERSION, "link protocol 2 is not supported");
    hello(&f->b, f->bridge, 0, STR("a"));
    assert_ended(&f->b, FRAME_ERROR, LOOM_EVERSION, "link protocol 0 is not supported");
    assert_int_equal(0, f->bus.attached);
}

static void an_agent_id_that_is_no_topic_segment_is_refused(void **state)
{
    fixture *f = *state;
    const loom_str bad[] = {STR(""), STR("a.b"), STR("a b"), STR("*"), STR("a>"), STR("a\n"), STR("a\0b"), STR("\xff")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hello(&f->a, f->bridge, LINK_PROTOCOL, bad[i]);
        assert_ended(&f->a, FRAME_ERROR, LOOM_EINVAL, "agent id must be one topic segment");
        fake_agent_close(&f->a);
    }
    assert_int_equal(0, f->bus.attached);
}

static void an_agent_id_may_have_128_bytes(void **state)
{
    fixture *f = *state;
    char id[LOOM_AGENT_ID_MAX + 1];
    memset(id, 'x', LOOM_AGENT_ID_MAX);
    id[LOOM_AGENT_ID_MAX] = '\0';
    fake_agent_enter(&f->a, f->bridge, id, 0, 0);
    assert_string_equal(id, fake_bus_port(&f->bus, id)->agent);
}

static void nothing_comes_before_hello(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, fake_agent_open(&f->a, f->bridge));
    assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, 1));
    fake_agent_send(&f->a);
    assert_ended(&f->a, FRAME_ERROR, LOOM_EPROTO, "ping frame before hello");
    assert_int_equal(1, bridge_get_stats(f->bridge).protocol_errors);
}

static void a_second_hello_ends_the_session(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    assert_status(LOOM_OK, frame_put_hello(&f->a.say, &(frame_hello){.protocol = 1, .agent = STR("b")}));
    fake_agent_send(&f->a);
    assert_ended(&f->a, FRAME_ERROR, LOOM_EPROTO, "hello frame twice");
    assert_int_equal(1, f->bus.detached);
}

static void a_frame_for_agents_ends_the_session(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    assert_status(LOOM_OK, frame_put_welcome(&f->a.say, &(frame_welcome){.protocol = 1}));
    fake_agent_send(&f->a);
    assert_ended(&f->a, FRAME_ERROR, LOOM_EPROTO, "welcome frame is not for a bridge");
}

static void a_frame_of_an_unknown_type_ends_the_session(void **state)
{
    static const uint8_t durable[] = {0, 0, 0, 3, 0x92, 48, 0x80};
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    fake_agent_send_bytes(&f->a, BYTES(durable));
    assert_ended(&f->a, FRAME_ERROR, LOOM_EVERSION, "frame type 48 is not known");
}

static void bytes_of_another_protocol_end_the_connection(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, fake_agent_open(&f->a, f->bridge));
    fake_agent_send_bytes(&f->a, BYTES("GET / HTTP/1.1\r\n\r\n"));
    assert_ended(&f->a, FRAME_ERROR, LOOM_ETOOBIG, "is this a Loom agent link?");
}

/* One byte at a time: what is not yet a frame is left with the caller. */
static void a_frame_may_arrive_in_any_pieces(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, fake_agent_open(&f->a, f->bridge));
    assert_status(LOOM_OK, frame_put_hello(&f->a.say, &(frame_hello){.protocol = 1, .agent = STR("a")}));
    size_t need;
    for (size_t len = 0; len < f->a.say.len; len++) {
        uint8_t *cut = malloc(len + 1);
        assert_non_null(cut);
        memcpy(cut, f->a.say.data, len);
        assert_int_equal(0, session_receive(f->a.session, cut, len, &need));
        assert_int_equal(len < FRAME_HEADER_SIZE ? FRAME_HEADER_SIZE : f->a.say.len, need);
        free(cut);
    }
    fake_agent_send(&f->a);
    fake_agent_hear(&f->a);
    (void)fake_agent_frame(&f->a, FRAME_WELCOME);
}

static size_t receive_in_this_round(fake_agent *a, size_t from)
{
    size_t need;
    return session_receive(a->session, a->say.data + from, a->say.len - from, &need);
}

static unsigned pongs_of_a_round(fixture *f, size_t *from)
{
    unsigned count = 0;
    bridge_new_round(f->bridge);
    *from += receive_in_this_round(&f->a, *from);
    fake_agent_hear(&f->a);
    for (size_t i = 0; i < f->a.count; i++) {
        count += f->a.frames[i].type == FRAME_PONG;
    }
    return count;
}

/* A slice is 32 KiB, or 8 when others have been found lately, a turn 256; a frame that is no publish counts 2 KiB and its
 * bytes. */
static void a_turn_ends_after_a_slice_when_others_wait(void **state)
{
    fixture *f = *state;
    enum { MANY = 1000, SLICE = 16, BESIDE = 4, TURN = 128 };
    size_t done = 0;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    for (uint64_t i = 1; i <= MANY; i++) {
        assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, i));
    }
    assert_in_range(pongs_of_a_round(f, &done), TURN - 1, TURN);
    f->a.others = true;
    assert_in_range(pongs_of_a_round(f, &done), SLICE - 1, SLICE);
    assert_in_range(pongs_of_a_round(f, &done), BESIDE - 1, BESIDE);
    f->a.others = false;
    assert_in_range(pongs_of_a_round(f, &done), TURN - 1, TURN);
    frame_writer_clear(&f->a.say);
}

/* Whoever has something else to say goes before the rest of them. */
static void a_turn_ends_after_spans_when_others_wait(void **state)
{
    fixture *f = *state;
    enum { MANY = 8 };
    size_t done = 0;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    for (uint64_t i = 1; i <= MANY; i++) {
        assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, i));
        assert_status(LOOM_OK, frame_put_spans(&f->a.say, &(frame_spans){.spans = 1, .request = {(const uint8_t *)"", 0}}));
    }
    f->a.others = true;
    assert_int_equal(1, pongs_of_a_round(f, &done));
    assert_int_equal(1, pongs_of_a_round(f, &done));
    f->a.others = false;
    assert_int_equal(MANY - 2, pongs_of_a_round(f, &done));
    frame_writer_clear(&f->a.say);
}

static void who_finds_nobody_waiting_looks_less_often(void **state)
{
    fixture *f = *state;
    enum { MANY = 2000, SLICES = 12, ALONE = 4 }; /* of a turn */
    size_t done = 0;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    for (uint64_t i = 1; i <= MANY; i++) {
        assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, i));
    }
    for (unsigned round = 0; round < 4; round++) {
        (void)pongs_of_a_round(f, &done);
    }
    f->a.looked = 0;
    (void)pongs_of_a_round(f, &done);
    assert_in_range(f->a.looked, 1, ALONE);
    f->a.others = true;
    (void)pongs_of_a_round(f, &done);
    f->a.others = false;
    f->a.looked = 0;
    (void)pongs_of_a_round(f, &done);
    assert_in_range(f->a.looked, ALONE + 1, SLICES);
    frame_writer_clear(&f->a.say);
}

/* Frames of all agents share one queue to the broker's process: of one agent only a few are in it. */
static void a_session_waits_for_the_broker_but_not_for_ever(void **state)
{
    fixture *f = *state;
    enum { MANY = 1000, AT_ONCE = 8 };
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    f->bus.base.mark = 1;
    f->clock.now_ms = 1000;
    for (uint64_t i = 1; i <= MANY; i++) {
        assert_status(LOOM_OK, frame_put_subscribe(&f->a.say, &(frame_subscribe){.request = i, .subscription = i,
                                                                                 .filter = STR("a.b")}));
    }
    frame_writer_seal(&f->a.say);
    size_t done = 0;
    for (unsigned round = 0; round < 10; round++) {
        bridge_new_round(f->bridge);
        done += receive_in_this_round(&f->a, done);
    }
    assert_int_equal(AT_ONCE, f->bus.said[FRAME_SUBSCRIBE]);
    assert_true(session_is_ahead(f->a.session) && session_is_spent(f->a.session));
    assert_true(f->bus.base.mark_wanted);
    f->bus.base.mark = 2;
    f->bus.base.mark_done = 1;
    assert_false(session_is_ahead(f->a.session));
    for (unsigned round = 0; round < 10; round++) {
        bridge_new_round(f->bridge);
        done += receive_in_this_round(&f->a, done);
    }
    assert_int_equal(2 * AT_ONCE, f->bus.said[FRAME_SUBSCRIBE]);
    f->clock.now_ms += 10; /* the broker may be away */
    assert_false(session_is_ahead(f->a.session));
    for (unsigned round = 0; round < 10; round++) {
        bridge_new_round(f->bridge);
        done += receive_in_this_round(&f->a, done);
    }
    assert_int_equal(3 * AT_ONCE, f->bus.said[FRAME_SUBSCRIBE]);
    frame_writer_clear(&f->a.say);
}

/* What the broker has not come to is what went with the present mark, and with the one that is on its way. */
static void what_is_ahead_is_counted_by_mark(void **state)
{
    (void)state;
    session_ahead a = {0};
    bus b = {.mark = 7, .mark_done = 6};
    assert_int_equal(10, session_ahead_add(&a, &b, 10));
    b.mark = 8;
    assert_int_equal(10, session_ahead_of(&a, &b));
    assert_int_equal(15, session_ahead_add(&a, &b, 5));
    b.mark_done = 7;
    assert_int_equal(5, session_ahead_of(&a, &b));
    b.mark = 9;
    assert_int_equal(12, session_ahead_add(&a, &b, 7));
    b.mark_done = 9;
    assert_int_equal(0, session_ahead_of(&a, &b));
    b.mark = 0; /* nobody to be ahead of */
    assert_int_equal(0, session_ahead_add(&a, &b, 1000));
}

/* The only one that says anything may have more on its way, since nobody is behind it. */
static void a_session_that_is_alone_may_go_further_ahead(void **state)
{
    fixture *f = *state;
    enum { MANY = 1000, AT_ONCE = 8 };
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    f->bus.base.mark = 1;
    f->clock.now_ms = 1000;
    for (uint64_t i = 1; i <= MANY; i++) {
        assert_status(LOOM_OK, frame_put_unsubscribe(&f->a.say, &(frame_unsubscribe){i, i}));
    }
    size_t done = 0;
    bridge_new_round(f->bridge);
    done += receive_in_this_round(&f->a, done);
    assert_int_equal(AT_ONCE, f->bus.said[FRAME_UNSUBSCRIBE]);
    f->clock.now_ms += 200;
    f->bus.base.mark_done = 1;
    f->bus.base.mark = 2;
    for (unsigned round = 0; round < 10; round++) {
        bridge_new_round(f->bridge);
        done += receive_in_this_round(&f->a, done);
    }
    assert_in_range(f->bus.said[FRAME_UNSUBSCRIBE], 20 * AT_ONCE, 40 * AT_ONCE);
    frame_writer_clear(&f->a.say);
}

static void a_newer_session_of_an_agent_takes_the_place_of_the_older(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "twin", 0, 0);
    fake_agent_enter(&f->b, f->bridge, "twin", 0, 0);
    assert_ended(&f->a, FRAME_ERROR, LOOM_EREPLACED, "a newer session");
    assert_int_equal(1, bridge_get_stats(f->bridge).replaced);
    assert_int_equal(1, f->bus.detached);
    assert_int_equal(LOOM_EREPLACED, f->bus.why);
    assert_int_equal(0, f->b.ended);
}

static void closing_a_replaced_session_leaves_the_newer_one_alone(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "twin", 0, 0);
    fake_agent_enter(&f->b, f->bridge, "twin", 0, 0);
    assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, 1));
    fake_agent_send(&f->a); /* after the end of a session nothing counts */
    fake_agent_close(&f->a);
    assert_int_equal(1, f->bus.detached);

    loom_envelope *env = fake_message("t", "other", 3);
    fake_bus_deliver(&f->bus, "twin", 1, loom_envelope_wire(env));
    loom_envelope_unref(env);
    fake_agent_hear(&f->b);
    assert_int_equal(1, fake_agent_frame(&f->b, FRAME_DELIVER)->u.batch.count);

    /* and it is still the one a third session takes the place of */
    fake_agent_enter(&f->a, f->bridge, "twin", 0, 0);
    assert_ended(&f->b, FRAME_ERROR, LOOM_EREPLACED, "a newer session");
}

static void a_session_the_bus_does_not_take_ends(void **state)
{
    fixture *f = *state;
    f->bus.attach_status = LOOM_EFULL;
    hello(&f->a, f->bridge, LINK_PROTOCOL, STR("a"));
    assert_ended(&f->a, FRAME_ERROR, LOOM_EFULL, "cannot take the agent on");
    f->bus.attach_status = LOOM_OK;
    fake_agent_enter(&f->b, f->bridge, "a", 0, 0); /* the table of agents holds nothing of it */
    assert_int_equal(0, bridge_get_stats(f->bridge).replaced);
}

enum { AGENTS = 3, STRANGERS = 64 }; /* the limits here */

static void no_more_agents_than_allowed_are_taken_on(void **state)
{
    fixture *f = *state;
    fake_agent third, early, late;
    assert_status(LOOM_OK, fake_agent_open(&early, f->bridge));
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    fake_agent_enter(&f->b, f->bridge, "b", 0, 0);
    fake_agent_enter(&third, f->bridge, "c", 0, 0);
    assert_status(LOOM_EFULL, fake_agent_open(&late, f->bridge));
    assert_null(late.session);
    assert_status(LOOM_OK, frame_put_hello(&early.say, &(frame_hello){.protocol = LINK_PROTOCOL, .agent = STR("d")}));
    fake_agent_send(&early);
    assert_ended(&early, FRAME_ERROR, LOOM_EFULL, "cannot take the agent on");
    assert_int_equal(AGENTS, bridge_get_stats(f->bridge).agents);
    fake_agent_close(&early);
    fake_agent_close(&third);
    fake_agent_close(&late);
    assert_int_equal(2, bridge_get_stats(f->bridge).agents);
}

/* The place of an agent may be taken by itself, however full it is. */
static void a_newer_session_is_taken_on_when_there_is_no_room(void **state)
{
    fixture *f = *state;
    fake_agent third, newer;
    assert_status(LOOM_OK, fake_agent_open(&newer, f->bridge));
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    fake_agent_enter(&f->b, f->bridge, "b", 0, 0);
    fake_agent_enter(&third, f->bridge, "c", 0, 0);
    assert_status(LOOM_OK, frame_put_hello(&newer.say, &(frame_hello){.protocol = LINK_PROTOCOL, .agent = STR("c")}));
    fake_agent_send(&newer);
    fake_agent_hear(&newer);
    (void)fake_agent_frame(&newer, FRAME_WELCOME);
    assert_ended(&third, FRAME_ERROR, LOOM_EREPLACED, "a newer session");
    assert_int_equal(AGENTS, bridge_get_stats(f->bridge).agents);
    fake_agent_close(&third);
    fake_agent_close(&newer);
}

/* The oldest of them goes, but not in the round in which it came, nor in the next, in which it is read. */
static void strangers_keep_no_agent_out(void **state)
{
    fixture *f = *state;
    static fake_agent strangers[STRANGERS];
    for (size_t i = 0; i < STRANGERS; i++) {
        assert_status(LOOM_OK, fake_agent_open(&strangers[i], f->bridge));
    }
    for (int rounds = 0; rounds < 2; rounds++) {
        assert_status(LOOM_EBUSY, fake_agent_open(&f->b, f->bridge));
        bridge_new_round(f->bridge);
    }
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    assert_ended(&strangers[0], FRAME_ERROR, LOOM_EFULL, "others want the place");
    for (size_t i = 1; i < STRANGERS; i++) {
        assert_int_equal(0, strangers[i].ended);
        fake_agent_close(&strangers[i]);
    }
    fake_agent_close(&strangers[0]);
}

static void a_stranger_is_ended_when_its_time_is_over_and_not_before(void **state)
{
    fixture *f = *state;
    f->clock.now_ms = 5000;
    assert_int_equal(UINT64_MAX, bridge_next_hello_ms(f->bridge));
    assert_status(LOOM_OK, fake_agent_open(&f->a, f->bridge));
    f->clock.now_ms = 5600;
    fake_agent_enter(&f->b, f->bridge, "b", 0, 0);
    assert_int_equal(15000, bridge_next_hello_ms(f->bridge));
    f->clock.now_ms = 14999;
    bridge_expire_strangers(f->bridge);
    assert_int_equal(0, f->a.ended);
    f->clock.now_ms = 15000;
    bridge_expire_strangers(f->bridge);
    assert_ended(&f->a, FRAME_ERROR, LOOM_ETIMEDOUT, "no hello in time");
    assert_int_equal(UINT64_MAX, bridge_next_hello_ms(f->bridge));
    assert_int_equal(0, f->b.ended);
}

static void count_line(void *user, log_level level, const session_info *about, const char *text)
{
    (void)level;
    (void)about;
    (void)text;
    ++*(unsigned *)user;
}

/* Of what anybody can cause at will, each kind for itself. */
static void lines_that_others_cause_are_limited(void **state)
{
    fixture *f = *state;
    enum { MANY = 40, A_SECOND = 5 };
    unsigned lines = 0;
    bridge *b;
    fake_agent same[MANY];
    assert_status(LOOM_OK, bridge_create(&b, &f->clock, &(bridge_options){.id = "b", .software = "s", .bus = &f->bus.base,
                                                                          .log = count_line, .log_user = &lines}));
    for (size_t i = 0; i < MANY; i++) {
        assert_status(LOOM_OK, fake_agent_open(&same[i], b));
        fake_agent_send_bytes(&same[i], BYTES("GET / HTTP/1.1\r\n\r\n"));
        fake_agent_close(&same[i]);
    }
    assert_int_equal(A_SECOND, lines);
    for (size_t i = 0; i < MANY; i++) {
        bridge_log_refusal(b, "peer", "no room");
    }
    assert_int_equal(2 * A_SECOND, lines);
    for (size_t i = 0; i < MANY; i++) {
        fake_agent_enter(&same[i], b, "same", 0, 0);
    }
    assert_int_equal(3 * A_SECOND + 1, lines); /* the first one has opened a session like any */
    f->clock.now_ms += 1000;
    bridge_log_refusal(b, "peer", "no room");
    assert_int_equal(3 * A_SECOND + 3, lines); /* with how many there were */
    for (size_t i = 0; i < MANY; i++) {
        fake_agent_close(&same[i]);
    }
    bridge_destroy(b);
}

static void tick_at(fixture *f, uint64_t now_ms)
{
    f->clock.now_ms = now_ms;
    bridge_tick(f->bridge);
}

/* As a loop does it: a larger jump would mean that the process had been stopped. */
static void tick_up_to(fixture *f, uint64_t from, uint64_t to)
{
    for (uint64_t now = from; now < to; now += 250) {
        tick_at(f, now);
    }
    tick_at(f, to);
}

static void a_connection_without_hello_ends_after_ten_seconds(void **state)
{
    fixture *f = *state;
    tick_at(f, 5000);
    assert_status(LOOM_OK, fake_agent_open(&f->a, f->bridge));
    tick_up_to(f, 5000, 14999);
    assert_int_equal(0, f->a.ended);
    tick_at(f, 15000);
    assert_ended(&f->a, FRAME_ERROR, LOOM_ETIMEDOUT, "no hello in time");
}

enum { CROWD = 200 };

typedef struct crowd {
    bridge *bridge;
    fake_agent agents[CROWD];
} crowd;

static crowd *crowd_open(fixture *f)
{
    crowd *c = calloc(1, sizeof *c);
    assert_non_null(c);
    const bridge_options options = {.id = "bridge-1", .software = "loom-bridge/test", .bus = &f->bus.base, .heartbeat_ms = 1000};
    assert_status(LOOM_OK, bridge_create(&c->bridge, &f->clock, &options));
    return c;
}

static void crowd_enter(crowd *c)
{
    for (size_t i = 0; i < CROWD; i++) {
        char id[8];
        snprintf(id, sizeof id, "c%zu", i);
        const frame_hello hello = {.protocol = LINK_PROTOCOL, .agent = str_of(id), .moves = 1};
        assert_status(LOOM_OK, fake_agent_open(&c->agents[i], c->bridge));
        assert_status(LOOM_OK, frame_put_hello(&c->agents[i].say, &hello));
        fake_agent_send(&c->agents[i]);
        fake_agent_hear(&c->agents[i]);
        c->agents[i].outputs = 0;
    }
}

/* Those to whom something is said. */
static size_t crowd_told(const crowd *c)
{
    size_t told = 0;
    for (size_t i = 0; i < CROWD; i++) {
        told += c->agents[i].outputs > 0;
    }
    return told;
}

static size_t crowd_ended(const crowd *c)
{
    size_t ended = 0;
    for (size_t i = 0; i < CROWD; i++) {
        ended += c->agents[i].ended;
    }
    return ended;
}

static void crowd_close(crowd *c)
{
    for (size_t i = 0; i < CROWD; i++) {
        fake_agent_close(&c->agents[i]);
    }
    bridge_destroy(c->bridge);
    free(c);
}

static void of_many_that_are_silent_some_are_asked_in_a_round(void **state)
{
    fixture *f = *state;
    crowd *c = crowd_open(f);
    crowd_enter(c);
    f->clock.now_ms += 1001;
    bridge_tick(c->bridge);
    const size_t at_once = crowd_told(c);
    assert_in_range(at_once, 1, CROWD / 2);
    assert_true(bridge_goes_on(c->bridge));
    fake_agent_close(&c->agents[CROWD - 1 - at_once]); /* the one that would be next leaves */
    bridge_tick(c->bridge); /* what is under way goes on */
    assert_in_range(crowd_told(c), at_once + 1, 2 * at_once);
    while (bridge_goes_on(c->bridge)) {
        bridge_new_round(c->bridge);
    }
    assert_int_equal(CROWD - 1, crowd_told(c));
    crowd_close(c);
}

static void of_many_that_are_to_move_some_are_told_in_a_round(void **state)
{
    fixture *f = *state;
    crowd *c = crowd_open(f);
    crowd_enter(c);
    bridge_ask_to_move(c->bridge, 500);
    assert_in_range(crowd_told(c), 1, CROWD / 2);
    f->clock.now_ms += 100;
    while (bridge_goes_on(c->bridge)) {
        bridge_new_round(c->bridge);
    }
    assert_int_equal(CROWD, crowd_told(c));
    fake_agent_hear(&c->agents[CROWD - 1]);
    assert_int_equal(500, fake_agent_frame(&c->agents[CROWD - 1], FRAME_MOVE)->u.number);
    fake_agent_hear(&c->agents[0]);
    assert_int_equal(400, fake_agent_frame(&c->agents[0], FRAME_MOVE)->u.number);
    crowd_close(c);
}

static void of_many_strangers_whose_time_is_over_some_are_ended_at_a_time(void **state)
{
    fixture *f = *state;
    crowd *c = crowd_open(f);
    for (size_t i = 0; i < CROWD; i++) {
        assert_status(LOOM_OK, fake_agent_open(&c->agents[i], c->bridge));
    }
    f->clock.now_ms += 10000;
    bridge_expire_strangers(c->bridge);
    assert_in_range(crowd_ended(c), 1, CROWD / 2);
    while (bridge_next_hello_ms(c->bridge) <= f->clock.now_ms) {
        bridge_expire_strangers(c->bridge);
    }
    assert_int_equal(CROWD, crowd_ended(c));
    crowd_close(c);
}

static void silence_is_asked_about_once_and_ends_the_session_after_three_intervals(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    tick_at(f, 1000);
    fake_agent_hear(&f->a);
    assert_int_equal(0, f->a.count);
    tick_at(f, 1001);
    tick_at(f, 2001);
    fake_agent_hear(&f->a);
    (void)fake_agent_frame(&f->a, FRAME_PING);
    tick_at(f, 3000);
    assert_int_equal(0, f->a.ended);
    tick_at(f, 3001);
    assert_ended(&f->a, FRAME_ERROR, LOOM_EEXPIRED, "no heartbeat in time");
    assert_int_equal(1, bridge_get_stats(f->bridge).expired);
    assert_int_equal(LOOM_EEXPIRED, f->bus.why);
    tick_at(f, 9000);
    assert_int_equal(1, f->a.ended);
}

static void anything_heard_keeps_a_session_alive(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    for (uint64_t now = 2500; now <= 10000; now += 2500) {
        tick_up_to(f, now - 2250, now);
        fake_agent_hear(&f->a);
        uint64_t asked = fake_agent_frame(&f->a, FRAME_PING)->u.number;
        assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PONG, asked));
        fake_agent_send(&f->a);
    }
    assert_int_equal(0, f->a.ended);
}

static void a_process_that_was_stopped_blames_nobody_for_its_silence(void **state)
{
    fixture *f = *state;
    tick_at(f, 1);
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    tick_at(f, 60001);
    assert_int_equal(0, f->a.ended);
    tick_up_to(f, 60001, 63002); /* three intervals of silence that it did listen to */
    assert_ended(&f->a, FRAME_ERROR, LOOM_EEXPIRED, "no heartbeat in time");
}

/* The loop reads before it ticks, so that a session may be heard after the pause and before anybody knows of it. */
static void an_agent_that_is_heard_right_after_the_pause_may_not_be_silent_for_longer(void **state)
{
    fixture *f = *state;
    tick_at(f, 1);
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    f->clock.now_ms = 60001;
    assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, 1));
    fake_agent_send(&f->a);
    tick_up_to(f, 60001, 63001);
    assert_int_equal(0, f->a.ended);
    tick_at(f, 63002);
    fake_agent_hear(&f->a);
    assert_int_equal(1, f->a.ended);
    assert_int_equal(1, bridge_get_stats(f->bridge).expired);
}

static void an_agent_that_is_heard_is_reported_once_a_heartbeat(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    for (uint64_t now = 100; now <= 10000; now += 100) {
        tick_at(f, now);
        assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, now));
        fake_agent_send(&f->a);
        fake_agent_hear(&f->a);
    }
    assert_in_range(f->bus.said[FRAME_PING], 9, 11); /* a tick less than a heartbeat apart */
    assert_int_equal(100, f->bus.number); /* ms since it was heard: a tick */
}

static void an_agent_that_is_silent_is_not_reported(void **state)
{
    fixture *f = *state;
    tick_at(f, 100);
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    tick_up_to(f, 100, 3000);
    assert_int_equal(0, f->bus.said[FRAME_PING]);
}

/* Its frames are not looked at meanwhile, so silence says nothing of it. */
static void of_an_agent_that_is_to_wait_nothing_is_taken_until_it_may_go_on(void **state)
{
    fixture *f = *state;
    enum { HEARTBEATS = 20 };
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    bus_port *port = fake_bus_port(&f->bus, "a");
    port->handlers->wait(port->user, true);
    assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, 1));
    frame_writer_seal(&f->a.say);
    for (unsigned i = 0; i < HEARTBEATS; i++) {
        bridge_new_round(f->bridge);
        assert_int_equal(receive_in_this_round(&f->a, 0), 0);
        assert_true(session_is_ahead(f->a.session) && session_is_spent(f->a.session));
        f->clock.now_ms += 1000;
        bridge_tick(f->bridge);
    }
    assert_int_equal(0, bridge_get_stats(f->bridge).expired);
    port->handlers->wait(port->user, false);
    assert_false(session_is_ahead(f->a.session));
    bridge_tick(f->bridge);
    bridge_new_round(f->bridge);
    assert_int_equal(receive_in_this_round(&f->a, 0), f->a.say.len);
    frame_writer_clear(&f->a.say);
}

/* What the bus knows is never older than a heartbeat and a tick, when there is something to know. */
static void an_agent_that_is_heard_late_is_reported_at_once(void **state)
{
    fixture *f = *state;
    tick_at(f, 100);
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    tick_up_to(f, 100, 2100);
    assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PONG, 1));
    fake_agent_send(&f->a);
    tick_at(f, 2300);
    assert_int_equal(1, f->bus.said[FRAME_PING]);
    assert_int_equal(200, f->bus.number);
    tick_up_to(f, 2300, 4000);
    assert_int_equal(1, f->bus.said[FRAME_PING]);
}

static void a_ping_is_answered_with_its_number(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, 4711));
    fake_agent_send(&f->a);
    fake_agent_hear(&f->a);
    assert_int_equal(4711, fake_agent_frame(&f->a, FRAME_PONG)->u.number);
}

static void an_agent_that_says_bye_is_answered_and_gone(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    assert_status(LOOM_OK, frame_put_outcome(&f->a.say, FRAME_BYE, &(frame_outcome){0}));
    fake_agent_send(&f->a);
    assert_ended(&f->a, FRAME_BYE, LOOM_OK, "goodbye");
    assert_int_equal(1, f->bus.detached);
    assert_int_equal(LOOM_OK, f->bus.why);
    assert_int_equal(0, bridge_get_stats(f->bridge).protocol_errors);
}

static void the_bus_is_told_why_an_agent_left(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    fake_agent_close(&f->a); /* the connection */
    assert_int_equal(LOOM_ENOTCONN, f->bus.why);
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    assert_status(LOOM_OK, frame_put_outcome(&f->a.say, FRAME_ERROR, &(frame_outcome){.text = STR("no welcome")}));
    fake_agent_send(&f->a);
    assert_ended(&f->a, FRAME_BYE, LOOM_EREMOTE, "ended it with an error");
    assert_int_equal(LOOM_EREMOTE, f->bus.why);
    fake_agent_enter(&f->b, f->bridge, "b", 0, 0);
    fake_agent_send_bytes(&f->b, BYTES("\0\0\0\1\xc0"));
    assert_ended(&f->b, FRAME_ERROR, LOOM_EMALFORMED, "frame is not");
    assert_int_equal(LOOM_EMALFORMED, f->bus.why);
}

static void the_end_of_the_bridge_is_told_to_every_session(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    fake_agent_enter(&f->b, f->bridge, "b", 0, 0);
    bridge_end_sessions(f->bridge, LOOM_ECLOSED, "the broker stops");
    bridge_end_sessions(f->bridge, LOOM_ECLOSED, "again");
    assert_ended(&f->a, FRAME_BYE, LOOM_ECLOSED, "the broker stops");
    assert_ended(&f->b, FRAME_BYE, LOOM_ECLOSED, "the broker stops");
}

static bool count_session(void *user, const session_info *info)
{
    (*(unsigned *)user)++;
    assert_string_equal("test", info->peer);
    return info->agent.len > 0;
}

static void of_many_goodbyes_a_few_are_heard_in_a_round(void **state)
{
    enum { MANY = 20, A_ROUND = 8 };
    fixture *f = *state;
    fake_agent *many = calloc(MANY, sizeof *many);
    assert_non_null(many);
    bridge_set_max_sessions(f->bridge, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        char id[16];
        snprintf(id, sizeof id, "agent-%u", i);
        fake_agent_enter(&many[i], f->bridge, id, 0, 0);
        assert_status(LOOM_OK, frame_put_outcome(&many[i].say, FRAME_BYE, &(frame_outcome){0}));
        frame_writer_seal(&many[i].say);
    }
    for (unsigned left = MANY; left > 0; left -= left < A_ROUND ? left : A_ROUND) {
        assert_int_equal(left, bridge_get_stats(f->bridge).agents);
        bridge_new_round(f->bridge);
        for (unsigned i = 0; i < MANY; i++) {
            (void)receive_in_this_round(&many[i], 0); /* of one that has ended: does nothing */
        }
    }
    assert_int_equal(0, bridge_get_stats(f->bridge).agents);
    for (unsigned i = 0; i < MANY; i++) {
        fake_agent_close(&many[i]);
    }
    free(many);
}

static void sessions_are_visited_newest_first_until_the_visitor_has_seen_enough(void **state)
{
    fixture *f = *state;
    unsigned seen = 0;
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    assert_status(LOOM_OK, fake_agent_open(&f->b, f->bridge)); /* no id yet: the visitor stops there */
    bridge_visit_sessions(f->bridge, count_session, &seen);
    assert_int_equal(1, seen);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(hello_is_answered_by_a_welcome_that_says_what_holds),
        with_fixture(the_bus_is_told_who_the_agent_is),
        with_fixture(what_an_agent_says_of_itself_is_left_out_when_it_makes_no_sense),
        with_fixture(another_protocol_version_is_refused),
        with_fixture(an_agent_id_that_is_no_topic_segment_is_refused),
        with_fixture(an_agent_id_may_have_128_bytes),
        with_fixture(nothing_comes_before_hello),
        with_fixture(a_second_hello_ends_the_session),
        with_fixture(a_frame_for_agents_ends_the_session),
        with_fixture(a_frame_of_an_unknown_type_ends_the_session),
        with_fixture(bytes_of_another_protocol_end_the_connection),
        with_fixture(a_frame_may_arrive_in_any_pieces),
        with_fixture(a_turn_ends_after_a_slice_when_others_wait),
        with_fixture(a_turn_ends_after_spans_when_others_wait),
        with_fixture(who_finds_nobody_waiting_looks_less_often),
        with_fixture(a_session_waits_for_the_broker_but_not_for_ever),
        with_fixture(of_an_agent_that_is_to_wait_nothing_is_taken_until_it_may_go_on),
        with_fixture(what_is_ahead_is_counted_by_mark),
        with_fixture(a_session_that_is_alone_may_go_further_ahead),
        with_fixture(a_newer_session_of_an_agent_takes_the_place_of_the_older),
        with_fixture(closing_a_replaced_session_leaves_the_newer_one_alone),
        with_fixture(a_session_the_bus_does_not_take_ends),
        with_fixture(no_more_agents_than_allowed_are_taken_on),
        with_fixture(a_newer_session_is_taken_on_when_there_is_no_room),
        with_fixture(strangers_keep_no_agent_out),
        with_fixture(a_stranger_is_ended_when_its_time_is_over_and_not_before),
        with_fixture(of_many_that_are_silent_some_are_asked_in_a_round),
        with_fixture(of_many_that_are_to_move_some_are_told_in_a_round),
        with_fixture(of_many_strangers_whose_time_is_over_some_are_ended_at_a_time),
        with_fixture(lines_that_others_cause_are_limited),
        with_fixture(a_connection_without_hello_ends_after_ten_seconds),
        with_fixture(silence_is_asked_about_once_and_ends_the_session_after_three_intervals),
        with_fixture(anything_heard_keeps_a_session_alive),
        with_fixture(a_process_that_was_stopped_blames_nobody_for_its_silence),
        with_fixture(an_agent_that_is_heard_right_after_the_pause_may_not_be_silent_for_longer),
        with_fixture(an_agent_that_is_heard_is_reported_once_a_heartbeat),
        with_fixture(an_agent_that_is_silent_is_not_reported),
        with_fixture(an_agent_that_is_heard_late_is_reported_at_once),
        with_fixture(a_ping_is_answered_with_its_number),
        with_fixture(an_agent_that_says_bye_is_answered_and_gone),
        with_fixture(the_bus_is_told_why_an_agent_left),
        with_fixture(the_end_of_the_bridge_is_told_to_every_session),
        with_fixture(of_many_goodbyes_a_few_are_heard_in_a_round),
        with_fixture(sessions_are_visited_newest_first_until_the_visitor_has_seen_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
