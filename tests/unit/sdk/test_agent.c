/* SPDX-License-Identifier: Apache-2.0 */
/* An agent and its bridge: sessions, subscriptions, what is sent and what is lost. */
#include <loom/loom.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/unit/sdk/fake_bridge.h"

typedef struct fixture {
    fake_bridge bridge;
    loom_agent *agent;
    pthread_mutex_t lock;
    /* guarded by lock */
    char events[4096];     /* "topic=payload," of what was handled */
    char states[4096];     /* "STATE:STATUS:text," */
    char errors[4096];     /* "STATUS:text," */
    atomic_uint handled;
    _Atomic loom_status answer; /* of the handler */
} fixture;

static void note(fixture *f, char *log, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void note(fixture *f, char *log, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&f->lock);
    size_t used = strlen(log);
    vsnprintf(log + used, sizeof f->events - used, format, args);
    pthread_mutex_unlock(&f->lock);
    va_end(args);
}

static bool noted(fixture *f, const char *log, const char *text)
{
    pthread_mutex_lock(&f->lock);
    bool found = strstr(log, text) != NULL;
    pthread_mutex_unlock(&f->lock);
    return found;
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    fixture *f = user;
    loom_bytes payload = loom_envelope_payload(event);
    note(f, f->events, "%s=%.*s,", topic, (int)payload.len, (const char *)payload.data);
    atomic_fetch_add(&f->handled, 1);
    return atomic_load(&f->answer);
}

static void on_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    static const char *const names[] = {"CONNECTING", "CONNECTED", "DISCONNECTED", "CLOSED"};
    (void)agent;
    fixture *f = user;
    note(f, f->states, "%s:%s:%s,", names[state], loom_status_name(why), text);
}

static void on_error(loom_agent *agent, loom_status why, const char *text, void *user)
{
    (void)agent;
    fixture *f = user;
    note(f, f->errors, "%s:%s,", loom_status_name(why), text);
}

static loom_agent_options options_of(fixture *f)
{
    static const char *const topics[] = {"sensor.data", NULL};
    return (loom_agent_options){.id = "tester",
                                .url = f->bridge.url,
                                .topics = topics,
                                .on_event = on_event,
                                .on_state = on_state,
                                .on_error = on_error,
                                .user = f};
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    pthread_mutex_init(&f->lock, NULL);
    fake_bridge_open(&f->bridge);
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    fake_bridge_drop(&f->bridge); /* nobody waits for a goodbye */
    loom_agent_close_within(f->agent, 100);
    fake_bridge_close(&f->bridge);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

static void open_agent(fixture *f)
{
    loom_agent_options options = options_of(f);
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
}

/* Open, and a session with the two subscriptions of options_of(): the mailbox and sensor.data. */
static uint64_t open_session(fixture *f)
{
    open_agent(f);
    uint64_t number = fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    return number;
}

static void emit(fixture *f, const char *text)
{
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "out", text, NULL));
}

/* Says goodbye as a bridge does, in place of the fixture's. */
static void *close_agent(void *arg)
{
    fixture *f = arg;
    loom_status st = loom_agent_close_within(f->agent, 5000);
    f->agent = NULL;
    return (void *)(uintptr_t)st;
}

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
    f->bridge.heartbeat_ms = 20;
    open_agent(f);
    fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, frame_put_number(&f->bridge.out, FRAME_PING, 77));
    fake_bridge_flush(&f->bridge);
    bool ponged = false;
    for (unsigned pings = 0; pings < 8 || !ponged;) {
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

/* ---- sending ---- */

static void what_is_emitted_while_disconnected_is_sent_in_order(void **state)
{
    fixture *f = *state;
    char text[256];
    fake_bridge_stop_listening(&f->bridge);
    open_agent(f);
    for (char c = 'a'; c <= 'j'; c++) {
        emit(f, (char[]){c, '\0'});
    }
    assert_status(LOOM_ENOTCONN, loom_agent_flush(f->agent, 1));
    fake_bridge_listen(&f->bridge);
    fake_bridge_session(&f->bridge, 2);
    fake_bridge_collect(&f->bridge, text, sizeof text, 10);
    assert_string_equal("a,b,c,d,e,f,g,h,i,j", text);
    assert_status(LOOM_OK, loom_agent_flush(f->agent, FAKE_DEADLINE_MS));
    assert_int_equal(10, loom_agent_get_stats(f->agent).sent);
}

static void a_full_send_buffer_is_refused_and_counted(void **state)
{
    fixture *f = *state;
    static uint8_t payload[1000];
    loom_agent_options options = options_of(f);
    options.send_buffer_bytes = 8000;
    fake_bridge_stop_listening(&f->bridge);
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    unsigned accepted = 0;
    loom_status st;
    while ((st = loom_agent_emit(f->agent, "out", BYTES(payload), NULL)) == LOOM_OK) {
        accepted++;
    }
    assert_status(LOOM_EFULL, st);
    assert_in_range(accepted, 5, 8);
    loom_agent_stats stats = loom_agent_get_stats(f->agent);
    assert_int_equal(accepted, stats.emitted);
    assert_int_equal(1, stats.refused);
    assert_true(stats.buffered_bytes <= 8000);
    static uint8_t large[9000];
    assert_status(LOOM_ETOOBIG, loom_agent_emit(f->agent, "out", BYTES(large), NULL));
    fake_bridge_listen(&f->bridge);
    fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_flush(f->agent, FAKE_DEADLINE_MS));
    assert_status(LOOM_OK, loom_agent_emit(f->agent, "out", BYTES(payload), NULL));
}

static void emit_waits_for_room_when_asked_to(void **state)
{
    fixture *f = *state;
    static uint8_t payload[1000];
    char text[64];
    loom_agent_options options = options_of(f);
    options.send_buffer_bytes = 3000;
    options.emit_timeout_ms = FAKE_DEADLINE_MS;
    f->bridge.credit_bytes = 100; /* not even one */
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    assert_status(LOOM_OK, frame_put_credit(&f->bridge.out, 0, 1000000));
    fake_bridge_flush(&f->bridge);
    for (int i = 0; i < 50; i++) {
        payload[0] = (uint8_t)('0' + i % 10);
        assert_status(LOOM_OK, loom_agent_emit(f->agent, "out", (loom_bytes){payload, i == 49 ? 1 : 1000}, NULL));
    }
    (void)text;
    assert_int_equal(50, loom_agent_get_stats(f->agent).emitted);
}

static void no_more_is_sent_than_the_credit_covers(void **state)
{
    fixture *f = *state;
    char text[256];
    f->bridge.credit_bytes = 1000;
    open_session(f);
    for (int i = 0; i < 40; i++) {
        emit(f, (char[]){(char)('A' + i), '\0'});
    }
    uint64_t seen = 0;
    size_t bytes = 0;
    while (fake_bridge_hears_something(&f->bridge, 100)) {
        frame got = fake_bridge_expect(&f->bridge, FRAME_PUBLISH);
        seen += got.u.batch.count;
        bytes += got.u.batch.items.len;
    }
    assert_in_range(bytes, 800, 1000);
    assert_int_equal(seen, loom_agent_get_stats(f->agent).sent);
    assert_status(LOOM_ETIMEDOUT, loom_agent_flush(f->agent, 1));
    assert_status(LOOM_OK, frame_put_credit(&f->bridge.out, 0, 100000));
    fake_bridge_flush(&f->bridge);
    fake_bridge_collect(&f->bridge, text, sizeof text, 40 - (unsigned)seen);
    assert_int_equal('A' + (int)seen, text[0]);
    assert_int_equal('A' + 39, text[strlen(text) - 1]);
}

static void one_message_larger_than_half_the_window_still_goes(void **state)
{
    fixture *f = *state;
    static uint8_t payload[5000];
    f->bridge.credit_bytes = 1000;
    open_session(f);
    assert_status(LOOM_OK, loom_agent_emit(f->agent, "out", BYTES(payload), NULL));
    assert_int_equal(1, fake_bridge_expect(&f->bridge, FRAME_PUBLISH).u.batch.count);
}

static void unsent_messages_survive_a_broken_connection_and_sent_ones_count_as_lost(void **state)
{
    fixture *f = *state;
    char text[256];
    f->bridge.credit_bytes = 1000;
    open_session(f);
    for (char c = 'a'; c <= 'z'; c++) {
        emit(f, (char[]){c, '\0'});
    }
    wait_until(loom_agent_get_stats(f->agent).sent > 0 && fake_bridge_hears_something(&f->bridge, 50), FAKE_DEADLINE_MS);
    while (fake_bridge_hears_something(&f->bridge, 100)) {
        (void)fake_bridge_expect(&f->bridge, FRAME_PUBLISH);
    }
    uint64_t sent = loom_agent_get_stats(f->agent).sent;
    fake_bridge_drop(&f->bridge);
    f->bridge.credit_bytes = 100000;
    fake_bridge_session(&f->bridge, 2);
    fake_bridge_collect(&f->bridge, text, sizeof text, 26 - (unsigned)sent);
    assert_int_equal('a' + (int)sent, text[0]);
    assert_int_equal('z', text[strlen(text) - 1]);
    assert_int_equal(sent, loom_agent_get_stats(f->agent).lost);
}

static void what_the_bridge_has_granted_again_is_not_lost(void **state)
{
    fixture *f = *state;
    char text[64];
    f->bridge.credit_bytes = 10000;
    open_session(f);
    emit(f, "a");
    fake_bridge_collect(&f->bridge, text, sizeof text, 1);
    assert_status(LOOM_OK, frame_put_credit(&f->bridge.out, 0, 10000 + 500)); /* more than the one message */
    assert_status(LOOM_OK, frame_put_number(&f->bridge.out, FRAME_PING, 1));
    fake_bridge_flush(&f->bridge);
    (void)fake_bridge_expect(&f->bridge, FRAME_PONG);
    fake_bridge_drop(&f->bridge);
    fake_bridge_session(&f->bridge, 2);
    assert_int_equal(0, loom_agent_get_stats(f->agent).lost);
}

static void a_topic_that_is_not_valid_is_refused_at_once(void **state)
{
    fixture *f = *state;
    open_agent(f);
    assert_status(LOOM_EINVAL, loom_agent_emit_text(f->agent, "", "x", NULL));
    assert_status(LOOM_EINVAL, loom_agent_emit_text(f->agent, "a..b", "x", NULL));
    assert_status(LOOM_EINVAL, loom_agent_emit_text(f->agent, "a.*", "x", NULL));
    assert_status(LOOM_EINVAL, loom_agent_subscribe(f->agent, "a.>.b", NULL, NULL));
    assert_int_equal(0, loom_agent_get_stats(f->agent).emitted);
}

static void payloads_over_the_bridges_limit_are_refused_at_once(void **state)
{
    fixture *f = *state;
    static uint8_t payload[101];
    f->bridge.max_payload = 100;
    open_session(f);
    assert_status(LOOM_ETOOBIG, loom_agent_emit(f->agent, "out", BYTES(payload), NULL));
    assert_status(LOOM_OK, loom_agent_emit(f->agent, "out", (loom_bytes){payload, 100}, NULL));
}

static void a_notice_is_told(void **state)
{
    fixture *f = *state;
    open_session(f);
    frame_outcome notice = {.status = LOOM_EDENIED, .text = STR("not there")};
    assert_status(LOOM_OK, frame_put_outcome(&f->bridge.out, FRAME_NOTICE, &notice));
    fake_bridge_flush(&f->bridge);
    wait_until(noted(f, f->errors, "refused: not there,"), FAKE_DEADLINE_MS);
}

/* ---- closing ---- */

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

/* ---- receiving ---- */

static void events_reach_their_handlers(void **state)
{
    fixture *f = *state;
    uint64_t number = open_session(f);
    fake_bridge_deliver_text(&f->bridge, number, "sensor.data", "1");
    fake_bridge_deliver_text(&f->bridge, number - 1, "agent.tester.replies", "2");
    wait_until(atomic_load(&f->handled) == 2, FAKE_DEADLINE_MS);
    assert_string_equal("sensor.data=1,agent.tester.replies=2,", f->events);
    wait_until(loom_agent_get_stats(f->agent).received == 2, FAKE_DEADLINE_MS);
}

static void credit_is_granted_again_when_half_is_used(void **state)
{
    fixture *f = *state;
    loom_agent_options options = options_of(f);
    options.receive_messages = 4;
    options.receive_bytes = 1000000;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    uint64_t number = fake_bridge_session(&f->bridge, 2);
    for (unsigned i = 1; i <= 4; i++) {
        fake_bridge_deliver_text(&f->bridge, number, "sensor.data", "x");
    }
    assert_int_equal(6, fake_bridge_expect(&f->bridge, FRAME_CREDIT).u.credit.messages);
    assert_int_equal(8, fake_bridge_expect(&f->bridge, FRAME_CREDIT).u.credit.messages);
}

static void a_handler_that_fails_is_counted_and_the_session_goes_on(void **state)
{
    fixture *f = *state;
    uint64_t number = open_session(f);
    atomic_store(&f->answer, LOOM_EINVAL);
    fake_bridge_deliver_text(&f->bridge, number, "sensor.data", "1");
    wait_until(loom_agent_get_stats(f->agent).failed == 1, FAKE_DEADLINE_MS);
    atomic_store(&f->answer, LOOM_OK);
    fake_bridge_deliver_text(&f->bridge, number, "sensor.data", "2");
    wait_until(loom_agent_get_stats(f->agent).received == 2, FAKE_DEADLINE_MS);
    assert_int_equal(1, loom_agent_get_stats(f->agent).failed);
    assert_int_equal(LOOM_AGENT_CONNECTED, loom_agent_get_state(f->agent));
}

static loom_envelope *kept;

static loom_status keep_first(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    fixture *f = user;
    if (kept == NULL) {
        kept = loom_envelope_ref(event);
    }
    atomic_fetch_add(&f->handled, 1);
    return LOOM_OK;
}

static void an_event_that_was_kept_is_not_reused(void **state)
{
    fixture *f = *state;
    loom_agent_options options = options_of(f);
    options.on_event = keep_first;
    kept = NULL;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    uint64_t number = fake_bridge_session(&f->bridge, 2);
    for (unsigned i = 0; i < 3; i++) {
        fake_bridge_deliver_text(&f->bridge, number, "sensor.data", (char[]){(char)('a' + i), '\0'});
    }
    wait_until(atomic_load(&f->handled) == 3, FAKE_DEADLINE_MS);
    assert_int_equal('a', loom_envelope_payload(kept).data[0]);
    loom_envelope_unref(kept);
}

static loom_status wait_for_answer(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    (void)event;
    fixture *f = user;
    while (atomic_load(&f->answer) == LOOM_OK) {
        wait_pause();
    }
    return LOOM_OK;
}

static void a_long_handler_does_not_cost_the_session(void **state)
{
    fixture *f = *state;
    loom_agent_options options = options_of(f);
    options.on_event = wait_for_answer;
    f->bridge.heartbeat_ms = 20;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    uint64_t number = fake_bridge_session(&f->bridge, 2);
    fake_bridge_deliver_text(&f->bridge, number, "sensor.data", "x");
    for (unsigned pings = 0; pings < 5;) {
        frame got = fake_bridge_expect(&f->bridge, FRAME_PING);
        pings += got.u.number == 0; /* of the thread that is not in the handler */
    }
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "out", "meanwhile", NULL));
    frame got;
    do {
        got = fake_bridge_next(&f->bridge);
    } while (got.type == FRAME_PING);
    assert_int_equal(FRAME_PUBLISH, got.type); /* others' messages do not wait for the handler either */
    atomic_store(&f->answer, LOOM_EINVAL);
    wait_until(loom_agent_get_stats(f->agent).received == 1, FAKE_DEADLINE_MS);
}

static loom_status echo(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)topic;
    (void)user;
    return loom_agent_emit(agent, "echo", loom_envelope_payload(event), NULL);
}

static void what_a_handler_emits_leaves(void **state)
{
    fixture *f = *state;
    char text[64];
    loom_agent_options options = options_of(f);
    options.on_event = echo;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    uint64_t number = fake_bridge_session(&f->bridge, 2);
    for (unsigned i = 0; i < 3; i++) {
        fake_bridge_deliver_text(&f->bridge, number, "sensor.data", (char[]){(char)('a' + i), '\0'});
    }
    fake_bridge_collect(&f->bridge, text, sizeof text, 3);
    assert_string_equal("a,b,c", text);
}

static void an_event_without_hops_left_leads_to_no_other(void **state)
{
    fixture *f = *state;
    uint8_t wire[512];
    loom_agent_options options = options_of(f);
    options.on_event = echo;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    uint64_t number = fake_bridge_session(&f->bridge, 2);
    loom_envelope *env;
    loom_envelope_fields fields = {.topic = STR("sensor.data"), .ttl = 1};
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    loom_bytes bytes = loom_envelope_wire(env);
    memcpy(wire, bytes.data, bytes.len);
    wire[32] = 0; /* ttl, WIRE.md section 2 */
    uint8_t *room = frame_deliver_begin(&f->bridge.out, number, bytes.len);
    memcpy(room, wire, bytes.len);
    frame_batch_commit(&f->bridge.out, bytes.len);
    loom_envelope_unref(env);
    fake_bridge_flush(&f->bridge);
    wait_until(loom_agent_get_stats(f->agent).failed == 1, FAKE_DEADLINE_MS);
    assert_int_equal(0, loom_agent_get_stats(f->agent).emitted);
}

static loom_status call_what_is_forbidden(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)topic;
    (void)event;
    fixture *f = user;
    if (loom_agent_close(agent) == LOOM_EBUSY && loom_agent_wait_connected(agent, 1000) == LOOM_EBUSY &&
        loom_agent_run(agent) == LOOM_EBUSY) {
        atomic_fetch_add(&f->handled, 1);
    }
    return LOOM_OK;
}

static void handlers_can_neither_close_nor_wait(void **state)
{
    fixture *f = *state;
    loom_agent_options options = options_of(f);
    options.on_event = call_what_is_forbidden;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    uint64_t number = fake_bridge_session(&f->bridge, 2);
    fake_bridge_deliver_text(&f->bridge, number, "sensor.data", "x");
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
}

#define WITH_AGENT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_AGENT(hello_names_the_agent_and_grants_credit),
        WITH_AGENT(an_agent_subscribes_its_mailbox_and_its_topics),
        WITH_AGENT(waiting_for_the_connection_waits_for_every_ack),
        WITH_AGENT(a_refused_subscription_fails_the_wait_and_is_told),
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
        WITH_AGENT(what_is_emitted_while_disconnected_is_sent_in_order),
        WITH_AGENT(a_full_send_buffer_is_refused_and_counted),
        WITH_AGENT(emit_waits_for_room_when_asked_to),
        WITH_AGENT(no_more_is_sent_than_the_credit_covers),
        WITH_AGENT(one_message_larger_than_half_the_window_still_goes),
        WITH_AGENT(unsent_messages_survive_a_broken_connection_and_sent_ones_count_as_lost),
        WITH_AGENT(what_the_bridge_has_granted_again_is_not_lost),
        WITH_AGENT(a_topic_that_is_not_valid_is_refused_at_once),
        WITH_AGENT(payloads_over_the_bridges_limit_are_refused_at_once),
        WITH_AGENT(a_notice_is_told),
        WITH_AGENT(close_sends_what_is_buffered_and_says_goodbye),
        WITH_AGENT(close_tells_what_it_could_not_send),
        WITH_AGENT(closing_an_idle_agent_without_a_bridge_takes_no_time),
        WITH_AGENT(events_reach_their_handlers),
        WITH_AGENT(credit_is_granted_again_when_half_is_used),
        WITH_AGENT(a_handler_that_fails_is_counted_and_the_session_goes_on),
        WITH_AGENT(an_event_that_was_kept_is_not_reused),
        WITH_AGENT(a_long_handler_does_not_cost_the_session),
        WITH_AGENT(what_a_handler_emits_leaves),
        WITH_AGENT(an_event_without_hops_left_leads_to_no_other),
        WITH_AGENT(handlers_can_neither_close_nor_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
