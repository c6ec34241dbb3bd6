/* SPDX-License-Identifier: Apache-2.0 */
/* One connection that asks a lot takes no more than its turn, and no room that others need. */
#include <stdlib.h>

#include "tests/unit/host/http/http_peer.h"

enum { BODY_MAX = 1024 * 1024, MANY = 2000 };

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
    enum { PART = 200 * 1024 };
    fixture f;
    http_peer large[2];
    char *part = malloc(PART);
    memset(part, 'x', PART);
    start(&f, &(http_server_options){.bodies_max = 256 * 1024});
    for (size_t i = 0; i < 2; i++) {
        http_peer_open(&large[i], &f.home.loop, f.home.port);
        http_peer_say(&large[i], "POST /one HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n");
        http_peer_send(&large[i], part, PART);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_that_wait_behind_each_other_are_all_answered_in_turns),
        cmocka_unit_test(a_server_may_end_while_some_wait_for_their_turn),
        cmocka_unit_test(large_bodies_keep_no_small_one_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
