/* SPDX-License-Identifier: Apache-2.0 */
/* Out of memory, and how much of it peers cost. */
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/host/sp/sp_fixture.h"

static loom_status listens(void *user)
{
    sp_fixture *f = user;
    sp_ear ear = {0};
    sp_options o = ear_options(&ear, SP_PULL);
    sp_server *s;
    loom_status st = sp_listen(&s, &f->loop, f->url, &o);
    sp_server_close(s, NULL, NULL);
    until(f, !uv_loop_alive(&f->loop));
    assert_int_equal(-1, access(f->url + 6, F_OK));
    return st;
}

static void listening_survives_every_failed_allocation(void **state)
{
    (void)state;
    sp_fixture f;
    sp_fixture_open(&f);
    assert_true(alloc_fault_each(listens, &f) >= 3);
    sp_fixture_close(&f);
}

static loom_status dials(void *user)
{
    sp_fixture *f = user;
    sp_ear ear = {0};
    sp_options o = ear_options(&ear, SP_PUSH);
    sp_peer *p;
    loom_status st = sp_dial(&p, &f->loop, "tcp://127.0.0.1:1", &o, 0);
    until(f, !uv_loop_alive(&f->loop));
    assert_int_equal(st == LOOM_OK, ear.closed);
    return st;
}

static void dialling_survives_every_failed_allocation(void **state)
{
    (void)state;
    sp_fixture f;
    sp_fixture_open(&f);
    assert_true(alloc_fault_each(dials, &f) >= 3);
    sp_fixture_close(&f);
}

/* A server with a peer, made anew for each run, so that no piece is left over from the last. */
typedef struct couple {
    sp_fixture f;
    sp_ear server, client;
    sp_protocol protocol;
    sp_server *s;
    sp_peer *p;
} couple;

static void couple_open(couple *c, sp_protocol server)
{
    memset(c, 0, sizeof *c);
    sp_fixture_open(&c->f);
    c->s = serve(&c->f, &c->server, server, NULL);
    c->p = dial(&c->f, &c->client, (sp_protocol)sp_counterpart(server), NULL);
    until(&c->f, c->server.opened == 1);
}

static void couple_close(couple *c)
{
    if (c->client.closed == 0) {
        sp_peer_close(c->p);
    }
    serve_no_more(&c->f, c->s);
    sp_fixture_close(&c->f);
}

static void with_failing(size_t n, bool *failed, loom_status (*call)(couple *c), sp_protocol protocol)
{
    couple c;
    couple_open(&c, protocol);
    alloc_fault_arm(n);
    loom_status st = call(&c);
    *failed = alloc_fault_disarm();
    assert_status(*failed ? LOOM_ENOMEM : LOOM_OK, st);
    if (*failed) {
        assert_status(LOOM_OK, call(&c)); /* and nothing is out of step */
    }
    until(&c.f, c.server.messages + c.client.messages == 1);
    assert_int_equal(100000, c.server.bytes + c.client.bytes);
    couple_close(&c);
}

static loom_status sends(couple *c)
{
    static const uint8_t data[100000];
    return sp_peer_send(c->p, &BYTES(data), 1);
}

static loom_status publishes(couple *c)
{
    static const uint8_t data[100000];
    return sp_server_publish(c->s, &BYTES(data), 1);
}

static void sending_survives_every_failed_allocation(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        with_failing(n, &failed, sends, SP_PULL);
        assert_true(n > 0 || failed);
    }
    failed = true;
    for (size_t n = 0; failed; n++) {
        with_failing(n, &failed, publishes, SP_PUB);
        assert_true(n > 0 || failed);
    }
}

/* Whichever allocation fails on the way, at most the connection ends, and the next one works. */
static void receiving_survives_every_failed_allocation(void **state)
{
    (void)state;
    static const uint8_t data[300000];
    bool failed = true;
    size_t n = 0;
    for (; failed; n++) {
        sp_fixture f;
        sp_ear server = {0}, other = {0};
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_PULL, NULL);
        int fd = raw_open(&f, f.url);
        alloc_fault_arm(n);
        uint8_t start[SP_GREETING_SIZE + SP_HEADER_MAX];
        sp_greeting(start, SP_PUSH);
        sp_header(start + SP_GREETING_SIZE, true, sizeof data);
        size_t sent = 0;
        uint64_t end = wait_now_ms() + SP_DEADLINE_MS;
        while (server.messages == 0 && server.closed == 0 && sp_server_get_stats(s).refused == 0) {
            const uint8_t *at = sent < sizeof start ? start + sent : data + sent - sizeof start;
            size_t left = sent < sizeof start ? sizeof start - sent : sizeof start + sizeof data - sent;
            ssize_t some = left > 0 ? write(fd, at, left > 1000 ? 1000 : left) : 0;
            sent += some > 0 ? (size_t)some : 0;
            uv_run(&f.loop, UV_RUN_NOWAIT);
            assert_true(wait_now_ms() < end);
        }
        failed = alloc_fault_disarm();
        assert_int_equal(failed ? 0 : 1, server.messages);
        assert_true(server.closed == 0 || server.status == LOOM_ENOMEM);
        close(fd);
        sp_peer *p = dial(&f, &other, SP_PUSH, NULL);
        send_text(p, "next");
        size_t before = server.messages;
        until(&f, server.messages == before + 1);
        sp_peer_close(p);
        serve_no_more(&f, s);
        sp_fixture_close(&f);
    }
    assert_true(n > 4);
}

static void an_idle_peer_costs_less_than_2_kib(void **state)
{
    (void)state;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their allocators do not count */
    enum { PEERS = 100 };
    sp_fixture f;
    sp_ear server = {.echo = true};
    int fds[PEERS];
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PAIR, NULL);
    int fd = raw_open(&f, f.url); /* what is needed once is there */
    raw_greet(&f, fd, SP_PAIR);
    raw_message(&f, fd, "hello", 5);
    until(&f, server.messages == 1);
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < PEERS; i++) {
        fds[i] = raw_open(&f, f.url);
        raw_greet(&f, fds[i], SP_PAIR);
        raw_message(&f, fds[i], "hello", 5);
        until(&f, server.messages == i + 2);
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    assert_in_range(mallinfo2().uordblks - before, 1, PEERS * 2048);
    close(fd);
    for (size_t i = 0; i < PEERS; i++) {
        close(fds[i]);
    }
    until(&f, server.closed == PEERS + 1);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listening_survives_every_failed_allocation),
        cmocka_unit_test(dialling_survives_every_failed_allocation),
        cmocka_unit_test(sending_survives_every_failed_allocation),
        cmocka_unit_test(receiving_survives_every_failed_allocation),
        cmocka_unit_test(an_idle_peer_costs_less_than_2_kib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
