/* SPDX-License-Identifier: Apache-2.0 */
/* Large messages between bridges and a broker: in parts, beside everybody else's. Here whoever was heard once is beside
 * everybody for ever, however slow the machine is. */
#include <pthread.h>
#include <stdatomic.h>

#include "envelope/frame/bus_message.h"
#include "host/net/sp/sp.h"
#include "tests/unit/bridge/bus/bus_home.h"

enum { LARGE = 1000 * 1000 };

typedef struct parts_world {
    bus_home home;
    bus_remote *from, *to;
    test_port loud, small, reader, other; /* two that publish, two that are delivered to */
} parts_world;

static void attach(parts_world *w, bus_remote *b, test_port *p, const char *agent, const char *filter)
{
    agent_attach(p, bus_remote_bus(b), agent);
    if (filter != NULL) {
        agent_grant(p, 1000000);
        assert_status(LOOM_OK, agent_subscribe(&w->home, p, 1, filter, LOOM_QOS_BATCHED, 0));
    }
}

static int setup(void **state)
{
    parts_world *w = test_calloc(1, sizeof *w);
    home_open(&w->home);
    home_close_server(&w->home);
    w->home.parts_ms = w->home.options.parts_ms = HOME_FOR_EVER_MS;
    home_open_server(&w->home);
    w->from = home_bridge(&w->home, "from");
    w->to = home_bridge(&w->home, "to");
    attach(w, w->from, &w->loud, "loud", NULL);
    attach(w, w->from, &w->small, "small", NULL);
    attach(w, w->to, &w->reader, "reader", "large.>");
    attach(w, w->to, &w->other, "other", "small");
    home_until(&w->home, bus_remote_get_stats(w->from).connected && bus_server_get_stats(w->home.server).sessions == 4);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    parts_world *w = *state;
    if (w->from != NULL) {
        home_close_bridge(&w->home, w->from, 0);
    }
    home_close_bridge(&w->home, w->to, 0);
    home_close(&w->home);
    test_free(w);
    return 0;
}

static void a_small_message_of_another_agent_does_not_wait_for_a_large_one(void **state)
{
    parts_world *w = *state;
    agent_publish(&w->loud, "large.a", LARGE);
    agent_publish(&w->small, "small", 0);
    home_until(&w->home, w->other.delivered == 1);
    assert_int_equal(0, w->reader.delivered);
    home_until(&w->home, w->reader.delivered == 1);
    assert_true(w->reader.bytes > LARGE);
}

/* The same on the way down alone: the publishers are on another connection than the readers. */
static void a_small_delivery_passes_a_large_one(void **state)
{
    parts_world *w = *state;
    const uint64_t before = eventbus_get_stats(w->home.cores.events).published;
    agent_publish(&w->loud, "large.a", LARGE);
    home_until(&w->home, eventbus_get_stats(w->home.cores.events).published > before);
    agent_publish(&w->small, "small", 0);
    home_until(&w->home, w->other.delivered == 1);
    assert_int_equal(0, w->reader.delivered);
    home_until(&w->home, w->reader.delivered == 1);
}

static void what_one_agent_publishes_arrives_in_its_order_whatever_its_size(void **state)
{
    enum { ROUNDS = 10 }; /* less than a bridge refuses */
    static const size_t sizes[] = {LARGE, 0, 100 * 1000, 70 * 1000, 10, 10, 60 * 1000, 200 * 1000};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    parts_world *w = *state;
    for (unsigned i = 0; i < ROUNDS * SIZES; i++) {
        agent_publish(&w->loud, "large.a", sizes[i % SIZES]);
        agent_publish(&w->small, "small", 100);
        if (i % SIZES == 0) {
            home_turn(&w->home);
        }
    }
    home_until(&w->home, w->reader.delivered == ROUNDS * SIZES && w->other.delivered == ROUNDS * SIZES);
    assert_int_equal(0, w->reader.out_of_order + w->other.out_of_order);
    home_until(&w->home, bus_remote_get_stats(w->from).unsent_bytes == 0);
}

/* However much of others there is, what is large goes on. */
static void a_stream_of_small_messages_does_not_hold_a_large_one_up(void **state)
{
    parts_world *w = *state;
    agent_publish(&w->loud, "large.a", LARGE);
    home_until(&w->home, (w->small.pressed ? (void)0 : agent_publish(&w->small, "small", 50000),
                          w->small.pressed ? (void)0 : agent_publish(&w->small, "small", 50000), w->reader.delivered == 1));
}

static void a_large_delivery_to_many_sessions_travels_once(void **state)
{
    enum { MORE = 30 };
    parts_world *w = *state;
    test_port more[MORE];
    for (unsigned i = 0; i < MORE; i++) {
        char name[16];
        snprintf(name, sizeof name, "more-%u", i);
        attach(w, w->to, &more[i], name, "large.a");
    }
    const uint64_t before = bus_remote_get_stats(w->to).received;
    agent_publish(&w->loud, "large.a", LARGE);
    home_until(&w->home, more[MORE - 1].delivered == 1);
    assert_int_equal(1, w->reader.delivered);
    for (unsigned i = 0; i < MORE; i++) {
        assert_int_equal(1, more[i].delivered);
    }
    assert_in_range(bus_remote_get_stats(w->to).received - before, 16, 20);
}

/* Nobody waits for it. */
static void what_is_alone_leaves_whole(void **state)
{
    parts_world *w = *state;
    home_close_bridge(&w->home, w->from, 0);
    w->home.parts_ms = 1;
    w->from = home_bridge(&w->home, "alone");
    attach(w, w->from, &w->loud, "loud", NULL);
    home_until(&w->home, bus_remote_get_stats(w->from).connected);
    const uint64_t spoke_ms = uv_now(&w->home.loop);
    agent_publish(&w->loud, "large.a", 0);
    home_until(&w->home, w->reader.delivered == 1 && uv_now(&w->home.loop) > spoke_ms + 2);
    const uint64_t before = bus_remote_get_stats(w->from).sent;
    agent_publish(&w->loud, "large.a", LARGE);
    home_until(&w->home, w->reader.delivered == 2);
    assert_in_range(bus_remote_get_stats(w->from).sent - before, 1, 3);
}

static void large_calls_and_results_pass(void **state)
{
    parts_world *w = *state;
    static char text[200 * 1000];
    memset(text, 'x', sizeof text - 1);
    assert_status(LOOM_OK, agent_provide(&w->home, &w->reader, "work", false));
    agent_call(&w->loud, "one", "work");
    home_until(&w->home, w->reader.calls == 1);
    agent_answer(&w->reader, text);
    agent_publish(&w->reader, "small", 0);
    home_until(&w->home, w->other.delivered == 1);
    assert_int_equal(0, w->loud.results);
    home_until(&w->home, w->loud.results == 1);
    assert_int_equal(FRAME_CALL_OK, w->loud.outcome);
    assert_int_equal('x', w->loud.payload[0]);
}

/* ---- with nothing else to wake a loop ---- */

/* A broker whose loop is a thread's, so that what it reads wakes nobody here. */
typedef struct quiet_broker {
    bus_home home;
    pthread_t thread;
    uv_async_t over;
    atomic_bool is_over;
} quiet_broker;

static void on_over(uv_async_t *over)
{
    (void)over;
}

static void *turn_until_over(void *arg)
{
    quiet_broker *q = arg;
    while (!atomic_load(&q->is_over)) {
        home_turn(&q->home);
    }
    return NULL;
}

static void start_quiet(quiet_broker *q)
{
    home_open(&q->home);
    home_close_server(&q->home);
    home_be_quiet(&q->home);
    home_open_server(&q->home);
    assert_int_equal(0, uv_async_init(&q->home.loop, &q->over, on_over));
    assert_int_equal(0, pthread_create(&q->thread, NULL, turn_until_over, q));
}

static void stop_quiet(quiet_broker *q)
{
    atomic_store(&q->is_over, true);
    uv_async_send(&q->over);
    pthread_join(q->thread, NULL);
    uv_close((uv_handle_t *)&q->over, NULL);
    home_close(&q->home);
}

static void on_late(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Each part brings the next one about, however much of it the kernel takes at once. */
static void a_large_message_arrives_when_nothing_else_happens(void **state)
{
    enum { TIMES = 20, LATE_MS = HOME_DEADLINE_MS / 2 };
    quiet_broker *q = test_calloc(1, sizeof *q);
    bus_home *near = test_calloc(1, sizeof *near);
    test_port from, to;
    uv_timer_t guard;
    bool late = false;
    (void)state;
    start_quiet(q);
    home_open(near);
    memcpy(near->urls[BUS_SERVER_BRIDGE], q->home.urls[BUS_SERVER_BRIDGE], sizeof near->urls[0]);
    home_be_quiet(near);
    uv_timer_init(&near->loop, &guard);
    guard.data = &late;
    uv_timer_start(&guard, on_late, LATE_MS, 0);
    bus_remote *publishes = home_bridge(near, "publishes"), *reads = home_bridge(near, "reads");
    agent_attach(&from, bus_remote_bus(publishes), "from");
    agent_attach(&to, bus_remote_bus(reads), "to");
    agent_grant(&to, 1000000);
    assert_status(LOOM_OK, agent_subscribe(near, &to, 1, "large", LOOM_QOS_BATCHED, 0));
    for (unsigned i = 0; i < TIMES; i++) {
        agent_publish(&from, "small", 0);
        agent_publish(&from, "large", LARGE);
        home_until(near, to.delivered > i || late);
        assert_false(late);
    }
    uv_close((uv_handle_t *)&guard, NULL);
    home_close_bridge(near, publishes, 0);
    home_close_bridge(near, reads, 0);
    home_close(near);
    stop_quiet(q);
    test_free(near);
    test_free(q);
}

/* ---- losses ---- */

/* Half of it had left; the new broker gets all of it, once. */
static void a_message_whose_last_part_has_not_left_survives_the_connection(void **state)
{
    parts_world *w = *state;
    w->home.core_options.publish_hold_ms = 400; /* so that the reader is there again */
    agent_publish(&w->loud, "large.a", LARGE);
    agent_publish(&w->loud, "large.a", 0);
    const uint64_t before = bus_remote_get_stats(w->from).sent;
    home_until(&w->home, bus_remote_get_stats(w->from).sent > before);
    assert_int_equal(0, w->reader.delivered);
    home_restart(&w->home);
    home_until(&w->home, w->reader.delivered == 2);
    assert_int_equal(0, w->reader.out_of_order);
    assert_int_equal(0, bus_remote_get_stats(w->from).unconfirmed);
    assert_int_equal(2, bus_remote_get_stats(w->from).attachments);
}

static void a_close_amid_parts_says_what_it_left_behind(void **state)
{
    parts_world *w = *state;
    for (unsigned i = 0; i < 3; i++) {
        agent_publish(&w->loud, "large.a", LARGE);
        agent_publish(&w->loud, "large.a", 0);
    }
    home_turn(&w->home);
    home_close_bridge(&w->home, w->from, 0);
    w->from = NULL;
    assert_int_equal(6, w->home.lost.unsent + w->home.lost.unconfirmed);
}

static void a_close_with_time_sends_all_parts_first(void **state)
{
    parts_world *w = *state;
    for (unsigned i = 0; i < 3; i++) {
        agent_publish(&w->loud, "large.a", LARGE);
        agent_publish(&w->loud, "large.a", 0);
    }
    home_close_bridge(&w->home, w->from, 5000);
    w->from = NULL;
    assert_int_equal(0, w->home.lost.unsent + w->home.lost.unconfirmed);
    home_until(&w->home, w->reader.delivered == 6);
    assert_int_equal(0, w->reader.out_of_order);
}

/* ---- ends that speak for themselves ---- */

typedef struct far_end {
    sp_peer *peer;
    bool closed, greeted;
    unsigned parts, publishes, fanouts;
    uint64_t refused_status;
    char refused_text[FRAME_REASON_SIZE];
} far_end;

static void on_opened(void *user, sp_peer *peer)
{
    ((far_end *)user)->peer = peer;
}

static void on_message(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    far_end *far = user;
    loom_bytes rest = {data, len};
    char reason[FRAME_REASON_SIZE];
    bus_frame f;
    (void)peer;
    (void)reply_to;
    while (bus_frame_next(&rest, &f, reason) == LOOM_OK) {
        far->greeted = far->greeted || f.type == BUS_FRAME_GREETING;
        far->parts += f.type == BUS_FRAME_PART;
        far->publishes += f.type == FRAME_PUBLISH;
        far->fanouts += f.type == BUS_FRAME_FANOUT;
        if (f.type == FRAME_ERROR) {
            far->refused_status = f.link.u.outcome.status;
            const loom_str text = f.link.u.outcome.text;
            snprintf(far->refused_text, sizeof far->refused_text, "%.*s", (int)text.len, text.data);
        }
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

static void say(far_end *far, const bus_outgoing *out)
{
    assert_status(LOOM_OK, sp_peer_send(far->peer, &(loom_bytes){out->w.data, out->w.len}, 1));
}

/* A bridge of its own. */
static void greet(parts_world *w, far_end *far, bool parts)
{
    sp_options options = {.protocol = SP_PAIR, .handlers = &far_handlers, .user = far};
    bus_outgoing out = {0};
    *far = (far_end){0};
    sp_peer *peer;
    assert_status(LOOM_OK, sp_dial(&peer, &w->home.loop, w->home.urls[BUS_SERVER_BRIDGE], &options, 0));
    home_until(&w->home, far->peer != NULL);
    assert_status(LOOM_OK, bus_put_greeting(&out.w, &(bus_greeting){BUS_PROTOCOL, STR("far"), STR("test"), .parts = parts}));
    say(far, &out);
    frame_writer_fini(&out.w);
    home_until(&w->home, far->greeted);
}

static void put_part(bus_outgoing *out, uint64_t session, uint64_t left, loom_bytes bytes)
{
    frame_writer *w = bus_outgoing_to(out, session);
    assert_non_null(w);
    assert_status(LOOM_OK, bus_put_part_head(w, left, bytes.len));
    assert_status(LOOM_OK, bus_put_raw(w, bytes));
}

static void a_bad_part_ends_the_connection_with_a_reason(void **state)
{
    static const uint8_t bytes[100];
    static const struct {
        uint64_t sessions[2], left[2];
        size_t len[2];
        loom_status status;
        const char *text;
    } cases[] = {
        {{1, 1}, {900, 700}, {100, 100}, LOOM_EPROTO, "a part does not continue the frame that is under way"},
        {{1, 2}, {900, 800}, {100, 100}, LOOM_EPROTO, "a part is of another session than the frame that is under way"},
        {{1, 0}, {5, 0}, {0, 0}, LOOM_EPROTO, "a part of a frame is empty"},
        {{1, 0}, {FRAME_MAX, 0}, {100, 0}, LOOM_ETOOBIG, "a frame in parts is over the limit"},
        {{1, 1}, {100, 0}, {100, 100}, LOOM_ETOOBIG, "a frame is of a length out of bounds"}, /* all zeros */
    };
    parts_world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        far_end far;
        bus_outgoing out = {0};
        greet(w, &far, true);
        put_part(&out, cases[i].sessions[0], cases[i].left[0], (loom_bytes){bytes, cases[i].len[0]});
        put_part(&out, cases[i].sessions[1], cases[i].left[1], (loom_bytes){bytes, cases[i].len[1]});
        say(&far, &out);
        frame_writer_fini(&out.w);
        home_until(&w->home, far.closed);
        assert_status(cases[i].status, (loom_status)far.refused_status);
        assert_string_equal(cases[i].text, far.refused_text);
    }
    assert_int_equal(sizeof cases / sizeof *cases, bus_server_get_stats(w->home.server).bridge_malformed);
}

static void a_bridge_that_leaves_amid_parts_leaves_nothing_behind(void **state)
{
    static const uint8_t bytes[100];
    parts_world *w = *state;
    far_end far;
    bus_outgoing out = {0};
    greet(w, &far, true);
    put_part(&out, 1, 900, (loom_bytes){bytes, sizeof bytes});
    const uint64_t before = bus_server_get_stats(w->home.server).bridge_received;
    say(&far, &out);
    frame_writer_fini(&out.w);
    home_until(&w->home, bus_server_get_stats(w->home.server).bridge_received > before);
    sp_peer_close(far.peer);
    home_until(&w->home, bus_server_get_stats(w->home.server).bridges == 2);
}

/* What it was not sent counts once, as everything that it did not confirm. */
static void deliver_to_far_end(parts_world *w, far_end *far, bool parts)
{
    bus_outgoing out = {0};
    greet(w, far, parts);
    for (uint64_t i = 1; i <= 2; i++) {
        char agent[8];
        snprintf(agent, sizeof agent, "far-%u", (unsigned)i);
        assert_status(LOOM_OK, bus_put_attach(bus_outgoing_to(&out, i), &(bus_attach){.agent = str_of(agent)}));
    }
    assert_status(LOOM_OK, frame_put_subscribe(&out.w, &(frame_subscribe){
        .request = 1, .subscription = 1, .filter = STR("far")}));
    assert_status(LOOM_OK, frame_put_credit(&out.w, UINT64_MAX, UINT64_MAX));
    say(far, &out);
    frame_writer_fini(&out.w);
    home_until(&w->home, eventbus_get_stats(w->home.cores.events).subscriptions == 3);
    agent_publish(&w->loud, "far", 0);
    agent_publish(&w->loud, "far", LARGE);
}

static void a_bridge_that_does_not_take_parts_gets_none(void **state)
{
    parts_world *w = *state;
    far_end far;
    deliver_to_far_end(w, &far, false);
    home_until(&w->home, far.fanouts == 2);
    assert_int_equal(0, far.parts);
    sp_peer_close(far.peer);
    deliver_to_far_end(w, &far, true);
    home_until(&w->home, far.parts >= LARGE / 65536);
    assert_int_equal(1, far.fanouts);
    sp_peer_close(far.peer);
}

static void a_delivery_amid_parts_counts_once_when_the_connection_ends(void **state)
{
    parts_world *w = *state;
    far_end far;
    deliver_to_far_end(w, &far, true);
    home_until(&w->home, far.parts >= 2);
    assert_true(far.parts < LARGE / 65536);
    sp_peer_close(far.peer);
    home_until(&w->home, bus_server_get_stats(w->home.server).bridges == 2);
    assert_int_equal(2, bus_server_get_stats(w->home.server).unconfirmed);
}

static void a_broker_that_does_not_take_parts_gets_none(void **state)
{
    parts_world *w = *state;
    far_end far = {0};
    sp_server *server;
    char url[128];
    snprintf(url, sizeof url, "ipc://%s/old", w->home.folder);
    sp_options options = {.protocol = SP_PAIR, .handlers = &far_handlers, .user = &far};
    assert_status(LOOM_OK, sp_listen(&server, &w->home.loop, url, &options));
    bus_remote *b;
    assert_status(LOOM_OK, bus_remote_open(&b, &w->home.loop, &(bus_remote_options){.url = url, .bridge_id = "b"}));
    test_port one, two;
    attach(w, b, &one, "one", NULL);
    attach(w, b, &two, "two", NULL);
    home_until(&w->home, far.greeted);
    bus_outgoing out = {0};
    assert_status(LOOM_OK, bus_put_greeting(&out.w, &(bus_greeting){BUS_PROTOCOL, STR("broker"), STR("old"), .parts = false}));
    say(&far, &out);
    frame_writer_fini(&out.w);
    home_until(&w->home, bus_remote_get_stats(b).connected);
    agent_publish(&one, "a", LARGE);
    home_until(&w->home, far.publishes == 1);
    assert_int_equal(0, far.parts);
    home_close_bridge(&w->home, b, 0);
    sp_server_close(server, NULL, NULL);
}

int main(void)
{
#define IN_PARTS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_PARTS(a_small_message_of_another_agent_does_not_wait_for_a_large_one),
        IN_PARTS(a_small_delivery_passes_a_large_one),
        IN_PARTS(what_one_agent_publishes_arrives_in_its_order_whatever_its_size),
        IN_PARTS(a_stream_of_small_messages_does_not_hold_a_large_one_up),
        IN_PARTS(a_large_delivery_to_many_sessions_travels_once),
        IN_PARTS(what_is_alone_leaves_whole),
        IN_PARTS(large_calls_and_results_pass),
        cmocka_unit_test(a_large_message_arrives_when_nothing_else_happens),
        IN_PARTS(a_message_whose_last_part_has_not_left_survives_the_connection),
        IN_PARTS(a_close_amid_parts_says_what_it_left_behind),
        IN_PARTS(a_close_with_time_sends_all_parts_first),
        IN_PARTS(a_bad_part_ends_the_connection_with_a_reason),
        IN_PARTS(a_bridge_that_leaves_amid_parts_leaves_nothing_behind),
        IN_PARTS(a_bridge_that_does_not_take_parts_gets_none),
        IN_PARTS(a_delivery_amid_parts_counts_once_when_the_connection_ends),
        IN_PARTS(a_broker_that_does_not_take_parts_gets_none),
    };
    return cmocka_run_group_tests_name("bus_parts", tests, NULL, NULL);
}
