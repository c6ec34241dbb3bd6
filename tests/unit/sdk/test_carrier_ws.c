/* SPDX-License-Identifier: Apache-2.0 */
/* ws and wss against servers of the test's own, most of them hostile. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/alloc_fault.h"
#include "tests/support/wait_until.h"
#include "tests/unit/sdk/carrier_driver.h"
#include "tests/unit/sdk/stream_server.h"

enum { LARGE = 2000000, FLOOD = 20000 };

typedef struct fixture {
    stream_server server;
    carrier_driver driver;
    const char *answer;    /* of the server to the request; %s is the accept value */
    char request[WS_REQUEST_MAX];
    uint8_t closed_with[2]; /* the client's close frame */
    _Atomic size_t closed_len;
    unsigned pongs;
    bool unmasked, all_as_sent;
    const uint8_t *say;    /* what the server says once upgraded */
    size_t say_len;
    uint8_t *data;         /* LARGE bytes */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->data = malloc(LARGE);
    assert_non_null(f->data);
    for (size_t i = 0; i < LARGE; i++) {
        f->data[i] = (uint8_t)(i * 11 + i / 509);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    free(f->data);
    free(f);
    return 0;
}

static loom_status connect_with(fixture *f, stream_script *script)
{
    stream_server_open(&f->server, NULL, script, f);
    assert_status(LOOM_OK, driver_begin(&f->driver, NULL, "ws://127.0.0.1:%u/loom?a=b", f->server.port));
    return driver_connect(&f->driver);
}

static void finish(fixture *f)
{
    driver_close(&f->driver);
    stream_server_close(&f->server);
}

/* ---- the upgrade ---- */

static void answer_as_told(stream *s, void *user)
{
    fixture *f = user;
    char accept[32], text[WS_REQUEST_MAX];
    if (ws_read_request(s, f->request)) {
        ws_accept_of(f->request, accept);
        snprintf(text, sizeof text, f->answer, accept);
        stream_write_text(s, text);
        stream_drain(s);
    }
}

#define SWITCHED "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "

static void what_the_server_answers_instead_is_told(void **state)
{
    fixture *f = *state;
    static const char *const cases[][2] = {
        {SWITCHED "%.0sAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n", "Accept is wrong"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi%.0s", "answered 200 OK"},
        {"HTTP/1.1 403 Forbidden\r\n\r\n%.0s", "answered 403 Forbidden"},
        {"HTTP/1.1 301 Moved Permanently\r\nLocation: ws://else/\r\n\r\n%.0s", "see ws://else/"},
        {SWITCHED "%s\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", "speaks \"mqtt\""},
        {"220 mail.example ESMTP\r\n%.0s", "does not speak HTTP"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->answer = cases[i][0];
        assert_status(LOOM_EPROTO, connect_with(f, answer_as_told));
        driver_assert_why(&f->driver, cases[i][1]);
        finish(f);
    }
}

static void endless_headers(stream *s, void *user)
{
    fixture *f = user;
    (void)ws_read_request(s, f->request);
    stream_write_text(s, "HTTP/1.1 101 Switching Protocols\r\n");
    while (stream_write_text(s, "X-More: of the same\r\n")) {
    }
}

static void headers_without_end_are_given_up(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_EPROTO, connect_with(f, endless_headers));
    driver_assert_why(&f->driver, "over 8192 bytes of headers");
    finish(f);
}

static void hang_up(stream *s, void *user)
{
    fixture *f = user;
    (void)ws_read_request(s, f->request);
    stream_write_text(s, "HTTP/1.1 101 Switching Pro");
}

static void a_server_that_hangs_up_within_its_answer_is_told(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_ECLOSED, connect_with(f, hang_up));
    driver_assert_why(&f->driver, "during the WebSocket upgrade");
    finish(f);
}

static void just_drain(stream *s, void *user)
{
    (void)user;
    stream_drain(s);
}

static void a_server_that_says_nothing_leaves_the_agent_waiting_without_spinning(void **state)
{
    fixture *f = *state;
    stream_server_open(&f->server, NULL, just_drain, f);
    assert_status(LOOM_OK, driver_begin(&f->driver, NULL, "ws://127.0.0.1:%u", f->server.port));
    assert_status(LOOM_EBUSY, f->driver.carrier->ops->connect(f->driver.carrier));
    while (driver_wait(&f->driver, 200)) {
        assert_status(LOOM_EBUSY, f->driver.carrier->ops->connect(f->driver.carrier));
        assert_true(f->driver.wakes < 10);
    }
    finish(f);
}

/* ---- once upgraded ---- */

/* Says what it is told to in one go with its answer, then reads until the client closes. */
static void say_and_listen(stream *s, void *user)
{
    fixture *f = user;
    char accept[32], text[WS_REQUEST_MAX];
    ws_message m;
    if (!ws_read_request(s, f->request)) {
        return;
    }
    ws_accept_of(f->request, accept);
    int len = snprintf(text, sizeof text, SWITCHED "%s\r\n\r\n", accept);
    memcpy(text + len, f->say, f->say_len);
    stream_write(s, text, (size_t)len + f->say_len);
    while (ws_read(s, &m)) {
        f->unmasked = f->unmasked || !m.masked;
        f->pongs += m.opcode == 0xa;
        if (m.opcode == 0x8) {
            memcpy(f->closed_with, m.data, m.len < 2 ? m.len : 2);
            f->closed_len = m.len;
        }
        free(m.data);
    }
}

/* The server says this, and the connection ends with the status and reason, and with that close frame of the client's. */
static void says(fixture *f, loom_str what, const char *heard, loom_status status, const char *why, const char *closed)
{
    uint8_t words[16];
    f->say = (const uint8_t *)what.data;
    f->say_len = what.len;
    f->closed_len = 0;
    f->unmasked = false;
    assert_status(LOOM_OK, connect_with(f, say_and_listen));
    driver_receive_all(&f->driver, words, strlen(heard));
    assert_memory_equal(heard, words, strlen(heard));
    assert_status(status, driver_end(&f->driver));
    driver_assert_why(&f->driver, why);
    driver_close(&f->driver);
    wait_until(atomic_load(&f->server.served) == 1, DRIVER_DEADLINE_MS);
    assert_int_equal(strlen(closed), f->closed_len);
    assert_memory_equal(closed, f->closed_with, strlen(closed));
    assert_false(f->unmasked);
    stream_server_close(&f->server);
}

static void words_before_an_end_are_heard_and_the_end_is_answered(void **state)
{
    fixture *f = *state;
    says(f, STR("\x82\x02hi\x88\x02\x03\xe9"), "hi", LOOM_ECLOSED, "going away (1001)", "\x03\xe9");
    says(f, STR("\x88\x05\x03\xf0why"), "", LOOM_ECLOSED, "policy violation (1008): why", "\x03\xf0");
    says(f, STR("\x02\x01h\x89\x01p\x80\x01i\x88\x00"), "hi", LOOM_ECLOSED, "closed the connection", "");
    says(f, STR("\x81\x02hi"), "", LOOM_EPROTO, "text message", "\x03\xeb");
    says(f, STR("\x82\x02hi\x82\x81mask!"), "hi", LOOM_EPROTO, "masked", "\x03\xea");
    says(f, STR("\x82\x02hi\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00x"), "hi", LOOM_EPROTO, "larger than any", "\x03\xf1");
    says(f, STR("\x82\x02hi\xff\xff\xff\xff\xff"), "hi", LOOM_EPROTO, "broke the WebSocket protocol", "\x03\xea");
}

static void the_request_is_what_the_url_says(void **state)
{
    fixture *f = *state;
    char host[64];
    f->answer = SWITCHED "%s\r\nSec-WebSocket-Protocol: loom.v1\r\n\r\n";
    assert_status(LOOM_OK, connect_with(f, answer_as_told));
    snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%u\r\n", f->server.port);
    finish(f);
    assert_memory_equal("GET /loom?a=b HTTP/1.1\r\n", f->request, 24);
    assert_non_null(strstr(f->request, host));
    assert_non_null(strstr(f->request, "\r\nSec-WebSocket-Protocol: loom.v1\r\n"));
}

static void finishing_says_1000_and_waits_for_the_server(void **state)
{
    fixture *f = *state;
    uint8_t word[1];
    f->say = (const uint8_t *)"\x82\x01x";
    f->say_len = 3;
    assert_status(LOOM_OK, connect_with(f, say_and_listen));
    driver_receive_all(&f->driver, word, 1);
    f->driver.carrier->ops->finish(f->driver.carrier);
    wait_until(f->closed_len == 2, DRIVER_DEADLINE_MS);
    finish(f);
    assert_memory_equal("\x03\xe8", f->closed_with, 2);
}

static void break_off_within_a_frame(stream *s, void *user)
{
    fixture *f = user;
    if (ws_serve_upgrade(s, f->request, NULL)) {
        stream_write(s, "\x82\x7e\x01\x00half", 8);
        shutdown(s->fd, SHUT_WR);
        stream_drain(s);
    }
}

static void half_a_frame_is_heard_before_the_break_is_told(void **state)
{
    fixture *f = *state;
    uint8_t half[4];
    assert_status(LOOM_OK, connect_with(f, break_off_within_a_frame));
    driver_receive_all(&f->driver, half, sizeof half);
    assert_status(LOOM_ECLOSED, driver_end(&f->driver));
    assert_string_equal("the bridge closed the connection", f->driver.why);
    finish(f);
}

/* ---- much at once ---- */

static void flood(stream *s, void *user)
{
    fixture *f = user;
    ws_message m;
    if (!ws_serve_upgrade(s, f->request, NULL)) {
        return;
    }
    for (unsigned i = 0; i < FLOOD; i++) {
        ws_write(s, 0x89, &i, sizeof i);
    }
    ws_write(s, 0x82, "x", 1);
    unsigned last = 0;
    while (last != FLOOD - 1 && ws_read(s, &m)) {
        if (m.opcode == 0xa && m.len == sizeof last) {
            memcpy(&last, m.data, sizeof last);
            f->pongs++;
        }
        free(m.data);
    }
    f->all_as_sent = last == FLOOD - 1; /* the newest ping has been answered */
    ws_write(s, 0x88, "\x03\xe8", 2);
    stream_drain(s);
}

static void a_flood_of_pings_costs_one_answer_at_a_time(void **state)
{
    fixture *f = *state;
    uint8_t word[1];
    assert_status(LOOM_OK, connect_with(f, flood));
    driver_receive_all(&f->driver, word, 1);
    assert_status(LOOM_ECLOSED, driver_end(&f->driver));
    finish(f);
    assert_true(f->all_as_sent);
    assert_true(f->pongs >= 1 && f->pongs <= FLOOD);
}

static void take_large_then_give_large(stream *s, void *user)
{
    fixture *f = user;
    ws_message m;
    size_t have = 0;
    f->all_as_sent = ws_serve_upgrade(s, f->request, NULL);
    while (f->all_as_sent && have < LARGE && ws_read(s, &m)) {
        f->all_as_sent = m.opcode == 0x2 && m.masked && m.len <= 65536 && memcmp(m.data, f->data + have, m.len) == 0;
        have += m.len;
        free(m.data);
    }
    f->all_as_sent = f->all_as_sent && have == LARGE;
    for (size_t at = 0, len = 1; at < LARGE; at += len, len = len * 5 % 100003) {
        len = len < LARGE - at ? len : LARGE - at;
        ws_write(s, 0x89, "ping", 4);
        if (!ws_write(s, (uint8_t)((at + len == LARGE ? 0x80 : 0) | (at == 0 ? 0x2 : 0)), f->data + at, len)) {
            return; /* one message in many fragments, pings between them */
        }
    }
    ws_write(s, 0x88, "\x03\xe8", 2);
    stream_drain(s);
}

static void cross_large(fixture *f)
{
    uint8_t *back = malloc(LARGE);
    assert_non_null(back);
    driver_send(&f->driver, f->data, LARGE);
    driver_receive_all(&f->driver, back, LARGE);
    assert_true(memcmp(back, f->data, LARGE) == 0);
    assert_status(LOOM_ECLOSED, driver_end(&f->driver));
    finish(f);
    assert_true(f->all_as_sent);
    free(back);
}

static void megabytes_cross_unchanged_in_fragments_and_between_pings(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, connect_with(f, take_large_then_give_large));
    cross_large(f);
}

static void wss_carries_the_same(void **state)
{
    fixture *f = *state;
    char ca[] = "/tmp/loom-ws-test-XXXXXX";
    int fd = mkstemp(ca);
    assert_true(fd >= 0);
    close(fd);
    SSL_CTX *tls = server_tls(ca, &(certificate_options){.names = "DNS:localhost"});
    stream_server_open(&f->server, tls, take_large_then_give_large, f);
    assert_status(LOOM_OK, driver_begin(&f->driver, ca, "wss://localhost:%u/loom", f->server.port));
    assert_status(LOOM_OK, driver_connect(&f->driver));
    cross_large(f);
    unlink(ca);
}

/* ---- addresses, memory ---- */

static void a_name_reaches_whichever_of_its_addresses_answers(void **state)
{
    fixture *f = *state;
    f->answer = SWITCHED "%s\r\n\r\n";
    stream_server_open(&f->server, NULL, answer_as_told, f); /* on IPv4 alone */
    assert_status(LOOM_OK, driver_begin(&f->driver, NULL, "ws://localhost:%u", f->server.port));
    assert_status(LOOM_OK, driver_connect(&f->driver));
    finish(f);
    assert_status(LOOM_OK, driver_begin(&f->driver, NULL, "ws://localhost:%u", f->server.port));
    assert_status(LOOM_ENOTCONN, driver_connect(&f->driver)); /* it has gone */
    driver_assert_why(&f->driver, "cannot connect: ");
    driver_close(&f->driver);
}

static loom_status open_and_close(void *user)
{
    carrier_driver d;
    loom_status st = driver_begin(&d, NULL, "%s", (const char *)user);
    driver_close(&d);
    return st == LOOM_ENOTCONN ? LOOM_OK : st; /* refused at once, which is where it wants to get */
}

static void no_memory_is_told_when_opening(void **state)
{
    (void)state;
    static char urls[][32] = {"ws://127.0.0.1:1", "wss://127.0.0.1:1", "tcp://127.0.0.1:1", "ipc:///nonexistent/a"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(alloc_fault_each(open_and_close, urls[i]) >= 1);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_the_server_answers_instead_is_told),
        CASE(headers_without_end_are_given_up),
        CASE(a_server_that_hangs_up_within_its_answer_is_told),
        CASE(a_server_that_says_nothing_leaves_the_agent_waiting_without_spinning),
        CASE(words_before_an_end_are_heard_and_the_end_is_answered),
        CASE(the_request_is_what_the_url_says),
        CASE(finishing_says_1000_and_waits_for_the_server),
        CASE(half_a_frame_is_heard_before_the_break_is_told),
        CASE(a_flood_of_pings_costs_one_answer_at_a_time),
        CASE(megabytes_cross_unchanged_in_fragments_and_between_pings),
        CASE(wss_carries_the_same),
        CASE(a_name_reaches_whichever_of_its_addresses_answers),
        CASE(no_memory_is_told_when_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
