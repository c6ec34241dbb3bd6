/* SPDX-License-Identifier: Apache-2.0 */
/* A server of a test's own: TCP, TLS by OpenSSL if asked for, and a WebSocket made by hand. A thread serves one connection
 * after the other by a script; scripts run there, so they assert nothing, but note what a test looks at afterwards. */
#ifndef LOOM_TESTS_STREAM_SERVER_H
#define LOOM_TESTS_STREAM_SERVER_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/check.h"

/* ---- certificates ---- */

typedef struct certificate_options {
    const char *names;       /* subjectAltName as OpenSSL writes it, such as "IP:127.0.0.1,DNS:localhost"; NULL: none */
    const char *common_name; /* NULL: "a test" */
    bool expired;
} certificate_options;

/* A context of a server with a certificate that has signed itself; its PEM goes to path, to be trusted. */
SSL_CTX *server_tls(const char *path, const certificate_options *options);

/* ---- a server ---- */

typedef struct stream {
    int fd;
    SSL *ssl; /* NULL: plain */
    uint8_t ahead[4096]; /* read with the HTTP request, and not yet taken */
    size_t ahead_len;
} stream;

typedef void stream_script(stream *s, void *user);

typedef struct stream_server {
    int listener;
    unsigned port;
    SSL_CTX *tls;
    stream_script *script;
    void *user;
    pthread_t thread;
    pthread_mutex_t lock;
    int serving;             /* the descriptor being served, or -1; lock */
    bool stopping;           /* lock */
    atomic_uint handshakes_failed, served;
} stream_server;

/* Listens on 127.0.0.1. Owns tls, which may be NULL. */
void stream_server_open(stream_server *server, SSL_CTX *tls, stream_script *script, void *user);
/* Breaks the connection being served, and waits for its script. */
void stream_server_close(stream_server *server);

/* 0: the end; below: broken. */
ssize_t stream_read(stream *s, void *into, size_t room);
bool stream_read_all(stream *s, void *into, size_t len);
bool stream_write(stream *s, const void *data, size_t len);
bool stream_write_text(stream *s, const char *text);
/* Reads until the client ends. */
void stream_drain(stream *s);

/* ---- WebSocket ---- */

enum { WS_REQUEST_MAX = 4096 };

typedef struct ws_message {
    uint8_t opcode; /* with the FIN bit off */
    bool fin, masked;
    uint8_t *data;  /* malloc'd */
    size_t len;
} ws_message;

/* Reads the request into text, NUL-terminated. */
bool ws_read_request(stream *s, char text[WS_REQUEST_MAX]);
/* The accept value to a request. */
void ws_accept_of(const char *request, char accept[32]);
/* Reads the request and upgrades. extra: header lines, each with CRLF. request may be NULL. */
bool ws_serve_upgrade(stream *s, char *request, const char *extra);
/* first: FIN, RSV and opcode. The frame is unmasked, as a server's. */
bool ws_write(stream *s, uint8_t first, const void *data, size_t len);
/* One frame of the client, unmasked. False: the end. */
bool ws_read(stream *s, ws_message *message);

#endif
