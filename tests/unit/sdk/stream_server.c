/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/stream_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- certificates ---- */

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

static X509 *make_certificate(EVP_PKEY *key, const certificate_options *options)
{
    static const long day = 24 * 3600;
    X509 *cert = X509_new();
    assert_non_null(cert);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -2 * day);
    X509_gmtime_adj(X509_getm_notAfter(cert), options->expired ? -day : day);
    const char *name = options->common_name != NULL ? options->common_name : "a test";
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    X509_set_pubkey(cert, key);
    add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    if (options->names != NULL) {
        add_extension(cert, NID_subject_alt_name, options->names);
    }
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

SSL_CTX *server_tls(const char *path, const certificate_options *options)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    X509 *cert = make_certificate(key, options);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(1, PEM_write_X509(file, cert));
    fclose(file);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(ctx);
    assert_int_equal(1, SSL_CTX_use_certificate(ctx, cert));
    assert_int_equal(1, SSL_CTX_use_PrivateKey(ctx, key));
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

/* ---- a server ---- */

static void serve(stream_server *server, int fd)
{
    stream s = {.fd = fd};
    if (server->tls != NULL) {
        s.ssl = SSL_new(server->tls);
        SSL_set_fd(s.ssl, fd);
        if (SSL_accept(s.ssl) != 1) {
            atomic_fetch_add(&server->handshakes_failed, 1);
            SSL_free(s.ssl);
            return;
        }
    }
    server->script(&s, server->user);
    if (s.ssl != NULL) {
        SSL_free(s.ssl);
    }
    atomic_fetch_add(&server->served, 1);
}

static bool begin(stream_server *server, int fd)
{
    pthread_mutex_lock(&server->lock);
    bool on = !server->stopping;
    server->serving = on ? fd : -1;
    pthread_mutex_unlock(&server->lock);
    return on;
}

static void *server_thread(void *arg)
{
    stream_server *server = arg;
    signal(SIGPIPE, SIG_IGN); /* OpenSSL's sockets raise it */
    for (;;) {
        int on = 1, fd = accept(server->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (begin(server, fd)) {
            serve(server, fd);
        }
        (void)begin(server, -1);
        close(fd);
    }
}

void stream_server_open(stream_server *server, SSL_CTX *tls, stream_script *script, void *user)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    *server = (stream_server){.tls = tls, .script = script, .user = user, .serving = -1};
    pthread_mutex_init(&server->lock, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(0, bind(server->listener, (struct sockaddr *)&addr, len));
    assert_int_equal(0, listen(server->listener, 16));
    assert_int_equal(0, getsockname(server->listener, (struct sockaddr *)&addr, &len));
    server->port = ntohs(addr.sin_port);
    assert_int_equal(0, pthread_create(&server->thread, NULL, server_thread, server));
}

void stream_server_close(stream_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    if (server->serving >= 0) {
        shutdown(server->serving, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server->lock);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->tls);
    pthread_mutex_destroy(&server->lock);
}

ssize_t stream_read(stream *s, void *into, size_t room)
{
    if (s->ahead_len > 0) {
        size_t len = s->ahead_len < room ? s->ahead_len : room;
        memcpy(into, s->ahead, len);
        memmove(s->ahead, s->ahead + len, s->ahead_len - len);
        s->ahead_len -= len;
        return (ssize_t)len;
    }
    return s->ssl != NULL ? SSL_read(s->ssl, into, (int)room) : recv(s->fd, into, room, 0);
}

bool stream_read_all(stream *s, void *into, size_t len)
{
    for (size_t have = 0; have < len;) {
        ssize_t n = stream_read(s, (uint8_t *)into + have, len - have);
        if (n <= 0) {
            return false;
        }
        have += (size_t)n;
    }
    return true;
}

bool stream_write(stream *s, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t n = s->ssl != NULL ? SSL_write(s->ssl, at, (int)len) : send(s->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool stream_write_text(stream *s, const char *text)
{
    return stream_write(s, text, strlen(text));
}

void stream_drain(stream *s)
{
    uint8_t buffer[4096];
    while (stream_read(s, buffer, sizeof buffer) > 0) {
    }
}

/* ---- WebSocket ---- */

bool ws_read_request(stream *s, char text[WS_REQUEST_MAX])
{
    size_t have = 0;
    for (;;) {
        ssize_t n = stream_read(s, text + have, WS_REQUEST_MAX - 1 - have);
        if (n <= 0) {
            return false;
        }
        have += (size_t)n;
        text[have] = '\0';
        char *end = strstr(text, "\r\n\r\n");
        if (end != NULL) {
            end += 4;
            s->ahead_len = have - (size_t)(end - text);
            memcpy(s->ahead, end, s->ahead_len);
            *end = '\0';
            return true;
        }
    }
}

void ws_accept_of(const char *request, char accept[32])
{
    static const char name[] = "Sec-WebSocket-Key: ";
    char text[128];
    uint8_t digest[20];
    const char *key = strstr(request, name);
    key = key != NULL ? key + strlen(name) : "";
    int len = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    EVP_Digest(text, (size_t)len, digest, NULL, EVP_sha1(), NULL);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
}

bool ws_serve_upgrade(stream *s, char *request, const char *extra)
{
    char text[WS_REQUEST_MAX], accept[32], answer[512];
    request = request != NULL ? request : text;
    if (!ws_read_request(s, request)) {
        return false;
    }
    ws_accept_of(request, accept);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n%s\r\n",
             accept, extra != NULL ? extra : "");
    return stream_write_text(s, answer);
}

bool ws_write(stream *s, uint8_t first, const void *data, size_t len)
{
    uint8_t head[10] = {first};
    size_t size = 2;
    if (len < 126) {
        head[1] = (uint8_t)len;
    } else if (len <= UINT16_MAX) {
        head[1] = 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        size = 4;
    } else {
        head[1] = 127;
        for (unsigned i = 0; i < 8; i++) {
            head[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
        }
        size = 10;
    }
    return stream_write(s, head, size) && stream_write(s, data, len);
}

bool ws_read(stream *s, ws_message *m)
{
    uint8_t head[2], more[8], key[4];
    *m = (ws_message){0};
    if (!stream_read_all(s, head, 2)) {
        return false;
    }
    m->fin = head[0] & 0x80;
    m->opcode = head[0] & 0x7f;
    m->masked = head[1] & 0x80;
    size_t size = (head[1] & 0x7f) == 126 ? 2 : (head[1] & 0x7f) == 127 ? 8 : 0;
    m->len = size == 0 ? head[1] & 0x7f : 0;
    if (!stream_read_all(s, more, size)) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        m->len = m->len << 8 | more[i];
    }
    if (m->masked && !stream_read_all(s, key, sizeof key)) {
        return false;
    }
    m->data = malloc(m->len + 1);
    if (m->data == NULL || !stream_read_all(s, m->data, m->len)) {
        free(m->data);
        m->data = NULL;
        return false;
    }
    for (size_t i = 0; m->masked && i < m->len; i++) {
        m->data[i] ^= key[i % 4];
    }
    return true;
}
