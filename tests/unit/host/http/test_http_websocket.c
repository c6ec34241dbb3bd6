/* SPDX-License-Identifier: Apache-2.0 */
/* WebSockets as an endpoint sees them: RFC 6455, with clients that keep to it and clients that do not. */
#include "tests/support/alloc_fault.h"
#include "tests/unit/host/http/http_peer.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { LARGE = 1024 * 1024, MESSAGE_MAX = 2 * 1024 * 1024 };

/* One stream at a time. */
typedef struct fixture {
    http_home home;
    http_stream *stream;
    char peer[80];
    uint8_t *received;
    size_t received_len, events;
    size_t sent, opened, closed;
    bool refuses;
    bool ignores;
} fixture;

static void on_received(void *user, const uint8_t *data, size_t len)
{
    fixture *f = user;
    assert_true(f->received_len + len <= MESSAGE_MAX);
    memcpy(f->received + f->received_len, data, len);
    f->received_len += len;
    f->events++;
}

static void on_sent(void *user)
{
    ((fixture *)user)->sent++;
}

static void on_closed(void *user)
{
    fixture *f = user;
    f->stream = NULL;
    f->closed++;
}

static const http_stream_events events = {on_received, on_sent, on_closed};

static void on_opened(void *user, http_stream *s, const char *peer)
{
    fixture *f = user;
    f->opened++;
    if (f->refuses) {
        http_stream_refuse(s, (loom_bytes){(const uint8_t *)"full", 4});
    } else if (!f->ignores) {
        f->stream = s;
        snprintf(f->peer, sizeof f->peer, "%s", peer);
        http_stream_attach(s, &events, f);
    }
}

static const http_endpoint endpoint = {.subprotocol = "loom.v1", .message_max = MESSAGE_MAX, .opened = on_opened};
static const http_route routes[] = {{.path = "/ws", .websocket = &endpoint}};

static void start_with(fixture *f, const http_server_options *options, const char *const *origins, size_t origin_count)
{
    *f = (fixture){.received = malloc(MESSAGE_MAX)};
    http_home_open(&f->home, options);
    http_home_listen(&f->home, "ws", &(http_listen_options){.routes = routes, .route_count = 1, .origins = origins,
                                                            .origin_count = origin_count, .user = f});
}

static void start(fixture *f)
{
    start_with(f, NULL, NULL, 0);
}

static void stop(fixture *f)
{
    http_home_close(&f->home);
    assert_null(f->stream);
    free(f->received);
}

static void enter(fixture *f, http_peer *p)
{
    http_peer_open(p, &f->home.loop, f->home.port);
    http_peer_upgrade(p, "/ws", "");
    assert_memory_equal("HTTP/1.1 101 ", p->heard, 13);
    assert_non_null(f->stream);
}

/* ---- the handshake ---- */

static void the_accept_key_is_that_of_the_rfc(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_upgrade(&p, "/ws", "Sec-WebSocket-Protocol: chat, loom.v1\r\n"); /* the key is section 1.3's */
    assert_non_null(strstr(p.heard, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_non_null(strstr(p.heard, "Sec-WebSocket-Protocol: loom.v1\r\n"));
    assert_memory_equal("ws:127.0.0.1:", f.peer, 13);
    http_peer_close(&p);
    turn_until(&f.home.loop, f.closed == 1);
    stop(&f);
}

static void a_client_without_a_subprotocol_is_served(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    enter(&f, &p);
    assert_null(strstr(p.heard, "Sec-WebSocket-Protocol"));
    http_peer_close(&p);
    stop(&f);
}

static void assert_refused(fixture *f, const char *path, const char *more, const char *status, const char *part)
{
    http_peer p;
    http_peer_open(&p, &f->home.loop, f->home.port);
    http_peer_upgrade(&p, path, more);
    if (strncmp(p.heard, status, strlen(status)) != 0 || strstr(p.heard, part) == NULL) {
        print_error("to %s %s\ncame %s\n", path, more, p.heard);
        fail();
    }
    http_peer_close(&p);
}

static void handshakes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    assert_refused(&f, "/ws", "Sec-WebSocket-Protocol: chat, LOOM.V1\r\n", "HTTP/1.1 400 ", "subprotocol");
    assert_refused(&f, "/other", "", "HTTP/1.1 404 ", "");
    assert_refused(&f, "/ws", "Content-Length: 5\r\n", "HTTP/1.1 400 ", "malformed");
    static const struct {
        const char *text, *status, *part;
    } vectors[] = {
        {"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\n", "Sec-WebSocket-Version: 13\r\n"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "HTTP/1.1 426 ", "Sec-WebSocket-Version: 13\r\n"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 ", ""},
        {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: AAAA\r\n\r\n", "HTTP/1.1 400 ", ""},
        {"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 ", "Allow: GET\r\n"},
        {"GET /ws HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "HTTP/1.1 426 ", ""},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char *answer = http_peer_ask(&f.home.loop, f.home.port, vectors[i].text);
        assert_memory_equal(vectors[i].status, answer, strlen(vectors[i].status));
        assert_non_null(strstr(answer, vectors[i].part));
        free(answer);
    }
    assert_int_equal(0, f.opened);
    stop(&f);
}

/* The Host of these peers is 127.0.0.1. */
static void a_page_of_another_origin_is_refused_unless_it_is_listed(void **state)
{
    (void)state;
    static const char *const listed[] = {"https://app.example", "http://x:81"};
    static const char *const all[] = {"*"};
    fixture f;
    start(&f);
    assert_refused(&f, "/ws", "Origin: https://app.example\r\n", "HTTP/1.1 403 ", "origin");
    assert_refused(&f, "/ws", "Origin: null\r\n", "HTTP/1.1 403 ", "origin");
    assert_refused(&f, "/ws", "Origin: http://127.0.0.1.evil.example\r\n", "HTTP/1.1 403 ", "origin");
    assert_refused(&f, "/ws", "Origin: http://127.0.0.1:8080\r\n", "HTTP/1.1 403 ", "origin");
    assert_refused(&f, "/ws", "Origin: http://127.0.0.1\r\n", "HTTP/1.1 101 ", "");
    assert_refused(&f, "/ws", "Origin: http://127.0.0.1:80\r\n", "HTTP/1.1 101 ", "");
    stop(&f);
    start_with(&f, NULL, listed, 2);
    assert_refused(&f, "/ws", "Origin: https://APP.example\r\n", "HTTP/1.1 101 ", "");
    assert_refused(&f, "/ws", "Origin: http://x:81\r\n", "HTTP/1.1 101 ", "");
    assert_refused(&f, "/ws", "Origin: http://x\r\n", "HTTP/1.1 403 ", "");
    stop(&f);
    start_with(&f, NULL, all, 1);
    assert_refused(&f, "/ws", "Origin: null\r\n", "HTTP/1.1 101 ", "");
    stop(&f);
}

static void bytes_behind_the_handshake_belong_to_the_stream(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    static const char text[] = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x82\x82\0\0\0\0hi";
    start(&f);
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_send(&p, text, sizeof text - 1);
    turn_until(&f.home.loop, f.received_len == 2);
    assert_memory_equal("hi", f.received, 2);
    http_peer_close(&p);
    stop(&f);
}

static void an_endpoint_without_room_says_so_and_closes(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    loom_bytes payload;
    start(&f);
    f.refuses = true;
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_upgrade(&p, "/ws", "");
    assert_int_equal(0x82, http_peer_frame(&p, &payload));
    assert_str("full", ((loom_str){(const char *)payload.data, payload.len}));
    assert_int_equal(1013, http_peer_close_code(&p));
    http_peer_close(&p);
    f.refuses = false;
    f.ignores = true;
    free(http_peer_ask(&f.home.loop, f.home.port,
                       "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    assert_int_equal(2, f.opened);
    stop(&f);
}

/* ---- messages ---- */

static void messages_of_one_read_arrive_together(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    char frames[200] = "";
    start(&f);
    enter(&f, &p);
    for (size_t i = 0; i < 20; i++) {
        memcpy(frames + 7 * i, "\x82\x81\0\0\0\0", 6);
        frames[7 * i + 6] = (char)('a' + (int)i);
    }
    http_peer_send(&p, frames, 140);
    turn_until(&f.home.loop, f.received_len == 20);
    assert_memory_equal("abcdefghijklmnopqrst", f.received, 20);
    assert_int_equal(1, f.events);
    http_peer_close(&p);
    stop(&f);
}

static void a_message_in_fragments_of_any_size_arrives_whole(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    uint8_t *data = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        data[i] = (uint8_t)(i * 7 + i / 256);
    }
    static const size_t sizes[] = {LARGE, 300000, 65536, 65535, 40000};
    start(&f);
    enter(&f, &p);
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        f.received_len = 0;
        for (size_t at = 0; at < LARGE; at += sizes[k]) {
            size_t part = LARGE - at < sizes[k] ? LARGE - at : sizes[k];
            bool last = at + part == LARGE;
            http_peer_send_frame(&p, (uint8_t)((at == 0 ? 2 : 0) | (last ? 0x80 : 0)), data + at, part);
            if (!last) {
                http_peer_send_frame(&p, 0x89, "ping", 4);
            }
        }
        turn_until(&f.home.loop, f.received_len == LARGE);
        assert_memory_equal(data, f.received, LARGE);
    }
    free(data);
    http_peer_close(&p);
    stop(&f);
}

static void what_is_sent_arrives_in_binary_messages(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    loom_bytes payload;
    uint8_t *data = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        data[i] = (uint8_t)(i * 11 + i / 256);
    }
    static const size_t sizes[] = {1, 125, 126, 65535, 65536, 65537, LARGE};
    start(&f);
    enter(&f, &p);
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        f.sent = 0;
        http_stream_send(f.stream, data, sizes[k]);
        for (size_t got = 0; got < sizes[k]; got += payload.len) {
            assert_int_equal(0x82, http_peer_frame(&p, &payload));
            assert_true(payload.len > 0 && got + payload.len <= sizes[k]);
            assert_memory_equal(data + got, payload.data, payload.len);
        }
        turn_until(&f.home.loop, f.sent == 1);
    }
    free(data);
    http_peer_close(&p);
    stop(&f);
}

static void a_ping_is_answered_even_while_much_is_being_sent(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    loom_bytes payload;
    uint8_t *data = calloc(16, LARGE);
    start(&f);
    enter(&f, &p);
    http_peer_send_frame(&p, 0x89, "one", 3);
    assert_int_equal(0x8a, http_peer_frame(&p, &payload));
    assert_str("one", ((loom_str){(const char *)payload.data, payload.len}));
    http_stream_send(f.stream, data, (size_t)16 * LARGE);
    http_peer_send_frame(&p, 0x89, "two", 3);
    size_t before = 0;
    while (http_peer_frame(&p, &payload) != 0x8a) {
        before += payload.len;
    }
    assert_true(before < (size_t)16 * LARGE);
    turn_until(&f.home.loop, http_peer_hear(&p) && f.sent == 1);
    free(data);
    http_peer_close(&p);
    stop(&f);
}

static void a_flood_of_pings_without_a_reader_is_bounded(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    static const uint8_t ping[6 + 125] = {0x89, 0xfd};
    start(&f);
    enter(&f, &p);
    uint8_t *many = malloc(1000 * sizeof ping);
    for (size_t i = 0; i < 1000; i++) {
        memcpy(many + i * sizeof ping, ping, sizeof ping);
    }
    for (size_t sent = 0; sent < 60u * 1024 * 1024;) {
        ssize_t rc = send(p.fd, many, 1000 * sizeof ping, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += rc > 0 ? (size_t)rc : 1000;
        uv_run(&f.home.loop, UV_RUN_NOWAIT);
    }
    free(many);
    http_peer_close(&p);
    turn_until(&f.home.loop, f.closed == 1);
    stop(&f);
}

/* ---- the end ---- */

static void assert_closed_with(fixture *f, uint8_t first, const void *data, size_t len, uint16_t code)
{
    http_peer p;
    enter(f, &p);
    size_t closed = f->closed;
    http_peer_send_frame(&p, first, data, len);
    assert_int_equal(code, http_peer_close_code(&p));
    http_peer_wait_end(&p);
    http_peer_close(&p);
    turn_until(&f->home.loop, f->closed == closed + 1);
}

static void a_client_that_breaks_the_protocol_is_told_the_code(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start_with(&f, &(http_server_options){.close_ms = 100}, NULL, 0);
    assert_closed_with(&f, 0x81, "text", 4, 1003);
    assert_closed_with(&f, 0x80, "x", 1, 1002);
    assert_closed_with(&f, 0xc2, "x", 1, 1002);
    assert_closed_with(&f, 0x88, "\x03", 1, 1002);
    enter(&f, &p);
    http_peer_send(&p, "\x82\x05hello", 7); /* not masked */
    assert_int_equal(1002, http_peer_close_code(&p));
    http_peer_close(&p);
    enter(&f, &p);
    http_peer_send(&p, "\x82\xff\x00\x00\x00\x00\x00\x20\x00\x01\0\0\0\0", 14); /* 2 MiB and one byte */
    assert_int_equal(1009, http_peer_close_code(&p));
    http_peer_close(&p);
    assert_int_equal(6, http_server_get_counts(f.home.server).invalid);
    stop(&f);
}

static void a_close_is_answered_with_its_code(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    assert_closed_with(&f, 0x88, "\x03\xe8" "bye", 5, 1000);
    assert_closed_with(&f, 0x88, "\x0f\xa0", 2, 4000);
    assert_closed_with(&f, 0x88, "", 0, 0);
    stop(&f);
}

static void an_owner_closes_with_a_code_and_hears_no_more(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f);
    enter(&f, &p);
    http_stream_close(f.stream, 4321);
    http_peer_send_frame(&p, 0x82, "more", 4);
    assert_int_equal(4321, http_peer_close_code(&p));
    assert_int_equal(0, f.received_len);
    http_peer_close(&p);
    turn_until(&f.home.loop, f.closed == 1);
    stop(&f);
}

static void closing_while_a_send_is_under_way_cuts_it_off(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    uint8_t *data = calloc(16, LARGE);
    start(&f);
    enter(&f, &p);
    http_stream_send(f.stream, data, (size_t)16 * LARGE);
    assert_int_equal(0, f.sent);
    http_stream_close(f.stream, HTTP_CLOSE_NORMAL);
    turn_until(&f.home.loop, f.closed == 1);
    free(data); /* nobody reads it any more: the address sanitizer looks */
    http_peer_close(&p);
    stop(&f);
}

static void a_client_that_leaves_in_the_middle_of_a_send_ends_it(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    uint8_t *data = calloc(16, LARGE);
    start(&f);
    enter(&f, &p);
    http_stream_send(f.stream, data, (size_t)16 * LARGE);
    http_peer_close(&p);
    turn_until(&f.home.loop, f.closed == 1);
    free(data);
    stop(&f);
}

static void a_server_that_goes_says_so(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start_with(&f, &(http_server_options){.close_ms = 200}, NULL, 0);
    enter(&f, &p);
    http_home_close(&f.home);
    assert_int_equal(1, f.closed);
    http_peer_hear(&p);
    assert_memory_equal("\x88\x02\x03\xe9", p.heard + p.taken, 4); /* 1001 */
    assert_true(p.over);
    http_peer_close(&p);
    free(f.received);
}

static void a_silent_client_is_pinged_and_then_given_up(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    loom_bytes payload;
    start_with(&f, &(http_server_options){.ping_ms = 30}, NULL, 0);
    enter(&f, &p);
    for (size_t i = 0; i < 6; i++) { /* as long as it answers it stays */
        assert_int_equal(0x89, http_peer_frame(&p, &payload));
        http_peer_send_frame(&p, 0x8a, payload.data, payload.len);
    }
    assert_int_equal(0, f.closed);
    turn_until(&f.home.loop, f.closed == 1);
    assert_int_equal(1, http_server_get_counts(f.home.server).late);
    http_peer_close(&p);
    stop(&f);
}

/* ---- memory ---- */

static loom_status converse(void *user)
{
    fixture *f = user;
    http_peer p;
    size_t closed = f->closed, opened = f->opened;
    http_peer_open(&p, &f->home.loop, f->home.port);
    static const char text[] = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x89\x82\0\0\0\0hi\x88\x80\0\0\0\0";
    char heard[1024];
    size_t len = 0;
    (void)!send(p.fd, text, sizeof text - 1, MSG_NOSIGNAL);
    for (ssize_t got = -1; got != 0;) {
        uv_run(&f->home.loop, UV_RUN_NOWAIT);
        got = recv(p.fd, heard + len, sizeof heard - len, MSG_DONTWAIT);
        len += got > 0 ? (size_t)got : 0;
    }
    http_peer_close(&p);
    turn_until(&f->home.loop, f->closed - closed == f->opened - opened && http_server_get_counts(f->home.server).connections == 0);
    return len > 0 && memmem(heard, len, "\x88\x00", 2) != NULL ? LOOM_OK : LOOM_ENOMEM;
}

static void a_conversation_survives_every_failed_allocation(void **state)
{
    (void)state;
    fixture f;
    start_with(&f, &(http_server_options){.close_ms = 20}, NULL, 0);
    assert_true(alloc_fault_each_survived(converse, &f) > 0);
    stop(&f);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in every process of ours */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_accept_key_is_that_of_the_rfc),
        cmocka_unit_test(a_client_without_a_subprotocol_is_served),
        cmocka_unit_test(handshakes_that_do_not_fit_are_refused),
        cmocka_unit_test(a_page_of_another_origin_is_refused_unless_it_is_listed),
        cmocka_unit_test(bytes_behind_the_handshake_belong_to_the_stream),
        cmocka_unit_test(an_endpoint_without_room_says_so_and_closes),
        cmocka_unit_test(messages_of_one_read_arrive_together),
        cmocka_unit_test(a_message_in_fragments_of_any_size_arrives_whole),
        cmocka_unit_test(what_is_sent_arrives_in_binary_messages),
        cmocka_unit_test(a_ping_is_answered_even_while_much_is_being_sent),
        cmocka_unit_test(a_flood_of_pings_without_a_reader_is_bounded),
        cmocka_unit_test(a_client_that_breaks_the_protocol_is_told_the_code),
        cmocka_unit_test(a_close_is_answered_with_its_code),
        cmocka_unit_test(an_owner_closes_with_a_code_and_hears_no_more),
        cmocka_unit_test(closing_while_a_send_is_under_way_cuts_it_off),
        cmocka_unit_test(a_client_that_leaves_in_the_middle_of_a_send_ends_it),
        cmocka_unit_test(a_server_that_goes_says_so),
        cmocka_unit_test(a_silent_client_is_pinged_and_then_given_up),
        cmocka_unit_test(a_conversation_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
