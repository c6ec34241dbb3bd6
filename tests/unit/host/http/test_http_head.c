/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of requests, strictly: RFC 9112. Each vector is read in pieces of every size. */
#include "host/http/head.h"
#include "tests/support/check.h"

enum { MAX = 1024 };

/* Reads text as if step bytes came at a time. */
static uint16_t read_in_steps(http_head *h, const char *text, size_t step, size_t *used)
{
    uint16_t status = HTTP_HEAD_MORE;
    const char *why = NULL;
    http_head_init(h);
    size_t len = strlen(text);
    for (size_t have = step < len ? step : len; status == HTTP_HEAD_MORE; have = have + step < len ? have + step : len) {
        status = http_head_read(h, (loom_str){text, have}, MAX, used, &why);
        if (have == len) {
            break;
        }
    }
    if (status > HTTP_HEAD_MORE) {
        assert_non_null(why);
    }
    return status;
}

static uint16_t read_head(http_head *h, const char *text)
{
    size_t used = 0;
    uint16_t first = read_in_steps(h, text, SIZE_MAX / 2, &used);
    for (size_t step = 1; step < 20; step++) {
        assert_int_equal(first, read_in_steps(h, text, step, &used));
    }
    return first;
}

static void a_request_is_read_in_its_parts(void **state)
{
    (void)state;
    http_head h;
    size_t used;
    static const char text[] = "POST /a/b?c=d&e HTTP/1.1\r\nHost: x:1\r\ncontent-LENGTH:  12 \r\nX-Empty:\r\n\r\nbody";
    assert_int_equal(HTTP_HEAD_DONE, read_in_steps(&h, text, 7, &used));
    assert_int_equal(sizeof text - 1 - 4, used);
    assert_str("POST", h.method);
    assert_str("/a/b", h.path);
    assert_str("c=d&e", h.query);
    assert_int_equal(1, h.minor);
    assert_int_equal(3, h.field_count);
    assert_str("x:1", *http_head_field(&h, "HOST"));
    assert_str("", *http_head_field(&h, "x-empty"));
    assert_null(http_head_field(&h, "X"));
    assert_true(h.has_length);
    assert_int_equal(12, h.length);
    assert_false(h.close);
    assert_false(h.chunked);
}

static void what_a_head_says_of_its_connection_and_body_is_understood(void **state)
{
    (void)state;
    http_head h;
    assert_int_equal(HTTP_HEAD_DONE, read_head(&h, "GET / HTTP/1.0\r\n\r\n"));
    assert_true(h.close);
    assert_int_equal(HTTP_HEAD_DONE, read_head(&h, "GET / HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\n"));
    assert_true(h.close);
    assert_int_equal(HTTP_HEAD_DONE, read_head(&h, "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n"));
    assert_true(h.chunked && h.wants_continue && !h.close);
    assert_int_equal(HTTP_HEAD_DONE, read_head(&h, "GET http://x:80/path HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_str("/path", h.path);
    assert_int_equal(HTTP_HEAD_DONE, read_head(&h, "GET http://x HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_str("/", h.path);
    assert_int_equal(HTTP_HEAD_DONE, read_head(&h, "GET / HTTP/1.1\r\nHost: x\r\nL: a, \"b\"\r\nL: c ,D\r\n\r\n"));
    assert_true(http_head_lists(&h, "l", "d", false) && http_head_lists(&h, "L", "D", true));
    assert_false(http_head_lists(&h, "L", "d", true) || http_head_lists(&h, "L", "e", false));
}

static void an_absolute_target_names_the_host(void **state)
{
    (void)state;
    http_head h;
    assert_int_equal(HTTP_HEAD_DONE, read_head(&h, "GET http://x:80/path HTTP/1.1\r\nA: b\r\nHost: y\r\n\r\n"));
    assert_str("x:80", *http_head_field(&h, "Host"));
    assert_int_equal(HTTP_HEAD_DONE, read_head(&h, "GET http://x?/a HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_str("/", h.path);
    assert_str("/a", h.query);
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        const char *text;
    } vectors[] = {
        {400, "\x16\x03\x01"},                                                    /* TLS where none is spoken */
        {400, " GET / HTTP/1.1\r\n\r\n"},
        {400, "\r\n\r\n"},
        {400, "GET / HTTP/1.1\nHost: x\n\n"},                                     /* 2.2: a bare LF */
        {400, "GET / HTTP/1.1\r\nHost: x\n\r\n"},
        {400, "GET /\r\n\r\n"},
        {400, "GET  / HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "GET / HTTP/1.1 \r\nHost: x\r\n\r\n"},
        {400, "GET / http/1.1\r\nHost: x\r\n\r\n"},
        {400, "GET x HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"},                            /* 3.2.1: no fragment */
        {400, "GET /a?b#c HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "GET http://x#b HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n"},                        /* RFC 9110, 4.2.1: no host */
        {400, "GET http://u:p@x/a HTTP/1.1\r\nHost: x\r\n\r\n"},                   /* RFC 9110, 4.2.4: userinfo */
        {400, "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n"},
        {505, "PRI * HTTP/2.0\r\n\r\n"},
        {505, "GET / HTTP/3.1\r\nHost: x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n\r\n"},                                          /* 3.2: Host */
        {400, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost : x\r\n\r\n"},                              /* 5.1: space before the colon */
        {400, "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"},                    /* 5.2: obs-fold */
        {400, "GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"}, /* 6.3 */
        {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999999\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {501, "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
        {501, "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"}, /* 6.3: may be refused, too */
        {417, "GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n"},
    };
    http_head h;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        assert_int_equal(vectors[i].status, read_head(&h, vectors[i].text));
    }
}

/* llhttp 8 takes all of these, even in its strict mode. */
static void what_llhttp_lets_pass_is_refused_all_the_same(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        const char *text;
    } vectors[] = {
        {400, "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"},                             /* 2.2: an empty line first may be ignored */
        {400, "GET / HTTP/1.1\r\nHost: x\r\n\n"},                                  /* 2.2: a bare LF */
        {400, "GET / HTTP/1.1\nHost: x\r\n\r\n"},
        {400, "GET /\r\nHost: x\r\n\r\n"},                                        /* HTTP/0.9 */
        {505, "GET / HTTP/0.9\r\nHost: x\r\n\r\n"},
        {505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n"},
        {400, "GET /  HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "SOURCE / ICE/1.0\r\nHost: x\r\n\r\n"},
        {400, "DESCRIBE / RTSP/1.0\r\nHost: x\r\n\r\n"},
        {400, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"},                           /* 3.2.4: nothing here is for all of a server */
        {400, "CONNECT /x HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\nA:\r\n folded\r\n\r\n"},              /* 5.2: obs-fold */
        {400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tfolded\r\n\r\n"},
        {501, "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\t\r\n\r\n"}, /* it would not read them as chunks */
        {501, "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {501, "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999999\r\n\r\n"},
    };
    http_head h;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        assert_int_equal(vectors[i].status, read_head(&h, vectors[i].text));
    }
}

static void a_method_that_nobody_knows_is_not_implemented(void **state)
{
    (void)state;
    http_head h;
    assert_int_equal(501, read_head(&h, "BREW / HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(501, read_head(&h, "get / HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(400, read_head(&h, "BREW\r\n\r\n"));
}

static void a_target_may_be_long_but_not_endless(void **state)
{
    (void)state;
    http_head h;
    size_t used;
    const char *why;
    char text[HTTP_TARGET_MAX + 100];
    for (size_t over = 0; over <= 1; over++) {
        memset(text, 'a', sizeof text);
        memcpy(text, "GET /", 5);
        strcpy(text + 4 + HTTP_TARGET_MAX + over, " HTTP/1.1\r\nHost: x\r\n\r\n");
        http_head_init(&h);
        assert_int_equal(over ? 414 : HTTP_HEAD_DONE,
                         http_head_read(&h, (loom_str){text, strlen(text)}, sizeof text, &used, &why));
    }
    assert_string_equal("URI Too Long", http_status_name(414));
}

static void a_head_without_an_end_is_too_large(void **state)
{
    (void)state;
    http_head h;
    char text[2 * MAX];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(431, read_head(&h, text));
    memcpy(text, "GET / HTTP/1.1\r\nHost: x\r\nA: ", 28);
    assert_int_equal(431, read_head(&h, text));
    memcpy(text + sizeof text - 5, "\r\n\r\n", 4);
    assert_int_equal(431, read_head(&h, text)); /* whole, and too large all the same */
}

static void too_many_fields_are_refused(void **state)
{
    (void)state;
    http_head h;
    char text[MAX] = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (size_t i = 0; i < HTTP_FIELDS_MAX; i++) {
        strcat(text, "A: b\r\n");
    }
    strcat(text, "\r\n");
    assert_int_equal(431, read_head(&h, text));
}

static void a_null_byte_is_no_end(void **state)
{
    (void)state;
    http_head h;
    size_t used;
    const char *why;
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n";
    http_head_init(&h);
    assert_int_equal(400, http_head_read(&h, (loom_str){text, sizeof text - 1}, MAX, &used, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_in_its_parts),
        cmocka_unit_test(what_a_head_says_of_its_connection_and_body_is_understood),
        cmocka_unit_test(an_absolute_target_names_the_host),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(what_llhttp_lets_pass_is_refused_all_the_same),
        cmocka_unit_test(a_method_that_nobody_knows_is_not_implemented),
        cmocka_unit_test(a_target_may_be_long_but_not_endless),
        cmocka_unit_test(a_head_without_an_end_is_too_large),
        cmocka_unit_test(too_many_fields_are_refused),
        cmocka_unit_test(a_null_byte_is_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
