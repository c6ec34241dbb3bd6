/* SPDX-License-Identifier: Apache-2.0 */
/* The WebSocket's parts without a socket: the upgrade, frames in, frames out. Clauses are those of RFC 6455. */
#include <stdlib.h>

#include "envelope/frame/frame.h"
#include "sdk-c/link/ws_reader.h"
#include "sdk-c/link/ws_upgrade.h"
#include "sdk-c/link/ws_writer.h"
#include "tests/support/check.h"

/* ---- the upgrade ---- */

static size_t request_of(char out[WS_REQUEST_SIZE], const char *text)
{
    url u;
    char why[URL_ERROR_SIZE];
    assert_status(LOOM_OK, url_parse(&u, text, URL_LINKS | URL_DIAL, why));
    return ws_upgrade_request(out, &u, "dGhlIHNhbXBsZSBub25jZQ==");
}

static void the_request_keeps_path_and_query_and_names_the_host(void **state)
{
    (void)state;
    static const struct {
        const char *url, *line, *host;
    } cases[] = {
        {"ws://h:7780/loom/link?room=1", "GET /loom/link?room=1 HTTP/1.1\r\n", "\r\nHost: h:7780\r\n"},
        {"ws://h", "GET / HTTP/1.1\r\n", "\r\nHost: h\r\n"},
        {"ws://h:443?a=b", "GET /?a=b HTTP/1.1\r\n", "\r\nHost: h:443\r\n"},
        {"wss://h:443/", "GET / HTTP/1.1\r\n", "\r\nHost: h\r\n"},
        {"wss://h:80/", "GET / HTTP/1.1\r\n", "\r\nHost: h:80\r\n"},
        {"ws://[::1]:80/", "GET / HTTP/1.1\r\n", "\r\nHost: [::1]\r\n"},
        {"ws://[fe80::1%eth0]:81/", "GET / HTTP/1.1\r\n", "\r\nHost: [fe80::1]:81\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[WS_REQUEST_SIZE];
        size_t len = request_of(text, cases[i].url);
        assert_int_equal(strlen(text), len);
        assert_memory_equal(cases[i].line, text, strlen(cases[i].line));
        assert_non_null(strstr(text, cases[i].host));
        assert_non_null(strstr(text, "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
        assert_non_null(strstr(text, "\r\nSec-WebSocket-Version: 13\r\n"));
        assert_non_null(strstr(text, "\r\nSec-WebSocket-Protocol: loom.v1\r\n\r\n"));
    }
}

static void the_longest_url_makes_a_whole_request(void **state)
{
    (void)state;
    char text[WS_REQUEST_SIZE], long_url[URL_MAX];
    int len = snprintf(long_url, sizeof long_url, "ws://%0255d:65535/", 1);
    memset(long_url + len, 'x', sizeof long_url - 1 - (size_t)len);
    long_url[sizeof long_url - 1] = '\0';
    memcpy(long_url + 5, "host", 4);
    size_t size = request_of(text, long_url);
    assert_true(size < sizeof text);
    assert_memory_equal("\r\n\r\n", text + size - 4, 4);
}

#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" /* 1.3 */
#define SWITCHED "HTTP/1.1 101 Switching Protocols\r\n"
#define FINE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n"

static void an_answer_is_taken_or_refused_by_the_letter(void **state)
{
    (void)state;
    static const struct {
        const char *head, *why; /* NULL: upgraded */
    } cases[] = {
        {SWITCHED FINE "\r\n", NULL},
        {SWITCHED FINE "Sec-WebSocket-Protocol: loom.v1\r\n\r\n", NULL},
        {"HTTP/1.1 101\r\n" FINE "\r\n", NULL},
        {SWITCHED "upgrade:WebSocket\r\nCONNECTION: keep-alive , Upgrade\r\nX:\r\nsec-websocket-accept: \t" ACCEPT " \r\n\r\n", NULL},
        {SWITCHED FINE "Sec-WebSocket-Protocol: chat\r\n\r\n", "the server speaks \"chat\", not loom.v1"},
        {SWITCHED FINE "Sec-WebSocket-Protocol: LOOM.v1\r\n\r\n", "the server speaks"},
        {SWITCHED FINE "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "not offered: permessage-deflate"},
        {SWITCHED "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n", "Accept is wrong"},
        {SWITCHED "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "Accept is wrong"},
        {SWITCHED "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n", "switched to \"h2c\""},
        {SWITCHED "Upgrade: websocket\r\nConnection: close\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n", "not to a WebSocket"},
        {SWITCHED FINE "Upgrade: websocket\r\n\r\n", "has two Upgrade"},
        {SWITCHED FINE " folded\r\n\r\n", "is not HTTP"},
        {SWITCHED FINE "no colon\r\n\r\n", "is not HTTP"},
        {SWITCHED FINE "Name : x\r\n\r\n", "is not HTTP"},
        {SWITCHED "X: a\nUpgrade: websocket\r\n\r\n", "is not HTTP"},
        {SWITCHED "X: a\rUpgrade: websocket\r\n\r\n", "is not HTTP"},
        {"HTTP/1.0 101 Switching Protocols\r\n" FINE "\r\n", "is not HTTP/1.1"},
        {"HTTP/1.1 1011 x\r\n" FINE "\r\n", "is not HTTP/1.1"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "the server answered 200 OK, not a WebSocket upgrade"},
        {"HTTP/1.0 403 Forbidden\r\n\r\n", "answered 403 Forbidden, not"},
        {"HTTP/1.1 301 Moved\r\nLocation: https://else.example/\r\n\r\n", "answered 301 Moved, see https://else.example/, not"},
        {"HTTP/1.1 404 N\x01ot\r\n\r\n", "answered 404 N?ot, not"},
        {"HTTP/2 200\r\n\r\n", "does not speak HTTP"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"},
        {"\xff", "does not speak HTTP"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[WS_UPGRADE_WHY_SIZE] = "";
        size_t len = strlen(cases[i].head), end = 0;
        loom_status st = ws_upgrade_answer((loom_str){cases[i].head, len}, ACCEPT, &end, why);
        if (cases[i].why == NULL) {
            if (st != LOOM_OK) {
                fail_msg("%s: %s", cases[i].head, why);
            }
            assert_int_equal(len, end);
            for (size_t part = 0; part < len; part++) {
                assert_status(LOOM_EBUSY, ws_upgrade_answer((loom_str){cases[i].head, part}, ACCEPT, &end, why));
            }
        } else if (st != LOOM_EPROTO || strstr(why, cases[i].why) == NULL) {
            fail_msg("%s\n%s: \"%s\" lacks \"%s\"", cases[i].head, loom_status_name(st), why, cases[i].why);
        }
    }
}

static void headers_without_end_are_refused_at_the_limit(void **state)
{
    (void)state;
    static char head[WS_ANSWER_MAX + 10] = SWITCHED "X: ";
    char why[WS_UPGRADE_WHY_SIZE];
    size_t end;
    memset(head + strlen(head), 'x', sizeof head - strlen(head));
    assert_status(LOOM_EBUSY, ws_upgrade_answer((loom_str){head, WS_ANSWER_MAX - 1}, ACCEPT, &end, why));
    assert_status(LOOM_EPROTO, ws_upgrade_answer((loom_str){head, WS_ANSWER_MAX}, ACCEPT, &end, why));
    assert_non_null(strstr(why, "over 8192 bytes"));
    memcpy(head + WS_ANSWER_MAX, "\r\n\r\n", 4); /* an end that comes too late */
    assert_status(LOOM_EPROTO, ws_upgrade_answer((loom_str){head, WS_ANSWER_MAX + 4}, ACCEPT, &end, why));
}

static void keys_differ_and_their_answer_is_the_rfcs(void **state)
{
    (void)state;
    char key[2][WS_KEY_SIZE], accept[WS_ACCEPT_SIZE];
    for (int i = 0; i < 2; i++) {
        ws_upgrade_key(key[i], accept);
        assert_int_equal(24, strlen(key[i]));
        assert_int_equal(28, strlen(accept));
    }
    assert_string_not_equal(key[0], key[1]);
}

/* ---- frames in ---- */

/* Decodes in place, in pieces of the given size; out gets the payload. */
static size_t decode(ws_reader *r, const void *raw, size_t raw_len, size_t piece, uint8_t *out)
{
    size_t have = 0;
    for (size_t at = 0; at < raw_len; at += piece) {
        size_t len = piece < raw_len - at ? piece : raw_len - at;
        uint8_t *buffer = malloc(len); /* its end is the sanitizer's to watch */
        assert_non_null(buffer);
        memcpy(buffer, (const uint8_t *)raw + at, len);
        size_t got = ws_reader_decode(r, buffer, buffer, len);
        assert_true(got <= len);
        memcpy(out + have, buffer, got);
        have += got;
        free(buffer);
    }
    return have;
}

static void start(ws_reader *r)
{
    assert_non_null(ws_library_get());
    assert_status(LOOM_OK, ws_reader_init(r, ws_library_get()));
}

static void fragments_with_control_frames_between_them_are_one_stream(void **state)
{
    (void)state;
    static const char raw[] = "\x02\x03one" /* 5.4: begins a message */
                              "\x89\x04ping"
                              "\x00\x00" /* an empty fragment */
                              "\x8a\x00" /* a pong nobody asked for: 5.5.3 */
                              "\x80\x03two"
                              "\x82\x7e\x00\x05three" /* a length written longer than need be, which libwslay refuses: see below */;
    const size_t good = sizeof raw - 1 - 9;
    uint8_t out[64];
    for (size_t piece = 1; piece <= good; piece++) {
        ws_reader r;
        start(&r);
        assert_int_equal(6, decode(&r, raw, good, piece, out));
        assert_memory_equal("onetwo", out, 6);
        assert_status(LOOM_OK, r.ended);
        assert_true(r.pinged);
        assert_int_equal(4, r.ping_len);
        assert_memory_equal("ping", r.ping, 4);
        ws_reader_fini(&r);
    }
    ws_reader r;
    start(&r);
    assert_int_equal(6, decode(&r, raw, sizeof raw - 1, sizeof raw - 1, out));
    assert_status(LOOM_EPROTO, r.ended); /* 5.2: the minimal number of bytes */
    assert_int_equal(1002, r.close_code);
    ws_reader_fini(&r);
}

static void large_frames_of_every_length_form_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 4096, 65535, 65536, 1000000};
    uint8_t *raw = malloc(1000010), *out = malloc(1000000);
    assert_non_null(raw);
    assert_non_null(out);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i], head = size < 126 ? 2 : size < 65536 ? 4 : 10;
        memset(raw, 0, head);
        raw[0] = 0x82;
        raw[1] = (uint8_t)(head == 2 ? size : head == 4 ? 126 : 127);
        for (size_t k = 0, left = size; head > 2 && k < 4 && k < head - 2; k++, left >>= 8) {
            raw[head - 1 - k] = (uint8_t)left;
        }
        for (size_t k = 0; k < size; k++) {
            raw[head + k] = (uint8_t)(k * 31);
        }
        static const size_t pieces[] = {1009, 40000, 2000000};
        for (size_t p = 0; p < 3; p++) {
            ws_reader r;
            start(&r);
            assert_int_equal(size, decode(&r, raw, head + size, pieces[p], out));
            assert_true(memcmp(out, raw + head, size) == 0);
            assert_status(LOOM_OK, r.ended);
            ws_reader_fini(&r);
        }
    }
    free(raw);
    free(out);
}

static void what_a_server_may_not_send_ends_the_connection_with_its_code(void **state)
{
    (void)state;
    const struct {
        loom_str raw;
        uint16_t code;
        const char *why;
    } cases[] = {
        {STR("\x82\x81\x01\x02\x03\x04x"), 1002, "masked"},              /* 5.1 */
        {STR("\xc2\x01x"), 1002, "reserved bit"},                        /* 5.2 */
        {STR("\x83\x01x"), 1002, "unknown kind"},
        {STR("\x8b\x00"), 1002, "unknown kind"},
        {STR("\x81\x02hi"), 1003, "text message"},                       /* the link is binary */
        {STR("\x80\x01x"), 1002, "mixed"},                               /* 5.4: continues nothing */
        {STR("\x02\x01x\x82\x01y"), 1002, "mixed"},                      /* 5.4: a message within a message */
        {STR("\x09\x00"), 1002, "header"},                               /* 5.5: a ping in fragments */
        {STR("\x89\x7e\x00\x7e"), 1002, "header"},                       /* 5.5: a ping over 125 bytes */
        {STR("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00x"), 1002, "header"}, /* 5.2: the top bit of a length */
        {STR("\x82\x7f\x00\x00\x00\x00\x00\x20\x00\x00x"), 1009, "larger"},
        {STR("\x88\x01\x03"), 1002, "close frame"},                      /* 5.5.1: half a code */
        {STR("\x88\x02\x03\xed"), 1002, "close frame"},                  /* 7.4.1: 1005 is never sent */
        {STR("\x88\x02\x00\x10"), 1002, "close frame"},
    };
    assert_true((1 << 21) > FRAME_HEADER_SIZE + FRAME_MAX);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[64];
        ws_reader r;
        start(&r);
        (void)decode(&r, cases[i].raw.data, cases[i].raw.len, 64, out);
        assert_status(LOOM_EPROTO, r.ended);
        assert_int_equal(cases[i].code, r.close_code);
        if (strstr(r.why, cases[i].why) == NULL) {
            fail_msg("\"%s\" lacks \"%s\"", r.why, cases[i].why);
        }
        assert_int_equal(0, decode(&r, "\x82\x01x", 3, 3, out)); /* nothing is taken after that */
        ws_reader_fini(&r);
    }
}

static void a_close_frame_is_told_and_answered_with_its_code(void **state)
{
    (void)state;
    const struct {
        loom_str raw;
        uint16_t code;
        const char *why;
    } cases[] = {
        {STR("\x88\x00"), WS_CLOSE_NONE, "the bridge closed the connection"},
        {STR("\x88\x02\x03\xe8"), 1000, "the bridge closed the connection"},
        {STR("\x88\x02\x03\xe9"), 1001, "the bridge closed the connection: going away (1001)"},
        {STR("\x88\x08\x03\xf0no \x01ou"), 1008, "the bridge closed the connection: policy violation (1008): no ?ou"},
        {STR("\x88\x02\x0f\xa0"), 4000, "the bridge closed the connection: for a reason of its own (4000)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[64];
        ws_reader r;
        start(&r);
        assert_int_equal(1, decode(&r, "\x82\x01x", 3, 3, out));
        assert_int_equal(0, decode(&r, cases[i].raw.data, cases[i].raw.len, 1, out));
        assert_status(LOOM_ECLOSED, r.ended);
        assert_int_equal(cases[i].code, r.close_code);
        assert_string_equal(cases[i].why, r.why);
        ws_reader_fini(&r);
    }
}

/* ---- frames out ---- */

/* A carrier that takes as many bytes at a time as it is told to, and then none once. */
typedef struct narrow {
    carrier base;
    size_t step, left;
    uint8_t *data;
    size_t len, capacity;
} narrow;

static loom_status narrow_send(carrier *c, const struct iovec *iov, size_t count, size_t *sent)
{
    narrow *n = (narrow *)c;
    assert_int_equal(1, count);
    *sent = iov->iov_len < n->left ? iov->iov_len : n->left;
    if (*sent == 0) {
        n->left = n->step;
        return LOOM_EBUSY;
    }
    n->left -= *sent;
    assert_true(n->capacity - n->len >= *sent);
    memcpy(n->data + n->len, iov->iov_base, *sent);
    n->len += *sent;
    return LOOM_OK;
}

static const carrier_ops narrow_ops = {.send = narrow_send};

/* Unmasks the frame at *at; returns its opcode, with FIN. */
static uint8_t unmask(const narrow *n, size_t *at, uint8_t *out, size_t *len, uint8_t key[4])
{
    assert_true(n->len - *at >= 6);
    const uint8_t *raw = n->data + *at;
    size_t head = (raw[1] & 0x7f) == 126 ? 4 : (raw[1] & 0x7f) == 127 ? 10 : 2, size = head == 2 ? raw[1] & 0x7f : 0;
    for (size_t i = 2; i < head; i++) {
        size = size << 8 | raw[i];
    }
    assert_true(raw[1] & 0x80);
    memcpy(key, raw + head, 4);
    assert_true(n->len - *at >= head + 4 + size);
    for (size_t i = 0; i < size; i++) {
        out[i] = raw[head + 4 + i] ^ key[i % 4];
    }
    *at += head + 4 + size;
    *len = size;
    return raw[0];
}

/* Sends data as an agent does, in pieces; a ping comes at each step. Returns how many pongs have left. */
static unsigned send_narrowly(narrow *n, ws_writer *w, uint8_t *data, size_t len)
{
    unsigned pings = 0;
    for (size_t done = 0; done < len;) {
        size_t sent, rest = len - done;
        struct iovec iov[3] = {{data + done, rest / 2}, {data, 0}, {data + done + rest / 2, rest - rest / 2}};
        loom_status st = ws_writer_send(w, &n->base, iov, 3, &sent);
        assert_true(st == LOOM_OK ? sent > 0 : st == LOOM_EBUSY && sent == 0);
        done += sent;
        ws_writer_pong(w, (const uint8_t *)"newest", 6);
        pings++;
        loom_status control = ws_writer_control(w, &n->base);
        assert_true(control == LOOM_OK || control == LOOM_EBUSY);
    }
    return pings;
}

static void a_stream_leaves_whole_however_little_is_taken_at_a_time(void **state)
{
    (void)state;
    enum { LEN = 150001 };
    static const size_t steps[] = {1, 5, 1000, 65536 + 8, 1 << 20};
    uint8_t *data = malloc(LEN), *out = malloc(LEN + WS_MESSAGE_MAX), key[4], last_key[4] = {0};
    ws_writer *w = malloc(sizeof *w);
    for (size_t i = 0; i < LEN; i++) {
        data[i] = (uint8_t)(i * 13);
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        narrow n = {.base.ops = &narrow_ops, .step = steps[i], .data = malloc(3 * LEN), .capacity = 3 * LEN};
        assert_non_null(n.data);
        memset(w, 0, sizeof *w);
        unsigned pings = send_narrowly(&n, w, data, LEN);
        ws_writer_close(w, 1000);
        ws_writer_close(w, 1002);                         /* the first one stands */
        ws_writer_pong(w, (const uint8_t *)"late", 4);    /* 5.5.1: nothing after a close */
        while (ws_writer_control(w, &n.base) == LOOM_EBUSY) {
        }
        size_t at = 0, have = 0, len;
        unsigned pongs = 0;
        uint8_t first;
        while ((first = unmask(&n, &at, out + have, &len, key)) != 0x88) {
            assert_true(memcmp(key, last_key, 4) != 0);
            memcpy(last_key, key, 4);
            if (first == 0x8a) {
                assert_memory_equal("newest", out + have, 6);
                pongs++;
            } else {
                assert_int_equal(0x82, first);
                assert_true(len <= WS_MESSAGE_MAX);
                have += len;
            }
        }
        assert_int_equal(LEN, have);
        assert_true(memcmp(data, out, LEN) == 0);
        assert_true(pongs <= pings);
        assert_int_equal(2, len);
        assert_memory_equal("\x03\xe8", out + have, 2);
        assert_int_equal(n.len, at);
        size_t sent;
        assert_status(LOOM_EIO, ws_writer_send(w, &n.base, &(struct iovec){data, 1}, 1, &sent));
        free(n.data);
    }
    free(w);
    free(out);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_keeps_path_and_query_and_names_the_host),
        cmocka_unit_test(the_longest_url_makes_a_whole_request),
        cmocka_unit_test(an_answer_is_taken_or_refused_by_the_letter),
        cmocka_unit_test(headers_without_end_are_refused_at_the_limit),
        cmocka_unit_test(keys_differ_and_their_answer_is_the_rfcs),
        cmocka_unit_test(fragments_with_control_frames_between_them_are_one_stream),
        cmocka_unit_test(large_frames_of_every_length_form_arrive_whole),
        cmocka_unit_test(what_a_server_may_not_send_ends_the_connection_with_its_code),
        cmocka_unit_test(a_close_frame_is_told_and_answered_with_its_code),
        cmocka_unit_test(a_stream_leaves_whole_however_little_is_taken_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
