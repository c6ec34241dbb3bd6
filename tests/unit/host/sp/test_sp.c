/* SPDX-License-Identifier: Apache-2.0 */
/* SP sockets among themselves: what is said, and how connections end. */
#include <stdlib.h>

#include "tests/unit/host/sp/sp_fixture.h"

static const char *const urls[] = {NULL, "tcp://127.0.0.1:0", "abstract://loom-sp-test"};
enum { URLS = sizeof urls / sizeof *urls };

static void push_reaches_pull(void **state)
{
    (void)state;
    for (size_t i = 0; i < URLS; i++) {
        sp_fixture f;
        sp_ear server = {0}, client = {0};
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_PULL, urls[i]);
        sp_peer *p = dial(&f, &client, SP_PUSH, sp_server_url(s));
        send_text(p, "hello");
        until(&f, server.messages == 1);
        assert_heard("hello", &server);
        assert_int_equal(1, sp_server_get_stats(s).accepted);
        assert_int_equal(1, sp_server_get_stats(s).received);
        assert_int_equal(1, sp_server_get_stats(s).peers);
        sp_peer_close(p);
        until(&f, server.closed == 1);
        assert_status(LOOM_ECLOSED, server.status);
        assert_int_equal(0, client.closed); /* its owner closed it */
        assert_int_equal(0, sp_server_get_stats(s).peers);
        serve_no_more(&f, s);
        sp_fixture_close(&f);
    }
}

static void pub_reaches_every_sub(void **state)
{
    (void)state;
    enum { PEERS = 64, ROUNDS = 100 };
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_peer *peers[PEERS];
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PUB, NULL);
    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = dial(&f, &client, SP_SUB, NULL);
    }
    until(&f, sp_server_get_stats(s).peers == PEERS);
    for (size_t i = 0; i < ROUNDS; i++) {
        assert_status(LOOM_OK, sp_server_publish(s, (loom_bytes[]){{(const uint8_t *)"topic", 5}, {NULL, 0}}, 2));
    }
    until(&f, client.messages == PEERS * ROUNDS);
    assert_heard("topic", &client);
    assert_int_equal(PEERS * ROUNDS, sp_server_get_stats(s).sent);
    assert_int_equal(0, sp_server_get_stats(s).dropped);
    for (size_t i = 0; i < PEERS; i++) {
        sp_peer_close(peers[i]);
    }
    until(&f, sp_server_get_stats(s).peers == 0);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void what_is_published_leaves_for_some_peers_at_a_time(void **state)
{
    (void)state;
    enum { PEERS = 400 };
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    static sp_peer *peers[PEERS];
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PUB, NULL);
    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = dial(&f, &client, SP_SUB, NULL);
    }
    until(&f, sp_server_get_stats(s).peers == PEERS);
    assert_status(LOOM_OK, sp_server_publish(s, (loom_bytes[]){{(const uint8_t *)"topic", 5}}, 1));
    sp_server_flush(s);
    uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_in_range(client.messages, 1, PEERS / 2);
    until(&f, client.messages == PEERS);
    for (size_t i = 0; i < PEERS; i++) {
        sp_peer_close(peers[i]);
    }
    until(&f, sp_server_get_stats(s).peers == 0);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void messages_of_all_sizes_come_back_the_same(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 16 * 1024, 131072, 262144, SP_MESSAGE_MAX_DEFAULT};
    for (size_t u = 0; u < URLS; u++) {
        sp_fixture f;
        sp_ear server = {.echo = true}, client = {0};
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_PAIR, urls[u]);
        sp_peer *p = dial(&f, &client, SP_PAIR, sp_server_url(s));
        size_t total = 0;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            send_zeros(p, sizes[i]);
            total += sizes[i];
            until(&f, client.messages == i + 1);
            assert_int_equal(sizes[i], client.last_len);
        }
        assert_int_equal(total, client.bytes);
        assert_int_equal(0, sp_peer_unsent(p));
        serve_no_more(&f, s);
        until(&f, client.closed == 1);
        assert_status(LOOM_ECLOSED, client.status);
        sp_fixture_close(&f);
    }
}

static void a_message_over_the_limit_ends_only_its_connection(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, bad = {0}, good = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    sp_peer *p = dial(&f, &good, SP_PUSH, NULL);
    sp_peer *q = dial(&f, &bad, SP_PUSH, NULL);
    send_zeros(q, SP_MESSAGE_MAX_DEFAULT + 1);
    until(&f, bad.closed == 1 && server.closed == 1);
    assert_status(LOOM_ETOOBIG, server.status);
    assert_int_equal(1, sp_server_get_stats(s).malformed);
    assert_non_null(strstr(server.log, "over the limit"));
    assert_non_null(strstr(server.log, "peer=ipc:pid="));
    send_text(p, "still here");
    until(&f, server.messages == 1);
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

/* ---- requests ---- */

static void ask(sp_peer *p, uint8_t id, const char *text)
{
    const uint8_t ids[8] = {0, 0, 0, 7, 0x80, 0, 0, id};
    const loom_bytes parts[2] = {{ids, sizeof ids}, {(const uint8_t *)text, strlen(text)}};
    assert_status(LOOM_OK, sp_peer_send(p, parts, 2));
}

static void an_answer_has_the_ids_of_its_request(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_REP, NULL);
    sp_peer *p = dial(&f, &client, SP_REQ, NULL);
    ask(p, 1, "one");
    until(&f, server.messages == 1);
    assert_heard("one", &server);
    const sp_reply_to first = server.to;
    ask(p, 2, "two");
    until(&f, server.messages == 2);
    assert_status(LOOM_OK, sp_server_reply(s, &server.to, BYTES("b")));
    assert_status(LOOM_OK, sp_server_reply(s, &first, BYTES("a")));
    until(&f, client.messages == 2);
    assert_int_equal(10, client.last_len);
    assert_memory_equal("\0\0\0\7\x80\0\0\1a", client.last, 10);
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void an_answer_to_somebody_gone_is_not_found(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0}, other = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_REP, NULL);
    sp_peer *p = dial(&f, &client, SP_REQ, NULL);
    ask(p, 1, "one");
    until(&f, server.messages == 1);
    const sp_reply_to gone = server.to;
    sp_peer_close(p);
    until(&f, server.closed == 1);
    assert_status(LOOM_ENOTFOUND, sp_server_reply(s, &gone, BYTES("a")));
    p = dial(&f, &other, SP_REQ, NULL); /* in the same place */
    until(&f, server.opened == 2);
    assert_status(LOOM_ENOTFOUND, sp_server_reply(s, &gone, BYTES("a")));
    ask(p, 2, "two");
    until(&f, server.messages == 2);
    assert_status(LOOM_OK, sp_server_reply(s, &server.to, BYTES("b")));
    until(&f, other.messages == 1);
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

/* ---- the end ---- */

static void closes_its_peer(sp_ear *ear, sp_peer *peer)
{
    (void)ear;
    sp_peer_close(peer);
    assert_status(LOOM_ENOTCONN, sp_peer_send(peer, &BYTES("x"), 1));
}

static void a_handler_may_close_its_own_peer(void **state)
{
    (void)state;
    static const size_t sizes[] = {5, 300000}; /* in the shared buffer, and apart */
    for (size_t i = 0; i < 2; i++) {
        sp_fixture f;
        sp_ear server = {.hook = closes_its_peer}, client = {0};
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_PULL, NULL);
        sp_peer *p = dial(&f, &client, SP_PUSH, NULL);
        send_zeros(p, sizes[i]);
        send_zeros(p, sizes[i]);
        until(&f, client.closed == 1);
        assert_int_equal(1, server.messages);
        assert_int_equal(0, server.closed);
        assert_int_equal(0, sp_server_get_stats(s).peers);
        serve_no_more(&f, s);
        sp_fixture_close(&f);
    }
}

static void closes_the_server(sp_ear *ear, sp_peer *peer)
{
    (void)peer;
    sp_server_close(ear->hook_user, NULL, NULL);
    ear->hook_user = NULL;
}

static void a_handler_may_close_the_server(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {.hook = closes_the_server}, client = {0};
    sp_fixture_open(&f);
    server.hook_user = serve(&f, &server, SP_PULL, NULL);
    sp_peer *p = dial(&f, &client, SP_PUSH, NULL);
    send_text(p, "first");
    send_text(p, "second");
    until(&f, client.closed == 1);
    assert_int_equal(1, server.messages);
    assert_int_equal(0, server.closed);
    sp_fixture_close(&f);
}

static void what_was_sent_before_a_close_arrives(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PAIR, NULL);
    sp_peer *p = dial(&f, &client, SP_PAIR, NULL);
    until(&f, server.opened == 1);
    send_text(server.peer, "never read"); /* makes the other end of the connection an error, not an end */
    sp_peer_flush(server.peer);
    for (unsigned i = 0; i < 1000; i++) {
        send_text(p, "last words");
    }
    sp_peer_close(p);
    send_text(server.peer, "too late");
    sp_peer_flush(server.peer);
    until(&f, server.closed == 1);
    assert_int_equal(1000, server.messages);
    assert_status(LOOM_ECLOSED, server.status);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void a_server_closes_while_data_waits(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PAIR, NULL);
    sp_peer *p = dial(&f, &client, SP_PAIR, NULL);
    until(&f, server.opened == 1);
    sp_peer_pause(p, true);
    for (unsigned i = 0; i < 32; i++) {
        send_zeros(server.peer, 1 << 20);
    }
    assert_true(sp_peer_unsent(server.peer) > 16u << 20);
    serve_no_more(&f, s);
    sp_peer_pause(p, false);
    until(&f, client.closed == 1);
    assert_non_null(strstr(client.why, "middle of a message"));
    sp_fixture_close(&f);
}

static void another_server_may_follow_at_once(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear first = {0}, second = {0}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &first, SP_PULL, NULL);
    sp_server_close(s, NULL, NULL);
    s = serve(&f, &second, SP_PULL, NULL);
    sp_peer *p = dial(&f, &client, SP_PUSH, NULL);
    send_text(p, "hello");
    until(&f, second.messages == 1);
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    sp_server_close(NULL, NULL, NULL);
    sp_peer_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_reaches_pull),
        cmocka_unit_test(pub_reaches_every_sub),
        cmocka_unit_test(what_is_published_leaves_for_some_peers_at_a_time),
        cmocka_unit_test(messages_of_all_sizes_come_back_the_same),
        cmocka_unit_test(a_message_over_the_limit_ends_only_its_connection),
        cmocka_unit_test(an_answer_has_the_ids_of_its_request),
        cmocka_unit_test(an_answer_to_somebody_gone_is_not_found),
        cmocka_unit_test(a_handler_may_close_its_own_peer),
        cmocka_unit_test(a_handler_may_close_the_server),
        cmocka_unit_test(what_was_sent_before_a_close_arrives),
        cmocka_unit_test(a_server_closes_while_data_waits),
        cmocka_unit_test(another_server_may_follow_at_once),
        cmocka_unit_test(closing_nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
