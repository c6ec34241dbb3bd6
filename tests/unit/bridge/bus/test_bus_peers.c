/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to the bridge bus that are no good bridges, or whose broker is no good one. */
#include "host/net/sp/sp.h"
#include "envelope/frame/bus_message.h"
#include "tests/unit/bridge/bus/bus_home.h"

/* The far end of a connection, which says what a test wants it to say. */
typedef struct far_end {
    sp_peer *peer;
    bool opened, closed;
    bool mute; /* answers nothing */
    unsigned messages;
    uint64_t refused_status;
    unsigned asked;
} far_end;

typedef struct peers_world {
    bus_home home;
    far_end far;
} peers_world;

static int setup(void **state)
{
    peers_world *w = test_calloc(1, sizeof *w);
    home_open(&w->home);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    peers_world *w = *state;
    sp_peer_close(w->far.peer);
    home_close(&w->home);
    test_free(w);
    return 0;
}

static void send_bytes(sp_peer *peer, const bus_outgoing *out)
{
    assert_status(LOOM_OK, sp_peer_send(peer, &(loom_bytes){out->w.data, out->w.len}, 1));
}

static void on_opened(void *user, sp_peer *peer)
{
    far_end *far = user;
    far->peer = peer;
    far->opened = true;
}

static void on_message(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    far_end *far = user;
    loom_bytes rest = {data, len};
    char reason[FRAME_REASON_SIZE];
    bus_frame f;
    (void)reply_to;
    far->messages++;
    while (bus_frame_next(&rest, &f, reason) == LOOM_OK) {
        if (f.type == FRAME_ERROR) {
            far->refused_status = f.link.u.outcome.status;
        } else if (f.type == BUS_FRAME_TAKEN && f.answer && !far->mute) {
            bus_outgoing out = {0};
            assert_status(LOOM_OK, bus_put_taken(&out.w, 0, false, 0));
            send_bytes(peer, &out);
            frame_writer_fini(&out.w);
        }
        far->asked += f.type == BUS_FRAME_TAKEN && f.answer;
    }
}

static void on_closed(void *user, sp_peer *peer, loom_status status, const char *why)
{
    far_end *far = user;
    (void)peer;
    (void)status;
    (void)why;
    far->closed = true;
    far->peer = NULL;
}

static const sp_handlers far_handlers = {.opened = on_opened, .message = on_message, .closed = on_closed};

static void dial(peers_world *w)
{
    w->far = (far_end){0};
    sp_options options = {.protocol = SP_PAIR, .handlers = &far_handlers, .user = &w->far};
    assert_status(LOOM_OK, sp_dial(&w->far.peer, &w->home.loop, w->home.urls[BUS_SERVER_BRIDGE], &options, 0));
    home_until(&w->home, w->far.opened);
}

static void put_greeting(bus_outgoing *out, uint64_t protocol, const char *id)
{
    assert_status(LOOM_OK, bus_put_greeting(&out->w, &(bus_greeting){protocol, str_of(id), STR("test"), .parts = true}));
}

static void greet(peers_world *w, const char *id)
{
    bus_outgoing out = {0};
    dial(w);
    put_greeting(&out, BUS_PROTOCOL, id);
    send_bytes(w->far.peer, &out);
    frame_writer_fini(&out.w);
    home_until(&w->home, w->far.messages > 0);
}

/* Sends the bytes and expects the connection to end with this status. */
static void expect_refusal(peers_world *w, loom_bytes bytes, loom_status status)
{
    assert_status(LOOM_OK, sp_peer_send(w->far.peer, &bytes, 1));
    home_until(&w->home, w->far.closed);
    assert_status(status, (loom_status)w->far.refused_status);
    assert_int_equal(bus_server_get_stats(w->home.server).bridges, 0);
    assert_int_equal(bus_server_get_stats(w->home.server).sessions, 0);
}

static void a_connection_that_does_not_begin_with_a_good_greeting_is_ended_with_a_reason(void **state)
{
    static const struct {
        uint64_t protocol;
        const char *id;
        loom_status status;
    } cases[] = {{BUS_PROTOCOL + 1, "b", LOOM_EVERSION}, {BUS_PROTOCOL, "", LOOM_EINVAL}, {BUS_PROTOCOL, "a b", LOOM_EINVAL}};
    peers_world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bus_outgoing out = {0};
        dial(w);
        put_greeting(&out, cases[i].protocol, cases[i].id);
        expect_refusal(w, (loom_bytes){out.w.data, out.w.len}, cases[i].status);
        frame_writer_fini(&out.w);
    }
    bus_outgoing out = {0};
    dial(w);
    assert_status(LOOM_OK, bus_put_attach(bus_outgoing_to(&out, 1), &(bus_attach){.agent = STR("a")}));
    expect_refusal(w, (loom_bytes){out.w.data, out.w.len}, LOOM_EPROTO);
    frame_writer_fini(&out.w);
    dial(w);
    expect_refusal(w, (loom_bytes){(const uint8_t *)"GET / HTTP/1.1", 14}, LOOM_ETOOBIG);
    assert_int_equal(bus_server_get_stats(w->home.server).bridge_malformed, 5);
}

static void what_a_bridge_must_not_say_ends_its_connection(void **state)
{
    static const uint8_t lies[][24] = {
        {0, 0, 0, 4, 0x93, 68, 9, 0},                  /* confirms what was never sent */
        {0, 0, 0, 4, 0x92, 66, 0x91, 0xc0},            /* a fanout that is odd */
        {0, 0, 0, 3, 0x92, 65, 1},                     /* pressure does not go up */
        {0, 0, 0, 4, 0x92, 5, 0x91, 0xc0},             /* a publish of no envelope */
        {0, 0, 0, 7, 0x96, 69, 0xa1, 'a', 0xa0, 0xc4, 0}, /* an attach that is cut short, and in no session */
    };
    peers_world *w = *state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        greet(w, "liar");
        bool fine_but_wrong = lies[i][5] == BUS_FRAME_TAKEN || lies[i][5] == BUS_FRAME_PRESSURE;
        expect_refusal(w, (loom_bytes){lies[i], (size_t)4 + lies[i][3]}, fine_but_wrong ? LOOM_EPROTO : LOOM_EMALFORMED);
    }
}

static void frames_of_a_session_that_is_not_there_are_answered(void **state)
{
    peers_world *w = *state;
    bus_outgoing out = {0};
    greet(w, "b");
    assert_status(LOOM_OK, frame_put_subscribe(bus_outgoing_to(&out, 7), &(frame_subscribe){.request = 1, .filter = STR("a")}));
    assert_status(LOOM_OK, frame_put_credit(&out.w, 1, 1));
    assert_status(LOOM_OK, frame_put_number(&out.w, FRAME_PING, 0));
    assert_status(LOOM_OK, frame_put_outcome(&out.w, FRAME_BYE, &(frame_outcome){0}));
    unsigned before = w->far.messages;
    send_bytes(w->far.peer, &out);
    home_until(&w->home, w->far.messages > before);
    assert_false(w->far.closed);
    assert_int_equal(bus_server_get_stats(w->home.server).bridges, 1);
    frame_writer_fini(&out.w);
}

static void a_newer_connection_of_the_same_bridge_takes_the_place_of_the_older(void **state)
{
    peers_world *w = *state;
    bus_remote *newer;
    greet(w, "b1");
    newer = home_bridge(&w->home, "b1");
    home_until(&w->home, w->far.closed && bus_remote_get_stats(newer).connected);
    assert_status(LOOM_EREPLACED, (loom_status)w->far.refused_status);
    assert_int_equal(bus_server_get_stats(w->home.server).bridges, 1);
    home_close_bridge(&w->home, newer, 0);
}

enum { AGENTS = 1000 };

static uint32_t agents_of(const peers_world *w)
{
    return directory_get_stats(w->home.cores.agents).agents;
}

static uint32_t subscriptions_of(const peers_world *w)
{
    return eventbus_get_stats(w->home.cores.events).subscriptions;
}

/* Each with a subscription. */
static void attach_many(peers_world *w)
{
    greet(w, "b1");
    for (uint64_t number = 1; number <= AGENTS; number++) {
        bus_outgoing out = {0};
        char name[32];
        snprintf(name, sizeof name, "agent-%u", (unsigned)number);
        assert_status(LOOM_OK, bus_put_attach(bus_outgoing_to(&out, number), &(bus_attach){.agent = str_of(name), .heartbeat_ms = 60000}));
        assert_status(LOOM_OK, bus_put_frame(bus_outgoing_to(&out, number), &(frame){
            .type = FRAME_SUBSCRIBE, .u.subscribe = {.request = 1, .subscription = 1, .filter = STR("topic")}}));
        send_bytes(w->far.peer, &out);
        frame_writer_fini(&out.w);
        home_until(&w->home, subscriptions_of(w) == number);
    }
    sp_peer_close(w->far.peer);
    w->far.peer = NULL;
    home_until(&w->home, bus_server_get_stats(w->home.server).bridges == 0);
}

static void agents_of_a_bridge_that_has_gone_are_deaf_at_once_and_leave_in_turns(void **state)
{
    peers_world *w = *state;
    attach_many(w);
    assert_int_equal(0, subscriptions_of(w));
    assert_in_range(agents_of(w), AGENTS / 2, AGENTS - 1);
    for (uint32_t left = agents_of(w); left > 0; left = agents_of(w)) {
        home_turn(&w->home);
        assert_in_range(left - agents_of(w), 0, 8);
    }
}

static void a_bridge_that_is_back_at_once_does_not_find_its_agents(void **state)
{
    peers_world *w = *state;
    attach_many(w);
    assert_in_range(agents_of(w), AGENTS / 2, AGENTS - 1);
    greet(w, "b1");
    assert_int_equal(0, agents_of(w));
}

static void a_broker_that_ends_meanwhile_leaves_none_of_them_behind(void **state)
{
    peers_world *w = *state;
    attach_many(w);
    assert_in_range(agents_of(w), AGENTS / 2, AGENTS - 1);
}

static void more_bridges_than_allowed_are_refused(void **state)
{
    peers_world *w = *state;
    home_close_server(&w->home);
    w->home.options.max_bridges = 1;
    home_open_server(&w->home);
    bus_remote *b = home_bridge(&w->home, "b1");
    home_until(&w->home, bus_remote_get_stats(b).connected);
    dial(w);
    bus_outgoing out = {0};
    put_greeting(&out, BUS_PROTOCOL, "b2");
    send_bytes(w->far.peer, &out);
    home_until(&w->home, w->far.closed);
    assert_status(LOOM_EFULL, (loom_status)w->far.refused_status);
    frame_writer_fini(&out.w);
    home_close_bridge(&w->home, b, 0);
}

static void a_silent_bridge_is_asked_for_a_sign_of_life_and_given_up_without_one(void **state)
{
    peers_world *w = *state;
    greet(w, "b");
    home_until(&w->home, w->far.asked >= 3); /* it answers, and lives on */
    assert_int_equal(bus_server_get_stats(w->home.server).bridges, 1);
    w->far.mute = true;
    home_until(&w->home, w->far.closed);
    assert_status(LOOM_EEXPIRED, (loom_status)w->far.refused_status);
}

static void a_bridge_lives_while_nothing_happens(void **state)
{
    peers_world *w = *state;
    bus_remote *b = home_bridge(&w->home, "b");
    home_until(&w->home, bus_remote_get_stats(b).received > 8);
    assert_int_equal(bus_remote_get_stats(b).attachments, 1);
    home_close_bridge(&w->home, b, 0);
}

/* A session of the far end with credit for everything, and a publisher that fills it. */
static void flood(peers_world *w, bus_remote **b, test_port *sensor)
{
    bus_outgoing out = {0};
    greet(w, "greedy");
    assert_status(LOOM_OK, bus_put_attach(bus_outgoing_to(&out, 1), &(bus_attach){.agent = STR("greedy")}));
    assert_status(LOOM_OK, frame_put_subscribe(&out.w, &(frame_subscribe){
        .request = 1, .subscription = 1, .filter = STR("a")}));
    assert_status(LOOM_OK, frame_put_credit(&out.w, UINT64_MAX, UINT64_MAX));
    send_bytes(w->far.peer, &out);
    frame_writer_fini(&out.w);
    *b = home_bridge(&w->home, "b");
    agent_attach(sensor, bus_remote_bus(*b), "sensor");
    home_until(&w->home, eventbus_get_stats(w->home.cores.events).subscriptions == 1 && bus_remote_get_stats(*b).connected);
    sp_peer_pause(w->far.peer, true);
}

static void a_bridge_that_never_reads_is_given_up(void **state)
{
    peers_world *w = *state;
    bus_remote *b;
    test_port sensor;
    home_close_server(&w->home);
    w->home.options.bridge_end_bytes = 4 * 1024 * 1024;
    home_open_server(&w->home);
    flood(w, &b, &sensor);
    home_until(&w->home, (agent_publish(&sensor, "a", 100000), bus_server_get_stats(w->home.server).bridges == 1));
    assert_true(bus_server_get_stats(w->home.server).unconfirmed > 30);
    home_close_bridge(&w->home, b, 0);
}

static void while_a_bridge_does_not_keep_up_its_agents_get_no_new_credit(void **state)
{
    enum { CREDIT = 40 };
    peers_world *w = *state;
    bus_home *h = &w->home;
    home_close_server(h);
    h->options.bridge_hold_bytes = 1024 * 1024;
    home_open_server(h);
    greet(w, "slow");
    bus_outgoing out = {0};
    assert_status(LOOM_OK, bus_put_attach(bus_outgoing_to(&out, 1), &(bus_attach){.agent = STR("slow")}));
    assert_status(LOOM_OK, frame_put_subscribe(&out.w, &(frame_subscribe){.request = 1, .subscription = 1, .filter = STR("a"),
                                                                          .deadline_ms = 60000}));
    assert_status(LOOM_OK, frame_put_credit(&out.w, CREDIT, UINT64_MAX));
    send_bytes(w->far.peer, &out);
    bus_remote *b = home_bridge(h, "b");
    test_port sensor;
    agent_attach(&sensor, bus_remote_bus(b), "sensor");
    home_until(h, eventbus_get_stats(h->cores.events).subscriptions == 1 && bus_remote_get_stats(b).connected);
    sp_peer_pause(w->far.peer, true);
    for (unsigned i = 0; i < CREDIT + 20; i++) {
        agent_publish(&sensor, "a", 100000);
    }
    home_until(h, bus_server_get_stats(h->server).held == 1 && eventbus_get_stats(h->cores.events).queued == 20);
    bus_outgoing_clear(&out);
    assert_status(LOOM_OK, frame_put_credit(bus_outgoing_to(&out, 1), CREDIT + 10, UINT64_MAX));
    uint64_t before = bus_server_get_stats(h->server).bridge_received;
    send_bytes(w->far.peer, &out);
    home_until(h, bus_server_get_stats(h->server).bridge_received > before);
    assert_int_equal(eventbus_get_stats(h->cores.events).queued, 20);
    sp_peer_pause(w->far.peer, false);
    home_until(h, eventbus_get_stats(h->cores.events).queued == 10);
    frame_writer_fini(&out.w);
    home_close_bridge(h, b, 0);
}

/* ---- the other way: a broker that is none ---- */

static void a_bridge_gives_up_a_broker_that_does_not_answer_or_talks_nonsense(void **state)
{
    static const uint8_t nonsense[] = {0, 0, 0, 1, 0x40};
    peers_world *w = *state;
    sp_server *server;
    char url[128];
    snprintf(url, sizeof url, "ipc://%s/none", w->home.folder);
    sp_options options = {.protocol = SP_PAIR, .handlers = &far_handlers, .user = &w->far};
    assert_status(LOOM_OK, sp_listen(&server, &w->home.loop, url, &options));
    bus_remote *b;
    assert_status(LOOM_OK, bus_remote_open(&b, &w->home.loop, &(bus_remote_options){
        .url = url, .bridge_id = "b", .ping_ms = 100, .silence_ms = 300}));
    home_until(&w->home, w->far.opened);
    home_until(&w->home, w->far.closed); /* it has waited for a greeting */
    w->far = (far_end){0};
    home_until(&w->home, w->far.messages > 0);
    assert_status(LOOM_OK, sp_peer_send(w->far.peer, &(loom_bytes){nonsense, sizeof nonsense}, 1));
    home_until(&w->home, w->far.closed && bus_remote_get_stats(b).malformed == 1);
    assert_int_equal(bus_remote_get_stats(b).attachments, 0);
    home_close_bridge(&w->home, b, 0);
    w->far.peer = NULL;
    sp_server_close(server, NULL, NULL);
}

static void a_bridge_gives_up_a_broker_that_sends_marks_it_never_made(void **state)
{
    peers_world *w = *state;
    sp_server *server;
    char url[128];
    snprintf(url, sizeof url, "ipc://%s/liar", w->home.folder);
    sp_options options = {.protocol = SP_PAIR, .handlers = &far_handlers, .user = &w->far};
    assert_status(LOOM_OK, sp_listen(&server, &w->home.loop, url, &options));
    bus_remote *b;
    assert_status(LOOM_OK, bus_remote_open(&b, &w->home.loop, &(bus_remote_options){.url = url, .bridge_id = "b"}));
    home_until(&w->home, w->far.messages > 0);
    bus_outgoing out = {0};
    put_greeting(&out, BUS_PROTOCOL, "broker");
    assert_status(LOOM_OK, bus_put_mark(&out.w, 1));
    send_bytes(w->far.peer, &out);
    frame_writer_fini(&out.w);
    home_until(&w->home, w->far.closed && bus_remote_get_stats(b).malformed == 1);
    home_close_bridge(&w->home, b, 0);
    w->far.peer = NULL;
    sp_server_close(server, NULL, NULL);
}

int main(void)
{
#define IN_PEERS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_PEERS(a_connection_that_does_not_begin_with_a_good_greeting_is_ended_with_a_reason),
        IN_PEERS(what_a_bridge_must_not_say_ends_its_connection),
        IN_PEERS(frames_of_a_session_that_is_not_there_are_answered),
        IN_PEERS(a_newer_connection_of_the_same_bridge_takes_the_place_of_the_older),
        IN_PEERS(agents_of_a_bridge_that_has_gone_are_deaf_at_once_and_leave_in_turns),
        IN_PEERS(a_bridge_that_is_back_at_once_does_not_find_its_agents),
        IN_PEERS(a_broker_that_ends_meanwhile_leaves_none_of_them_behind),
        IN_PEERS(more_bridges_than_allowed_are_refused),
        IN_PEERS(a_silent_bridge_is_asked_for_a_sign_of_life_and_given_up_without_one),
        IN_PEERS(a_bridge_lives_while_nothing_happens),
        IN_PEERS(a_bridge_that_never_reads_is_given_up),
        IN_PEERS(while_a_bridge_does_not_keep_up_its_agents_get_no_new_credit),
        IN_PEERS(a_bridge_gives_up_a_broker_that_does_not_answer_or_talks_nonsense),
        IN_PEERS(a_bridge_gives_up_a_broker_that_sends_marks_it_never_made),
    };
    return cmocka_run_group_tests_name("bus_peers", tests, NULL, NULL);
}
