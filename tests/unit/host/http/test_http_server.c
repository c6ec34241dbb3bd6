/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers over real sockets, with clients that say too little, too much, too slowly, or nothing. */
#include "base/url.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/host/http/http_peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE = 8 * 1024 * 1024, BODY_MAX = 100 };

typedef struct fixture {
    http_home home;
    http_request *held;       /* by /later */
    size_t handled;
    char last_body[BODY_MAX + 1];
    uint8_t *large;
} fixture;

static void on_echo(void *user, http_request *r)
{
    fixture *f = user;
    loom_bytes body = http_request_body(r);
    f->handled++;
    memcpy(f->last_body, body.data != NULL ? body.data : (const uint8_t *)"", body.len);
    f->last_body[body.len] = '\0';
    http_request_answer(r, &(http_answer){.status = 200, .content_type = "text/plain", .body = body});
}

static void on_later(void *user, http_request *r)
{
    fixture *f = user;
    f->handled++;
    f->held = r;
}

static void on_large(void *user, http_request *r)
{
    fixture *f = user;
    http_request_answer(r, &(http_answer){.status = 200, .content_type = "text/plain", .body = {f->large, LARGE}});
}

static const http_route routes[] = {
    {.method = "GET", .path = "/echo", .handle = on_echo},
    {.method = "POST", .path = "/echo", .handle = on_echo},
    {.method = "GET", .path = "/later", .handle = on_later},
    {.method = "GET", .path = "/large", .handle = on_large},
};

static void start_with(fixture *f, const http_server_options *options, size_t max_connections)
{
    *f = (fixture){0};
    http_home_open(&f->home, options);
    http_home_listen(&f->home, "http", &(http_listen_options){.routes = routes, .route_count = sizeof routes / sizeof routes[0],
                                                              .body_max = BODY_MAX, .max_connections = max_connections, .user = f});
}

static void start(fixture *f)
{
    start_with(f, NULL, 0);
}

static void stop(fixture *f)
{
    http_home_close(&f->home);
    free(f->large);
}

static char *ask(fixture *f, const char *text)
{
    return http_peer_ask(&f->home.loop, f->home.port, text);
}

static void assert_answer(fixture *f, const char *request, const char *start_of_it, const char *part)
{
    char *answer = ask(f, request);
    if (strncmp(answer, start_of_it, strlen(start_of_it)) != 0 || strstr(answer, part) == NULL) {
        print_error("to %s\ncame %s\n", request, answer);
        fail();
    }
    free(answer);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    return count;
}

#define HOST "Host: 127.0.0.1\r\n"

/* ---- requests ---- */

static void a_request_is_answered_and_its_connection_kept(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    for (size_t i = 1; i <= 3; i++) {
        http_peer_say(&p, "POST /echo?x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
        turn_until(&f.home.loop, http_peer_hear(&p) && count_of(p.heard, "hello") == i);
    }
    assert_false(p.over);
    assert_int_equal(3, count_of(p.heard, "HTTP/1.1 200 OK\r\nDate: "));
    assert_int_equal(3, count_of(p.heard, "Content-Length: 5\r\n"));
    assert_int_equal(1, http_server_get_counts(f.home.server).accepted);
    http_peer_close(&p);
    stop(&f);
}

static void requests_that_come_at_once_are_answered_in_their_order(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    char all[20000] = "";
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    for (size_t i = 0; i < 100; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n<%02zu>", i);
    }
    http_peer_say(&p, all);
    http_peer_wait_for(&p, "<99>");
    const char *at = p.heard;
    for (size_t i = 0; i < 100; i++) {
        char expected[8];
        snprintf(expected, sizeof expected, "<%02zu>", i);
        at = strstr(at, expected);
        assert_non_null(at);
    }
    http_peer_close(&p);
    stop(&f);
}

static void requests_behind_one_that_is_answered_later_wait(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /later HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\nGET /later HTTP/1.1\r\n" HOST "\r\n");
    turn_until(&f.home.loop, f.held != NULL);
    assert_int_equal(1, f.handled);
    http_request *first = f.held;
    f.held = NULL;
    http_request_answer_text(first, 200, "first");
    turn_until(&f.home.loop, f.held != NULL);
    assert_int_equal(3, f.handled);
    http_request_answer_text(f.held, 200, "second");
    http_peer_wait_for(&p, "second");
    assert_true(strstr(p.heard, "first") < strstr(p.heard, "second"));
    http_peer_close(&p);
    stop(&f);
}

static void a_body_in_pieces_of_any_size_is_put_together(void **state)
{
    (void)state;
    fixture f;
    static const char *const texts[] = {
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\nhello world",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
    };
    start(&f);
    for (size_t i = 0; i < 2; i++) {
        for (size_t piece = 1; piece < 120; piece = piece * 2 + 1) {
            http_peer p;
            f.last_body[0] = '\0';
            http_peer_open(&p, &f.home.loop, f.home.port);
            http_peer_send_pieces(&p, texts[i], strlen(texts[i]), piece);
            http_peer_wait_for(&p, "hello world");
            assert_string_equal("hello world", f.last_body);
            http_peer_close(&p);
        }
    }
    stop(&f);
}

static void a_client_that_asks_whether_to_go_on_is_told(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    http_peer_wait_for(&p, "HTTP/1.1 100 Continue\r\n\r\n");
    http_peer_say(&p, "ok");
    http_peer_wait_for(&p, "HTTP/1.1 200 OK\r\n");
    http_peer_close(&p);
    assert_answer(&f, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2000\r\nExpect: 100-continue\r\n\r\n", "HTTP/1.1 413 ",
                  "too large");
    stop(&f);
}

static void head_is_answered_like_get_without_the_body(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    f.large = calloc(1, LARGE);
    char *answer = ask(&f, "HEAD /large HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    assert_non_null(strstr(answer, "Content-Length: 8388608\r\n"));
    assert_string_equal("\r\n\r\n", answer + strlen(answer) - 4);
    free(answer);
    stop(&f);
}

static void what_cannot_be_served_is_answered_with_its_status(void **state)
{
    (void)state;
    fixture f;
    char large[20000];
    start(&f);
    assert_answer(&f, "nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "Connection: close\r\n");
    assert_answer(&f, "GET /nowhere HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 404 Not Found\r\n", "nothing at this path");
    assert_answer(&f, "DELETE /echo HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405 Method Not Allowed\r\n", "Allow: GET, HEAD, POST\r\n");
    assert_answer(&f, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n", "HTTP/1.1 413 Content Too Large\r\n",
                  "Connection: close\r\n");
    snprintf(large, sizeof large, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfff\r\n%0101d", 0);
    assert_answer(&f, large, "HTTP/1.1 413 ", "");
    assert_answer(&f, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx", "HTTP/1.1 400 ", "chunks");
    assert_answer(&f, "GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 505 ", "");
    snprintf(large, sizeof large, "GET /echo HTTP/1.1\r\n" HOST "A: %017000d\r\n\r\n", 0);
    assert_answer(&f, large, "HTTP/1.1 431 Request Header Fields Too Large\r\n", "too long");
    assert_int_equal(0, f.handled);
    stop(&f);
}

static void a_refusal_without_a_body_keeps_the_connection(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /nowhere HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n");
    http_peer_wait_for(&p, "200 OK");
    assert_non_null(strstr(p.heard, "404"));
    assert_null(strstr(p.heard, "Connection: close"));
    http_peer_close(&p);
    stop(&f);
}

static void a_client_gets_its_answer_though_it_goes_on_sending(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    char *body = calloc(1, 4 * 1024 * 1024);
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4194304\r\n\r\n");
    http_peer_send(&p, body, 4 * 1024 * 1024);
    http_peer_wait_for(&p, "HTTP/1.1 413 ");
    http_peer_close(&p);
    free(body);
    stop(&f);
}

static void bodies_are_bounded_together(void **state)
{
    (void)state;
    fixture f;
    http_peer p[5]; /* of which four have room: small ones have as much again */
    start_with(&f, &(http_server_options){.bodies_max = 140}, 0);
    for (size_t i = 0; i < 5; i++) {
        char part[60];
        memset(part, 'x', sizeof part);
        http_peer_open(&p[i], &f.home.loop, f.home.port);
        http_peer_say(&p[i], "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 61\r\n\r\n");
        http_peer_send(&p[i], part, sizeof part);
    }
    http_peer_wait_for(&p[4], "HTTP/1.1 503 Service Unavailable\r\n");
    http_peer_wait_for(&p[4], "Retry-After: 1\r\n");
    http_peer_say(&p[0], "x");
    http_peer_wait_for(&p[0], "200 OK");
    for (size_t i = 0; i < 5; i++) {
        http_peer_close(&p[i]);
    }
    stop(&f);
}

/* ---- deadlines ---- */

static void a_connection_that_says_nothing_is_closed(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start_with(&f, &(http_server_options){.handshake_ms = 50}, 0);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_wait_end(&p);
    assert_int_equal(0, p.len);
    assert_int_equal(1, http_server_get_counts(f.home.server).late);
    http_peer_close(&p);
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).connections == 0);
    stop(&f);
}

static void a_head_that_comes_slowly_is_answered_408(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start_with(&f, &(http_server_options){.handshake_ms = 100, .close_ms = 50}, 0);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /echo HTTP/1.1\r\nHost: x\r\n");
    for (uint64_t began = wait_now_ms(); !p.over && wait_now_ms() - began < HTTP_PEER_DEADLINE_MS;) {
        http_peer_say(&p, "A: b\r\n"); /* a byte now and then does not help */
        wait_pause();
    }
    assert_non_null(strstr(p.heard, "HTTP/1.1 408 Request Timeout\r\n"));
    http_peer_close(&p);
    stop(&f);
}

static void a_body_that_does_not_come_is_answered_408(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start_with(&f, &(http_server_options){.body_ms = 50}, 0);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhel");
    http_peer_wait_end(&p);
    assert_non_null(strstr(p.heard, "HTTP/1.1 408 "));
    http_peer_close(&p);
    stop(&f);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start_with(&f, &(http_server_options){.idle_ms = 50}, 0);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    http_peer_wait_end(&p);
    assert_int_equal(1, count_of(p.heard, "HTTP/1.1 "));
    http_peer_close(&p);
    stop(&f);
}

static void a_reader_that_takes_nothing_is_cut_off(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start_with(&f, &(http_server_options){.send_ms = 100}, 0);
    f.large = calloc(1, LARGE);
    http_peer_open(&p, &f.home.loop, f.home.port);
    int size = 4096;
    setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    static const char text[] = "GET /large HTTP/1.1\r\n" HOST "\r\n";
    assert_int_equal(sizeof text - 1, send(p.fd, text, sizeof text - 1, 0));
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).late == 1);
    http_peer_close(&p);
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).connections == 0);
    stop(&f);
}

static void a_reader_that_takes_its_time_gets_everything(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    f.large = malloc(LARGE);
    memset(f.large, 'x', LARGE);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    turn_until(&f.home.loop, http_peer_hear(&p) && p.len > LARGE);
    assert_true(count_of(p.heard + p.len - 10, "x") == 10);
    http_peer_close(&p);
    stop(&f);
}

/* ---- limits ---- */

static void silent_connections_make_room_for_those_that_speak(void **state)
{
    (void)state;
    enum { SILENT = 300 };
    fixture f;
    static http_peer silent[SILENT];
    start_with(&f, NULL, 8);
    for (size_t i = 0; i < SILENT; i++) {
        http_peer_open(&silent[i], &f.home.loop, f.home.port);
        uv_run(&f.home.loop, UV_RUN_NOWAIT);
    }
    assert_answer(&f, "GET /echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n", "");
    http_server_counts c = http_server_get_counts(f.home.server);
    assert_int_equal(0, c.refused);
    assert_true(c.displaced >= SILENT - 8);
    assert_true(c.connections <= 8);
    for (size_t i = 0; i < SILENT; i++) {
        http_peer_close(&silent[i]);
    }
    stop(&f);
}

static void busy_connections_keep_their_place(void **state)
{
    (void)state;
    fixture f;
    http_peer first, second;
    start_with(&f, NULL, 1);
    http_peer_open(&first, &f.home.loop, f.home.port);
    http_peer_say(&first, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    turn_until(&f.home.loop, f.held != NULL);
    http_peer_open(&second, &f.home.loop, f.home.port);
    http_peer_wait_end(&second);
    assert_non_null(strstr(second.heard, "HTTP/1.1 503 Service Unavailable\r\n"));
    assert_int_equal(1, http_server_get_counts(f.home.server).refused);
    http_request_answer_text(f.held, 200, "done");
    http_peer_wait_for(&first, "done");
    http_peer_close(&first);
    http_peer_close(&second);
    stop(&f);
}

static double processor_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void on_time(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Lets the loop run as a process would, sleeping in its poll. */
static void run_for(uv_loop_t *loop, uint64_t ms)
{
    uv_timer_t timer;
    uv_timer_init(loop, &timer);
    uv_timer_start(&timer, on_time, ms, 0);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
}

static void without_a_descriptor_connections_wait_and_nothing_spins(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    struct rlimit was, low;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port); /* in the backlog */
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &was));
    low = (struct rlimit){(rlim_t)p.fd + 1, was.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &low));
    double before = processor_seconds();
    static const char text[] = "GET /echo HTTP/1.1\r\n" HOST "\r\n";
    assert_int_equal(sizeof text - 1, send(p.fd, text, sizeof text - 1, 0));
    run_for(&f.home.loop, 1000);
    assert_true(processor_seconds() - before < 0.2);
    assert_int_equal(0, f.handled);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &was));
    http_peer_wait_for(&p, "200 OK");
    http_peer_close(&p);
    stop(&f);
}

static void without_a_descriptor_a_silent_connection_makes_room(void **state)
{
    (void)state;
    fixture f;
    http_peer silent, p;
    struct rlimit was, low;
    start(&f);
    http_peer_open(&silent, &f.home.loop, f.home.port);
    turn_until(&f.home.loop, http_server_get_counts(f.home.server).connections == 1);
    http_peer_open(&p, &f.home.loop, f.home.port);
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &was));
    low = (struct rlimit){(rlim_t)p.fd + 1, was.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &low));
    http_peer_say(&p, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    http_peer_wait_for(&p, "200 OK");
    assert_int_equal(1, http_server_get_counts(f.home.server).displaced);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &was));
    http_peer_close(&silent);
    http_peer_close(&p);
    stop(&f);
}

static void descriptors_above_the_limit_are_for_others(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start_with(&f, &(http_server_options){.descriptor_limit = 1}, 0);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_wait_end(&p);
    assert_non_null(strstr(p.heard, "HTTP/1.1 503 "));
    assert_int_equal(1, http_server_get_counts(f.home.server).refused);
    http_peer_close(&p);
    stop(&f);
}

/* ---- the end ---- */

static void an_answer_may_come_when_the_client_has_left(void **state)
{
    (void)state;
    fixture f;
    start_with(&f, &(http_server_options){.close_ms = 20}, 0);
    for (size_t i = 0; i < 2; i++) {
        http_peer p;
        http_peer_open(&p, &f.home.loop, f.home.port);
        http_peer_say(&p, "GET /later HTTP/1.1\r\n" HOST "\r\n");
        turn_until(&f.home.loop, f.held != NULL);
        http_peer_close(&p);
        http_request *held = f.held;
        f.held = NULL;
        if (i == 1) {
            stop(&f); /* the server is gone, too */
        }
        http_request_answer_text(held, 200, "late");
    }
}

static void closing_ends_connections_in_every_state(void **state)
{
    (void)state;
    static const char *const beginnings[] = {
        "", "GET", "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nx",
        "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", "nonsense\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\nx",
    };
    for (size_t turns = 0; turns < 6; turns++) {
        fixture f;
        http_peer peers[sizeof beginnings / sizeof beginnings[0]];
        start_with(&f, &(http_server_options){.close_ms = 20}, 0);
        f.large = calloc(1, LARGE);
        for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
            http_peer_open(&peers[i], &f.home.loop, f.home.port);
            assert_int_equal(strlen(beginnings[i]), send(peers[i].fd, beginnings[i], strlen(beginnings[i]), 0));
        }
        for (size_t i = 0; i < turns; i++) {
            uv_run(&f.home.loop, UV_RUN_NOWAIT);
        }
        stop(&f);
        for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
            http_peer_close(&peers[i]);
        }
    }
}

static void a_server_that_stops_listening_answers_what_it_has(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_say(&p, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    turn_until(&f.home.loop, f.held != NULL);
    http_server_stop_listening(f.home.server);
    http_request_answer_text(f.held, 200, "the last");
    http_peer_wait_end(&p);
    assert_non_null(strstr(p.heard, "Connection: close\r\n"));
    assert_non_null(strstr(p.heard, "the last"));
    http_peer_close(&p);
    stop(&f);
}

static void addresses_that_cannot_be_listened_on_are_named_with_the_reason(void **state)
{
    (void)state;
    fixture f;
    url u = {.scheme = URL_HTTP, .host = "127.0.0.1"};
    char why[HTTP_ERROR_SIZE];
    start(&f);
    u.port = f.home.port;
    assert_status(LOOM_EBUSY, http_server_listen(f.home.server, &u, &(http_listen_options){0}, why));
    assert_non_null(strstr(why, "in use"));
    snprintf(u.host, sizeof u.host, "192.0.2.1"); /* TEST-NET-1: nobody's */
    assert_status(LOOM_EIO, http_server_listen(f.home.server, &u, &(http_listen_options){0}, why));
    u = (url){.scheme = URL_HTTP, .host = "localhost"};
    assert_status(LOOM_OK, http_server_listen(f.home.server, &u, &(http_listen_options){0}, why));
    assert_true(u.port != 0);
    u = (url){.scheme = URL_HTTP, .host = "*"};
    assert_status(LOOM_OK, http_server_listen(f.home.server, &u, &(http_listen_options){0}, why));
    u.scheme = URL_HTTPS;
    assert_status(LOOM_EINVAL, http_server_listen(f.home.server, &u, &(http_listen_options){0}, why));
    assert_non_null(strstr(why, "tls_cert_key_file"));
    stop(&f);
}

/* ---- memory ---- */

static void on_closed(void *user)
{
    assert_null(user);
}

static loom_status open_and_listen(void *user)
{
    (void)user;
    uv_loop_t loop;
    http_server *s;
    char why[HTTP_ERROR_SIZE];
    url u = {.scheme = URL_HTTP, .host = "127.0.0.1"};
    assert_int_equal(0, uv_loop_init(&loop));
    loom_status st = http_server_open(&s, &loop, &(http_server_options){0});
    assert_int_equal(st == LOOM_OK, s != NULL);
    if (s != NULL) {
        st = http_server_listen(s, &u, &(http_listen_options){0}, why);
        http_server_close(s, on_closed, NULL);
    }
    assert_int_equal(0, uv_run(&loop, UV_RUN_DEFAULT));
    assert_int_equal(0, uv_loop_close(&loop));
    return st;
}

static void opening_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(open_and_listen, NULL) > 0);
}

static loom_status converse(void *user)
{
    fixture *f = user;
    static const char text[] = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhelloPOST /echo HTTP/1.1\r\n" HOST
                               "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nagain\r\n0\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(f->home.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char heard[2048];
    size_t len = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&to, sizeof to));
    for (size_t at = 0; at < sizeof text - 1; at += 7) {
        (void)!send(fd, text + at, sizeof text - 1 - at < 7 ? sizeof text - 1 - at : 7, MSG_NOSIGNAL);
        uv_run(&f->home.loop, UV_RUN_NOWAIT);
    }
    for (ssize_t got = -1; got != 0 && !(got < 0 && errno == ECONNRESET);) {
        uv_run(&f->home.loop, UV_RUN_NOWAIT);
        got = recv(fd, heard + len, sizeof heard - 1 - len, MSG_DONTWAIT);
        len += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    heard[len] = '\0';
    turn_until(&f->home.loop, http_server_get_counts(f->home.server).connections == 0);
    return strstr(heard, "again") != NULL ? LOOM_OK : LOOM_ENOMEM;
}

static void a_conversation_survives_every_failed_allocation(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    assert_true(alloc_fault_each_survived(converse, &f) > 0);
    stop(&f);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in every process of ours */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered_and_its_connection_kept),
        cmocka_unit_test(requests_that_come_at_once_are_answered_in_their_order),
        cmocka_unit_test(requests_behind_one_that_is_answered_later_wait),
        cmocka_unit_test(a_body_in_pieces_of_any_size_is_put_together),
        cmocka_unit_test(a_client_that_asks_whether_to_go_on_is_told),
        cmocka_unit_test(head_is_answered_like_get_without_the_body),
        cmocka_unit_test(what_cannot_be_served_is_answered_with_its_status),
        cmocka_unit_test(a_refusal_without_a_body_keeps_the_connection),
        cmocka_unit_test(a_client_gets_its_answer_though_it_goes_on_sending),
        cmocka_unit_test(bodies_are_bounded_together),
        cmocka_unit_test(a_connection_that_says_nothing_is_closed),
        cmocka_unit_test(a_head_that_comes_slowly_is_answered_408),
        cmocka_unit_test(a_body_that_does_not_come_is_answered_408),
        cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
        cmocka_unit_test(a_reader_that_takes_nothing_is_cut_off),
        cmocka_unit_test(a_reader_that_takes_its_time_gets_everything),
        cmocka_unit_test(silent_connections_make_room_for_those_that_speak),
        cmocka_unit_test(busy_connections_keep_their_place),
        cmocka_unit_test(without_a_descriptor_connections_wait_and_nothing_spins),
        cmocka_unit_test(without_a_descriptor_a_silent_connection_makes_room),
        cmocka_unit_test(descriptors_above_the_limit_are_for_others),
        cmocka_unit_test(an_answer_may_come_when_the_client_has_left),
        cmocka_unit_test(closing_ends_connections_in_every_state),
        cmocka_unit_test(a_server_that_stops_listening_answers_what_it_has),
        cmocka_unit_test(addresses_that_cannot_be_listened_on_are_named_with_the_reason),
        cmocka_unit_test(opening_survives_every_failed_allocation),
        cmocka_unit_test(a_conversation_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
