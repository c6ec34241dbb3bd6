/* SPDX-License-Identifier: Apache-2.0 */
/* Poll mode, running and stopping, what open refuses, and open without memory. */
#include <loom/loom.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <unistd.h>

#include "sdk-c/agent/parts.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/sdk/fake_bridge.h"

static atomic_uint handled;

static loom_status count_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    (void)event;
    (void)user;
    atomic_fetch_add(&handled, 1);
    return LOOM_OK;
}

static void be_quiet(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    (void)agent;
    (void)state;
    (void)why;
    (void)text;
    (void)user;
}

static loom_agent *open_polled(fake_bridge *b)
{
    static const char *const topics[] = {"in", NULL};
    loom_agent *agent;
    loom_agent_options options = {
        .id = "polled", .url = b->url, .topics = topics, .on_event = count_event, .on_state = be_quiet, .poll_mode = true};
    assert_status(LOOM_OK, loom_agent_open(&agent, &options));
    return agent;
}

static void *serve_session(void *bridge)
{
    return (void *)(uintptr_t)fake_bridge_session(bridge, 2);
}

/* The bridge answers in a thread, as this one polls. */
static uint64_t connect_polled(fake_bridge *b, loom_agent *agent)
{
    pthread_t server;
    void *number;
    assert_int_equal(0, pthread_create(&server, NULL, serve_session, b));
    assert_status(LOOM_OK, loom_agent_wait_connected(agent, FAKE_DEADLINE_MS));
    pthread_join(server, &number);
    return (uintptr_t)number;
}

static bool is_readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

static int set_up(void **state)
{
    fake_bridge *b = calloc(1, sizeof *b);
    assert_non_null(b);
    fake_bridge_open(b);
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    atomic_store(&handled, 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    fake_bridge_close(*state);
    free(*state);
    return 0;
}

static void close_agent(fake_bridge *b, loom_agent *agent)
{
    fake_bridge_drop(b);
    loom_agent_close_within(agent, 100);
}

static void the_descriptor_tells_when_there_is_work(void **state)
{
    fake_bridge *b = *state;
    loom_agent *agent = open_polled(b);
    int fd = loom_agent_fd(agent);
    assert_true(is_readable(fd, 1000)); /* to connect */
    uint64_t number = connect_polled(b, agent);
    while (is_readable(fd, 0)) {
        assert_status(LOOM_OK, loom_agent_poll(agent, 0));
    }
    fake_bridge_deliver_text(b, number, "in", "x");
    assert_true(is_readable(fd, FAKE_DEADLINE_MS));
    assert_int_equal(0, atomic_load(&handled)); /* nobody but poll runs handlers */
    assert_status(LOOM_OK, loom_agent_poll(agent, 0));
    assert_int_equal(1, atomic_load(&handled));
    close_agent(b, agent);
}

static void what_other_threads_leave_to_be_sent_makes_it_readable(void **state)
{
    fake_bridge *b = *state;
    char text[256];
    loom_agent *agent = open_polled(b);
    connect_polled(b, agent);
    while (is_readable(loom_agent_fd(agent), 0)) {
        assert_status(LOOM_OK, loom_agent_poll(agent, 0));
    }
    for (int i = 0; i < 20; i++) {
        assert_status(LOOM_OK, loom_agent_emit_text(agent, "out", "x", NULL));
    }
    while (is_readable(loom_agent_fd(agent), 0)) {
        assert_status(LOOM_OK, loom_agent_poll(agent, 0));
    }
    assert_int_equal(20, loom_agent_get_stats(agent).sent);
    fake_bridge_collect(b, text, sizeof text, 20);
    close_agent(b, agent);
}

static void flush_polls(void **state)
{
    fake_bridge *b = *state;
    loom_agent *agent = open_polled(b);
    connect_polled(b, agent);
    for (int i = 0; i < 5; i++) {
        assert_status(LOOM_OK, loom_agent_emit_text(agent, "out", "x", NULL));
    }
    assert_status(LOOM_OK, loom_agent_flush(agent, FAKE_DEADLINE_MS));
    assert_int_equal(5, loom_agent_get_stats(agent).sent);
    close_agent(b, agent);
}

static void run_polls_until_it_is_stopped(void **state)
{
    fake_bridge *b = *state;
    loom_agent *agent = open_polled(b);
    uint64_t number = connect_polled(b, agent);
    fake_bridge_deliver_text(b, number, "in", "x");
    loom_agent_stop(agent);
    assert_status(LOOM_OK, loom_agent_run(agent)); /* a stop before the call counts */
    assert_int_equal(0, atomic_load(&handled));
    assert_status(LOOM_OK, loom_agent_poll(agent, FAKE_DEADLINE_MS));
    assert_int_equal(1, atomic_load(&handled));
    close_agent(b, agent);
}

static void an_agent_with_a_thread_is_not_polled(void **state)
{
    fake_bridge *b = *state;
    loom_agent *agent;
    loom_agent_options options = {.id = "threaded", .url = b->url, .on_state = be_quiet};
    assert_status(LOOM_OK, loom_agent_open(&agent, &options));
    assert_int_equal(-1, loom_agent_fd(agent));
    assert_status(LOOM_EINVAL, loom_agent_poll(agent, 0));
    close_agent(b, agent);
}

static void *stop_it(void *agent)
{
    loom_agent_stop(agent);
    return NULL;
}

static void stop_ends_run(void **state)
{
    fake_bridge *b = *state;
    loom_agent *agent;
    pthread_t stopper;
    loom_agent_options options = {.id = "threaded", .url = b->url, .on_state = be_quiet};
    assert_status(LOOM_OK, loom_agent_open(&agent, &options));
    for (int i = 0; i < 2; i++) { /* and it may run again */
        assert_int_equal(0, pthread_create(&stopper, NULL, stop_it, agent));
        assert_status(LOOM_OK, loom_agent_run(agent));
        pthread_join(stopper, NULL);
    }
    close_agent(b, agent);
}

static void *raise_signal(void *number)
{
    /* not before the handler is in place: the default would end the test */
    struct sigaction now;
    do {
        sigaction((int)(intptr_t)number, NULL, &now);
        wait_pause();
    } while (now.sa_handler == SIG_DFL);
    kill(getpid(), (int)(intptr_t)number);
    return NULL;
}

static void a_signal_ends_run_and_its_disposition_is_put_back(void **state)
{
    fake_bridge *b = *state;
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    signal(SIGHUP, SIG_DFL); /* whatever started the tests */
    for (int i = 0; i < 6; i++) {
        loom_agent *agent;
        pthread_t raiser;
        struct sigaction after;
        loom_agent_options options = {.id = "threaded", .url = b->url, .on_state = be_quiet, .poll_mode = i >= 3};
        assert_status(LOOM_OK, loom_agent_open(&agent, &options));
        assert_int_equal(0, pthread_create(&raiser, NULL, raise_signal, (void *)(intptr_t)numbers[i % 3]));
        assert_status(LOOM_OK, loom_agent_run_until_signal(agent));
        pthread_join(raiser, NULL);
        sigaction(numbers[i % 3], NULL, &after);
        assert_true(after.sa_handler == SIG_DFL);
        close_agent(b, agent);
    }
}

static void a_signal_that_was_held_back_ends_run(void **state)
{
    fake_bridge *b = *state;
    sigset_t set, after;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 2; i++) {
        loom_agent *agent;
        loom_agent_options options = {.id = "threaded", .url = b->url, .on_state = be_quiet, .poll_mode = i == 1};
        assert_status(LOOM_OK, loom_agent_open(&agent, &options));
        raise(SIGTERM);
        assert_status(LOOM_OK, loom_agent_run_until_signal(agent));
        pthread_sigmask(SIG_BLOCK, NULL, &after);
        assert_int_equal(1, sigismember(&after, SIGTERM));
        close_agent(b, agent);
    }
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *hang_up_and_stop(void *agent)
{
    struct sigaction now;
    do {
        sigaction(SIGTERM, NULL, &now);
        wait_pause();
    } while (now.sa_handler == SIG_DFL);
    kill(getpid(), SIGHUP);
    sigaction(SIGHUP, NULL, &now);
    assert_true(now.sa_handler == SIG_IGN);
    loom_agent_stop(agent);
    return NULL;
}

static void a_hangup_that_was_ignored_stays_ignored(void **state)
{
    fake_bridge *b = *state;
    loom_agent *agent;
    pthread_t other;
    struct sigaction after;
    loom_agent_options options = {.id = "threaded", .url = b->url, .on_state = be_quiet};
    assert_status(LOOM_OK, loom_agent_open(&agent, &options));
    signal(SIGHUP, SIG_IGN);
    assert_int_equal(0, pthread_create(&other, NULL, hang_up_and_stop, agent));
    assert_status(LOOM_OK, loom_agent_run_until_signal(agent));
    pthread_join(other, NULL);
    sigaction(SIGHUP, NULL, &after);
    assert_true(after.sa_handler == SIG_IGN);
    signal(SIGHUP, SIG_DFL);
    close_agent(b, agent);
}

/* ---- closed while another thread is inside ---- */

typedef struct inside {
    loom_agent *agent;
    loom_status (*enter)(loom_agent *agent);
    loom_status status;
} inside;

static loom_status wait_connected(loom_agent *agent)
{
    return loom_agent_wait_connected(agent, FAKE_DEADLINE_MS);
}

static loom_status flush(loom_agent *agent)
{
    loom_status st = loom_agent_emit_text(agent, "a.b", "x", NULL);
    return st == LOOM_OK ? loom_agent_flush(agent, FAKE_DEADLINE_MS) : st;
}

static void *go_inside(void *user)
{
    inside *i = user;
    i->status = i->enter(i->agent);
    return NULL;
}

static bool has_guest(loom_agent *agent)
{
    pthread_mutex_lock(&agent->loop.lock);
    bool guest = agent->loop.guests > 0;
    pthread_mutex_unlock(&agent->loop.lock);
    return guest;
}

static void closing_ends_what_other_threads_wait_for(void **state)
{
    fake_bridge *b = *state;
    static const struct {
        loom_status (*enter)(loom_agent *agent);
        bool poll_mode;
    } cases[] = {{loom_agent_run, false}, {loom_agent_run, true}, {loom_agent_run_until_signal, false},
                 {wait_connected, false}, {wait_connected, true}, {flush, false}, {flush, true}};
    fake_bridge_stop_listening(b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pthread_t thread;
        inside in = {.enter = cases[i].enter};
        loom_agent_options options = {.id = "closed", .url = b->url, .on_state = be_quiet, .poll_mode = cases[i].poll_mode};
        assert_status(LOOM_OK, loom_agent_open(&in.agent, &options));
        assert_int_equal(0, pthread_create(&thread, NULL, go_inside, &in));
        wait_until(has_guest(in.agent), FAKE_DEADLINE_MS);
        loom_agent_close_within(in.agent, 0);
        pthread_join(thread, NULL);
        assert_status(LOOM_ECLOSED, in.status);
    }
    fake_bridge_listen(b);
}

/* ---- what open refuses ---- */

static void expect_refused(const loom_agent_options *options, const char *text)
{
    loom_agent *agent;
    assert_status(LOOM_EINVAL, loom_agent_open(&agent, options));
    assert_null(agent);
    if (strstr(loom_agent_open_error(), text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", loom_agent_open_error(), text);
    }
}

static void open_says_what_it_does_not_like(void **state)
{
    (void)state;
    static const char *const bad_filter[] = {"a.b", "a..c", NULL};
    char long_id[200];
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    expect_refused(NULL, "options are missing");
    expect_refused(&(loom_agent_options){.id = NULL}, "it is missing");
    expect_refused(&(loom_agent_options){.id = ""}, "it is missing");
    expect_refused(&(loom_agent_options){.id = "a.b"}, "dot");
    expect_refused(&(loom_agent_options){.id = "a b"}, "agent id \"a b\"");
    expect_refused(&(loom_agent_options){.id = long_id}, "over 128 bytes");
    expect_refused(&(loom_agent_options){.id = "a", .url = "http://x"}, "not one of ipc, tcp, tls+tcp, ws, wss");
    expect_refused(&(loom_agent_options){.id = "a", .url = "tcp://host"}, "port is missing");
    expect_refused(&(loom_agent_options){.id = "a", .url = "tcp://host:0"}, "to connect takes the port itself");
    expect_refused(&(loom_agent_options){.id = "a", .url = "tcp://host:1x"}, "not a number");
    expect_refused(&(loom_agent_options){.id = "a", .url = "tcp://:1"}, "host is missing");
    expect_refused(&(loom_agent_options){.id = "a", .url = "tcp://[::1:1"}, "not closed");
    expect_refused(&(loom_agent_options){.id = "a", .url = "tcp://h:1/x"}, "no path");
    expect_refused(&(loom_agent_options){.id = "a", .url = "ipc://relative"}, "absolute path");
    expect_refused(&(loom_agent_options){.id = "a", .url = "ipc:///a b"}, "space");
    expect_refused(&(loom_agent_options){.id = "a", .url = "ipc:///x", .topics = bad_filter, .on_event = count_event},
                   "topic \"a..c\"");
    expect_refused(&(loom_agent_options){.id = "a", .url = "ipc:///x", .topics = bad_filter}, "no on_event");
}

static loom_status open_and_close(void *user)
{
    static const char *const topics[] = {"a", "b.>", NULL};
    fake_bridge *b = user;
    loom_agent *agent;
    loom_agent_options options = {.id = "hungry",
                                  .url = b->url,
                                  .topics = topics,
                                  .on_event = count_event,
                                  .on_state = be_quiet,
                                  .poll_mode = true,
                                  .tls_ca_file = "/ca.pem"};
    loom_status st = loom_agent_open(&agent, &options);
    if (st == LOOM_OK) {
        loom_subscribe_options subscribe = {.types = (const char *const[]){"x", "y", NULL}};
        st = loom_agent_subscribe(agent, "more", &subscribe, NULL);
        if (st == LOOM_OK) {
            st = loom_agent_emit_text(agent, "out", "x", NULL);
        }
        loom_agent_close_within(agent, 0);
    }
    return st;
}

static void open_subscribe_and_emit_report_missing_memory(void **state)
{
    assert_in_range(alloc_fault_each(open_and_close, *state), 5, 1000);
}

static bool gone_on(fake_bridge *b, loom_agent *agent)
{
    (void)b;
    return loom_agent_poll(agent, 20) == LOOM_OK && loom_agent_get_state(agent) == LOOM_AGENT_CONNECTED;
}

/* Connecting polls many times: it must get there in the end, whatever failed on the way. */
static loom_status connect_hungry(void *user)
{
    fake_bridge *b = user;
    loom_agent *agent;
    loom_agent_options options = {.id = "hungry", .url = b->url, .on_state = be_quiet, .poll_mode = true};
    loom_status st = loom_agent_open(&agent, &options);
    if (st == LOOM_OK) {
        for (int i = 0; i < 3; i++) {
            (void)gone_on(b, agent);
        }
        loom_agent_close_within(agent, 0);
    }
    return st;
}

static void connecting_survives_missing_memory(void **state)
{
    alloc_fault_each_survived(connect_hungry, *state);
}

/* ---- tcp ---- */

static void tcp_reaches_the_bridge_by_address_and_by_name(void **state)
{
    fake_bridge *b = *state;
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof addr;
        fake_bridge_stop_listening(b);
        b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(0, bind(b->listener, (struct sockaddr *)&addr, sizeof addr));
        assert_int_equal(0, listen(b->listener, 4));
        assert_int_equal(0, getsockname(b->listener, (struct sockaddr *)&addr, &len));
        snprintf(b->url, sizeof b->url, "tcp://%s:%d", hosts[i], ntohs(addr.sin_port));
        loom_agent *agent;
        char text[16];
        loom_agent_options options = {.id = "tcp", .url = b->url, .on_state = be_quiet};
        assert_status(LOOM_OK, loom_agent_open(&agent, &options));
        fake_bridge_session(b, 1);
        assert_status(LOOM_OK, loom_agent_wait_connected(agent, FAKE_DEADLINE_MS));
        assert_status(LOOM_OK, loom_agent_emit_text(agent, "out", "x", NULL));
        fake_bridge_collect(b, text, sizeof text, 1);
        close_agent(b, agent);
    }
}

#define WITH_BRIDGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BRIDGE(the_descriptor_tells_when_there_is_work),
        WITH_BRIDGE(what_other_threads_leave_to_be_sent_makes_it_readable),
        WITH_BRIDGE(flush_polls),
        WITH_BRIDGE(run_polls_until_it_is_stopped),
        WITH_BRIDGE(an_agent_with_a_thread_is_not_polled),
        WITH_BRIDGE(stop_ends_run),
        WITH_BRIDGE(a_signal_ends_run_and_its_disposition_is_put_back),
        WITH_BRIDGE(a_signal_that_was_held_back_ends_run),
        WITH_BRIDGE(a_hangup_that_was_ignored_stays_ignored),
        WITH_BRIDGE(closing_ends_what_other_threads_wait_for),
        WITH_BRIDGE(open_says_what_it_does_not_like),
        WITH_BRIDGE(open_subscribe_and_emit_report_missing_memory),
        WITH_BRIDGE(connecting_survives_missing_memory),
        WITH_BRIDGE(tcp_reaches_the_bridge_by_address_and_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
