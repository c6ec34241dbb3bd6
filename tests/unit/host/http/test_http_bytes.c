/* SPDX-License-Identifier: Apache-2.0 */
/* What the server reads without any I/O: bodies and WebSocket frames. Vectors name the clause they prove. */
#include "host/http/body.h"
#include "host/http/ws_frame.h"
#include "tests/support/check.h"

/* ---- bodies ---- */

/* A body goes on where its head ended: length 0 stands for chunks. */
static void begin_body(http_body *b, http_head *h, unsigned length)
{
    char text[128];
    size_t used;
    const char *why = "";
    snprintf(text, sizeof text, length > 0 ? "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %u\r\n\r\n"
                                           : "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", length);
    http_head_init(h);
    assert_int_equal(HTTP_HEAD_DONE, http_head_read(h, (loom_str){text, strlen(text)}, sizeof text, &used, &why));
    http_body_init(b, h);
}

/* Reads text in pieces of so many bytes; what the body says goes to out. Returns the bytes used. */
static size_t read_body(http_body *b, const char *text, size_t step, char *out)
{
    size_t len = strlen(text), at = 0;
    *out = '\0';
    while (at < len && b->state != BODY_DONE && b->state != BODY_BAD) {
        loom_bytes piece;
        size_t have = len - at < step ? len - at : step;
        size_t used = http_body_read(b, (loom_bytes){(const uint8_t *)text + at, have}, &piece);
        strncat(out, (const char *)piece.data, piece.len);
        at += used;
    }
    return at;
}

static void a_body_ends_after_its_length(void **state)
{
    (void)state;
    for (size_t step = 1; step < 8; step++) {
        http_head h;
        http_body b;
        char out[64];
        begin_body(&b, &h, 5);
        assert_int_equal(5, read_body(&b, "helloGET", step, out));
        assert_int_equal(BODY_DONE, b.state);
        assert_string_equal("hello", out);
    }
    http_head h;
    http_body empty;
    size_t used;
    const char *why = "";
    http_head_init(&h);
    assert_int_equal(HTTP_HEAD_DONE, http_head_read(&h, STR("GET / HTTP/1.0\r\n\r\n"), 64, &used, &why));
    http_body_init(&empty, &h);
    assert_int_equal(BODY_DONE, empty.state);
}

static void chunks_are_put_together(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        "00005;name=value\r\nhello\r\n006;a=\"b c\"\r\n world\r\n0\r\n\r\n",
        "B\r\nhello world\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
        "b\r\nhello world\r\n000\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t step = 1; step < 50; step++) {
            http_head h;
            http_body b;
            char out[64], text[128];
            snprintf(text, sizeof text, "%sGET / ", texts[i]);
            begin_body(&b, &h, 0);
            assert_int_equal(strlen(texts[i]), read_body(&b, text, step, out));
            assert_int_equal(BODY_DONE, b.state);
            assert_string_equal("hello world", out);
        }
    }
}

static void chunks_that_two_could_read_differently_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\r\n", "x\r\n", "-1\r\n", "0x5\r\nhello", "5\nhello", "5\r\nhelloX", "5\r\nhello\n", "5\r\nhello\rX", ";a\r\n",
        "1234567890abcdef0\r\n", "0\r\nTrailer\n", "0\r\n\rX", "5;a\nb\r\n",
        "0\r\n\n", "0\r\nA: b\r\n\n", "0\r\nA: b\n\r\n", "5 \r\nhello", "5\r\nhello\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        http_head h;
        http_body b;
        char out[64];
        begin_body(&b, &h, 0);
        read_body(&b, texts[i], 1, out);
        assert_int_equal(BODY_BAD, b.state);
    }
}

static void endless_trailers_are_refused(void **state)
{
    (void)state;
    http_head h;
    http_body b;
    char out[64];
    begin_body(&b, &h, 0);
    read_body(&b, "0\r\n", 64, out);
    for (size_t i = 0; i < 10000 && b.state != BODY_BAD; i++) {
        read_body(&b, "A: b\r\n", 64, out);
    }
    assert_int_equal(BODY_BAD, b.state);
}

/* ---- WebSocket frames ---- */

/* Reads a copy in pieces of so many bytes until something is broken; data goes to out. */
static uint16_t read_frames(ws_reader *r, loom_bytes bytes, size_t step, char *out, unsigned *controls)
{
    uint8_t copy[512];
    assert_true(bytes.len <= sizeof copy);
    memcpy(copy, bytes.data, bytes.len);
    *out = '\0';
    *controls = 0;
    for (size_t at = 0, used; at < bytes.len; at += used) {
        loom_bytes piece;
        uint16_t code;
        size_t have = bytes.len - at < step ? bytes.len - at : step;
        switch (ws_read(r, copy + at, have, &used, &piece, &code)) {
        case WS_DATA:
            strncat(out, (const char *)piece.data, piece.len);
            break;
        case WS_CONTROL:
            ++*controls;
            break;
        case WS_BROKEN:
            return code;
        case WS_MORE:
            break;
        }
    }
    return 0;
}

#define MASK "\x01\x02\x03\x04"
/* "hello", "hell" and "o" under that mask */
#define HELLO "igohn"
#define HELL "igoh"
#define O "n"

static void messages_arrive_whatever_their_frames_and_pieces(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        unsigned controls;
    } vectors[] = {
#define V(text, controls) {text, sizeof(text) - 1, controls}
        V("\x82\x85" MASK HELLO, 0),                                               /* 5.2 */
        V("\x02\x84" MASK HELL "\x80\x81" MASK O, 0),                            /* 5.4: fragments */
        V("\x02\x84" MASK HELL "\x89\x81" MASK O "\x80\x81" MASK O, 1),        /* 5.4: a ping between them */
        V("\x02\x80" MASK "\x00\x80" MASK "\x80\x85" MASK HELLO, 0),               /* empty fragments */
        V("\x82\x84" MASK HELL "\x82\x81" MASK O "\x88\x82" MASK "\x02\xea", 1), /* two messages and a close */
#undef V
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        for (size_t step = 1; step <= vectors[i].len; step++) {
            ws_reader r = {.message_max = 5};
            char out[64];
            unsigned controls;
            loom_bytes bytes = {(const uint8_t *)vectors[i].bytes, vectors[i].len};
            assert_int_equal(0, read_frames(&r, bytes, step, out, &controls));
            assert_string_equal("hello", out);
            assert_int_equal(vectors[i].controls, controls);
        }
    }
}

static void frames_that_break_the_protocol_are_refused_with_a_code(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        uint16_t code;
    } vectors[] = {
#define V(text, code) {text, sizeof(text) - 1, code}
        V("\x82\x05hello", 1002),                                    /* 5.1: a client has to mask */
        V("\xc2\x85" MASK HELLO, 1002),                              /* 5.2: RSV without an extension */
        V("\x83\x80" MASK, 1002),                                    /* 5.2: reserved opcode */
        V("\x8b\x80" MASK, 1002),                                    /* the same, of control frames */
        V("\x81\x85" MASK HELLO, 1003),                              /* text is not for us */
        V("\x80\x85" MASK HELLO, 1002),                              /* 5.4: continuation of nothing */
        V("\x02\x81" MASK "i" "\x82\x81" MASK "i", 1002),            /* 5.4: a message within a message */
        V("\x09\x81" MASK "i", 1002),                                /* 5.5: a control frame in fragments */
        V("\x89\xfe\x00\x7e" MASK, 1002),                            /* 5.5: a control frame over 125 bytes */
        V("\x82\xfe\x00\x05" MASK HELLO, 1002),                      /* 5.2: not the shortest length */
        V("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x05" MASK, 1002),    /* the same, in 64 bits */
        V("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x05" MASK, 1002),    /* the highest bit */
        V("\x82\xfe\x01\x00" MASK, 1009),                            /* over message_max, which is 200 */
        V("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" MASK, 1009),
#undef V
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        for (size_t step = 1; step <= vectors[i].len; step++) {
            ws_reader r = {.message_max = 200};
            char out[64];
            unsigned controls;
            loom_bytes bytes = {(const uint8_t *)vectors[i].bytes, vectors[i].len};
            assert_int_equal(vectors[i].code, read_frames(&r, bytes, step, out, &controls));
        }
    }
}

static void fragments_count_together_against_the_limit(void **state)
{
    (void)state;
    static const char bytes[] = "\x02\x84" MASK HELL "\x80\x82" MASK "nn";
    ws_reader r = {.message_max = 5};
    char out[64];
    unsigned controls;
    assert_int_equal(1009, read_frames(&r, (loom_bytes){(const uint8_t *)bytes, sizeof bytes - 1}, 64, out, &controls));
}

static void a_close_frame_holds_a_code_or_nothing(void **state)
{
    (void)state;
    uint16_t code;
    assert_true(ws_close_code(NULL, 0, &code));
    assert_int_equal(WS_CODE_NONE, code);
    assert_true(ws_close_code((const uint8_t *)"\x03\xe8" "bye", 5, &code));
    assert_int_equal(1000, code);
    assert_true(ws_close_code((const uint8_t *)"\x0f\xa0", 2, &code)); /* 4000: private */
    assert_false(ws_close_code((const uint8_t *)"\x03", 1, &code));
    assert_false(ws_close_code((const uint8_t *)"\x03\xed", 2, &code)); /* 1005 never travels */
    assert_false(ws_close_code((const uint8_t *)"\x03\xe7", 2, &code)); /* 999 */
    assert_false(ws_close_code((const uint8_t *)"\x03\xe8\xff", 3, &code)); /* no UTF-8 */
}

static void a_head_takes_the_shortest_form(void **state)
{
    (void)state;
    uint8_t head[WS_HEAD_MAX];
    assert_int_equal(2, ws_head(head, WS_BINARY, 125));
    assert_memory_equal("\x82\x7d", head, 2);
    assert_int_equal(4, ws_head(head, WS_BINARY, 126));
    assert_memory_equal("\x82\x7e\x00\x7e", head, 4);
    assert_int_equal(4, ws_head(head, WS_BINARY, 65535));
    assert_int_equal(10, ws_head(head, WS_BINARY, 65536));
    assert_memory_equal("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", head, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_ends_after_its_length),
        cmocka_unit_test(chunks_are_put_together),
        cmocka_unit_test(chunks_that_two_could_read_differently_are_refused),
        cmocka_unit_test(endless_trailers_are_refused),
        cmocka_unit_test(messages_arrive_whatever_their_frames_and_pieces),
        cmocka_unit_test(frames_that_break_the_protocol_are_refused_with_a_code),
        cmocka_unit_test(fragments_count_together_against_the_limit),
        cmocka_unit_test(a_close_frame_holds_a_code_or_nothing),
        cmocka_unit_test(a_head_takes_the_shortest_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
