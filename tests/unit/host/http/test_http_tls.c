/* SPDX-License-Identifier: Apache-2.0 */
/* TLS: what a certificate may be, streams of bare TLS, https, and peers that speak something else. */
#include "tests/support/alloc_fault.h"
#include "base/url.h"
#include "host/http/tls.h"
#include "tests/unit/host/http/http_peer.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { DAY = 24 * 3600, LARGE = 1024 * 1024 };

typedef struct fixture {
    http_home home;
    char dir[32], pem[64];
    http_stream *stream;
    char peer[80];
    uint8_t *received;
    size_t received_len, sent, closed;
} fixture;

/* ---- certificates ---- */

/* PEM of a certificate valid from and until so many seconds from now, and of a key that may be another's. */
static void write_pem(const char *path, long from, long until_s, bool with_certificate, bool with_key, bool fitting)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), from);
    X509_gmtime_adj(X509_getm_notAfter(x), until_s);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"127.0.0.1", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    if (with_certificate) {
        assert_int_equal(1, PEM_write_X509(out, x));
    }
    if (with_key) {
        assert_int_equal(1, PEM_write_PrivateKey(out, fitting ? key : other, NULL, NULL, 0, NULL, NULL));
    }
    fclose(out);
    X509_free(x);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void set_up_pem(fixture *f)
{
    *f = (fixture){.dir = "/tmp/loom-tls-XXXXXX", .received = malloc(4 * LARGE)};
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->pem, sizeof f->pem, "%s/both.pem", f->dir);
}

static void remove_pem(fixture *f)
{
    unlink(f->pem);
    assert_int_equal(0, rmdir(f->dir));
    free(f->received);
}

static void assert_unusable(fixture *f, loom_status expected, const char *part)
{
    tls_context *c;
    char why[HTTP_ERROR_SIZE];
    assert_status(expected, tls_context_open(&c, f->pem, why, sizeof why));
    assert_null(c);
    if (strstr(why, f->pem) == NULL || strstr(why, part) == NULL) {
        print_error("%s\n", why);
        fail();
    }
}

static void a_certificate_that_cannot_be_used_is_named_with_the_reason(void **state)
{
    (void)state;
    fixture f;
    set_up_pem(&f);
    assert_unusable(&f, LOOM_EIO, "No such file");
    write_pem(f.pem, -2 * DAY, -DAY, true, true, true);
    assert_unusable(&f, LOOM_EINVAL, "expired at 20");
    write_pem(f.pem, DAY, 2 * DAY, true, true, true);
    assert_unusable(&f, LOOM_EINVAL, "not valid before 20");
    write_pem(f.pem, -DAY, DAY, false, true, true);
    assert_unusable(&f, LOOM_EINVAL, "no certificate");
    write_pem(f.pem, -DAY, DAY, true, false, true);
    assert_unusable(&f, LOOM_EINVAL, "no private key");
    write_pem(f.pem, -DAY, DAY, true, true, false);
    assert_unusable(&f, LOOM_EINVAL, "fits the certificate");
    FILE *out = fopen(f.pem, "we");
    fputs("no PEM at all", out);
    fclose(out);
    assert_unusable(&f, LOOM_EINVAL, "no certificate");
    remove_pem(&f);
}

/* ---- a server ---- */

static void on_received(void *user, const uint8_t *data, size_t len)
{
    fixture *f = user;
    assert_true(f->received_len + len <= 4 * LARGE);
    memcpy(f->received + f->received_len, data, len);
    f->received_len += len;
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
    f->stream = s;
    snprintf(f->peer, sizeof f->peer, "%s", peer);
    http_stream_attach(s, &events, f);
}

static const http_endpoint endpoint = {.opened = on_opened};

static void on_hello(void *user, http_request *r)
{
    (void)user;
    http_request_answer_text(r, 200, "hello");
}

static const http_route routes[] = {{.method = "GET", .path = "/", .handle = on_hello}};

static void start(fixture *f, const char *scheme, const http_server_options *options)
{
    set_up_pem(f);
    write_pem(f->pem, -DAY, DAY, true, true, true);
    http_home_open(&f->home, options);
    bool raw = strcmp(scheme, "tls+tcp") == 0;
    http_home_listen(&f->home, scheme, &(http_listen_options){.routes = routes, .route_count = raw ? 0 : 1, .raw = raw ? &endpoint : NULL,
                                                              .tls_cert_key_file = f->pem, .user = f});
}

static void stop(fixture *f)
{
    http_home_close(&f->home);
    assert_null(f->stream);
    remove_pem(f);
}

/* ---- a client ---- */

typedef struct tls_peer {
    http_peer peer;
    SSL_CTX *ctx;
    SSL *ssl;
} tls_peer;

static int turn(tls_peer *p, int result)
{
    uv_run(p->peer.loop, UV_RUN_NOWAIT);
    return result;
}

/* asked: protocols for ALPN, in the form of the wire; NULL: none. */
static void tls_open_asking(tls_peer *p, fixture *f, const char *asked)
{
    http_peer_open(&p->peer, &f->home.loop, f->home.port);
    p->ctx = SSL_CTX_new(TLS_client_method());
    p->ssl = SSL_new(p->ctx);
    assert_true(asked == NULL || SSL_set_alpn_protos(p->ssl, (const unsigned char *)asked, (unsigned)strlen(asked)) == 0);
    assert_int_equal(1, SSL_set_fd(p->ssl, p->peer.fd));
    assert_int_equal(0, fcntl(p->peer.fd, F_SETFL, O_NONBLOCK));
    wait_until(turn(p, SSL_connect(p->ssl)) == 1, HTTP_PEER_DEADLINE_MS);
}

static void tls_open(tls_peer *p, fixture *f)
{
    tls_open_asking(p, f, NULL);
}

static void tls_close(tls_peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    http_peer_close(&p->peer);
}

static void tls_say(tls_peer *p, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        int part = turn(p, SSL_write(p->ssl, (const char *)data + at, (int)(len - at < 16384 ? len - at : 16384)));
        at += part > 0 ? (size_t)part : 0;
    }
}

static size_t tls_hear(tls_peer *p, void *data, size_t len)
{
    size_t at = 0;
    while (at < len) {
        int part = turn(p, SSL_read(p->ssl, (char *)data + at, (int)(len - at)));
        if (part <= 0 && SSL_get_error(p->ssl, part) != SSL_ERROR_WANT_READ) {
            break;
        }
        at += part > 0 ? (size_t)part : 0;
    }
    return at;
}

static void bytes_of_any_amount_cross_bare_tls_both_ways(void **state)
{
    (void)state;
    fixture f;
    tls_peer p;
    uint8_t *data = malloc(LARGE), *heard = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        data[i] = (uint8_t)(i * 13 + i / 256);
    }
    static const size_t sizes[] = {1, 16384, 65536, 65537, LARGE};
    start(&f, "tls+tcp", NULL);
    tls_open(&p, &f);
    turn_until(&f.home.loop, f.stream != NULL);
    assert_memory_equal("tls:127.0.0.1:", f.peer, 14);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        f.received_len = f.sent = 0;
        tls_say(&p, data, sizes[i]);
        turn_until(&f.home.loop, f.received_len == sizes[i]);
        assert_memory_equal(data, f.received, sizes[i]);
        http_stream_send(f.stream, data, sizes[i]);
        assert_int_equal(sizes[i], tls_hear(&p, heard, sizes[i]));
        assert_memory_equal(data, heard, sizes[i]);
        turn_until(&f.home.loop, f.sent == 1);
    }
    tls_close(&p);
    turn_until(&f.home.loop, f.closed == 1);
    free(data);
    free(heard);
    stop(&f);
}

static void the_end_of_a_stream_is_said_as_tls_does(void **state)
{
    (void)state;
    fixture f;
    tls_peer p;
    char byte;
    start(&f, "tls+tcp", NULL);
    tls_open(&p, &f);
    turn_until(&f.home.loop, f.stream != NULL);
    http_stream_close(f.stream, HTTP_CLOSE_NORMAL);
    assert_int_equal(0, tls_hear(&p, &byte, 1));
    assert_int_equal(SSL_RECEIVED_SHUTDOWN, SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN);
    tls_close(&p);
    tls_open(&p, &f);
    turn_until(&f.home.loop, f.stream != NULL);
    SSL_shutdown(p.ssl); /* now the client says it */
    turn_until(&f.home.loop, f.closed == 2);
    tls_close(&p);
    stop(&f);
}

static void requests_are_served_over_https(void **state)
{
    (void)state;
    fixture f;
    tls_peer p;
    char heard[1024] = "";
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    start(&f, "https", NULL);
    tls_open(&p, &f);
    tls_say(&p, text, sizeof text - 1);
    size_t len = tls_hear(&p, heard, sizeof heard - 1);
    heard[len] = '\0';
    assert_memory_equal("HTTP/1.1 200 OK\r\n", heard, 17);
    assert_non_null(strstr(heard + 17, "HTTP/1.1 200 OK\r\n"));
    tls_close(&p);
    stop(&f);
}

/* What ALPN chose; empty: nothing. */
static loom_str choose(fixture *f, tls_peer *p, const char *asked)
{
    const unsigned char *chosen;
    unsigned len;
    tls_open_asking(p, f, asked);
    SSL_get0_alpn_selected(p->ssl, &chosen, &len);
    return (loom_str){(const char *)chosen, len};
}

static void without_http2_alpn_chooses_http_1_1_or_nothing(void **state)
{
    (void)state;
    fixture f;
    tls_peer p;
    start(&f, "https", NULL);
    assert_str("http/1.1", choose(&f, &p, "\x2h2\x8http/1.1"));
    tls_close(&p);
    assert_int_equal(0, choose(&f, &p, "\x2h2\x3xyz").len); /* and is not refused for it */
    tls_close(&p);
    stop(&f);
}

static void bare_tls_speaks_no_protocol_of_alpn(void **state)
{
    (void)state;
    fixture f;
    tls_peer p;
    start(&f, "tls+tcp", NULL);
    assert_int_equal(0, choose(&f, &p, "\x8http/1.1").len);
    tls_close(&p);
    stop(&f);
}

static void what_is_no_tls_is_closed_at_once(void **state)
{
    (void)state;
    static const char *const beginnings[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "garbage garbage", "\x16\x03\x01\xff\xff garbage"};
    fixture f;
    start(&f, "tls+tcp", NULL);
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        http_peer p;
        http_peer_open(&p, &f.home.loop, f.home.port);
        http_peer_say(&p, beginnings[i]);
        http_peer_wait_end(&p);
        http_peer_close(&p);
    }
    assert_int_equal(3, http_server_get_counts(f.home.server).invalid);
    assert_null(f.stream);
    stop(&f);
}

static void half_a_handshake_is_given_up(void **state)
{
    (void)state;
    fixture f;
    http_peer p;
    start(&f, "tls+tcp", &(http_server_options){.handshake_ms = 50});
    http_peer_open(&p, &f.home.loop, f.home.port);
    http_peer_send(&p, "\x16\x03\x01\x02\x00\x01\x00", 7);
    http_peer_wait_end(&p);
    assert_int_equal(1, http_server_get_counts(f.home.server).late);
    http_peer_close(&p);
    stop(&f);
}

static void a_stream_that_is_up_has_no_deadline(void **state)
{
    (void)state;
    fixture f;
    tls_peer p;
    start(&f, "tls+tcp", &(http_server_options){.handshake_ms = 200, .ping_ms = 20});
    tls_open(&p, &f);
    turn_until(&f.home.loop, f.stream != NULL);
    uint64_t began = wait_now_ms();
    turn_until(&f.home.loop, wait_now_ms() - began > 400);
    assert_int_equal(0, f.closed);
    tls_close(&p);
    stop(&f);
}

static void closing_ends_tls_in_every_state(void **state)
{
    (void)state;
    fixture f;
    tls_peer p;
    http_peer silent, half;
    uint8_t *data = calloc(16, LARGE);
    for (size_t i = 0; i < 4; i++) {
        start(&f, "tls+tcp", &(http_server_options){.close_ms = 20});
        http_peer_open(&silent, &f.home.loop, f.home.port);
        http_peer_open(&half, &f.home.loop, f.home.port);
        http_peer_send(&half, "\x16\x03\x01\x02\x00\x01\x00", 7);
        tls_open(&p, &f);
        turn_until(&f.home.loop, f.stream != NULL);
        if (i % 2 == 1) {
            http_stream_send(f.stream, data, (size_t)16 * LARGE);
        }
        stop(&f);
        tls_close(&p);
        http_peer_close(&silent);
        http_peer_close(&half);
    }
    free(data);
}

static loom_status shake_hands(void *user)
{
    fixture *f = user;
    http_peer peer;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    size_t closed = f->closed;
    int done = 0, error = SSL_ERROR_WANT_READ;
    http_peer_open(&peer, &f->home.loop, f->home.port);
    assert_int_equal(1, SSL_set_fd(ssl, peer.fd));
    assert_int_equal(0, fcntl(peer.fd, F_SETFL, O_NONBLOCK));
    while (done != 1 && error == SSL_ERROR_WANT_READ) {
        done = SSL_connect(ssl);
        error = SSL_get_error(ssl, done);
        uv_run(&f->home.loop, UV_RUN_NOWAIT);
    }
    bool up = f->stream != NULL;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    http_peer_close(&peer);
    turn_until(&f->home.loop, http_server_get_counts(f->home.server).connections == 0 && f->stream == NULL);
    return done == 1 && (up || f->closed > closed) ? LOOM_OK : LOOM_ENOMEM;
}

static void a_handshake_survives_every_failed_allocation(void **state)
{
    (void)state;
    fixture f;
    start(&f, "tls+tcp", NULL);
    assert_true(alloc_fault_each_survived(shake_hands, &f) > 0);
    stop(&f);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in every process of ours */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_that_cannot_be_used_is_named_with_the_reason),
        cmocka_unit_test(bytes_of_any_amount_cross_bare_tls_both_ways),
        cmocka_unit_test(the_end_of_a_stream_is_said_as_tls_does),
        cmocka_unit_test(requests_are_served_over_https),
        cmocka_unit_test(what_is_no_tls_is_closed_at_once),
        cmocka_unit_test(half_a_handshake_is_given_up),
        cmocka_unit_test(a_stream_that_is_up_has_no_deadline),
        cmocka_unit_test(closing_ends_tls_in_every_state),
        cmocka_unit_test(a_handshake_survives_every_failed_allocation),
        cmocka_unit_test(without_http2_alpn_chooses_http_1_1_or_nothing),
        cmocka_unit_test(bare_tls_speaks_no_protocol_of_alpn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
