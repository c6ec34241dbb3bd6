/* SPDX-License-Identifier: Apache-2.0 */
/* An agent and its bridge: sessions, subscriptions, bytes that are no frames, and the end. */
#include "tests/unit/sdk/agent_fixture.h"

/* ---- sessions ---- */

static void hello_names_the_agent_and_grants_credit(void **state)
{
    fixture *f = *state;
    loom_agent_options options = options_of(f);
    options.receive_messages = 7;
    options.receive_bytes = 1000;
    options.heartbeat_ms = 1234;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    fake_bridge_accept(&f->bridge);
    frame_hello hello = fake_bridge_expect(&f->bridge, FRAME_HELLO).u.hello;
    assert_int_equal(LINK_PROTOCOL, hello.protocol);
    assert_str("tester", hello.agent);
    assert_str("libloom/" LOOM_VERSION, hello.software);
    assert_int_equal(LOOM_UUID_SIZE, hello.instance.len);
    assert_int_equal(7, hello.credit_messages);
    assert_int_equal(1000, hello.credit_bytes);
    assert_int_equal(1234, hello.heartbeat_ms);
}

static void an_agent_subscribes_its_mailbox_and_its_topics(void **state)
{
    fixture *f = *state;
    open_agent(f);
    fake_bridge_session(&f->bridge, 0);
    assert_str("agent.tester.replies", fake_bridge_expect(&f->bridge, FRAME_SUBSCRIBE).u.subscribe.filter);
    assert_str("sensor.data", fake_bridge_expect(&f->bridge, FRAME_SUBSCRIBE).u.subscribe.filter);
}

static void waiting_for_the_connection_waits_for_every_ack(void **state)
{
    fixture *f = *state;
    open_agent(f);
    fake_bridge_session(&f->bridge, 1);
    wait_until(loom_agent_get_state(f->agent) == LOOM_AGENT_CONNECTED, FAKE_DEADLINE_MS);
    assert_status(LOOM_ETIMEDOUT, loom_agent_wait_connected(f->agent, 20));
    fake_bridge_answer_subscribe(&f->bridge);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
}

static void a_refused_subscription_fails_the_wait_and_is_told(void **state)
{
    fixture *f = *state;
    f->bridge.answer = LOOM_EDENIED;
    open_agent(f);
    fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_EDENIED, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    wait_until(noted(f, f->errors, "EDENIED:subscription to sensor.data refused: as the test wants it,"), FAKE_DEADLINE_MS);
}

static void a_subscription_that_stands_with_less_than_it_asked_for_is_told(void **state)
{
    fixture *f = *state;
    f->bridge.cuts = "queue_messages is 7, the broker's";
    open_agent(f);
    fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    wait_until(noted(f, f->errors, "ETOOBIG:subscription to sensor.data does not get all it asks for: queue_messages is 7, the broker's"),
               FAKE_DEADLINE_MS);
}

static void an_agent_looks_after_its_bridge_as_often_as_it_wants_to(void **state)
{
    fixture *f = *state;
    loom_agent_options options = options_of(f);
    options.heartbeat_ms = 20; /* the bridge's is 60000 */
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    fake_bridge_session(&f->bridge, 1);
    while (fake_bridge_next(&f->bridge).type != FRAME_PING) { /* its subscription comes first */
    }
    wait_until(noted(f, f->states, "DISCONNECTED:EEXPIRED"), FAKE_DEADLINE_MS);
}

static void subscriptions_are_made_again_after_a_reconnect(void **state)
{
    fixture *f = *state;
    uint64_t dynamic;
    open_session(f);
    loom_subscribe_options options = {.types = (const char *const[]){"a", "b", NULL}, .qos = LOOM_QOS_REALTIME};
    assert_status(LOOM_OK, loom_agent_subscribe(f->agent, "more.>", &options, &dynamic));
    assert_int_equal(dynamic, fake_bridge_answer_subscribe(&f->bridge));
    fake_bridge_drop(&f->bridge);
    fake_bridge_session(&f->bridge, 2);
    frame_subscribe again = fake_bridge_expect(&f->bridge, FRAME_SUBSCRIBE).u.subscribe;
    assert_str("more.>", again.filter);
    assert_int_equal(dynamic, again.subscription);
    assert_int_equal(2, again.type_count);
    assert_str("b", again.types[1]);
    assert_int_equal(LOOM_QOS_REALTIME, again.qos);
    assert_int_equal(1, loom_agent_get_stats(f->agent).reconnects);
}

static void an_unsubscribed_handler_is_not_called_any_more(void **state)
{
    fixture *f = *state;
    uint64_t kept = open_session(f), gone;
    assert_status(LOOM_OK, loom_agent_subscribe(f->agent, "gone", NULL, &gone));
    fake_bridge_answer_subscribe(&f->bridge);
    assert_status(LOOM_OK, loom_agent_unsubscribe(f->agent, gone));
    assert_int_equal(gone, fake_bridge_expect(&f->bridge, FRAME_UNSUBSCRIBE).u.unsubscribe.subscription);
    fake_bridge_deliver_text(&f->bridge, gone, "gone", "1");
    fake_bridge_deliver_text(&f->bridge, kept, "sensor.data", "2");
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
    assert_string_equal("sensor.data=2,", f->events);
    assert_status(LOOM_ENOTFOUND, loom_agent_unsubscribe(f->agent, gone));
}

static void an_error_frame_is_told_and_the_agent_comes_back(void **state)
{
    fixture *f = *state;
    open_session(f);
    fake_bridge_error(&f->bridge, LOOM_EDENIED, "not you");
    fake_bridge_drop(&f->bridge);
    wait_until(noted(f, f->states, "DISCONNECTED:EDENIED:the bridge ended the session: not you,"), FAKE_DEADLINE_MS);
    fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
}

static void a_replaced_agent_is_closed_for_good(void **state)
{
    fixture *f = *state;
    open_session(f);
    fake_bridge_error(&f->bridge, LOOM_EREPLACED, "a newer session");
    assert_status(LOOM_EREPLACED, loom_agent_run(f->agent));
    assert_int_equal(LOOM_AGENT_CLOSED, loom_agent_get_state(f->agent));
    assert_status(LOOM_ECLOSED, loom_agent_emit_text(f->agent, "out", "x", NULL));
    assert_status(LOOM_ECLOSED, loom_agent_subscribe(f->agent, "x", NULL, NULL));
    assert_status(LOOM_ECLOSED, loom_agent_wait_connected(f->agent, 1000));
}

static void a_bridge_of_another_protocol_is_refused(void **state)
{
    fixture *f = *state;
    open_agent(f);
    fake_bridge_accept(&f->bridge);
    (void)fake_bridge_expect(&f->bridge, FRAME_HELLO);
    frame_welcome welcome = {.protocol = 99};
    assert_status(LOOM_OK, frame_put_welcome(&f->bridge.out, &welcome));
    fake_bridge_flush(&f->bridge);
    wait_until(noted(f, f->states, "DISCONNECTED:EVERSION:the bridge speaks link protocol 99"), FAKE_DEADLINE_MS);
}

static void a_silent_bridge_is_given_up(void **state)
{
    fixture *f = *state;
    f->bridge.heartbeat_ms = 20;
    open_agent(f);
    fake_bridge_session(&f->bridge, 2);
    (void)fake_bridge_expect(&f->bridge, FRAME_PING);
    wait_until(noted(f, f->states, "DISCONNECTED:EEXPIRED"), FAKE_DEADLINE_MS);
}

static void pings_are_answered_and_pongs_keep_the_session(void **state)
{
    fixture *f = *state;
    f->bridge.heartbeat_ms = 100; /* three of them unanswered end the session: a busy machine must not take that long */
    open_agent(f);
    fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, frame_put_number(&f->bridge.out, FRAME_PING, 77));
    fake_bridge_flush(&f->bridge);
    bool ponged = false;
    for (unsigned pings = 0; pings < 5 || !ponged;) {
        frame got = fake_bridge_next(&f->bridge);
        if (got.type == FRAME_PONG) {
            assert_int_equal(77, got.u.number);
            ponged = true;
        } else {
            assert_int_equal(FRAME_PING, got.type);
            assert_status(LOOM_OK, frame_put_number(&f->bridge.out, FRAME_PONG, got.u.number));
            fake_bridge_flush(&f->bridge);
            pings++;
        }
    }
    assert_int_equal(LOOM_AGENT_CONNECTED, loom_agent_get_state(f->agent));
}

/* ---- bytes that are no frames ---- */

static void expect_broken_by(fixture *f, const void *bytes, size_t len, const char *text)
{
    open_session(f);
    fake_bridge_send_raw(&f->bridge, bytes, len);
    wait_until(noted(f, f->states, text), FAKE_DEADLINE_MS);
    fake_bridge_drop(&f->bridge);
    fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
}

static void a_length_without_sense_breaks_the_session(void **state)
{
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 1, 2, 3};
    expect_broken_by(*state, bytes, sizeof bytes, "EPROTO:what the bridge sends is no link frame");
}

static void a_frame_that_is_no_array_breaks_the_session(void **state)
{
    static const uint8_t bytes[] = {0, 0, 0, 3, 'a', 'b', 'c'};
    expect_broken_by(*state, bytes, sizeof bytes, "EPROTO:the bridge sent what cannot be read: frame is not a msgpack array");
}

static void a_frame_for_bridges_breaks_the_session(void **state)
{
    static const uint8_t bytes[] = {0, 0, 0, 3, 0x92, FRAME_HELLO, 0x80};
    expect_broken_by(*state, bytes, sizeof bytes, "EPROTO:the bridge sent a frame of type hello");
}

static void a_delivery_that_is_no_envelope_breaks_the_session(void **state)
{
    static const uint8_t bytes[] = {0, 0, 0, 5, 0x92, FRAME_DELIVER, 0x92, 0x01, 0xc0};
    expect_broken_by(*state, bytes, sizeof bytes, "EPROTO:deliver frame: not an envelope");
}

static void bytes_before_the_welcome_break_the_session(void **state)
{
    fixture *f = *state;
    static const uint8_t credit[] = {0, 0, 0, 4, 0x93, FRAME_CREDIT, 1, 1};
    open_agent(f);
    fake_bridge_accept(&f->bridge);
    fake_bridge_send_raw(&f->bridge, credit, sizeof credit);
    wait_until(noted(f, f->states, "EPROTO:the bridge sent a frame of type credit before its welcome"), FAKE_DEADLINE_MS);
}

/* ---- closing ---- */

/* Closing waits for the bridge, which the test is: so it is done by a thread. */
static void *close_agent(void *arg)
{
    fixture *f = arg;
    loom_status st = loom_agent_close_within(f->agent, 5000);
    f->agent = NULL;
    return (void *)(uintptr_t)st;
}

static void close_sends_what_is_buffered_and_says_goodbye(void **state)
{
    fixture *f = *state;
    char text[64];
    pthread_t closer;
    void *status;
    f->bridge.credit_bytes = 10; /* nothing can go yet */
    open_session(f);
    emit(f, "a");
    emit(f, "b");
    assert_int_equal(0, pthread_create(&closer, NULL, close_agent, f));
    assert_status(LOOM_OK, frame_put_credit(&f->bridge.out, 0, 10000));
    fake_bridge_flush(&f->bridge);
    fake_bridge_collect(&f->bridge, text, sizeof text, 2);
    assert_string_equal("a,b", text);
    (void)fake_bridge_expect(&f->bridge, FRAME_BYE);
    fake_bridge_drop(&f->bridge);
    pthread_join(closer, &status);
    assert_int_equal(LOOM_OK, (uintptr_t)status);
}

static void close_tells_what_it_could_not_send(void **state)
{
    fixture *f = *state;
    fake_bridge_stop_listening(&f->bridge);
    open_agent(f);
    emit(f, "a");
    emit(f, "b");
    assert_status(LOOM_ETIMEDOUT, loom_agent_close_within(f->agent, 50));
    f->agent = NULL;
    assert_true(noted(f, f->errors, "ETIMEDOUT:closed with 2 messages unsent,"));
}

static void closing_an_idle_agent_without_a_bridge_takes_no_time(void **state)
{
    fixture *f = *state;
    fake_bridge_stop_listening(&f->bridge);
    open_agent(f);
    uint64_t before = wait_now_ms();
    assert_status(LOOM_OK, loom_agent_close(f->agent));
    f->agent = NULL;
    assert_true(wait_now_ms() - before < 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_AGENT(hello_names_the_agent_and_grants_credit),
        WITH_AGENT(an_agent_subscribes_its_mailbox_and_its_topics),
        WITH_AGENT(waiting_for_the_connection_waits_for_every_ack),
        WITH_AGENT(a_refused_subscription_fails_the_wait_and_is_told),
        WITH_AGENT(a_subscription_that_stands_with_less_than_it_asked_for_is_told),
        WITH_AGENT(an_agent_looks_after_its_bridge_as_often_as_it_wants_to),
        WITH_AGENT(subscriptions_are_made_again_after_a_reconnect),
        WITH_AGENT(an_unsubscribed_handler_is_not_called_any_more),
        WITH_AGENT(an_error_frame_is_told_and_the_agent_comes_back),
        WITH_AGENT(a_replaced_agent_is_closed_for_good),
        WITH_AGENT(a_bridge_of_another_protocol_is_refused),
        WITH_AGENT(a_silent_bridge_is_given_up),
        WITH_AGENT(pings_are_answered_and_pongs_keep_the_session),
        WITH_AGENT(a_length_without_sense_breaks_the_session),
        WITH_AGENT(a_frame_that_is_no_array_breaks_the_session),
        WITH_AGENT(a_frame_for_bridges_breaks_the_session),
        WITH_AGENT(a_delivery_that_is_no_envelope_breaks_the_session),
        WITH_AGENT(bytes_before_the_welcome_break_the_session),
        WITH_AGENT(close_sends_what_is_buffered_and_says_goodbye),
        WITH_AGENT(close_tells_what_it_could_not_send),
        WITH_AGENT(closing_an_idle_agent_without_a_bridge_takes_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
