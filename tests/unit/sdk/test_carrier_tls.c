/* SPDX-License-Identifier: Apache-2.0 */
/* tls+tcp: who is let in, what is told of who is not, and that no byte is lost, held back or sent twice. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/alloc_fault.h"
#include "tests/support/wait_until.h"
#include "tests/unit/sdk/carrier_driver.h"
#include "tests/unit/sdk/stream_server.h"

enum { LARGE = 3000000 };

typedef struct fixture {
    char folder[64], ca[96];
    stream_server server;
    carrier_driver driver;
    char server_name[64];  /* of the client's hello */
    int end;               /* SSL_get_error() at the client's end */
    uint8_t *data;         /* LARGE bytes */
    bool as_sent;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->folder, "/tmp/loom-tls-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->ca, sizeof f->ca, "%s/ca.pem", f->folder);
    f->data = malloc(LARGE);
    assert_non_null(f->data);
    for (size_t i = 0; i < LARGE; i++) {
        f->data[i] = (uint8_t)(i * 7 + i / 251);
    }
    unsetenv("LOOM_TLS_CA");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    unlink(f->ca);
    rmdir(f->folder);
    free(f->data);
    free(f);
    return 0;
}

static void serve(fixture *f, stream_script *script, const certificate_options *options)
{
    stream_server_open(&f->server, server_tls(f->ca, options), script, f);
}

static loom_status connect_to(fixture *f, const char *host)
{
    loom_status st = driver_begin(&f->driver, f->ca, "tls+tcp://%s:%u", host, f->server.port);
    return st == LOOM_OK ? driver_connect(&f->driver) : st;
}

static void finish(fixture *f)
{
    driver_close(&f->driver);
    stream_server_close(&f->server);
}

/* ---- scripts ---- */

static void note_name_and_echo(stream *s, void *user)
{
    fixture *f = user;
    const char *name = SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(f->server_name, sizeof f->server_name, "%s", name != NULL ? name : "");
    uint8_t buffer[1000];
    ssize_t n;
    while ((n = stream_read(s, buffer, sizeof buffer)) > 0 && stream_write(s, buffer, (size_t)n)) {
    }
    f->end = SSL_get_error(s->ssl, (int)n);
    SSL_shutdown(s->ssl);
}

static void just_drain(stream *s, void *user)
{
    (void)user;
    stream_drain(s);
}

/* ---- who is let in ---- */

static void assert_echoes(fixture *f)
{
    uint8_t back[5];
    driver_send(&f->driver, "hello", 5);
    driver_receive_all(&f->driver, back, sizeof back);
    assert_memory_equal("hello", back, 5);
}

static void a_host_is_found_in_the_names_of_its_certificate(void **state)
{
    fixture *f = *state;
    serve(f, note_name_and_echo, &(certificate_options){.names = "DNS:other.example,DNS:localhost,IP:127.0.0.1"});
    assert_status(LOOM_OK, connect_to(f, "localhost"));
    assert_echoes(f);
    f->driver.carrier->ops->finish(f->driver.carrier);
    assert_status(LOOM_ECLOSED, driver_end(&f->driver));
    assert_string_equal("the bridge closed the connection", f->driver.why);
    driver_close(&f->driver);
    wait_until(atomic_load(&f->server.served) == 1, DRIVER_DEADLINE_MS);
    assert_string_equal("localhost", f->server_name);
    assert_int_equal(SSL_ERROR_ZERO_RETURN, f->end); /* a closing alert, and not just the end of the socket */

    assert_status(LOOM_OK, connect_to(f, "127.0.0.1"));
    assert_echoes(f);
    driver_close(&f->driver); /* without finish: the alert is sent all the same */
    wait_until(atomic_load(&f->server.served) == 2, DRIVER_DEADLINE_MS);
    assert_string_equal("", f->server_name); /* SNI is for names */
    assert_int_equal(SSL_ERROR_ZERO_RETURN, f->end);
    stream_server_close(&f->server);
}

static void refused(fixture *f, const certificate_options *options, const char *host, const char *why)
{
    serve(f, just_drain, options);
    assert_status(LOOM_EDENIED, connect_to(f, host));
    assert_string_equal(why, f->driver.why);
    finish(f);
}

static void a_certificate_that_does_not_fit_is_refused_and_told(void **state)
{
    fixture *f = *state;
    refused(f, &(certificate_options){.names = "DNS:other.example"}, "localhost",
            "the certificate is for another host: other.example");
    refused(f, &(certificate_options){.names = "IP:127.0.0.2"}, "127.0.0.1", "the certificate is for another host: 127.0.0.2");
    refused(f, &(certificate_options){.names = "IP:::1"}, "127.0.0.1", "the certificate is for another host: ::1");
    refused(f, &(certificate_options){.names = "DNS:127.0.0.1"}, "127.0.0.1", "the certificate is for another host: 127.0.0.1");
    refused(f, &(certificate_options){.common_name = "only.example"}, "127.0.0.1",
            "the certificate is for another host: only.example");
    refused(f, &(certificate_options){.names = "DNS:localhost", .expired = true}, "localhost", "the certificate has expired");
}

static void a_certificate_of_nobody_known_is_refused_and_told(void **state)
{
    fixture *f = *state;
    serve(f, just_drain, &(certificate_options){.names = "DNS:localhost"});
    assert_status(LOOM_OK, driver_begin(&f->driver, NULL, "tls+tcp://localhost:%u", f->server.port));
    assert_status(LOOM_EDENIED, driver_connect(&f->driver));
    driver_assert_why(&f->driver, "the certificate is not trusted: self");
    driver_close(&f->driver);

    setenv("LOOM_TLS_CA", f->ca, 1);
    assert_status(LOOM_OK, driver_begin(&f->driver, NULL, "tls+tcp://localhost:%u", f->server.port));
    assert_status(LOOM_OK, driver_connect(&f->driver));
    unsetenv("LOOM_TLS_CA");
    finish(f);
}

static void a_file_of_authorities_that_is_missing_is_told(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_EINVAL, driver_begin(&f->driver, "/nonexistent/ca.pem", "tls+tcp://127.0.0.1:1"));
    driver_assert_why(&f->driver, "/nonexistent/ca.pem: ");
    driver_close(&f->driver);
}

static void versions_before_1_2_are_refused(void **state)
{
    fixture *f = *state;
    SSL_CTX *old = server_tls(f->ca, &(certificate_options){.names = "DNS:localhost"});
    SSL_CTX_set_security_level(old, 0);
    SSL_CTX_set_min_proto_version(old, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(old, TLS1_1_VERSION);
    stream_server_open(&f->server, old, just_drain, f);
    assert_status(LOOM_EPROTO, connect_to(f, "localhost"));
    driver_assert_why(&f->driver, "TLS handshake: ");
    driver_assert_why(&f->driver, "version");
    finish(f);
}

/* ---- who is no TLS server ---- */

static void answer_in_http(stream *s, void *user)
{
    (void)user;
    stream_write_text(s, "HTTP/1.1 400 Bad Request\r\n\r\n");
    stream_drain(s);
}

static void answer_garbage(stream *s, void *user)
{
    static const uint8_t garbage[64] = {0xff, 0xfe, 1, 2, 3};
    (void)user;
    stream_write(s, garbage, sizeof garbage);
    stream_drain(s);
}

static void hang_up(stream *s, void *user)
{
    uint8_t first;
    (void)user;
    (void)stream_read_all(s, &first, 1);
}

static void whatever_is_no_tls_server_is_told(void **state)
{
    fixture *f = *state;
    static const struct {
        stream_script *script;
        loom_status status;
        const char *why;
    } cases[] = {{answer_in_http, LOOM_EPROTO, "not a TLS server"},
                 {answer_garbage, LOOM_EPROTO, "not a TLS server"},
                 {hang_up, LOOM_ECLOSED, "the server closed the connection during the TLS handshake"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stream_server_open(&f->server, NULL, cases[i].script, f);
        assert_status(LOOM_OK, driver_begin(&f->driver, NULL, "tls+tcp://127.0.0.1:%u", f->server.port));
        loom_status st = driver_connect(&f->driver);
        if (i < 2) {
            assert_status(cases[i].status, st);
            assert_string_equal(cases[i].why, f->driver.why);
        } else { /* it closes over bytes unread: a reset may come first */
            assert_true(st == LOOM_ECLOSED || st == LOOM_EIO);
        }
        finish(f);
    }
}

static void a_server_that_says_nothing_leaves_the_agent_waiting_without_spinning(void **state)
{
    fixture *f = *state;
    stream_server_open(&f->server, NULL, just_drain, f);
    assert_status(LOOM_OK, driver_begin(&f->driver, NULL, "tls+tcp://127.0.0.1:%u", f->server.port));
    assert_status(LOOM_EBUSY, f->driver.carrier->ops->connect(f->driver.carrier));
    while (driver_wait(&f->driver, 200)) {
        assert_status(LOOM_EBUSY, f->driver.carrier->ops->connect(f->driver.carrier));
        assert_true(f->driver.wakes < 10);
    }
    finish(f);
}

/* ---- bytes ---- */

static void read_large_then_write_large(stream *s, void *user)
{
    fixture *f = user;
    uint8_t *back = malloc(LARGE);
    f->as_sent = back != NULL && stream_read_all(s, back, LARGE / 2);
    SSL_key_update(s->ssl, SSL_KEY_UPDATE_REQUESTED); /* the client's next record has new keys */
    f->as_sent = f->as_sent && stream_write(s, "k", 1) && stream_read_all(s, back + LARGE / 2, LARGE / 2) &&
                 memcmp(back, f->data, LARGE) == 0;
    free(back);
    for (size_t at = 0, len = 1; at < LARGE; at += len, len = len * 3 % 20011) { /* records of many sizes */
        len = len < LARGE - at ? len : LARGE - at;
        if (!stream_write(s, f->data + at, len)) {
            return;
        }
    }
    SSL_shutdown(s->ssl);
    stream_drain(s);
}

static void megabytes_cross_unchanged_over_full_sockets_and_new_keys(void **state)
{
    fixture *f = *state;
    uint8_t key[1], *back = malloc(LARGE);
    assert_non_null(back);
    serve(f, read_large_then_write_large, &(certificate_options){.names = "IP:127.0.0.1"});
    assert_status(LOOM_OK, connect_to(f, "127.0.0.1"));
    driver_send(&f->driver, f->data, LARGE / 2);
    driver_receive_all(&f->driver, key, 1);
    driver_send(&f->driver, f->data + LARGE / 2, LARGE / 2);
    driver_receive_all(&f->driver, back, LARGE);
    assert_true(memcmp(back, f->data, LARGE) == 0);
    assert_true(f->as_sent);
    assert_status(LOOM_ECLOSED, driver_end(&f->driver));
    finish(f);
    free(back);
}

static void small_frames_share_a_record(void **state)
{
    fixture *f = *state;
    serve(f, note_name_and_echo, &(certificate_options){.names = "IP:127.0.0.1"});
    assert_status(LOOM_OK, connect_to(f, "127.0.0.1"));
    struct iovec iov[4] = {{(void *)(uintptr_t)"he", 2}, {NULL, 0}, {(void *)(uintptr_t)"ll", 2}, {(void *)(uintptr_t)"o", 1}};
    uint8_t back[CARRIER_ROOM_MIN];
    size_t sent, got;
    assert_status(LOOM_OK, f->driver.carrier->ops->send(f->driver.carrier, iov, 4, &sent));
    assert_int_equal(5, sent);
    assert_status(LOOM_OK, driver_receive(&f->driver, back, sizeof back, &got));
    assert_int_equal(5, got); /* the echo of one read */
    assert_memory_equal("hello", back, 5);
    finish(f);
}

static void say_and_break(stream *s, void *user)
{
    (void)user;
    stream_write_text(s, "last words");
    shutdown(s->fd, SHUT_WR);
    stream_drain(s);
}

static void last_words_are_heard_before_an_end_without_a_closing_alert_is_told(void **state)
{
    fixture *f = *state;
    uint8_t words[10];
    serve(f, say_and_break, &(certificate_options){.names = "IP:127.0.0.1"});
    assert_status(LOOM_OK, connect_to(f, "127.0.0.1"));
    driver_receive_all(&f->driver, words, sizeof words);
    assert_status(LOOM_ECLOSED, driver_end(&f->driver));
    driver_assert_why(&f->driver, "without closing TLS");
    finish(f);
}

static void say_then_garbage(stream *s, void *user)
{
    (void)user;
    stream_write_text(s, "last words");
    send(s->fd, "\x17\x03\x03\x00\x20 this was never encrypted by us .", 37, MSG_NOSIGNAL);
    stream_drain(s);
}

static void last_words_are_heard_before_a_forged_record_is_told(void **state)
{
    fixture *f = *state;
    uint8_t words[10];
    serve(f, say_then_garbage, &(certificate_options){.names = "IP:127.0.0.1"});
    assert_status(LOOM_OK, connect_to(f, "127.0.0.1"));
    driver_receive_all(&f->driver, words, sizeof words);
    assert_status(LOOM_EPROTO, driver_end(&f->driver));
    driver_assert_why(&f->driver, "connection broken: TLS: ");
    size_t sent;
    assert_status(LOOM_EIO, f->driver.carrier->ops->send(f->driver.carrier, &(struct iovec){f->data, 10}, 1, &sent));
    finish(f);
}

static loom_status open_and_close(void *user)
{
    fixture *f = user;
    loom_status st = driver_begin(&f->driver, NULL, "tls+tcp://127.0.0.1:1");
    driver_close(&f->driver);
    return st == LOOM_ENOTCONN ? LOOM_OK : st; /* refused at once, which is where it wants to get */
}

static void no_memory_is_told_when_opening(void **state)
{
    assert_true(alloc_fault_each(open_and_close, *state) >= 2);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_host_is_found_in_the_names_of_its_certificate),
        CASE(a_certificate_that_does_not_fit_is_refused_and_told),
        CASE(a_certificate_of_nobody_known_is_refused_and_told),
        CASE(a_file_of_authorities_that_is_missing_is_told),
        CASE(versions_before_1_2_are_refused),
        CASE(whatever_is_no_tls_server_is_told),
        CASE(a_server_that_says_nothing_leaves_the_agent_waiting_without_spinning),
        CASE(megabytes_cross_unchanged_over_full_sockets_and_new_keys),
        CASE(small_frames_share_a_record),
        CASE(last_words_are_heard_before_an_end_without_a_closing_alert_is_told),
        CASE(last_words_are_heard_before_a_forged_record_is_told),
        CASE(no_memory_is_told_when_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
