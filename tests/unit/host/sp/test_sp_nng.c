/* SPDX-License-Identifier: Apache-2.0 */
/* The other side is nng itself, over ipc and tcp, listening and dialling. Its sockets have threads of their own; this test
 * asks them without waiting, and turns its loop meanwhile. */
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdlib.h>

#include "tests/unit/host/sp/sp_fixture.h"

static const char *const urls[] = {NULL, "tcp://127.0.0.1:0", "abstract://loom-sp-nng"};
enum { URLS = sizeof urls / sizeof *urls, LARGE = 4 * 1024 * 1024 };

static nng_socket open_to(int (*open)(nng_socket *s), const char *url)
{
    nng_socket n;
    assert_int_equal(0, open(&n));
    assert_int_equal(0, nng_socket_set_size(n, NNG_OPT_RECVMAXSZ, 0));
    assert_int_equal(0, nng_dial(n, url, NULL, NNG_FLAG_NONBLOCK));
    return n;
}

static void put(sp_fixture *f, nng_socket n, const void *data, size_t len)
{
    until(f, nng_send(n, (void *)(uintptr_t)data, len, NNG_FLAG_NONBLOCK) == 0);
}

/* The next message; the caller frees. */
static nng_msg *get(sp_fixture *f, nng_socket n)
{
    nng_msg *m = NULL;
    until(f, nng_recvmsg(n, &m, NNG_FLAG_NONBLOCK) == 0);
    return m;
}

static void expect(sp_fixture *f, nng_socket n, const void *data, size_t len)
{
    nng_msg *m = get(f, n);
    assert_int_equal(len, nng_msg_len(m));
    assert_memory_equal(data, nng_msg_body(m), len);
    nng_msg_free(m);
}

static uint8_t *large(void)
{
    uint8_t *data = malloc(LARGE);
    assert_non_null(data);
    for (size_t i = 0; i < LARGE; i++) {
        data[i] = (uint8_t)(i * 31 >> 3);
    }
    return data;
}

static void a_push_socket_of_nng_is_heard(void **state)
{
    (void)state;
    uint8_t *data = large();
    for (size_t i = 0; i < URLS; i++) {
        sp_fixture f;
        sp_ear server = {0};
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_PULL, urls[i]);
        nng_socket n = open_to(nng_push0_open, sp_server_url(s));
        put(&f, n, "a", 1);
        put(&f, n, "", 0);
        put(&f, n, data, LARGE);
        put(&f, n, "end", 3);
        until(&f, server.messages == 4);
        assert_int_equal(LARGE + 4, server.bytes);
        assert_heard("end", &server);
        nng_close(n);
        until(&f, server.closed == 1);
        serve_no_more(&f, s);
        sp_fixture_close(&f);
    }
    free(data);
}

static void a_req_socket_of_nng_is_answered(void **state)
{
    (void)state;
    uint8_t *data = large();
    for (size_t i = 0; i < URLS; i++) {
        sp_fixture f;
        sp_ear server = {0};
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_REP, urls[i]);
        nng_socket n = open_to(nng_req0_open, sp_server_url(s));
        for (size_t k = 1; k <= 20; k++) {
            put(&f, n, "ping", 4);
            until(&f, server.messages == k);
            assert_heard("ping", &server);
            size_t len = k == 20 ? LARGE : k;
            assert_status(LOOM_OK, sp_server_reply(s, &server.to, (loom_bytes){data, len}));
            expect(&f, n, data, len);
        }
        nng_close(n);
        until(&f, server.closed == 1);
        assert_status(LOOM_ENOTFOUND, sp_server_reply(s, &server.to, BYTES("late")));
        serve_no_more(&f, s);
        sp_fixture_close(&f);
    }
    free(data);
}

static void a_sub_socket_of_nng_hears_what_it_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < URLS; i++) {
        sp_fixture f;
        sp_ear server = {0};
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_PUB, urls[i]);
        nng_socket n = open_to(nng_sub0_open, sp_server_url(s));
        assert_int_equal(0, nng_socket_set(n, NNG_OPT_SUB_SUBSCRIBE, "a.", 2));
        until(&f, sp_server_get_stats(s).peers == 1);
        for (unsigned k = 0; k < 50; k++) {
            assert_status(LOOM_OK, sp_server_publish(s, &BYTES("b.other"), 1));
        }
        assert_status(LOOM_OK, sp_server_publish(s, (loom_bytes[]){{(const uint8_t *)"a.b", 3}, {(const uint8_t *)"!", 1}}, 2));
        expect(&f, n, "a.b!", 4);
        nng_close(n);
        until(&f, server.closed == 1);
        serve_no_more(&f, s);
        sp_fixture_close(&f);
    }
}

static void a_pair_socket_of_nng_talks_both_ways(void **state)
{
    (void)state;
    uint8_t *data = large();
    for (size_t i = 0; i < URLS; i++) {
        sp_fixture f;
        sp_ear server = {.echo = true};
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_PAIR, urls[i]);
        nng_socket n = open_to(nng_pair0_open, sp_server_url(s));
        for (size_t k = 0; k < 20; k++) {
            put(&f, n, data, k);
            expect(&f, n, data, k);
        }
        put(&f, n, data, LARGE);
        expect(&f, n, data, LARGE);
        serve_no_more(&f, s);
        nng_close(n);
        sp_fixture_close(&f);
    }
    free(data);
}

/* ---- nng listens ---- */

static nng_socket open_at(int (*open)(nng_socket *s), const char *url, char bound[SP_URL_SIZE])
{
    nng_socket n;
    nng_listener l;
    assert_int_equal(0, open(&n));
    assert_int_equal(0, nng_socket_set_size(n, NNG_OPT_RECVMAXSZ, 0));
    assert_int_equal(0, nng_listen(n, url, &l, 0));
    snprintf(bound, SP_URL_SIZE, "%s", url);
    if (strncmp(url, "tcp", 3) == 0) {
        nng_sockaddr a;
        assert_int_equal(0, nng_listener_get_addr(l, NNG_OPT_LOCADDR, &a));
        const uint8_t *port = (const uint8_t *)&a.s_in.sa_port;
        snprintf(bound, SP_URL_SIZE, "tcp://localhost:%u", (unsigned)(port[0] << 8 | port[1]));
    }
    return n;
}

static const char *listening_url(const sp_fixture *f, size_t i)
{
    return i == 0 ? f->url : "tcp://127.0.0.1:0";
}

static void a_dialled_peer_talks_to_listening_sockets_of_nng(void **state)
{
    (void)state;
    uint8_t *data = large();
    for (size_t i = 0; i < 2; i++) {
        sp_fixture f;
        sp_ear pair = {0}, push = {0}, sub = {0}, req = {0};
        char bound[SP_URL_SIZE];
        sp_fixture_open(&f);

        nng_socket n = open_at(nng_pair0_open, listening_url(&f, i), bound);
        sp_peer *p = dial(&f, &pair, SP_PAIR, bound);
        send_text(p, "to nng");
        expect(&f, n, "to nng", 6);
        put(&f, n, data, LARGE);
        until(&f, pair.bytes == LARGE);
        sp_peer_close(p);
        nng_close(n);

        n = open_at(nng_pull0_open, listening_url(&f, i), bound);
        p = dial(&f, &push, SP_PUSH, bound);
        send_text(p, "pushed");
        expect(&f, n, "pushed", 6);
        sp_peer_close(p);
        nng_close(n);

        n = open_at(nng_pub0_open, listening_url(&f, i), bound);
        p = dial(&f, &sub, SP_SUB, bound);
        until(&f, nng_send(n, "news", 4, 0) == 0 && sub.messages > 0); /* nng may still be adding the pipe */
        assert_heard("news", &sub);
        nng_close(n);
        until(&f, sub.closed == 1);

        n = open_at(nng_rep0_open, listening_url(&f, i), bound);
        p = dial(&f, &req, SP_REQ, bound);
        assert_status(LOOM_OK, sp_peer_send(p, (loom_bytes[]){{(const uint8_t *)"\x80\0\0\1", 4}, {data, 9}}, 2));
        expect(&f, n, data, 9);
        put(&f, n, "answer", 6);
        until(&f, req.messages == 1);
        assert_int_equal(10, req.last_len);
        assert_memory_equal("\x80\0\0\1answer", req.last, 10);
        sp_peer_close(p);
        nng_close(n);
        sp_fixture_close(&f);
    }
    free(data);
}

static void many_sockets_of_nng_come_and_go(void **state)
{
    (void)state;
    enum { PEERS = 64 };
    sp_fixture f;
    sp_ear server = {0};
    nng_socket n[PEERS];
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    for (size_t i = 0; i < PEERS; i++) {
        n[i] = open_to(nng_push0_open, f.url);
    }
    for (size_t k = 0; k < 20; k++) {
        for (size_t i = 0; i < PEERS; i++) {
            put(&f, n[i], "hello", 5);
        }
    }
    until(&f, server.messages == PEERS * 20);
    for (size_t i = 0; i < PEERS; i++) {
        nng_close(n[i]);
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    until(&f, server.closed == PEERS);
    assert_int_equal(0, sp_server_get_stats(s).malformed);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void a_socket_of_nng_comes_back_to_a_new_server(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear first = {0}, second = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &first, SP_PULL, NULL);
    nng_socket n = open_to(nng_push0_open, f.url);
    put(&f, n, "one", 3);
    until(&f, first.messages == 1);
    serve_no_more(&f, s);
    s = serve(&f, &second, SP_PULL, NULL);
    until(&f, second.opened == 1);
    put(&f, n, "two", 3);
    until(&f, second.messages == 1);
    nng_close(n);
    until(&f, second.closed == 1);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void a_socket_of_nng_with_another_protocol_is_refused(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0};
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    nng_socket n = open_to(nng_sub0_open, f.url);
    until(&f, sp_server_get_stats(s).refused > 0);
    assert_non_null(strstr(server.log, "it speaks SUB (0x21) where PUSH is needed"));
    assert_int_equal(0, server.opened);
    nng_close(n);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_push_socket_of_nng_is_heard),
        cmocka_unit_test(a_req_socket_of_nng_is_answered),
        cmocka_unit_test(a_sub_socket_of_nng_hears_what_it_asked_for),
        cmocka_unit_test(a_pair_socket_of_nng_talks_both_ways),
        cmocka_unit_test(a_dialled_peer_talks_to_listening_sockets_of_nng),
        cmocka_unit_test(many_sockets_of_nng_come_and_go),
        cmocka_unit_test(a_socket_of_nng_comes_back_to_a_new_server),
        cmocka_unit_test(a_socket_of_nng_with_another_protocol_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nng_fini();
    return failed;
}
