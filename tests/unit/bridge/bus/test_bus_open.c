/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that know nothing of Loom but the bytes: plain nng sockets on the open bus and on the control socket. */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/req.h>

#include <loom/envelope.h>

#include "envelope/frame/bus_message.h"
#include "envelope/msgpack_bytes.h"
#include "tests/unit/bridge/bus/bus_home.h"

typedef struct open_world {
    bus_home home;
    nng_socket push, sub, req;
} open_world;

static int setup(void **state)
{
    open_world *w = test_calloc(1, sizeof *w);
    home_open(&w->home);
    assert_int_equal(nng_push0_open(&w->push), 0);
    assert_int_equal(nng_dial(w->push, w->home.urls[BUS_SERVER_PULL], NULL, NNG_FLAG_NONBLOCK), 0);
    assert_int_equal(nng_sub0_open(&w->sub), 0);
    assert_int_equal(nng_req0_open(&w->req), 0);
    assert_int_equal(nng_dial(w->req, w->home.urls[BUS_SERVER_CONTROL], NULL, NNG_FLAG_NONBLOCK), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    open_world *w = *state;
    nng_close(w->push);
    nng_close(w->sub);
    nng_close(w->req);
    home_close(&w->home);
    test_free(w);
    return 0;
}

static void subscribe(open_world *w, const char *topic)
{
    assert_int_equal(nng_socket_set(w->sub, NNG_OPT_SUB_SUBSCRIBE, topic, strlen(topic)), 0);
    if (bus_server_get_stats(w->home.server).open_peers == 0) {
        uint32_t before = eventbus_get_stats(w->home.cores.events).subscriptions;
        assert_int_equal(nng_dial(w->sub, w->home.urls[BUS_SERVER_PUB], NULL, NNG_FLAG_NONBLOCK), 0);
        home_until(&w->home, eventbus_get_stats(w->home.cores.events).subscriptions == before + 1);
    }
}

static void push(open_world *w, loom_bytes bytes)
{
    uint8_t copy[4096];
    assert_true(bytes.len <= sizeof copy);
    memcpy(copy, bytes.data, bytes.len);
    home_until(&w->home, nng_send(w->push, copy, bytes.len, NNG_FLAG_NONBLOCK) == 0); /* one thread is both ends */
}

static size_t encode(uint8_t *out, const char *topic, const char *payload)
{
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){
        .topic = str_of(topic), .payload = {(const uint8_t *)payload, strlen(payload)}}));
    loom_bytes wire = loom_envelope_wire(env);
    memcpy(out, wire.data, wire.len);
    loom_envelope_unref(env);
    return wire.len;
}

/* The next message of the subscriber; its number and its first envelope. */
static nng_msg *next_message(open_world *w, uint64_t *number, envelope_view *view, loom_bytes *envelopes)
{
    nng_msg *msg = NULL;
    const char *reason = "";
    home_until(&w->home, nng_recvmsg(w->sub, &msg, NNG_FLAG_NONBLOCK) == 0);
    const uint8_t *body = nng_msg_body(msg);
    const uint8_t *nul = memchr(body, 0, nng_msg_len(msg));
    assert_non_null(nul);
    assert_int_equal(nul[1], MP_UINT64);
    *number = mp_load64(nul + 2);
    *envelopes = (loom_bytes){nul + 10, nng_msg_len(msg) - (size_t)(nul + 10 - body)};
    assert_status(LOOM_OK, envelope_scan(view, *envelopes, NULL, &reason));
    return msg;
}

static void what_is_pushed_is_published_to_subscribers_with_numbers(void **state)
{
    open_world *w = *state;
    uint8_t bytes[1024];
    subscribe(w, "news.");
    for (uint64_t i = 1; i <= 3; i++) {
        uint64_t number;
        envelope_view view;
        loom_bytes envelopes;
        push(w, (loom_bytes){bytes, encode(bytes, "news.eu", "hello")});
        nng_msg *msg = next_message(w, &number, &view, &envelopes);
        assert_int_equal(number, i);
        assert_str("news.eu", envelope_view_str(&view, ENV_TOPIC));
        assert_int_equal(envelopes.len, view.len);
        nng_msg_free(msg);
    }
}

static void envelopes_of_one_topic_that_come_together_go_together(void **state)
{
    open_world *w = *state;
    uint8_t bytes[4096];
    size_t len = 0;
    uint64_t number;
    envelope_view view;
    loom_bytes envelopes;
    subscribe(w, "a");
    for (unsigned i = 0; i < 5; i++) {
        len += encode(bytes + len, i < 3 ? "a.x" : "a.y", "hello");
    }
    push(w, (loom_bytes){bytes, len});
    nng_msg *msg = next_message(w, &number, &view, &envelopes);
    assert_int_equal(envelopes.len, 3 * view.len);
    nng_msg_free(msg);
    msg = next_message(w, &number, &view, &envelopes);
    assert_int_equal(envelopes.len, 2 * view.len);
    assert_str("a.y", envelope_view_str(&view, ENV_TOPIC));
    assert_int_equal(number, 1);
    nng_msg_free(msg);
}

/* A python list, packed: no extension for the hop, fixarray or array16 as the packer likes. */
static void an_envelope_in_the_form_of_another_language_is_taken(void **state)
{
    static const uint8_t foreign[] = {
        0xdc, 0, 16, 1, 0xd9, 55,
        '0', '0', '-', '0', 'a', 'f', '7', '6', '5', '1', '9', '1', '6', 'c', 'd', '4', '3', 'd', 'd', '8', '4', '4',
        '8', 'e', 'b', '2', '1', '1', 'c', '8', '0', '3', '1', '9', 'c', '-', 'b', '7', 'a', 'd', '6', 'b', '7', '1',
        '6', '9', '2', '0', '3', '3', '3', '1', '-', '0', '1',
        0xa1, 'a', 0xc4, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0xc0, 0xc0, 1, 0xc0, 0xc0, 0xc0, 0xc0,
        0xc0, 0xc0, 0xc0, 0xc0, 0xc4, 2, 'h', 'i'};
    open_world *w = *state;
    uint64_t number;
    envelope_view view;
    loom_bytes envelopes;
    loom_trace_context ctx;
    subscribe(w, "a");
    push(w, BYTES(foreign));
    nng_msg *msg = next_message(w, &number, &view, &envelopes);
    assert_true(view.hop_in_place);
    assert_true(envelope_view_context(&view, &ctx));
    assert_int_equal(ctx.trace_id[0], 0x0a);
    nng_msg_free(msg);
}

static void malformed_messages_are_counted_and_cost_nobody_anything(void **state)
{
    static const uint8_t bomb[] = {0xdd, 0x04, 0x00, 0x00, 0x00};
    open_world *w = *state;
    uint8_t bytes[2048];
    uint64_t number;
    envelope_view view;
    loom_bytes envelopes;
    subscribe(w, "a");
    push(w, BYTES(bomb));
    push(w, (loom_bytes){(const uint8_t *)"hello", 5});
    push(w, (loom_bytes){(const uint8_t *)"", 0});
    push(w, (loom_bytes){bytes, encode(bytes, "not a topic", "x")});
    size_t len = encode(bytes, "a", "good");
    push(w, (loom_bytes){bytes, len - 1});
    bytes[len] = 0xff;
    push(w, (loom_bytes){bytes, len + 1}); /* one good envelope, then rubbish */
    nng_msg *msg = next_message(w, &number, &view, &envelopes);
    assert_int_equal(number, 1);
    nng_msg_free(msg);
    home_until(&w->home, bus_server_get_stats(w->home.server).open_malformed == 6);
    assert_int_equal(bus_server_get_stats(w->home.server).open_received, 1);
}

static void what_is_said_on_topics_of_the_broker_is_refused_and_counted(void **state)
{
    open_world *w = *state;
    uint8_t bytes[2048];
    size_t len = encode(bytes, "system.agents", "I am the broker");
    len += encode(bytes + len, "a", "and this is fine");
    push(w, (loom_bytes){bytes, len});
    home_until(&w->home, bus_server_get_stats(w->home.server).open_received == 1);
    assert_int_equal(bus_server_get_stats(w->home.server).open_denied, 1);
    assert_int_equal(bus_server_get_stats(w->home.server).open_malformed, 0);
}

static void without_subscribers_nothing_is_encoded(void **state)
{
    open_world *w = *state;
    uint8_t bytes[1024];
    push(w, (loom_bytes){bytes, encode(bytes, "a", "x")});
    home_until(&w->home, eventbus_get_stats(w->home.cores.events).published == 1);
    assert_int_equal(eventbus_get_stats(w->home.cores.events).subscriptions, 0);
    subscribe(w, "a");
    nng_close(w->sub);
    home_until(&w->home, eventbus_get_stats(w->home.cores.events).subscriptions == 0);
}

static void bridges_and_open_programs_hear_each_other(void **state)
{
    open_world *w = *state;
    uint8_t bytes[1024];
    uint64_t number;
    envelope_view view;
    loom_bytes envelopes;
    bus_remote *b = home_bridge(&w->home, "b");
    test_port agent;
    agent_attach(&agent, bus_remote_bus(b), "agent");
    agent_grant(&agent, 10);
    assert_status(LOOM_OK, agent_subscribe(&w->home, &agent, 1, "in.>", LOOM_QOS_BATCHED, 0));
    push(w, (loom_bytes){bytes, encode(bytes, "in.x", "12345678")});
    home_until(&w->home, agent.delivered == 1);
    subscribe(w, "out.");
    agent_publish(&agent, "out.x", 0);
    nng_msg_free(next_message(w, &number, &view, &envelopes));
    home_close_bridge(&w->home, b, 0);
}

static void a_full_queue_stops_the_open_bus_until_there_is_room(void **state)
{
    open_world *w = *state;
    uint8_t bytes[1024];
    bus_remote *b = home_bridge(&w->home, "b");
    test_port agent;
    agent_attach(&agent, bus_remote_bus(b), "agent");
    assert_status(LOOM_OK, agent_subscribe(&w->home, &agent, 1, "in", LOOM_QOS_BATCHED, 8));
    size_t len = encode(bytes, "in", "12345678");
    for (unsigned i = 0; i < 100; i++) {
        push(w, (loom_bytes){bytes, len});
    }
    home_until(&w->home, bus_server_get_stats(w->home.server).open_waiting);
    assert_true(bus_server_get_stats(w->home.server).open_received >= 8);
    for (uint64_t granted = 8; agent.delivered < 100; granted = agent.delivered + 8) {
        agent_grant(&agent, granted);
        home_until(&w->home, agent.delivered >= granted || agent.delivered == 100);
    }
    home_close_bridge(&w->home, b, 0);
}

/* ---- control ---- */

static uint64_t ask(open_world *w, loom_bytes request, loom_str *text, nng_msg **keep)
{
    nng_msg *msg;
    assert_int_equal(nng_msg_alloc(&msg, 0), 0);
    assert_int_equal(nng_msg_append(msg, request.data, request.len), 0);
    home_until(&w->home, nng_sendmsg(w->req, msg, NNG_FLAG_NONBLOCK) == 0);
    home_until(&w->home, nng_recvmsg(w->req, &msg, NNG_FLAG_NONBLOCK) == 0);
    mp_reader r = {nng_msg_body(msg), (uint8_t *)nng_msg_body(msg) + nng_msg_len(msg)};
    uint32_t pairs;
    uint64_t status = UINT64_MAX;
    assert_true(mp_read_map(&r, &pairs));
    for (uint32_t i = 0; i < pairs; i++) {
        loom_str key;
        assert_true(mp_read_str(&r, &key));
        if (str_is(key, "status")) {
            assert_true(mp_read_uint(&r, &status));
        } else if (str_is(key, "text")) {
            assert_true(mp_read_str(&r, text));
        } else {
            assert_true(mp_skip(&r, 32));
        }
    }
    assert_ptr_equal(r.at, r.end);
    *keep = msg;
    return status;
}

static void the_control_socket_answers_every_request_and_says_what_was_wrong(void **state)
{
    static const struct {
        const char *request;
        size_t len;
        loom_status status;
    } cases[] = {
#define REQUEST(text, status) {text, sizeof text - 1, status}
        REQUEST("\x81\xa2op\xa5stats", LOOM_OK),
        REQUEST("\x81\xa2op\xa5nosuc", LOOM_ENOTFOUND),
        REQUEST("\x80", LOOM_ENOTFOUND),
        REQUEST("\x82\xa2op\xa5stats\xa7unknown\x93\x01\x02\x03", LOOM_OK),
        REQUEST("\x81\xa2op\xa4ping", LOOM_OK),
        REQUEST("\x81\xa2op\xa6" "agents", LOOM_OK),
        REQUEST("\x81\xa2op\xac" "capabilities", LOOM_OK),
        REQUEST("\x81\xa2op\xa6topics", LOOM_OK),
        REQUEST("\x82\xa2op\xa6topics\xa6" "filter\xa4" "a..b", LOOM_EINVAL),
        REQUEST("\x81\xa2op\xa6invoke", LOOM_EINVAL),
        REQUEST("\x82\xa2op\xa6invoke\xaa" "capability\xa1" "c", LOOM_OK),
        REQUEST("\x82\xa2op\xa6invoke\xa7headers\x81\xa1k\x01", LOOM_EMALFORMED),
        REQUEST("\x82\xa2op\xa6invoke\xa7headers\xdf\xff\xff\xff\xff", LOOM_EMALFORMED),
        REQUEST("\x82\xa2op\xa6invoke\xa7payload\xc6\xff\xff\xff\xff", LOOM_EMALFORMED),
        REQUEST("\x82\xa2op\xa6" "agents\xa5limit\xff", LOOM_EMALFORMED),
        REQUEST("\x81\xa2op\x05", LOOM_EMALFORMED),
        REQUEST("\xdf\xff\xff\xff\xff", LOOM_EMALFORMED),
        REQUEST("hello", LOOM_EMALFORMED),
        REQUEST("", LOOM_EMALFORMED),
    };
    open_world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_str text = {"", 0};
        nng_msg *answer;
        uint64_t status = ask(w, (loom_bytes){(const uint8_t *)cases[i].request, cases[i].len}, &text, &answer);
        assert_status(cases[i].status, (loom_status)status);
        assert_true(status == LOOM_OK || text.len > 0);
        nng_msg_free(answer);
    }
}

/* nng ends its own threads, which free what was closed last only after a while. */
static int end_nng(void **state)
{
    (void)state;
    nng_fini();
    return 0;
}

int main(void)
{
#define IN_OPEN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_OPEN(what_is_pushed_is_published_to_subscribers_with_numbers),
        IN_OPEN(envelopes_of_one_topic_that_come_together_go_together),
        IN_OPEN(an_envelope_in_the_form_of_another_language_is_taken),
        IN_OPEN(malformed_messages_are_counted_and_cost_nobody_anything),
        IN_OPEN(what_is_said_on_topics_of_the_broker_is_refused_and_counted),
        IN_OPEN(without_subscribers_nothing_is_encoded),
        IN_OPEN(bridges_and_open_programs_hear_each_other),
        IN_OPEN(a_full_queue_stops_the_open_bus_until_there_is_room),
        IN_OPEN(the_control_socket_answers_every_request_and_says_what_was_wrong),
    };
    return cmocka_run_group_tests_name("bus_open", tests, NULL, end_nng);
}
