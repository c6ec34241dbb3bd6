/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that are bare sockets, and do what no SP library would. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/host/sp/sp_fixture.h"

typedef struct refused_case {
    sp_protocol own;     /* of the server */
    loom_bytes bytes;    /* of the peer */
    bool opened;
    const char *why;
} refused_case;

#define RAW(text) {(const uint8_t *)(text), sizeof(text) - 1}

static const refused_case cases[] = {
    {SP_PULL, RAW("GET / HTTP/1.1\r\n\r\n"), false, "does not speak SP"},
    {SP_PULL, RAW("\0SP\1\0\x50\0\0"), false, "does not speak SP"},
    {SP_PULL, RAW("\0SP\0\0\x51\0\0"), false, "it speaks PULL"},
    {SP_PULL, RAW("\0SP\0\0\x50\0\1"), false, "it speaks PUSH"},
    {SP_PAIR, RAW("\0SP\0\0\x11\0\0"), false, "PAIR version 1"},
    {SP_PULL, RAW("\0SP\0\0\x50\0\0\2"), true, "unknown type 2"},
    {SP_PULL, RAW("\0SP\0\0\x50\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff"), true, "over the limit"},
    {SP_PULL, RAW("\0SP\0\0\x50\0\0\1\0\0\0\0\0\x40\0\1"), true, "4194305"},
    {SP_REP, RAW("\0SP\0\0\x30\0\0\1\0\0\0\0\0\0\0\0"), true, "a request without its id"},
    {SP_REP, RAW("\0SP\0\0\x30\0\0\1\0\0\0\0\0\0\0\3\x80\0\0"), true, "a request without its id"},
    {SP_REP, RAW("\0SP\0\0\x30\0\0\1\0\0\0\0\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\0"), true, "a request without its id"},
    {SP_PUB, RAW("\0SP\0\0\x21\0\0\1\0\0\0\0\0\0\0\1x"), true, "only ours are sent"},
};

static void what_breaks_the_protocol_ends_only_its_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const refused_case *c = &cases[i];
        sp_fixture f;
        sp_ear server = {0}, client = {0};
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, c->own, NULL);
        sp_peer *good = dial(&f, &client, (sp_protocol)sp_counterpart(c->own), NULL);
        int fd = raw_open(&f, f.url);
        raw_send(&f, fd, c->bytes.data, c->bytes.len);
        until(&f, raw_over(fd));
        close(fd);
        assert_non_null(strstr(server.log, c->why));
        assert_int_equal(c->opened ? 2 : 1, server.opened);
        assert_int_equal(c->opened ? 1 : 0, server.closed);
        sp_stats stats = sp_server_get_stats(s);
        assert_int_equal(c->opened ? 1 : 0, stats.malformed);
        assert_int_equal(c->opened ? 0 : 1, stats.refused);
        assert_int_equal(1, stats.peers);
        assert_int_equal(0, client.closed);
        sp_peer_close(good);
        serve_no_more(&f, s);
        sp_fixture_close(&f);
    }
}

static void who_leaves_before_the_greeting_keeps_nobody_out(void **state)
{
    (void)state;
    enum { TIMES = 1000 };
    static const char *const urls[] = {NULL, "tcp://127.0.0.1:0"};
    for (size_t u = 0; u < 2; u++) {
        sp_fixture f;
        sp_ear server = {0}, client = {0};
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_PULL, urls[u]);
        for (unsigned i = 0; i < TIMES; i++) {
            int fd = raw_open(&f, sp_server_url(s));
            if (i % 3 == 1) {
                raw_send(&f, fd, "\0SP", 3);
            } else if (i % 3 == 2) { /* with a reset */
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
            }
            close(fd);
        }
        sp_peer *p = dial(&f, &client, SP_PUSH, sp_server_url(s));
        send_text(p, "hello");
        until(&f, server.messages == 1 && sp_server_get_stats(s).refused == TIMES);
        assert_int_equal(1, server.opened);
        assert_int_equal(0, server.closed);
        sp_peer_close(p);
        serve_no_more(&f, s);
        sp_fixture_close(&f);
    }
}

static void a_peer_killed_in_the_middle_of_a_message_is_one_that_left(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    sp_peer *p = dial(&f, &client, SP_PUSH, NULL);
    for (unsigned i = 1; i <= 20; i++) {
        int fd = raw_open(&f, f.url);
        raw_greet(&f, fd, SP_PUSH);
        raw_message(&f, fd, "whole", 5);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) { /* it holds the only descriptor, and is killed with it */
            static const uint8_t head[] = {1, 0, 0, 0, 0, 0, 0x10, 0, 0};
            static const uint8_t part[100000];
            (void)!write(fd, head, sizeof head);
            (void)!write(fd, part, i % 2 == 0 ? sizeof part : i);
            raise(SIGKILL);
        }
        close(fd);
        assert_int_equal(child, waitpid(child, NULL, 0));
        until(&f, server.closed == i);
        assert_status(LOOM_ECLOSED, server.status);
        assert_string_equal("the other side left in the middle of a message", server.why);
        assert_int_equal(i, server.messages);
    }
    send_text(p, "still here");
    until(&f, server.messages == 21);
    assert_int_equal(0, sp_server_get_stats(s).malformed);
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void a_request_that_went_round_in_circles_is_dropped_and_logged(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0};
    uint8_t ids[4 * SP_BACKTRACE_MAX + 5] = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_REP, NULL);
    int fd = raw_open(&f, f.url);
    raw_greet(&f, fd, SP_REQ);
    ids[4 * SP_BACKTRACE_MAX] = 0x80;
    raw_message(&f, fd, ids, sizeof ids);
    until(&f, server.logs == 1);
    assert_non_null(strstr(server.log, "more than 16 devices"));
    raw_message(&f, fd, "\x80\0\0\1ask", 7);
    until(&f, server.messages == 1);
    assert_heard("ask", &server);
    close(fd);
    until(&f, server.closed == 1);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void bytes_that_come_one_by_one_are_put_together(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    int fd = raw_open(&f, f.url);
    static const uint8_t bytes[] = "\0SP\0\0\x50\0\0\1\0\0\0\0\0\0\0\5hello\1\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\5world";
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        raw_send(&f, fd, &bytes[i], 1);
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    until(&f, server.messages == 3);
    assert_int_equal(10, server.bytes);
    assert_heard("world", &server);
    close(fd);
    until(&f, server.closed == 1);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void more_peers_than_allowed_are_turned_away(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_options o = ear_options(&server, SP_PULL);
    o.max_peers = 2;
    sp_server *s = serve_with(&f, &o, NULL);
    sp_peer *a = dial(&f, &client, SP_PUSH, NULL), *b = dial(&f, &client, SP_PUSH, NULL);
    int fd = raw_open(&f, f.url);
    until(&f, raw_over(fd));
    close(fd);
    assert_int_equal(1, sp_server_get_stats(s).refused);
    assert_non_null(strstr(server.log, "as many peers as are allowed"));
    sp_peer_close(a);
    until(&f, server.closed == 1);
    a = dial(&f, &client, SP_PUSH, NULL); /* there is room again */
    sp_peer_close(a);
    sp_peer_close(b);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_breaks_the_protocol_ends_only_its_connection),
        cmocka_unit_test(who_leaves_before_the_greeting_keeps_nobody_out),
        cmocka_unit_test(a_peer_killed_in_the_middle_of_a_message_is_one_that_left),
        cmocka_unit_test(a_request_that_went_round_in_circles_is_dropped_and_logged),
        cmocka_unit_test(bytes_that_come_one_by_one_are_put_together),
        cmocka_unit_test(more_peers_than_allowed_are_turned_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
