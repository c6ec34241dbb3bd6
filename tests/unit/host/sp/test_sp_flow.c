/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that do not read, servers that pause, and a process out of descriptors. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/host/sp/sp_fixture.h"

enum { BLOCK = 64 * 1024 };

static loom_bytes block(void)
{
    static const uint8_t zeros[BLOCK];
    return (loom_bytes){zeros, sizeof zeros};
}

static void a_sub_that_does_not_read_costs_only_its_own_messages(void **state)
{
    (void)state;
    enum { ROUNDS = 400 };
    sp_fixture f;
    sp_ear server = {0}, slow = {0}, quick = {0};
    sp_fixture_open(&f);
    sp_options o = ear_options(&server, SP_PUB);
    o.peer_buffer = 1 << 20;
    sp_server *s = serve_with(&f, &o, NULL);
    sp_peer *stopped = dial(&f, &slow, SP_SUB, NULL), *reads = dial(&f, &quick, SP_SUB, NULL);
    until(&f, sp_server_get_stats(s).peers == 2);
    sp_peer_pause(stopped, true);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        assert_status(LOOM_OK, sp_server_publish(s, (loom_bytes[]){block()}, 1));
        until(&f, quick.messages == i);
    }
    sp_stats stats = sp_server_get_stats(s);
    assert_int_equal(0, slow.messages);
    assert_true(stats.dropped > 0);
    assert_int_equal(2 * ROUNDS, stats.sent + stats.dropped);
    sp_peer_pause(stopped, false);
    until(&f, slow.messages + stats.dropped == ROUNDS);
    until(&f, server.drained == 1);
    assert_status(LOOM_OK, sp_server_publish(s, &BYTES("again"), 1)); /* and it is served as before */
    until(&f, slow.messages + stats.dropped == ROUNDS + 1);
    assert_int_equal(6, slow.last_len);
    assert_memory_equal("again", slow.last, 6);
    assert_int_equal(stats.dropped, sp_server_get_stats(s).dropped);
    sp_peer_close(stopped);
    sp_peer_close(reads);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void what_one_round_publishes_is_not_dropped_while_the_kernel_has_room(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_options o = ear_options(&server, SP_PUB);
    o.peer_buffer = 2000;
    sp_server *s = serve_with(&f, &o, NULL);
    sp_peer *p = dial(&f, &client, SP_SUB, NULL);
    until(&f, sp_server_get_stats(s).peers == 1);
    static const uint8_t some[900], more[3000];
    for (unsigned i = 0; i < 20; i++) {
        assert_status(LOOM_OK, sp_server_publish(s, &BYTES(some), 1));
    }
    assert_status(LOOM_OK, sp_server_publish(s, &BYTES(more), 1)); /* larger than the buffer, and nothing else waits */
    until(&f, client.messages == 21);
    assert_int_equal(0, sp_server_get_stats(s).dropped);
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void what_a_pair_does_not_read_collects_and_all_arrives(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PAIR, NULL);
    sp_peer *p = dial(&f, &client, SP_PAIR, NULL);
    until(&f, server.opened == 1);
    sp_peer_pause(p, true);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_status(LOOM_OK, sp_peer_send(server.peer, (loom_bytes[]){block()}, 1));
    }
    assert_true(sp_peer_unsent(server.peer) > COUNT * BLOCK / 2);
    assert_int_equal(0, server.drained);
    sp_peer_pause(p, false);
    until(&f, client.messages == COUNT && server.drained > 0);
    assert_int_equal(COUNT * BLOCK, client.bytes);
    assert_int_equal(0, sp_peer_unsent(server.peer));
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

/* What the kernel holds is not in the way of what is sent next. */
static void of_a_limited_peer_the_kernel_holds_less(void **state)
{
    (void)state;
    enum { COUNT = 30, LIMIT = 64 * 1024 };
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PAIR, NULL);
    sp_peer *p = dial(&f, &client, SP_PAIR, NULL);
    until(&f, server.opened == 1);
    sp_peer_pause(p, true);
    sp_peer_limit(server.peer, LIMIT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_status(LOOM_OK, sp_peer_send(server.peer, (loom_bytes[]){block()}, 1));
    }
    sp_peer_flush(server.peer);
    const size_t limited = sp_peer_unsent(server.peer);
    assert_true(limited > COUNT * BLOCK - 4 * LIMIT);
    sp_peer_pause(p, false);
    until(&f, client.messages == COUNT);
    sp_peer_pause(p, true);
    sp_peer_limit(server.peer, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_status(LOOM_OK, sp_peer_send(server.peer, (loom_bytes[]){block()}, 1));
    }
    sp_peer_flush(server.peer);
    assert_true(sp_peer_unsent(server.peer) < limited);
    sp_peer_pause(p, false);
    until(&f, client.messages == 2 * COUNT);
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void a_requester_that_does_not_read_is_not_asked_for_more(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_options o = ear_options(&server, SP_REP);
    o.peer_buffer = 1 << 20;
    sp_server *s = serve_with(&f, &o, NULL);
    sp_peer *p = dial(&f, &client, SP_REQ, NULL);
    sp_peer_pause(p, true);
    size_t answered = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        assert_status(LOOM_OK, sp_peer_send(p, (loom_bytes[]){{(const uint8_t *)"\x80\0\0\1?", 5}}, 1));
        sp_peer_flush(p);
        uv_run(&f.loop, UV_RUN_NOWAIT);
        for (; answered < server.messages; answered++) {
            assert_status(LOOM_OK, sp_server_reply(s, &server.to, block()));
        }
    }
    assert_true(server.messages < COUNT / 2);
    assert_true(sp_peer_unsent(server.peer) < 2u << 20);
    sp_peer_pause(p, false);
    while (client.messages < COUNT) {
        until(&f, server.messages > answered || client.messages == COUNT);
        for (; answered < server.messages; answered++) {
            assert_status(LOOM_OK, sp_server_reply(s, &server.to, block()));
        }
    }
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

/* ---- pauses ---- */

static void pauses_its_server(sp_ear *ear, sp_peer *peer)
{
    (void)peer;
    sp_server_pause(ear->hook_user, true);
}

static void a_paused_server_hands_over_nothing_even_of_what_it_has_read(void **state)
{
    (void)state;
    enum { COUNT = 10 };
    sp_fixture f;
    sp_ear server = {.hook = pauses_its_server}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    server.hook_user = s;
    sp_peer *p = dial(&f, &client, SP_PUSH, NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        send_text(p, "hello"); /* all in one write, so all in one read */
    }
    for (unsigned i = 1; i <= COUNT; i++) {
        until(&f, server.messages == i);
        for (unsigned k = 0; k < 5; k++) {
            uv_run(&f.loop, UV_RUN_NOWAIT);
        }
        assert_int_equal(i, server.messages);
        sp_server_pause(s, false);
        sp_server_pause(s, false);
    }
    sp_peer_close(p);
    until(&f, server.closed == 1);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void a_paused_server_greets_and_serves_later(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    sp_server_pause(s, true);
    sp_peer *p = dial(&f, &client, SP_PUSH, NULL);
    send_text(p, "hello");
    sp_peer_close(p); /* and it has left when the server looks */
    until(&f, server.opened == 1);
    for (unsigned k = 0; k < 20; k++) {
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(0, server.messages);
    assert_int_equal(0, server.closed);
    sp_server_pause(s, false);
    until(&f, server.closed == 1);
    assert_int_equal(1, server.messages);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void a_message_leaves_though_the_loop_was_about_to_sleep(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {.echo = true}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PAIR, NULL);
    sp_peer *p = dial(&f, &client, SP_PAIR, NULL);
    for (unsigned i = 1; i <= 100; i++) {
        send_text(p, "ping");
        uint64_t until_ms = wait_now_ms() + SP_DEADLINE_MS;
        while (client.messages < i) { /* the loop may sleep: what has to happen wakes it */
            assert_true(wait_now_ms() < until_ms);
            uv_run(&f.loop, UV_RUN_ONCE);
        }
    }
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

/* ---- descriptors ---- */

/* Without turning the loop: the server has not accepted it. */
static int connect_only(const char *url)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", url + strlen("ipc://"));
    assert_int_equal(0, connect(fd, (struct sockaddr *)&un, sizeof un));
    return fd;
}

static void out_of_descriptors_a_server_waits_and_goes_on(void **state)
{
    (void)state;
    enum { WAITING = 5 };
    sp_fixture f;
    sp_ear server = {0};
    struct rlimit before, few;
    int fds[WAITING], taken[64];
    size_t count = 0;
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
    few = (struct rlimit){64, before.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &few));
    for (size_t i = 0; i < WAITING; i++) {
        fds[i] = connect_only(f.url);
    }
    while (count < 64 && (taken[count] = open("/dev/null", O_RDONLY)) >= 0) {
        count++;
    }
    until(&f, server.logs > 0);
    assert_non_null(strstr(server.log, "Too many open files"));
    unsigned turns = 0;
    for (uint64_t end = wait_now_ms() + 300; wait_now_ms() < end; turns++) {
        uv_run(&f.loop, UV_RUN_ONCE); /* sleeps, or this would be a million turns */
    }
    assert_true(turns < 20);
    assert_true(server.logs <= 2);
    while (count > 0) {
        close(taken[--count]);
    }
    for (size_t i = 0; i < WAITING; i++) {
        raw_greet(&f, fds[i], SP_PUSH);
    }
    until(&f, server.opened == WAITING);
    for (size_t i = 0; i < WAITING; i++) {
        close(fds[i]);
    }
    until(&f, server.closed == WAITING);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sub_that_does_not_read_costs_only_its_own_messages),
        cmocka_unit_test(what_one_round_publishes_is_not_dropped_while_the_kernel_has_room),
        cmocka_unit_test(what_a_pair_does_not_read_collects_and_all_arrives),
        cmocka_unit_test(of_a_limited_peer_the_kernel_holds_less),
        cmocka_unit_test(a_requester_that_does_not_read_is_not_asked_for_more),
        cmocka_unit_test(a_paused_server_hands_over_nothing_even_of_what_it_has_read),
        cmocka_unit_test(a_paused_server_greets_and_serves_later),
        cmocka_unit_test(a_message_leaves_though_the_loop_was_about_to_sleep),
        cmocka_unit_test(out_of_descriptors_a_server_waits_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
