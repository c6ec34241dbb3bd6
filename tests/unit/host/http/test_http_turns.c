/* SPDX-License-Identifier: Apache-2.0 */
/* One connection that asks a lot takes no more than its turn, and no room that others need. */
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/unit/host/http/http_peer.h"

enum { BODY_MAX = 1024 * 1024, MANY = 2000, PART = 256 * 1024, SENDERS = 8, TURN = 64 * 1024, SMALL = 4 * 1024 };

#define HOST "Host: 127.0.0.1\r\n"

typedef struct fixture {
    http_home home;
    size_t many, one;   /* requests handled, by path */
    size_t many_at_one; /* how many of the many there were when the first of the others came */
    size_t body;        /* bytes of the last */
} fixture;

static void on_many(void *user, http_request *r)
{
    ((fixture *)user)->many++;
    http_request_answer_text(r, 200, "many");
}

static void on_one(void *user, http_request *r)
{
    fixture *f = user;
    f->many_at_one = f->one++ == 0 ? f->many : f->many_at_one;
    f->body = http_request_body(r).len;
    http_request_answer_text(r, 200, "one");
}

static const http_route routes[] = {
    {.method = "GET", .path = "/many", .handle = on_many},
    {.method = "POST", .path = "/one", .handle = on_one},
};

static void start(fixture *f, const http_server_options *options)
{
    *f = (fixture){0};
    http_home_open(&f->home, options);
    http_home_listen(&f->home, "http", &(http_listen_options){.routes = routes, .route_count = 2, .body_max = BODY_MAX, .user = f});
}

/* In one write, as far as the socket takes it. */
static void ask_many(http_peer *p)
{
    static const char text[] = "GET /many HTTP/1.1\r\n" HOST "\r\n";
    char *all = malloc(MANY * sizeof text);
    size_t len = 0;
    for (size_t i = 0; i < MANY; i++, len += sizeof text - 1) {
        memcpy(all + len, text, sizeof text - 1);
    }
    http_peer_send(p, all, len);
    free(all);
}

static size_t count_answers(const http_peer *p)
{
    size_t count = 0;
    for (const char *at = p->heard; at != NULL && (at = strstr(at, "HTTP/1.1 200 OK")) != NULL; at++) {
        count++;
    }
    return count;
}

static void requests_that_wait_behind_each_other_are_all_answered_in_turns(void **state)
{
    (void)state;
    fixture f;
    http_peer many, one;
    start(&f, NULL);
    http_peer_open(&many, &f.home.loop, f.home.port);
    http_peer_open(&one, &f.home.loop, f.home.port);
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).connections == 2);
    http_peer_say(&one, "POST /one HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    ask_many(&many);
    turn_until(&f.home.loop, f.one == 1);
    assert_in_range(f.many_at_one, 0, 100);
    turn_until(&f.home.loop, http_peer_hear(&many) && f.many == MANY && count_answers(&many) == MANY);
    http_peer_close(&many);
    http_peer_close(&one);
    http_home_close(&f.home);
}

static void a_server_may_end_while_some_wait_for_their_turn(void **state)
{
    (void)state;
    fixture f;
    http_peer p[3];
    start(&f, NULL);
    for (size_t i = 0; i < 3; i++) {
        http_peer_open(&p[i], &f.home.loop, f.home.port);
        ask_many(&p[i]);
    }
    turn_until(&f.home.loop, f.many > 10);
    http_peer_close(&p[1]); /* one leaves */
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).connections < 3);
    http_home_close(&f.home);
    http_peer_close(&p[0]);
    http_peer_close(&p[2]);
}

static void large_bodies_keep_no_small_one_out(void **state)
{
    (void)state;
    enum { SOME = 200 * 1024 };
    fixture f;
    http_peer large[2];
    char *part = malloc(SOME);
    memset(part, 'x', SOME);
    start(&f, &(http_server_options){.bodies_max = 256 * 1024});
    for (size_t i = 0; i < 2; i++) {
        http_peer_open(&large[i], &f.home.loop, f.home.port);
        http_peer_say(&large[i], "POST /one HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n");
        http_peer_send(&large[i], part, SOME);
    }
    http_peer_wait_for(&large[1], "HTTP/1.1 503 Service Unavailable\r\n");
    char *answer = http_peer_ask(&f.home.loop, f.home.port, "POST /one HTTP/1.1\r\n" HOST "Content-Length: 5\r\nConnection: close\r\n\r\nhello");
    assert_non_null(strstr(answer, "200 OK"));
    assert_int_equal(5, f.body);
    free(answer);
    free(part);
    http_peer_close(&large[0]);
    http_peer_close(&large[1]);
    http_home_close(&f.home);
}

/* ---- what a turn reads ---- */

typedef struct senders {
    http_peer peers[SENDERS];
    size_t left[SENDERS]; /* of their bodies */
    uint8_t part[PART];
} senders;

static void open_senders(senders *s, fixture *f, const char *framing)
{
    memset(s->part, 'x', sizeof s->part);
    for (size_t i = 0; i < SENDERS; i++) {
        http_peer_open(&s->peers[i], &f->home.loop, f->home.port);
        http_peer_say(&s->peers[i], "POST /one HTTP/1.1\r\n" HOST);
        http_peer_say(&s->peers[i], framing);
        s->left[i] = PART;
    }
}

/* As much as the sockets take without waiting. */
static void send_more(senders *s)
{
    for (size_t i = 0; i < SENDERS; i++) {
        const ssize_t sent = s->left[i] > 0 ? send(s->peers[i].fd, s->part, s->left[i], MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        s->left[i] -= sent > 0 ? (size_t)sent : 0;
    }
}

static void close_senders(senders *s)
{
    for (size_t i = 0; i < SENDERS; i++) {
        http_peer_close(&s->peers[i]);
    }
}

static uint64_t read_so_far(const fixture *f)
{
    return http_server_get_counts(f->home.server).bytes;
}

static void a_turn_reads_no_more_of_many_large_bodies_than_of_one(void **state)
{
    (void)state;
    fixture f;
    senders *s = calloc(1, sizeof *s);
    start(&f, NULL);
    open_senders(s, &f, "Content-Length: 262144\r\n\r\n");
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).connections == SENDERS);
    for (uint64_t before = read_so_far(&f); f.one < SENDERS; before = read_so_far(&f)) {
        send_more(s);
        uv_run(&f.home.loop, UV_RUN_NOWAIT);
        assert_in_range(read_so_far(&f) - before, 0, TURN + (SENDERS + 1) * SMALL);
    }
    assert_int_equal(PART, f.body); /* and each is read to its end */
    close_senders(s);
    free(s);
    http_home_close(&f.home);
}

static void who_asks_little_is_answered_between_any_two_turns_of_large_bodies(void **state)
{
    (void)state;
    enum { ASKED = 50 };
    fixture f;
    http_peer little;
    senders *s = calloc(1, sizeof *s);
    start(&f, NULL);
    http_peer_open(&little, &f.home.loop, f.home.port);
    open_senders(s, &f, "Content-Length: 4000000000\r\n\r\n"); /* refused, and they go on */
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).invalid == SENDERS);
    const uint64_t before = read_so_far(&f);
    uint64_t ms = 0, at = 0;
    for (size_t i = 1; i <= ASKED; i++) {
        http_peer_say(&little, "GET /many HTTP/1.1\r\n" HOST "\r\n");
        while (f.many < i) {
            for (size_t k = 0; k < SENDERS; k++) {
                s->left[k] = PART; /* without an end */
            }
            send_more(s);
            if (uv_now(&f.home.loop) != ms) {
                ms = uv_now(&f.home.loop);
                at = read_so_far(&f);
            }
            uv_run(&f.home.loop, UV_RUN_NOWAIT);
            if (i > 1) { /* beside them large bodies have their turn once a millisecond, whatever the turns; two at a change of it */
                assert_in_range(read_so_far(&f) - at, 0, 2 * (TURN + (SENDERS + 1) * SMALL));
            }
        }
    }
    assert_in_range(read_so_far(&f) - before, 0, ASKED * 2 * (TURN + (SENDERS + 1) * SMALL));
    close_senders(s);
    http_peer_close(&little);
    free(s);
    http_home_close(&f.home);
}

static void who_does_not_read_is_not_answered_until_megabytes_wait(void **state)
{
    (void)state;
    const int small = 4096;
    fixture f;
    http_peer p;
    start(&f, &(http_server_options){.send_ms = 300});
    http_peer_open(&p, &f.home.loop, f.home.port);
    (void)setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).connections == 1);
    for (size_t i = 0; i < 20 && http_server_get_counts(f.home.server).late == 0; i++) {
        ask_many(&p); /* until it is cut off */
    }
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).late == 1);
    assert_in_range(f.many, 1, 3000); /* 64 KiB, the client's window, and what the kernel rounds up, of some 130 bytes each */
    http_peer_close(&p);
    http_home_close(&f.home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_that_wait_behind_each_other_are_all_answered_in_turns),
        cmocka_unit_test(a_server_may_end_while_some_wait_for_their_turn),
        cmocka_unit_test(large_bodies_keep_no_small_one_out),
        cmocka_unit_test(a_turn_reads_no_more_of_many_large_bodies_than_of_one),
        cmocka_unit_test(who_asks_little_is_answered_between_any_two_turns_of_large_bodies),
        cmocka_unit_test(who_does_not_read_is_not_answered_until_megabytes_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
