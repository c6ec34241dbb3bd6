/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent sends and receives: order, credit, bounds, loss, handlers. */
#include "tests/unit/sdk/agent_fixture.h"

/* ---- sending ---- */

static void what_is_emitted_while_disconnected_is_sent_in_order(void **state)
{
    fixture *f = *state;
    char text[256];
    fake_bridge_stop_listening(&f->bridge);
    open_agent(f);
    for (int c = 'a'; c <= 'j'; c++) {
        emit(f, (char[]){(char)c, '\0'});
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

static void *emit_five(void *arg)
{
    fixture *f = arg;
    static uint8_t payload[1000];
    uintptr_t accepted = 0;
    for (int i = 0; i < 5; i++) {
        accepted += loom_agent_emit(f->agent, "out", BYTES(payload), NULL) == LOOM_OK;
    }
    return (void *)accepted;
}

static void emit_waits_for_room_when_asked_to(void **state)
{
    fixture *f = *state;
    pthread_t emitter;
    void *accepted;
    loom_agent_options options = options_of(f);
    options.send_buffer_bytes = 3000; /* two of them */
    options.emit_timeout_ms = FAKE_DEADLINE_MS;
    f->bridge.credit_bytes = 0;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    assert_int_equal(0, pthread_create(&emitter, NULL, emit_five, f));
    wait_until(loom_agent_get_stats(f->agent).emitted == 2, FAKE_DEADLINE_MS);
    assert_status(LOOM_OK, frame_put_credit(&f->bridge.out, 0, 1000000));
    fake_bridge_flush(&f->bridge);
    pthread_join(emitter, &accepted);
    assert_int_equal(5, (uintptr_t)accepted);
    assert_int_equal(0, loom_agent_get_stats(f->agent).refused);
}

static void emit_gives_up_waiting_for_room_after_its_timeout(void **state)
{
    fixture *f = *state;
    static uint8_t payload[1000];
    loom_agent_options options = options_of(f);
    options.send_buffer_bytes = 1500;
    options.emit_timeout_ms = 20;
    f->bridge.credit_bytes = 0;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    assert_status(LOOM_OK, loom_agent_emit(f->agent, "out", BYTES(payload), NULL));
    assert_status(LOOM_EFULL, loom_agent_emit(f->agent, "out", BYTES(payload), NULL));
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
        frame got = fake_bridge_next(&f->bridge);
        if (got.type == FRAME_PUBLISH) {
            seen += got.u.batch.count;
            bytes += got.u.batch.items.len;
        }
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
    for (int c = 'a'; c <= 'z'; c++) {
        emit(f, (char[]){(char)c, '\0'});
    }
    wait_until(loom_agent_get_stats(f->agent).sent > 0 && fake_bridge_hears_something(&f->bridge, 50), FAKE_DEADLINE_MS);
    while (fake_bridge_hears_something(&f->bridge, 100)) {
        (void)fake_bridge_next(&f->bridge);
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

static void what_the_bridge_has_read_by_its_goodbye_is_not_lost(void **state)
{
    fixture *f = *state;
    char text[64];
    open_session(f);
    for (int i = 0; i < 5; i++) {
        emit(f, "a");
    }
    fake_bridge_collect(&f->bridge, text, sizeof text, 5);
    wait_until(loom_agent_get_stats(f->agent).sent == 5, FAKE_DEADLINE_MS);
    frame_outcome bye = {.status = LOOM_ECLOSED, .messages = 3};
    assert_status(LOOM_OK, frame_put_outcome(&f->bridge.out, FRAME_BYE, &bye));
    fake_bridge_flush(&f->bridge);
    fake_bridge_session(&f->bridge, 2); /* the next one */
    assert_int_equal(2, loom_agent_get_stats(f->agent).lost);
    emit(f, "b"); /* what was said of one session holds for that only */
    fake_bridge_collect(&f->bridge, text, sizeof text, 1);
    wait_until(loom_agent_get_stats(f->agent).sent == 6, FAKE_DEADLINE_MS);
    fake_bridge_drop(&f->bridge);
    fake_bridge_session(&f->bridge, 2);
    assert_int_equal(3, loom_agent_get_stats(f->agent).lost);
}

static void an_agent_asks_soon_what_has_been_read(void **state)
{
    fixture *f = *state;
    char text[64];
    open_session(f); /* with a heartbeat of a minute */
    emit(f, "a");
    fake_bridge_collect(&f->bridge, text, sizeof text, 1);
    frame ping = fake_bridge_expect(&f->bridge, FRAME_PING);
    assert_status(LOOM_OK, frame_put_number(&f->bridge.out, FRAME_PONG, ping.u.number));
    assert_status(LOOM_OK, frame_put_number(&f->bridge.out, FRAME_PING, 1));
    fake_bridge_flush(&f->bridge);
    (void)fake_bridge_expect(&f->bridge, FRAME_PONG); /* so it has seen ours */
    assert_false(fake_bridge_hears_something(&f->bridge, 250)); /* and asks no more */
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

/* ---- receiving ---- */

static void a_text_of_the_bridge_is_made_printable(void **state)
{
    fixture *f = *state;
    open_session(f);
    frame_outcome notice = {.status = LOOM_EDENIED, .text = STR("\x1b[31mred\xe2\x80\xaeturned\xff")};
    assert_status(LOOM_OK, frame_put_outcome(&f->bridge.out, FRAME_NOTICE, &notice));
    fake_bridge_flush(&f->bridge);
    wait_until(noted(f, f->errors, "·[31mred·turned\xef\xbf\xbd,"), FAKE_DEADLINE_MS);
    fake_bridge_error(&f->bridge, LOOM_EPROTO, "\x1b]0;owned\a");
    wait_until(noted(f, f->states, "·]0;owned·,"), FAKE_DEADLINE_MS);
}

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

static loom_status take_long(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    (void)event;
    (void)user;
    nanosleep(&(struct timespec){0, 25000000}, NULL);
    return LOOM_OK;
}

static void credit_is_granted_again_while_handlers_are_busy(void **state)
{
    fixture *f = *state;
    loom_agent_options options = options_of(f);
    options.on_event = take_long;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    uint64_t number = fake_bridge_session(&f->bridge, 2);
    for (int i = 0; i < 6; i++) { /* of a window of 8192; all but the first are read at once */
        fake_bridge_deliver_text(&f->bridge, number, "sensor.data", "x");
    }
    frame credit = fake_bridge_expect(&f->bridge, FRAME_CREDIT);
    assert_in_range(credit.u.credit.messages, 8192 + 1, 8192 + 6);
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

static char why_not[256]; /* of the last echo, written before it counts as failed */

static loom_status echo_and_say_why_not(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    const loom_status st = echo(agent, topic, event, user);
    snprintf(why_not, sizeof why_not, "%s", st != LOOM_OK ? loom_last_error() : "");
    return st;
}

static void an_event_without_hops_left_leads_to_no_other(void **state)
{
    fixture *f = *state;
    uint8_t wire[512];
    loom_agent_options options = options_of(f);
    options.on_event = echo_and_say_why_not;
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
    assert_string_equal("the message on \"sensor.data\" has no hops left for what comes of it; set ttl to send it all the same", why_not);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_AGENT(what_is_emitted_while_disconnected_is_sent_in_order),
        WITH_AGENT(a_full_send_buffer_is_refused_and_counted),
        WITH_AGENT(emit_waits_for_room_when_asked_to),
        WITH_AGENT(emit_gives_up_waiting_for_room_after_its_timeout),
        WITH_AGENT(no_more_is_sent_than_the_credit_covers),
        WITH_AGENT(one_message_larger_than_half_the_window_still_goes),
        WITH_AGENT(unsent_messages_survive_a_broken_connection_and_sent_ones_count_as_lost),
        WITH_AGENT(what_the_bridge_has_granted_again_is_not_lost),
        WITH_AGENT(what_the_bridge_has_read_by_its_goodbye_is_not_lost),
        WITH_AGENT(an_agent_asks_soon_what_has_been_read),
        WITH_AGENT(a_topic_that_is_not_valid_is_refused_at_once),
        WITH_AGENT(payloads_over_the_bridges_limit_are_refused_at_once),
        WITH_AGENT(a_notice_is_told),
        WITH_AGENT(a_text_of_the_bridge_is_made_printable),
        WITH_AGENT(events_reach_their_handlers),
        WITH_AGENT(credit_is_granted_again_when_half_is_used),
        WITH_AGENT(credit_is_granted_again_while_handlers_are_busy),
        WITH_AGENT(a_handler_that_fails_is_counted_and_the_session_goes_on),
        WITH_AGENT(an_event_that_was_kept_is_not_reused),
        WITH_AGENT(a_long_handler_does_not_cost_the_session),
        WITH_AGENT(what_a_handler_emits_leaves),
        WITH_AGENT(an_event_without_hops_left_leads_to_no_other),
        WITH_AGENT(handlers_can_neither_close_nor_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
