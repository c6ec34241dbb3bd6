/* SPDX-License-Identifier: Apache-2.0 */
/* Two ports on one broker: whatever one says, the right one hears of it. */
#include <stdlib.h>

#include "envelope/id.h"
#include "tests/unit/broker/port_fixture.h"

static const loom_bytes no_metadata;

typedef struct fixture {
    loop_clock clock;
    broker_cores cores;
    test_port a, b;
} fixture;

static int open_ports(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_status(LOOM_OK, test_cores_create(&f->cores, &f->clock, &(actionbroker_options){
        .payload_max = 1000, .max_pending = 3, .first_ref = 1}));
    f->clock.now_ms = 1000;
    assert_status(LOOM_OK, test_port_open(&f->a, &f->cores, "a", 0));
    assert_status(LOOM_OK, test_port_open(&f->b, &f->cores, "b", 0));
    *state = f;
    return 0;
}

static int close_ports(void **state)
{
    fixture *f = *state;
    test_port_close(&f->a, LOOM_OK);
    test_port_close(&f->b, LOOM_OK);
    const action_stats actions = actionbroker_get_stats(f->cores.actions);
    assert_int_equal(0, actions.parties + actions.pending + actions.running + actions.capabilities);
    assert_int_equal(0, eventbus_get_stats(f->cores.events).subscribers);
    assert_int_equal(0, directory_get_stats(f->cores.agents).agents);
    test_cores_destroy(&f->cores);
    free(f);
    return 0;
}

static void assert_result(const test_port *p, const char *id, uint64_t outcome, const char *code)
{
    const seen_frame *f = last_frame(p);
    assert_int_equal(FRAME_RESULT, f->type);
    assert_int_equal(outcome, f->outcome);
    assert_string_equal(code, f->code);
    assert_int_equal(strlen(id), f->id_len);
    assert_memory_equal(id, f->id, f->id_len);
}

/* ---- events ---- */

static void what_one_publishes_the_other_gets(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_subscribe(&f->b, 5, "news.*"));
    assert_status(LOOM_OK, test_port_publish(&f->a, "news.local", "rain"));
    assert_int_equal(1, f->b.deliveries);
    assert_int_equal(5, last_delivery(&f->b)->subscription);
    assert_string_equal("news.local", last_delivery(&f->b)->topic);
    assert_string_equal("rain", last_delivery(&f->b)->payload);
    assert_int_equal(0, f->a.deliveries + f->a.frames);
    assert_status(LOOM_OK, port_frame(f->b.handle, &(frame){.type = FRAME_UNSUBSCRIBE, .u.unsubscribe = {8, 5}}));
    assert_int_equal(8, last_frame(&f->b)->request);
    assert_int_equal(LOOM_OK, last_frame(&f->b)->status);
    assert_status(LOOM_OK, test_port_publish(&f->a, "news.local", "sun"));
    assert_int_equal(1, f->b.deliveries);
}

static void a_request_that_cannot_be_done_is_answered_with_the_reason(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_EINVAL, test_port_subscribe(&f->a, 1, "a..b"));
    assert_string_equal("a segment is empty", last_frame(&f->a)->text);
    assert_status(LOOM_OK, test_port_subscribe(&f->a, 1, "a.b"));
    assert_status(LOOM_EEXIST, test_port_subscribe(&f->a, 1, "a.c"));
    assert_status(LOOM_OK, port_frame(f->a.handle, &(frame){.type = FRAME_SUBSCRIBE, .u.subscribe = {
        .request = 7, .subscription = 2, .filter = STR("x"), .qos = UINT64_C(1) << 32}}));
    assert_int_equal(LOOM_EINVAL, last_frame(&f->a)->status);
    assert_string_equal("qos is not known", last_frame(&f->a)->text);
    assert_status(LOOM_OK, port_frame(f->a.handle, &(frame){.type = FRAME_SUBSCRIBE, .u.subscribe = {
        .request = 7, .subscription = 2, .filter = STR("x"), .group = STR("g.h")}}));
    assert_int_equal(LOOM_EINVAL, last_frame(&f->a)->status);
    assert_string_equal("the name of the group is not one segment of a topic", last_frame(&f->a)->text);
    assert_status(LOOM_OK, port_frame(f->a.handle, &(frame){.type = FRAME_UNSUBSCRIBE, .u.unsubscribe = {7, 99}}));
    assert_int_equal(LOOM_ENOTFOUND, last_frame(&f->a)->status);
}

/* ---- how many subscriptions a message matched ---- */

static void ask(fixture *f, uint64_t number, uint8_t id, frame_ask_how how)
{
    uint8_t message_id[LOOM_UUID_SIZE];
    memset(message_id, id, sizeof message_id);
    assert_status(LOOM_OK, port_frame(f->a.handle, &(frame){.type = FRAME_ASK, .u.ask = {number, BYTES(message_id), how}}));
}

static void publish_as(fixture *f, const char *topic, uint8_t id)
{
    loom_envelope_fields fields = {.topic = str_of(topic), .sender = STR("a")};
    memset(fields.id, id, sizeof fields.id);
    loom_envelope *env;
    uint8_t wire[512];
    envelope_view view;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    const loom_bytes bytes = loom_envelope_wire(env);
    memcpy(wire, bytes.data, bytes.len);
    assert_status(LOOM_OK, envelope_scan(&view, (loom_bytes){wire, bytes.len}, NULL, NULL));
    port_publish(f->a.handle, &view, wire);
    loom_envelope_unref(env);
}

static void a_publish_that_matched_nobody_is_told_to_whom_has_asked(void **state)
{
    fixture *f = *state;
    ask(f, 7, 1, FRAME_ASK_IF_NONE);
    publish_as(f, "t", 1);
    assert_int_equal(FRAME_MATCHED, last_frame(&f->a)->type);
    assert_int_equal(7, last_frame(&f->a)->request);
    assert_int_equal(0, last_frame(&f->a)->number);
    publish_as(f, "t", 1);
    assert_int_equal(1, f->a.frames); /* one answer an ask */
}

static void how_many_it_matched_is_told_to_whom_asks_for_it(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_subscribe(&f->b, 1, "t"));
    assert_status(LOOM_OK, test_port_subscribe(&f->b, 2, ">"));
    ask(f, 7, 1, FRAME_ASK_IF_NONE);
    ask(f, 8, 2, FRAME_ASK_ALWAYS);
    publish_as(f, "t", 1);
    assert_int_equal(0, f->a.frames);
    publish_as(f, "t", 2);
    assert_int_equal(1, f->a.frames);
    assert_int_equal(8, last_frame(&f->a)->request);
    assert_int_equal(2, last_frame(&f->a)->number);
}

static void asks_whose_messages_were_lost_make_way(void **state)
{
    fixture *f = *state;
    for (uint8_t id = 1; id <= 60; id++) {
        ask(f, id, id, FRAME_ASK_ALWAYS);
    }
    publish_as(f, "t", 0); /* nobody asked about it */
    assert_int_equal(0, f->a.frames);
    publish_as(f, "t", 60);
    assert_int_equal(60, last_frame(&f->a)->request);
    publish_as(f, "t", 59);
    assert_int_equal(1, f->a.frames);
}

static void only_so_many_asks_are_kept(void **state)
{
    fixture *f = *state;
    for (uint32_t i = 0; i < 10000; i++) {
        ask(f, i, (uint8_t)(i == 0 ? 1 : 2), FRAME_ASK_ALWAYS);
    }
    publish_as(f, "t", 1);
    assert_int_equal(0, last_frame(&f->a)->request);
    for (uint32_t i = 1; i < 10000; i++) {
        publish_as(f, "t", 2);
    }
    assert_int_equal(4096, f->a.frames);
}

/* ---- the broker's own capabilities ---- */

static loom_status echo(void *user, loom_str name, loom_bytes question, void (*take)(void *to, loom_bytes answer), void *to)
{
    const loom_status *st = user;
    if (*st == LOOM_OK) {
        assert_str("agents", name);
        take(to, question);
    }
    return *st;
}

static void the_broker_answers_calls_below_system(void **state)
{
    fixture *f = *state;
    loom_status answer = LOOM_OK;
    broker_system system = {echo, &answer};
    broker_cores cores = f->cores;
    test_port asker;
    cores.system = &system;
    assert_status(LOOM_OK, test_port_open(&asker, &cores, "asker", 0));
    const frame_call call = {.call_id = BYTES("id"), .capability = STR("system.agents")};
    assert_status(LOOM_OK, test_port_call(&asker, &call, "question", 16));
    assert_int_equal(FRAME_CALL_OK, last_frame(&asker)->outcome);
    assert_string_equal("question", last_frame(&asker)->payload);
    const struct {
        loom_status status;
        frame_call_outcome outcome;
        const char *code;
    } cases[] = {{LOOM_ENOTFOUND, FRAME_CALL_NO_RESPONDERS, "no_provider"},
                 {LOOM_EBUSY, FRAME_CALL_ERROR, "system_busy"},
                 {LOOM_ENOMEM, FRAME_CALL_ERROR, "out_of_memory"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer = cases[i].status;
        assert_status(LOOM_OK, test_port_call(&asker, &call, "", 16));
        assert_int_equal(cases[i].outcome, last_frame(&asker)->outcome);
        assert_string_equal(cases[i].code, last_frame(&asker)->code);
    }
    answer = LOOM_OK;
    assert_status(LOOM_OK, test_port_call(&asker, &(frame_call){.capability = STR("system.agents")}, "", 16));
    assert_int_equal(LOOM_UUID_SIZE, last_frame(&asker)->id_len); /* one was given */
    system = (broker_system){0}; /* the socket has closed */
    assert_status(LOOM_OK, test_port_call(&asker, &call, "", 16));
    assert_string_equal("no_provider", last_frame(&asker)->code);
    test_port_close(&asker, LOOM_OK);
}

static void an_event_that_cannot_be_published_comes_back_as_a_notice(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_publish(&f->a, "a..b", ""));
    assert_int_equal(FRAME_NOTICE, last_frame(&f->a)->type);
    assert_int_equal(LOOM_EINVAL, last_frame(&f->a)->status);
    assert_string_equal("a segment is empty", last_frame(&f->a)->text);
    assert_int_equal(LOOM_UUID_SIZE, last_frame(&f->a)->id_len);
}

static void the_brokers_own_topics_are_not_for_agents_to_publish_to(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_subscribe(&f->b, 1, "system.>"));
    assert_status(LOOM_OK, test_port_publish(&f->a, "system.agents", "a lie"));
    assert_int_equal(LOOM_EDENIED, last_frame(&f->a)->status);
    assert_string_equal("topics under system. are the broker's", last_frame(&f->a)->text);
    assert_int_equal(0, f->b.deliveries);
    assert_status(LOOM_OK, test_port_publish(&f->a, "system", "")); /* not under it */
    assert_status(LOOM_OK, test_port_publish(&f->a, "systems.all", ""));
    assert_int_equal(1, f->a.frames);
}

static void who_subscribes_to_everything_is_spared_the_brokers_own_news(void **state)
{
    fixture *f = *state;
    test_port c;
    assert_status(LOOM_OK, test_port_subscribe(&f->a, 1, ">"));
    assert_status(LOOM_OK, test_port_subscribe(&f->a, 2, "*.agents"));
    assert_status(LOOM_OK, test_port_subscribe(&f->b, 3, "system.*"));
    assert_status(LOOM_OK, test_port_open(&c, &f->cores, "c", 0));
    test_port_close(&c, LOOM_OK);
    assert_int_equal(0, f->a.deliveries);
    assert_int_equal(2, f->b.deliveries);
}

static void a_handler_may_grant_and_the_order_stays(void **state)
{
    fixture *f = *state;
    test_port slow;
    char text[2] = "a";
    assert_status(LOOM_OK, test_port_open_without_credit(&slow, &f->cores, "slow", 0));
    assert_status(LOOM_OK, test_port_subscribe(&slow, 1, "t"));
    for (; text[0] < 'k'; text[0]++) {
        assert_status(LOOM_OK, test_port_publish(&f->a, "t", text));
    }
    assert_int_equal(0, slow.deliveries);
    slow.grants_when_delivered = slow.granted = 1;
    port_grant(slow.handle, 1, UINT64_MAX); /* each lets the next one through */
    assert_int_equal(10, slow.deliveries);
    for (; text[0] < 'u'; text[0]++) {
        assert_status(LOOM_OK, test_port_publish(&f->a, "t", text));
    }
    assert_int_equal(20, slow.deliveries);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal('a' + i, slow.delivery[i].payload[0]);
    }
    test_port_close(&slow, LOOM_OK);
}

/* ---- calls ---- */

static void a_call_goes_to_its_provider_and_the_result_to_its_caller(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->b, "weather.lookup", "1.2", no_metadata));
    assert_status(LOOM_OK, test_port_call(&f->a, &(frame_call){
        .call_id = BYTES("id-1"), .capability = STR("weather.lookup"), .deadline_ms = 5000, .idle_ms = 77,
        .flags = FRAME_CALL_STREAMS | FRAME_CALL_IDEMPOTENT | 64}, "where", 16));
    const seen_call *call = last_call(&f->b);
    assert_int_equal(1, f->b.calls);
    assert_int_equal(8, call->id_len);
    assert_string_equal("weather.lookup", call->capability);
    assert_string_equal("1.2", call->version);
    assert_string_equal("where", call->payload);
    assert_int_equal(5000, call->deadline_ms);
    assert_int_equal(0, call->idle_ms);
    assert_int_equal(FRAME_CALL_STREAMS, call->flags);
    assert_int_equal(15, call->ttl);
    assert_status(LOOM_OK, test_port_result(&f->b, FRAME_CALL_OK, "", "here"));
    assert_int_equal(1, f->a.results);
    assert_int_equal(sizeof "id-1", last_frame(&f->a)->id_len);
    assert_string_equal("id-1", (const char *)last_frame(&f->a)->id);
    assert_string_equal("here", last_frame(&f->a)->payload);
    assert_int_equal(FRAME_CALL_OK, last_frame(&f->a)->outcome);
}

static void the_id_of_a_providers_call_is_the_number_of_the_attempt_in_network_order(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "", no_metadata));
    for (uint8_t i = 1; i <= 3; i++) {
        const uint8_t number[8] = {0, 0, 0, 0, 0, 0, 0, i};
        assert_status(LOOM_OK, test_port_call_named(&f->a, "", "x"));
        assert_memory_equal(number, last_call(&f->b)->id, sizeof number);
        assert_status(LOOM_OK, test_port_result(&f->b, FRAME_CALL_OK, "", ""));
    }
}

static void a_call_that_nobody_answers_has_a_result_at_once(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "nobody"));
    assert_result(&f->a, "id", FRAME_CALL_NO_RESPONDERS, "no_provider");
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "not a name"));
    assert_result(&f->a, "id", FRAME_CALL_NO_RESPONDERS, "no_provider");
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "system.status")); /* the broker might, but does not */
    assert_result(&f->a, "id", FRAME_CALL_NO_RESPONDERS, "no_provider");
    assert_int_equal(3, f->a.results);
}

static void a_call_without_an_id_is_given_one(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_call_named(&f->a, "", "nobody"));
    assert_int_equal(LOOM_UUID_SIZE, last_frame(&f->a)->id_len);
}

static void a_call_id_over_its_limit_is_refused_by_a_result(void **state)
{
    fixture *f = *state;
    static const uint8_t id[FRAME_CALL_ID_MAX + 1];
    assert_status(LOOM_OK, test_port_call(&f->a, &(frame_call){.call_id = BYTES(id), .capability = STR("x")}, "", 16));
    assert_int_equal(1, f->a.results);
    assert_int_equal(FRAME_CALL_DENIED, last_frame(&f->a)->outcome);
    assert_string_equal("invalid_call", last_frame(&f->a)->code);
}

static void calls_past_the_limit_of_an_agent_are_refused(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "", no_metadata));
    for (int i = 0; i < 4; i++) {
        assert_status(LOOM_OK, test_port_call_named(&f->a, "", "x"));
    }
    assert_int_equal(3, f->b.calls);
    assert_int_equal(1, f->a.results);
    assert_string_equal("too_many_calls", last_frame(&f->a)->code);
}

static void two_agents_that_call_each_other_without_end_come_to_one(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->a, "ask.a", "", no_metadata));
    assert_status(LOOM_OK, test_port_provide(&f->b, "ask.b", "", no_metadata));
    uint8_t ttl = LOOM_TTL_DEFAULT;
    int calls = 0;
    for (test_port *caller = &f->a; caller->results == 0; caller = caller == &f->a ? &f->b : &f->a) {
        test_port *other = caller == &f->a ? &f->b : &f->a;
        const loom_str name = str_of(caller == &f->a ? "ask.b" : "ask.a");
        const size_t before = other->calls;
        assert_status(LOOM_OK, test_port_call(caller, &(frame_call){.capability = name}, "", ttl));
        assert_in_range(++calls, 1, LOOM_TTL_DEFAULT + 1);
        if (caller->results > 0) {
            assert_int_equal(FRAME_CALL_DENIED, last_frame(caller)->outcome);
            assert_string_equal("ttl_exhausted", last_frame(caller)->code);
            break;
        }
        assert_int_equal(before + 1, other->calls);
        ttl = last_call(other)->ttl; /* what a handler hands on */
        /* answered, so that the limit of pending calls is not what ends it */
        assert_status(LOOM_OK, test_port_result(other, FRAME_CALL_OK, "", ""));
        caller->results = 0;
    }
    assert_int_equal(LOOM_TTL_DEFAULT + 1, calls);
}

static void reports_go_to_the_caller_and_credit_to_the_provider(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "", no_metadata));
    assert_status(LOOM_OK, test_port_call(&f->a, &(frame_call){
        .call_id = {(const uint8_t *)"id", 2}, .capability = STR("x"), .flags = FRAME_CALL_STREAMS}, "", 16));
    const frame credit = {.type = FRAME_CALL_CREDIT, .u.call_credit = {{(const uint8_t *)"id", 2}, 2, 100}};
    assert_status(LOOM_OK, port_frame(f->a.handle, &credit));
    assert_int_equal(FRAME_CALL_CREDIT, last_frame(&f->b)->type);
    assert_int_equal(2, last_frame(&f->b)->chunks);
    assert_int_equal(100, last_frame(&f->b)->bytes);
    assert_int_equal(last_call(&f->b)->id_len, last_frame(&f->b)->id_len);
    assert_memory_equal(last_call(&f->b)->id, last_frame(&f->b)->id, last_call(&f->b)->id_len);

    assert_status(LOOM_OK, test_port_report(&f->b, FRAME_PROGRESS, 40, "40 of 100"));
    assert_int_equal(FRAME_REPORT, last_frame(&f->a)->type);
    assert_int_equal(FRAME_PROGRESS, last_frame(&f->a)->kind);
    assert_int_equal(40, last_frame(&f->a)->number);
    assert_string_equal("40 of 100", last_frame(&f->a)->payload);
    assert_memory_equal("id", last_frame(&f->a)->id, 2);
    assert_status(LOOM_OK, test_port_report(&f->b, FRAME_CHUNK, 0, "first"));
    assert_int_equal(FRAME_CHUNK, last_frame(&f->a)->kind);
    assert_string_equal("first", last_frame(&f->a)->payload);
    assert_status(LOOM_OK, test_port_report(&f->b, FRAME_CHUNK, 1, "second"));
    assert_status(LOOM_OK, test_port_report(&f->b, FRAME_CHUNK, 2, "one too many"));
    assert_result(&f->a, "id", FRAME_CALL_ERROR, "stream_overrun");
    assert_int_equal(FRAME_CANCEL, last_frame(&f->b)->type);
}

static void a_cancelled_call_ends_for_both(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "", no_metadata));
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "x"));
    assert_status(LOOM_OK, test_port_cancel(&f->a, "id", "changed my mind"));
    assert_result(&f->a, "id", FRAME_CALL_CANCELLED, "cancelled");
    assert_int_equal(FRAME_CANCEL, last_frame(&f->b)->type);
    assert_string_equal("changed my mind", last_frame(&f->b)->text);
    assert_memory_equal(last_call(&f->b)->id, last_frame(&f->b)->id, last_call(&f->b)->id_len);
    assert_status(LOOM_OK, test_port_result(&f->b, FRAME_CALL_OK, "", "too late"));
    assert_status(LOOM_OK, test_port_cancel(&f->a, "id", "again"));
    assert_status(LOOM_OK, test_port_cancel(&f->a, "", ""));
    assert_int_equal(1, f->a.results);
    assert_int_equal(1, actionbroker_get_stats(f->cores.actions).late);
}

static void a_deadline_ends_a_call_for_both(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "", no_metadata));
    assert_status(LOOM_OK, test_port_call(&f->a, &(frame_call){
        .call_id = {(const uint8_t *)"id", 2}, .capability = STR("x"), .deadline_ms = 50}, "", 16));
    assert_int_equal(1050, broker_next_deadline_ms(&f->cores));
    f->clock.now_ms = 1050;
    broker_expire(&f->cores);
    assert_result(&f->a, "id", FRAME_CALL_TIMEOUT, "deadline_exceeded");
    assert_int_equal(FRAME_CANCEL, last_frame(&f->b)->type);
    assert_int_equal(UINT64_MAX, broker_next_deadline_ms(&f->cores));
}

static void what_a_provider_says_about_no_call_of_its_own_is_dropped_and_counted(void **state)
{
    fixture *f = *state;
    static const uint8_t odd[FRAME_CALL_ID_MAX] = {0, 0, 0, 0, 0, 0, 0, 1};
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "", no_metadata));
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "x"));
    for (size_t len = 0; len <= sizeof odd; len++) { /* of eight bytes, it is that call, but not a's */
        assert_status(LOOM_OK, port_frame(f->a.handle, &(frame){.type = FRAME_RESULT, .u.result = {.call_id = {odd, len}}}));
        assert_status(LOOM_OK, port_frame(f->a.handle, &(frame){.type = FRAME_REPORT, .u.report = {.call_id = {odd, len}}}));
    }
    assert_int_equal(2 * (sizeof odd + 1), actionbroker_get_stats(f->cores.actions).late);
    assert_int_equal(0, f->a.results);
    assert_status(LOOM_OK, test_port_result(&f->b, FRAME_CALL_OK, "", ""));
    assert_int_equal(1, f->a.results);
}

static void numbers_beyond_what_is_known_are_not_cut_to_something_known(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "", no_metadata));
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "x"));
    const size_t before = f->a.frames;
    assert_status(LOOM_OK, test_port_report(&f->b, UINT64_C(1) << 32, 0, ""));
    assert_int_equal(before, f->a.frames);
    assert_status(LOOM_OK, test_port_result(&f->b, UINT64_C(1) << 32, "", ""));
    assert_result(&f->a, "id", FRAME_CALL_ERROR, "bad_result");
    assert_int_equal(2, actionbroker_get_stats(f->cores.actions).invalid);
}

static void a_result_over_the_limit_is_an_outcome(void **state)
{
    fixture *f = *state;
    static const uint8_t large[1001];
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "", no_metadata));
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "x"));
    assert_status(LOOM_OK, port_frame(f->b.handle, &(frame){.type = FRAME_RESULT, .u.result = {
        .call_id = {last_call(&f->b)->id, 8}, .payload = BYTES(large)}}));
    assert_result(&f->a, "id", FRAME_CALL_TOO_LARGE, "result_too_large");
}

/* ---- capabilities ---- */

static bool copy_info(void *user, const action_provider_info *info)
{
    char *text = user;
    assert_int_equal(2, info->capability->metadata_count);
    snprintf(text, PORT_TEXT, "%.*s %.*s=%.*s", (int)info->agent.len, info->agent.data,
             (int)info->capability->metadata[1].key.len, info->capability->metadata[1].key.data,
             (int)info->capability->metadata[1].value.len, info->capability->metadata[1].value.data);
    return true;
}

static void what_is_said_about_a_capability_is_kept(void **state)
{
    fixture *f = *state;
    const loom_header entries[] = {{STR("cost"), STR("low")}, {STR("region"), STR("eu")}};
    uint8_t metadata[100];
    size_t len;
    char text[PORT_TEXT] = "";
    assert_status(LOOM_OK, frame_metadata_write(metadata, sizeof metadata, entries, 2, &len));
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "1", (loom_bytes){metadata, len}));
    actionbroker_visit(f->cores.actions, copy_info, text);
    assert_string_equal("b region=eu", text);
}

static void a_capability_that_makes_no_sense_is_refused_with_the_reason(void **state)
{
    fixture *f = *state;
    static const uint8_t not_a_map[] = {0x93, 1, 2, 3}, cut_off[] = {0x82, 0xa1};
    static char long_version[ACTION_VERSION_MAX + 2];
    memset(long_version, '1', sizeof long_version - 1);
    assert_status(LOOM_EINVAL, test_port_provide(&f->b, "a b", "", no_metadata));
    assert_string_equal("it contains a space", last_frame(&f->b)->text);
    assert_status(LOOM_ETOOBIG, test_port_provide(&f->b, "x", long_version, no_metadata));
    assert_status(LOOM_EMALFORMED, test_port_provide(&f->b, "x", "", BYTES(not_a_map)));
    assert_status(LOOM_EMALFORMED, test_port_provide(&f->b, "x", "", BYTES(cut_off)));
    assert_status(LOOM_EDENIED, test_port_provide(&f->b, "system.status", "", no_metadata));
    assert_status(LOOM_ENOTFOUND, test_port_withdraw(&f->b, "system.status", ""));
    assert_status(LOOM_OK, port_frame(f->b.handle, &(frame){.type = FRAME_PROVIDE, .u.provide = {
        .request = 7, .name = STR("x"), .kind = STR("toolbox")}}));
    assert_int_equal(LOOM_EINVAL, last_frame(&f->b)->status);
    assert_string_equal("kind is not tool, agent or plain", last_frame(&f->b)->text);
    assert_int_equal(0, actionbroker_get_stats(f->cores.actions).capabilities);
}

static void a_capability_that_is_no_text_is_refused(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_EINVAL, test_port_provide(&f->b, "x", "1\xff", no_metadata)); /* everybody lists it */
    static const loom_header bad_key = {{"\xff", 1}, {"value", 5}}, bad_value = {{"key", 3}, {"\xfe", 1}};
    uint8_t bad_metadata[32];
    size_t bad_len;
    for (size_t i = 0; i < 2; i++) {
        assert_status(LOOM_OK, frame_metadata_write(bad_metadata, sizeof bad_metadata, i == 0 ? &bad_key : &bad_value, 1, &bad_len));
        assert_status(LOOM_EINVAL, test_port_provide(&f->b, "x", "", (loom_bytes){bad_metadata, bad_len}));
        assert_string_equal("metadata is not UTF-8", last_frame(&f->b)->text);
    }
}

static void what_is_withdrawn_is_called_no_more(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "1", no_metadata));
    assert_status(LOOM_ENOTFOUND, test_port_withdraw(&f->b, "x", "2"));
    assert_status(LOOM_ENOTFOUND, test_port_withdraw(&f->a, "x", "1")); /* somebody else's */
    assert_status(LOOM_OK, test_port_withdraw(&f->b, "x", "1"));
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "x"));
    assert_result(&f->a, "id", FRAME_CALL_NO_RESPONDERS, "no_provider");
}

/* ---- life ---- */

static void a_port_needs_an_agent_and_handlers(void **state)
{
    fixture *f = *state;
    static const bus_handlers none = {0};
    test_port c;
    port *handle = NULL;
    assert_status(LOOM_EINVAL, test_port_open(&c, &f->cores, "", 0));
    assert_null(c.handle);
    assert_status(LOOM_EINVAL, port_open(&f->cores, &handle, &(directory_about){.agent = STR("c")}, &none, NULL));
    assert_null(handle);
    port_close(NULL, LOOM_OK);
    assert_int_equal(2, directory_get_stats(f->cores.agents).agents);
    assert_int_equal(2, actionbroker_get_stats(f->cores.actions).parties);
}

static void frames_that_go_the_other_way_are_refused(void **state)
{
    fixture *f = *state;
    for (int type = 0; type < 256; type++) {
        switch (type) {
        case FRAME_SUBSCRIBE: case FRAME_UNSUBSCRIBE: case FRAME_PROVIDE: case FRAME_RESULT: case FRAME_REPORT:
        case FRAME_CANCEL: case FRAME_CALL_CREDIT: case FRAME_PING: case FRAME_ASK: continue;
        default: assert_status(LOOM_EPROTO, port_frame(f->a.handle, &(frame){.type = (frame_type)type}));
        }
    }
    assert_int_equal(0, f->a.frames);
}

static void a_provider_that_closes_ends_its_calls(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "", no_metadata));
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "x"));
    test_port_close(&f->b, LOOM_EEXPIRED);
    assert_result(&f->a, "id", FRAME_CALL_ERROR, "provider_gone");
    assert_int_equal(1, directory_get_stats(f->cores.agents).expired);
}

static void a_caller_that_closes_frees_its_provider(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->b, "x", "", no_metadata));
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "x"));
    test_port_close(&f->a, LOOM_OK);
    assert_int_equal(FRAME_CANCEL, last_frame(&f->b)->type);
    assert_string_equal("the caller has gone", last_frame(&f->b)->text);
    assert_int_equal(0, f->a.results);
}

static void a_port_that_closes_hears_nothing_more(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_port_provide(&f->a, "x", "", no_metadata));
    assert_status(LOOM_OK, test_port_subscribe(&f->a, 1, "system.>"));
    assert_status(LOOM_OK, test_port_subscribe(&f->a, 2, "t"));
    port_grant(f->a.handle, UINT64_MAX, UINT64_MAX);
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "x")); /* to itself */
    const size_t frames = f->a.frames, deliveries = f->a.deliveries, calls = f->a.calls;
    test_port_close(&f->a, LOOM_OK);
    assert_int_equal(frames, f->a.frames);
    assert_int_equal(deliveries, f->a.deliveries);
    assert_int_equal(calls, f->a.calls);
}

static void every_word_of_an_agent_counts_as_heard(void **state)
{
    fixture *f = *state;
    test_port c;
    directory_info info;
    assert_status(LOOM_OK, test_port_open(&c, &f->cores, "c", 100));
    f->clock.now_ms = 1100;
    assert_true(directory_find(f->cores.agents, STR("c"), &info));
    assert_int_equal(100, info.heard_ms_ago);
    assert_status(LOOM_OK, port_frame(c.handle, &(frame){.type = FRAME_PING, .u.number = 30}));
    assert_true(directory_find(f->cores.agents, STR("c"), &info));
    assert_int_equal(30, info.heard_ms_ago);
    assert_status(LOOM_OK, port_frame(c.handle, &(frame){.type = FRAME_PING, .u.number = UINT64_MAX}));
    assert_true(directory_find(f->cores.agents, STR("c"), &info));
    assert_int_equal(30, info.heard_ms_ago);
    assert_status(LOOM_OK, test_port_publish(&c, "t", ""));
    assert_true(directory_find(f->cores.agents, STR("c"), &info));
    assert_int_equal(0, info.heard_ms_ago);
    f->clock.now_ms = 1200;
    assert_status(LOOM_OK, test_port_call_named(&c, "", "nobody"));
    assert_true(directory_find(f->cores.agents, STR("c"), &info));
    assert_int_equal(0, info.heard_ms_ago);
    test_port_close(&c, LOOM_OK);
}

static void a_port_that_is_silent_for_long_may_be_closed_by_its_owner(void **state)
{
    fixture *f = *state;
    test_port c;
    assert_status(LOOM_OK, test_port_open(&c, &f->cores, "c", 100));
    assert_status(LOOM_OK, test_port_provide(&c, "x", "", no_metadata));
    assert_status(LOOM_OK, test_port_call_named(&f->a, "id", "x"));
    c.closes_when_expired = true;
    f->clock.now_ms = 1499;
    broker_expire(&f->cores);
    assert_int_equal(0, c.expired);
    f->clock.now_ms = 1500;
    broker_expire(&f->cores);
    assert_int_equal(1, c.expired);
    assert_null(c.handle);
    assert_result(&f->a, "id", FRAME_CALL_ERROR, "provider_gone");
    assert_int_equal(UINT64_MAX, broker_next_deadline_ms(&f->cores));
}

/* ---- anything at all ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static const char *pick(uint64_t *seed, const char *const *words, size_t count)
{
    return words[next_random(seed) % count];
}

#define PICK(...) \
    pick(seed, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* One word of a port, whatever it may be. False: it was a call. */
static bool say_anything(test_port *p, uint64_t *seed)
{
    const char *id = PICK("", "1", "2", "3", "4", "5", "6"), *name = PICK("x", "y", "system.x", "", "a b");
    /* mostly a call it was asked to work on, running or not */
    const seen_call *asked = &p->call[next_random(seed) % PORT_SEEN_MAX];
    const loom_bytes call_id = {(const uint8_t *)id, strlen(id)};
    const loom_bytes attempt = {asked->id, next_random(seed) % 16 == 0 ? next_random(seed) % 9 : 8};
    const uint64_t number = next_random(seed) % 4;
    frame out = {.type = (frame_type)(next_random(seed) % 20)};
    switch (out.type) {
    case FRAME_CALL:
        assert_status(LOOM_OK, test_port_call(p, &(frame_call){
            .call_id = call_id, .capability = str_of(name), .deadline_ms = number * 20, .idle_ms = next_random(seed) % 10,
            .flags = next_random(seed) % 8}, "", (uint8_t)number));
        return false;
    case FRAME_PUBLISH: assert_status(LOOM_OK, test_port_publish(p, PICK("x", "a..b", "system.x"), "")); return true;
    case FRAME_PROVIDE: out.u.provide = (frame_provide){.name = str_of(name), .withdraw = number == 0}; break;
    case FRAME_RESULT: out.u.result = (frame_result){.call_id = attempt, .outcome = next_random(seed) % 9}; break;
    case FRAME_REPORT: out.u.report = (frame_report){attempt, number, next_random(seed) % 3, {asked->id, 9}}; break;
    case FRAME_CANCEL: out.u.cancel.call_id = call_id; break;
    case FRAME_CALL_CREDIT:
        out.u.call_credit.call_id = call_id;
        out.u.call_credit.chunks = number;
        out.u.call_credit.bytes = 10 * number;
        break;
    case FRAME_SUBSCRIBE: out.u.subscribe = (frame_subscribe){.subscription = number, .filter = str_of(name)}; break;
    case FRAME_UNSUBSCRIBE: out.u.unsubscribe.subscription = number; break;
    case FRAME_PING: out.u.number = next_random(seed); break;
    default: break; /* the wrong way */
    }
    (void)!port_frame(p->handle, &out);
    return true;
}

static void any_frames_in_any_order_leave_every_call_with_one_outcome(void **state)
{
    fixture *f = *state;
    uint64_t seed = 42, now_ms = 1000, called = 0, results = 0, ended = 0;
    for (int i = 0; i < 30000; i++) {
        test_port *p = next_random(&seed) % 2 == 0 ? &f->a : &f->b;
        called += !say_anything(p, &seed);
        if (next_random(&seed) % 20 == 0) {
            now_ms += next_random(&seed) % 4;
            f->clock.now_ms = now_ms;
            broker_expire(&f->cores);
        }
        if (next_random(&seed) % 1000 == 0) { /* leaves, and comes back */
            results += p->results;
            test_port_close(p, LOOM_OK);
            assert_status(LOOM_OK, test_port_open(p, &f->cores, p == &f->a ? "a" : "b", 0));
        }
    }
    const action_stats stats = actionbroker_get_stats(f->cores.actions);
    for (int i = 0; i < ACTION_OUTCOMES; i++) {
        ended += stats.outcomes[i];
    }
    assert_int_equal(called, stats.invoked);
    assert_int_equal(stats.invoked, ended + stats.pending);
    results += f->a.results + f->b.results;
    assert_in_range(results, ended - stats.outcomes[FRAME_CALL_CANCELLED], ended); /* who closed is not told */
    assert_true(stats.attempts > 100 && stats.outcomes[FRAME_CALL_OK] > 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_ports, close_ports)
    const struct CMUnitTest tests[] = {
        TEST(what_one_publishes_the_other_gets),
        TEST(a_request_that_cannot_be_done_is_answered_with_the_reason),
        TEST(a_publish_that_matched_nobody_is_told_to_whom_has_asked),
        TEST(how_many_it_matched_is_told_to_whom_asks_for_it),
        TEST(asks_whose_messages_were_lost_make_way),
        TEST(only_so_many_asks_are_kept),
        TEST(the_broker_answers_calls_below_system),
        TEST(an_event_that_cannot_be_published_comes_back_as_a_notice),
        TEST(the_brokers_own_topics_are_not_for_agents_to_publish_to),
        TEST(who_subscribes_to_everything_is_spared_the_brokers_own_news),
        TEST(a_handler_may_grant_and_the_order_stays),
        TEST(a_call_goes_to_its_provider_and_the_result_to_its_caller),
        TEST(the_id_of_a_providers_call_is_the_number_of_the_attempt_in_network_order),
        TEST(a_call_that_nobody_answers_has_a_result_at_once),
        TEST(a_call_without_an_id_is_given_one),
        TEST(a_call_id_over_its_limit_is_refused_by_a_result),
        TEST(calls_past_the_limit_of_an_agent_are_refused),
        TEST(two_agents_that_call_each_other_without_end_come_to_one),
        TEST(reports_go_to_the_caller_and_credit_to_the_provider),
        TEST(a_cancelled_call_ends_for_both),
        TEST(a_deadline_ends_a_call_for_both),
        TEST(what_a_provider_says_about_no_call_of_its_own_is_dropped_and_counted),
        TEST(numbers_beyond_what_is_known_are_not_cut_to_something_known),
        TEST(a_result_over_the_limit_is_an_outcome),
        TEST(what_is_said_about_a_capability_is_kept),
        TEST(a_capability_that_makes_no_sense_is_refused_with_the_reason),
        TEST(a_capability_that_is_no_text_is_refused),
        TEST(what_is_withdrawn_is_called_no_more),
        TEST(a_port_needs_an_agent_and_handlers),
        TEST(frames_that_go_the_other_way_are_refused),
        TEST(a_provider_that_closes_ends_its_calls),
        TEST(a_caller_that_closes_frees_its_provider),
        TEST(a_port_that_closes_hears_nothing_more),
        TEST(every_word_of_an_agent_counts_as_heard),
        TEST(a_port_that_is_silent_for_long_may_be_closed_by_its_owner),
        TEST(any_frames_in_any_order_leave_every_call_with_one_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
