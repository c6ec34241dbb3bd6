/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that come bit by bit, clients that leave before theirs, routes below a path, and who is let in. */
#include "tests/unit/host/http/http_peer.h"

#include <signal.h>
#include <stdlib.h>

enum { LARGE = 4 * 1024 * 1024, HUGE = 16 * 1024 * 1024 /* more than sockets take from who does not read */ };

typedef struct fixture {
    http_home home;
    http_stream *stream;
    http_request *held;
    size_t sent, closed, left, asked;
    char rest[64];
    uint8_t *large;
} fixture;

static void on_sent(void *user)
{
    ((fixture *)user)->sent++;
}

static void on_closed(void *user)
{
    fixture *f = user;
    f->closed++;
    f->stream = NULL;
}

static void on_stream(void *user, http_request *r)
{
    static const http_stream_events events = {.sent = on_sent, .closed = on_closed};
    static const http_field fields[] = {{"X-Good", {"yes", 3}}, {"X-Split", {"a\r\nX-Evil: 1", 12}}};
    fixture *f = user;
    f->stream = http_request_answer_stream(r, &(http_answer){.status = 200, .content_type = "text/plain", .fields = fields,
                                                             .field_count = 2}, &events, f);
}

static void on_left(void *user)
{
    ((fixture *)user)->left++;
}

static void on_later(void *user, http_request *r)
{
    fixture *f = user;
    f->held = r;
    http_request_on_left(r, on_left, f);
}

static void on_below(void *user, http_request *r)
{
    fixture *f = user;
    snprintf(f->rest, sizeof f->rest, "%.*s?%.*s", (int)http_request_rest(r).len, http_request_rest(r).data,
             (int)http_request_query(r).len, http_request_query(r).data != NULL ? http_request_query(r).data : "");
    http_request_answer_text(r, 200, "below");
}

static uint16_t admit(void *user, const http_request *r, const char **why)
{
    (void)user;
    *why = "not you";
    return http_request_field(r, "X-Stranger") != NULL ? 403 : 0;
}

static void on_options(void *user, http_request *r)
{
    (void)user;
    const http_field allow = {"Allow", {http_request_allow(r), strlen(http_request_allow(r))}};
    http_request_answer(r, &(http_answer){.status = 204, .fields = &allow, .field_count = 1});
}

static void on_large(void *user, http_request *r)
{
    fixture *f = user;
    f->asked++;
    http_request_answer(r, &(http_answer){.status = 200, .content_type = "text/plain", .body = {f->large, HUGE}});
}

static const http_route routes[] = {
    {.method = "GET", .path = "/large", .handle = on_large},
    {.method = "GET", .path = "/stream", .handle = on_stream},
    {.method = "GET", .path = "/later", .handle = on_later},
    {.method = "GET", .path = "/below/", .below = true, .handle = on_below},
    {.method = "POST", .path = "/below/", .below = true, .handle = on_below},
};

static void start_with(fixture *f, const http_server_options *options)
{
    *f = (fixture){0};
    http_home_open(&f->home, options);
    http_home_listen(&f->home, "http", &(http_listen_options){.routes = routes, .route_count = sizeof routes / sizeof routes[0], .body_max = 100, .admit = admit,
                                                              .options = on_options, .user = f});
}

static void start(fixture *f)
{
    start_with(f, NULL);
}

static void stop(fixture *f)
{
    http_home_close(&f->home);
    free(f->large);
}

#define HOST "Host: 127.0.0.1\r\n"

static void assert_answer(fixture *f, const char *request, const char *start_of_it, const char *part)
{
    char *answer = http_peer_ask(&f->home.loop, f->home.port, request);
    assert_int_equal(0, strncmp(answer, start_of_it, strlen(start_of_it)));
    assert_non_null(strstr(answer, part));
    free(answer);
}

static void a_body_may_come_bit_by_bit(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /stream HTTP/1.1\r\n" HOST "\r\nGET /later HTTP/1.1\r\n" HOST "\r\n");
    http_peer_wait_for(&p, "\r\n\r\n");
    assert_non_null(strstr(p.heard, "Connection: close\r\n"));
    assert_null(strstr(p.heard, "Content-Length"));
    http_stream_send(f.stream, (const uint8_t *)"one", 3);
    http_peer_wait_for(&p, "one");
    http_stream_send(f.stream, (const uint8_t *)"two", 3);
    http_peer_wait_for(&p, "two");
    assert_int_equal(2, f.sent);
    http_stream_close(f.stream, HTTP_CLOSE_NORMAL);
    http_peer_wait_end(&p);
    turn_until(&f.home.loop, f.closed == 1);
    assert_null(f.held); /* what came behind it is not answered */
    http_peer_close(&p);
    stop(&f);
}

static void readers_who_do_not_read_cost_no_more_than_the_limit(void **state)
{
    (void)state;
    enum { READERS = 3 };
    fixture f;
    http_peer readers[READERS], p;
    start_with(&f, &(http_server_options){.answers_max = READERS * (size_t)HUGE});
    f.large = calloc(1, HUGE);
    for (size_t i = 0; i < READERS; i++) {
        http_peer_open(&readers[i], &f.home.loop, f.home.port);
        http_peer_say(&readers[i], "GET /large HTTP/1.1\r\n" HOST "\r\n");
        turn_until(&f.home.loop, f.asked == i + 1);
    }
    assert_answer(&f, "GET /large HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n", "Retry-After: 1\r\n");
    assert_int_equal(1, http_server_get_counts(f.home.server).crowded);
    assert_answer(&f, "GET /below/a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n", "below"); /* it is small */
    http_peer_close(&readers[0]); /* gone, and so is what waited for it */
    http_peer_open(&p, &f.home.loop, f.home.port);
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).connections == READERS);
    http_peer_say(&p, "GET /large HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    http_peer_wait_end(&p);
    assert_true(p.len > HUGE);
    http_peer_say(&readers[1], "GET /large HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    http_peer_wait_end(&readers[1]); /* one that reads on gets both of its answers */
    assert_true(readers[1].len > 2 * (size_t)HUGE);
    for (size_t i = 1; i < READERS; i++) {
        http_peer_close(&readers[i]);
    }
    http_peer_close(&p);
    stop(&f);
}

static void a_reader_who_takes_nothing_is_cut_off(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start_with(&f, &(http_server_options){.send_ms = 100});
    f.large = calloc(1, HUGE);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).late == 1);
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).connections == 0);
    http_peer_close(&p);
    stop(&f);
}

static void a_field_cannot_bring_another(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    http_peer_wait_for(&p, "\r\n\r\n");
    assert_non_null(strstr(p.heard, "X-Good: yes\r\n"));
    assert_null(strstr(p.heard, "X-Split"));
    assert_null(strstr(p.heard, "X-Evil"));
    http_peer_close(&p);
    turn_until(&f.home.loop, f.closed == 1);
    stop(&f);
}

static void a_reader_of_a_stream_that_takes_its_time_gets_everything(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    f.large = malloc(LARGE);
    assert_non_null(f.large);
    memset(f.large, 'x', LARGE);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    turn_until(&f.home.loop, f.stream != NULL);
    http_stream_send(f.stream, f.large, LARGE);
    assert_true(http_stream_unsent(f.stream) > 0);
    turn_until(&f.home.loop, http_peer_hear(&p) && f.sent == 1);
    http_stream_close(f.stream, HTTP_CLOSE_NORMAL);
    http_peer_wait_end(&p);
    assert_true(p.len > LARGE);
    http_peer_close(&p);
    stop(&f);
}

static void a_client_that_leaves_before_its_answer_is_noticed(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    turn_until(&f.home.loop, f.held != NULL);
    assert_int_equal(0, f.left);
    http_peer_close(&p);
    turn_until(&f.home.loop, f.left == 1);
    http_request_answer_text(f.held, 200, "nobody hears it");
    http_peer_open(&p, &f.home.loop, f.home.port); /* one that is answered has not left */
    http_peer_say(&p, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    f.held = NULL;
    turn_until(&f.home.loop, f.held != NULL);
    http_request_answer_text(f.held, 200, "here");
    http_peer_wait_for(&p, "here");
    http_peer_close(&p);
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).connections == 0);
    assert_int_equal(1, f.left);
    stop(&f);
}

static void a_route_takes_what_is_below_its_path(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    assert_answer(&f, "GET /below/a/b%20c?x=1 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 200", "below");
    assert_string_equal("a/b%20c?x=1", f.rest);
    assert_answer(&f, "GET /below/ HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 404", "nothing at this path");
    assert_answer(&f, "GET /below HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 404", "nothing at this path");
    assert_answer(&f, "PUT /below/a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 405", "Allow: GET, HEAD, POST, OPTIONS\r\n");
    stop(&f);
}

static void options_are_answered_for_what_is_there(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    assert_answer(&f, "OPTIONS /below/a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 204", "Allow: GET, HEAD, POST, OPTIONS\r\n");
    assert_answer(&f, "OPTIONS /else HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 404", "nothing at this path");
    stop(&f);
}

static void who_is_not_admitted_reaches_no_route(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    assert_answer(&f, "GET /below/a HTTP/1.1\r\nX-Stranger: 1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 403", "not you");
    assert_string_equal("", f.rest);
    stop(&f);
}

static void closing_the_server_ends_streams_and_tells_who_waits(void **state)
{
    (void)state;
    fixture f;
    http_peer p, q;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_open(&q, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    http_peer_say(&q, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    turn_until(&f.home.loop, f.stream != NULL && f.held != NULL);
    stop(&f);
    assert_int_equal(1, f.closed);
    assert_int_equal(1, f.left);
    http_request_answer_text(f.held, 200, "too late");
    http_peer_close(&p);
    http_peer_close(&q);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_may_come_bit_by_bit),
        cmocka_unit_test(readers_who_do_not_read_cost_no_more_than_the_limit),
        cmocka_unit_test(a_reader_who_takes_nothing_is_cut_off),
        cmocka_unit_test(a_field_cannot_bring_another),
        cmocka_unit_test(a_reader_of_a_stream_that_takes_its_time_gets_everything),
        cmocka_unit_test(a_client_that_leaves_before_its_answer_is_noticed),
        cmocka_unit_test(a_route_takes_what_is_below_its_path),
        cmocka_unit_test(options_are_answered_for_what_is_there),
        cmocka_unit_test(who_is_not_admitted_reaches_no_route),
        cmocka_unit_test(closing_the_server_ends_streams_and_tells_who_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
