/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 as a client may break it off, or drag it out: frames are written by hand. What a client that means well gets is
 * tested with curl (tests/unit/tools/test_receiver.c) and h2 (tests/integration/test_collect.py). */
#include "tests/unit/host/http/http_peer.h"

#include "base/str.h"
#include "host/http/http2.h"
#include "host/http/internal.h"

#include <stdlib.h>
#include <string.h>

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, GOAWAY = 7, END_STREAM = 1, END_HEADERS = 4, LARGE = 1 << 20, SHORT_MS = 50 };

/* HPACK: indices of the static table (RFC 7541, appendix A), with "/" for the path and "a" for the authority. */
static const uint8_t post[] = {0x83, 0x86, 0x84, 0x01, 1, 'a'}, get[] = {0x82, 0x86, 0x84, 0x01, 1, 'a'};

typedef struct fixture {
    http_home home;
    http_request *held; /* by the handler of POST */
    size_t lefts;
    size_t sent, closed; /* events of a stream */
} fixture;

static void on_left(void *user)
{
    ((fixture *)user)->lefts++;
}

static void hold(void *user, http_request *r)
{
    fixture *f = user;
    f->held = r;
    http_request_on_left(r, on_left, f);
}

static void answer_at_length(void *user, http_request *r)
{
    (void)user;
    uint8_t *body = calloc(1, LARGE);
    assert_non_null(body);
    http_request_answer(r, &(http_answer){.status = 200, .content_type = "text/plain", .body = {body, LARGE}});
    free(body);
}

static const http_route routes[] = {{.method = "POST", .path = "/", .handle = hold},
                                    {.method = "GET", .path = "/", .handle = answer_at_length}};

/* Deadlines that are not given are the usual, long ones. */
static fixture *open_fixture(const http_server_options *options, http_peer *p)
{
    static fixture f;
    f = (fixture){0};
    http_home_open(&f.home, options);
    http_home_listen(&f.home, "http", &(http_listen_options){.routes = routes, .route_count = 2, .body_max = 1 << 20,
                                                              .http2 = &http2_protocol, .user = &f});
    http_peer_open(p, &f.home.loop, f.home.port);
    http_peer_say(p, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    http_peer_send(p, settings, sizeof settings);
    return &f;
}

static void close_fixture(fixture *f, http_peer *p)
{
    http_peer_close(p);
    http_home_close(&f->home);
}

static void send_frame(http_peer *p, uint8_t type, uint8_t flags, uint8_t stream, const void *payload, size_t len)
{
    const uint8_t head[] = {0, (uint8_t)(len >> 8), (uint8_t)len, type, flags, 0, 0, 0, stream};
    http_peer_send(p, head, sizeof head);
    http_peer_send(p, payload, len);
}

/* Whether a frame of the type has come, of the stream. */
static bool has_frame(http_peer *p, uint8_t type, uint8_t stream)
{
    http_peer_hear(p);
    for (size_t at = 0; at + 9 <= p->len;) {
        const uint8_t *f = (const uint8_t *)p->heard + at;
        if (f[3] == type && f[8] == stream) {
            return true;
        }
        at += 9 + ((size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2]);
    }
    return false;
}

/* Beside it large bodies are read once a millisecond. */
static void request_without_a_large_body_counts_as_a_small_one(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(NULL, &p);
    f->home.server->small_ms = 0;
    send_frame(&p, HEADERS, END_STREAM | END_HEADERS, 1, get, sizeof get);
    turn_until(&f->home.loop, has_frame(&p, DATA, 1));
    assert_int_not_equal(0, f->home.server->small_ms);
    close_fixture(f, &p);
}

/* RFC 9113, section 8.3.1. */
static void host_beside_another_authority_is_refused(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(NULL, &p);
    uint8_t head[sizeof get + 4] = {0};
    memcpy(head, get, sizeof get);
    memcpy(head + sizeof get, (const uint8_t[]){0x0f, 0x17, 1, 'a'}, 4); /* host: a */
    send_frame(&p, HEADERS, END_STREAM | END_HEADERS, 1, head, sizeof head);
    turn_until(&f->home.loop, has_frame(&p, DATA, 1));
    assert_int_equal(http_server_get_counts(f->home.server).invalid, 0);
    head[sizeof head - 1] = 'b';
    send_frame(&p, HEADERS, END_STREAM | END_HEADERS, 3, head, sizeof head);
    turn_until(&f->home.loop, http_server_get_counts(f->home.server).invalid == 1);
    close_fixture(f, &p);
}

static void silent_connection_is_told_to_go(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(&(http_server_options){.idle_ms = SHORT_MS}, &p);
    http_peer_wait_end(&p);
    assert_true(has_frame(&p, GOAWAY, 0));
    assert_int_equal(http_server_get_counts(f->home.server).late, 0);
    close_fixture(f, &p);
}

static void header_block_that_does_not_end_is_cut_off(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(&(http_server_options){.handshake_ms = SHORT_MS}, &p);
    send_frame(&p, HEADERS, 0, 1, post, sizeof post);
    http_peer_wait_end(&p);
    assert_int_equal(http_server_get_counts(f->home.server).late, 1);
    close_fixture(f, &p);
}

static void body_that_does_not_come_is_answered_and_the_connection_lives(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(&(http_server_options){.body_ms = SHORT_MS}, &p);
    send_frame(&p, HEADERS, END_HEADERS, 1, post, sizeof post);
    turn_until(&f->home.loop, has_frame(&p, HEADERS, 1));
    assert_int_equal(http_server_get_counts(f->home.server).late, 1);
    send_frame(&p, HEADERS, END_HEADERS | END_STREAM, 3, post, sizeof post);
    turn_until(&f->home.loop, f->held != NULL);
    http_request_answer_text(f->held, 200, "here");
    turn_until(&f->home.loop, has_frame(&p, DATA, 3));
    close_fixture(f, &p);
}

static void head_may_take_longer_than_a_body(void **state)
{
    (void)state;
    static const uint8_t head[] = {0, 0, sizeof post, HEADERS, END_HEADERS | END_STREAM, 0, 0, 0, 1};
    http_peer p;
    fixture *f = open_fixture(&(http_server_options){.body_ms = 1}, &p);
    http_peer_send(&p, head, sizeof head);
    const uint64_t from = uv_now(&f->home.loop);
    turn_until(&f->home.loop, uv_now(&f->home.loop) > from + SHORT_MS);
    http_peer_send(&p, post, sizeof post);
    turn_until(&f->home.loop, f->held != NULL);
    assert_int_equal(http_server_get_counts(f->home.server).late, 0);
    http_request_answer_text(f->held, 200, "here");
    close_fixture(f, &p);
}

static void answer_that_is_not_taken_is_cut_off(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(&(http_server_options){.send_ms = SHORT_MS}, &p);
    send_frame(&p, HEADERS, END_HEADERS | END_STREAM, 1, get, sizeof get); /* the window is 65,535 bytes */
    http_peer_wait_end(&p);
    assert_true(has_frame(&p, DATA, 1));
    assert_int_equal(http_server_get_counts(f->home.server).late, 1);
    close_fixture(f, &p);
}

static void client_that_resets_its_stream_has_left(void **state)
{
    (void)state;
    static const uint8_t cancel[] = {0, 0, 0, 8};
    http_peer p;
    fixture *f = open_fixture(NULL, &p);
    send_frame(&p, HEADERS, END_HEADERS | END_STREAM, 1, post, sizeof post);
    turn_until(&f->home.loop, f->held != NULL);
    send_frame(&p, RST_STREAM, 0, 1, cancel, sizeof cancel);
    turn_until(&f->home.loop, f->lefts == 1);
    assert_string_equal(http_request_peer(f->held), "");
    http_request_answer_text(f->held, 200, "for nobody");
    close_fixture(f, &p);
}

static void request_outlives_its_connection_and_its_server(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(NULL, &p);
    send_frame(&p, HEADERS, END_HEADERS | END_STREAM, 1, post, sizeof post);
    turn_until(&f->home.loop, f->held != NULL);
    close_fixture(f, &p);
    assert_int_equal(f->lefts, 1);
    http_request_answer_text(f->held, 200, "for nobody");
}

static void server_that_stops_answers_what_it_has(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(NULL, &p);
    send_frame(&p, HEADERS, END_HEADERS | END_STREAM, 1, post, sizeof post);
    turn_until(&f->home.loop, f->held != NULL);
    http_server_stop_listening(f->home.server);
    http_request_answer_text(f->held, 200, "the last");
    http_peer_wait_end(&p);
    assert_true(has_frame(&p, DATA, 1));
    assert_true(has_frame(&p, GOAWAY, 0));
    close_fixture(f, &p);
}

/* ---- answers that are streams ---- */

static void on_sent(void *user)
{
    ((fixture *)user)->sent++;
}

static void on_closed(void *user)
{
    ((fixture *)user)->closed++;
}

/* Asks on stream 1, and answers with a stream. */
static http_stream *begin_stream(fixture *f, http_peer *p)
{
    static const http_stream_events events = {.sent = on_sent, .closed = on_closed};
    send_frame(p, HEADERS, END_HEADERS | END_STREAM, 1, post, sizeof post);
    turn_until(&f->home.loop, f->held != NULL);
    http_stream *s = http_request_answer_stream(f->held, &(http_answer){.status = 200, .content_type = "text/plain"}, &events, f);
    assert_non_null(s);
    turn_until(&f->home.loop, has_frame(p, HEADERS, 1));
    return s;
}

static bool has_heard(http_peer *p, const char *text)
{
    http_peer_hear(p);
    return memmem(p->heard, p->len, text, strlen(text)) != NULL;
}

static void stream_sends_bit_by_bit_and_ends(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(NULL, &p);
    http_stream *s = begin_stream(f, &p);
    http_stream_send(s, (const uint8_t *)"first", 5);
    turn_until(&f->home.loop, f->sent == 1 && has_heard(&p, "first"));
    http_stream_send(s, (const uint8_t *)"second", 6);
    turn_until(&f->home.loop, f->sent == 2 && has_heard(&p, "second"));
    assert_int_equal(0, http_stream_unsent(s));
    http_stream_close(s, HTTP_CLOSE_NORMAL);
    assert_int_equal(0, f->closed); /* that comes from the loop */
    turn_until(&f->home.loop, f->closed == 1);
    assert_false(has_frame(&p, RST_STREAM, 1));
    f->held = NULL;
    send_frame(&p, HEADERS, END_HEADERS | END_STREAM, 3, post, sizeof post); /* the connection lives */
    turn_until(&f->home.loop, f->held != NULL);
    http_request_answer_text(f->held, 200, "here");
    turn_until(&f->home.loop, has_heard(&p, "here"));
    close_fixture(f, &p);
    assert_int_equal(1, f->closed);
}

static void stream_outlives_the_deadline_of_answers(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(&(http_server_options){.send_ms = SHORT_MS, .idle_ms = SHORT_MS}, &p);
    http_stream *s = begin_stream(f, &p);
    const uint64_t from = uv_now(&f->home.loop);
    turn_until(&f->home.loop, uv_now(&f->home.loop) > from + 3u * SHORT_MS);
    http_stream_send(s, (const uint8_t *)"late", 4);
    turn_until(&f->home.loop, has_heard(&p, "late"));
    close_fixture(f, &p);
    assert_int_equal(1, f->closed); /* with the server */
}

static void stream_that_a_client_resets_is_closed_once(void **state)
{
    (void)state;
    static const uint8_t cancel[] = {0, 0, 0, 8};
    http_peer p;
    fixture *f = open_fixture(NULL, &p);
    http_stream *s = begin_stream(f, &p);
    send_frame(&p, RST_STREAM, 0, 1, cancel, sizeof cancel);
    turn_until(&f->home.loop, f->closed == 1);
    (void)s; /* is gone */
    close_fixture(f, &p);
    assert_int_equal(1, f->closed);
}

static void stream_that_is_not_taken_can_be_cut_off(void **state)
{
    (void)state;
    http_peer p;
    uint8_t *large = calloc(1, LARGE);
    assert_non_null(large);
    fixture *f = open_fixture(NULL, &p);
    http_stream *s = begin_stream(f, &p);
    http_stream_send(s, large, LARGE); /* the window is 65,535 bytes */
    turn_until(&f->home.loop, http_stream_unsent(s) == LARGE - 65535);
    assert_int_equal(0, f->sent);
    http_stream_close(s, HTTP_CLOSE_NORMAL);
    free(large); /* nothing of it is used any more */
    turn_until(&f->home.loop, f->closed == 1 && has_frame(&p, RST_STREAM, 1));
    close_fixture(f, &p);
}

static void stream_is_closed_with_its_connection(void **state)
{
    (void)state;
    http_peer p;
    fixture *f = open_fixture(NULL, &p);
    http_stream *s = begin_stream(f, &p);
    http_peer_close(&p);
    turn_until(&f->home.loop, f->closed == 1);
    (void)s;
    http_home_close(&f->home);
    assert_int_equal(1, f->closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_without_a_large_body_counts_as_a_small_one),
        cmocka_unit_test(host_beside_another_authority_is_refused),
        cmocka_unit_test(silent_connection_is_told_to_go),
        cmocka_unit_test(header_block_that_does_not_end_is_cut_off),
        cmocka_unit_test(body_that_does_not_come_is_answered_and_the_connection_lives),
        cmocka_unit_test(head_may_take_longer_than_a_body),
        cmocka_unit_test(answer_that_is_not_taken_is_cut_off),
        cmocka_unit_test(client_that_resets_its_stream_has_left),
        cmocka_unit_test(request_outlives_its_connection_and_its_server),
        cmocka_unit_test(server_that_stops_answers_what_it_has),
        cmocka_unit_test(stream_sends_bit_by_bit_and_ends),
        cmocka_unit_test(stream_outlives_the_deadline_of_answers),
        cmocka_unit_test(stream_that_a_client_resets_is_closed_once),
        cmocka_unit_test(stream_that_is_not_taken_can_be_cut_off),
        cmocka_unit_test(stream_is_closed_with_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
