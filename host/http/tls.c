/* SPDX-License-Identifier: Apache-2.0 */
/* A session reads from the bytes it was fed, and writes into a buffer, through a BIO of our own: no descriptor, and no copy
 * but OpenSSL's. It never has to be asked again for a write, since a buffer takes everything. */
#include "host/http/tls.h"

#include "host/http/tls_library.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

struct tls_context {
    const tls_library *lib;
    SSL_CTX *ctx;
    BIO_METHOD *method;
    const char *protocols; /* NULL: none are offered */
};

struct tls_session {
    const tls_library *lib;
    SSL *ssl;
    const uint8_t *in; /* borrowed */
    size_t in_len;
    byte_buffer out;
    bool up;
};

/* ---- the certificate ---- */

static int no_password(char *buf, int size, int writing, void *user)
{
    (void)buf, (void)size, (void)writing, (void)user;
    return -1; /* a daemon cannot ask for one */
}

static loom_status refuse(const tls_library *lib, const char *file, const char *what, char *why, size_t why_size)
{
    unsigned long code = lib->ERR_peek_last_error();
    const char *reason = code != 0 ? lib->ERR_reason_error_string(code) : NULL;
    (void)snprintf(why, why_size, "%.200s: %s%s%s", file, what, reason != NULL ? ": " : "", reason != NULL ? reason : "");
    lib->ERR_clear_error();
    return LOOM_EINVAL;
}

static loom_status check_time(const tls_library *lib, SSL_CTX *ctx, const char *file, char *why, size_t why_size)
{
    X509 *certificate = lib->SSL_CTX_get0_certificate(ctx);
    const ASN1_TIME *before = lib->X509_get0_notBefore(certificate), *after = lib->X509_get0_notAfter(certificate);
    bool over = lib->X509_cmp_current_time(after) < 0;
    if (!over && lib->X509_cmp_current_time(before) <= 0) {
        return LOOM_OK;
    }
    struct tm when = {0};
    char text[32] = "?";
    if (lib->ASN1_TIME_to_tm(over ? after : before, &when) == 1) {
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &when);
    }
    (void)snprintf(why, why_size, "%.200s: the certificate %s %s", file, over ? "expired at" : "is not valid before", text);
    return LOOM_EINVAL;
}

static loom_status load(const tls_library *lib, SSL_CTX *ctx, const char *file, char *why, size_t why_size)
{
    FILE *readable = fopen(file, "re");
    if (readable == NULL) {
        (void)snprintf(why, why_size, "%.200s: %s", file, strerror(errno));
        return LOOM_EIO;
    }
    fclose(readable);
    lib->ERR_clear_error();
    lib->SSL_CTX_set_default_passwd_cb(ctx, no_password);
    if (lib->SSL_CTX_use_certificate_chain_file(ctx, file) != 1) {
        return refuse(lib, file, "there is no certificate in PEM that can be read", why, why_size);
    }
    if (lib->SSL_CTX_use_PrivateKey_file(ctx, file, SSL_FILETYPE_PEM) != 1) {
        return refuse(lib, file, "there is no private key in PEM that can be read and fits the certificate", why, why_size);
    }
    if (lib->SSL_CTX_check_private_key(ctx) != 1) {
        return refuse(lib, file, "the private key does not fit the certificate", why, why_size);
    }
    return check_time(lib, ctx, file, why, why_size);
}

/* ---- between OpenSSL and the buffers ---- */

static int bio_read(BIO *bio, char *out, int len)
{
    tls_session *s = http_tls_library_get()->BIO_get_data(bio);
    size_t part = s->in_len < (size_t)len ? s->in_len : (size_t)len;
    s->lib->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (part == 0) {
        s->lib->BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
        return -1;
    }
    memcpy(out, s->in, part);
    s->in += part;
    s->in_len -= part;
    return (int)part;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    tls_session *s = http_tls_library_get()->BIO_get_data(bio);
    s->lib->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    return buffer_put(&s->out, data, (size_t)len) ? len : -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH; /* the rest does not apply */
}

/* LOOM_ENOMEM, or what load() says. */
static loom_status make_ctx(const tls_library *lib, SSL_CTX **out, const char *file, char *why, size_t why_size)
{
    (void)snprintf(why, why_size, "out of memory");
    SSL_CTX *ctx = lib->SSL_CTX_new(lib->TLS_server_method());
    if ((*out = ctx) == NULL) {
        return LOOM_ENOMEM;
    }
    lib->SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    lib->SSL_CTX_ctrl(ctx, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
    lib->SSL_CTX_ctrl(ctx, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, NULL); /* an idle session keeps no 34 KiB */
    lib->SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    const loom_status st = load(lib, ctx, file, why, why_size);
    if (st != LOOM_OK) {
        lib->SSL_CTX_free(ctx);
        *out = NULL;
    }
    return st;
}

loom_status tls_context_open(tls_context **out, const char *file, char *why, size_t why_size)
{
    *out = NULL;
    const tls_library *lib = http_tls_library_get();
    if (lib == NULL) {
        (void)snprintf(why, why_size, "%s", http_tls_library_problem());
        return LOOM_EIO;
    }
    tls_context *c = calloc(1, sizeof *c);
    if (c == NULL || (c->method = lib->BIO_meth_new(BIO_TYPE_SOURCE_SINK, "loom")) == NULL) {
        (void)snprintf(why, why_size, "out of memory");
        free(c);
        return LOOM_ENOMEM;
    }
    c->lib = lib;
    lib->BIO_meth_set_read(c->method, bio_read);
    lib->BIO_meth_set_write(c->method, bio_write);
    lib->BIO_meth_set_ctrl(c->method, bio_ctrl);
    const loom_status st = make_ctx(lib, &c->ctx, file, why, why_size);
    if (st != LOOM_OK) {
        tls_context_close(c);
        return st;
    }
    *out = c;
    return LOOM_OK;
}

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *asked,
                           unsigned asked_len, void *user)
{
    const tls_context *c = user;
    unsigned char *chosen;
    (void)ssl;
    if (c->lib->SSL_select_next_proto(&chosen, out_len, (const unsigned char *)c->protocols, (unsigned)strlen(c->protocols),
                                      asked, asked_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

void tls_context_offer(tls_context *c, const char *protocols)
{
    c->protocols = protocols;
    c->lib->SSL_CTX_set_alpn_select_cb(c->ctx, select_protocol, c);
}

/* Sessions that are open hold the old certificate themselves. */
loom_status tls_context_reload(tls_context *c, const char *file, char *why, size_t why_size)
{
    SSL_CTX *fresh;
    const loom_status st = make_ctx(c->lib, &fresh, file, why, why_size);
    if (st == LOOM_OK) {
        c->lib->SSL_CTX_free(c->ctx);
        c->ctx = fresh;
        if (c->protocols != NULL) {
            tls_context_offer(c, c->protocols);
        }
    }
    return st;
}

void tls_context_close(tls_context *c)
{
    if (c != NULL) {
        c->lib->SSL_CTX_free(c->ctx);
        c->lib->BIO_meth_free(c->method);
        free(c);
    }
}

/* ---- a session ---- */

tls_session *tls_session_open(tls_context *c)
{
    tls_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->lib = c->lib;
    s->ssl = c->lib->SSL_new(c->ctx);
    BIO *bio = s->ssl != NULL ? c->lib->BIO_new(c->method) : NULL;
    if (bio == NULL) {
        tls_session_close(s);
        return NULL;
    }
    c->lib->BIO_set_data(bio, s);
    c->lib->BIO_set_init(bio, 1);
    c->lib->SSL_set_bio(s->ssl, bio, bio);
    c->lib->SSL_set_accept_state(s->ssl);
    return s;
}

void tls_session_close(tls_session *s)
{
    if (s != NULL) {
        s->lib->SSL_free(s->ssl);
        buffer_fini(&s->out);
        free(s);
    }
}

void tls_session_feed(tls_session *s, const uint8_t *data, size_t len)
{
    s->in = data;
    s->in_len = len;
}

static tls_event event_of(tls_session *s, int result)
{
    switch (s->lib->SSL_get_error(s->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_END;
    default:
        return TLS_BROKEN;
    }
}

tls_event tls_session_read(tls_session *s, uint8_t *out, size_t size, size_t *got)
{
    s->lib->ERR_clear_error();
    if (!s->up) {
        int done = s->lib->SSL_do_handshake(s->ssl);
        if (done != 1) {
            return event_of(s, done);
        }
        s->up = true;
    }
    int len = s->lib->SSL_read(s->ssl, out, (int)size);
    if (len <= 0) {
        return event_of(s, len);
    }
    *got = (size_t)len;
    return TLS_DATA;
}

bool tls_session_is_up(const tls_session *s)
{
    return s->up;
}

bool tls_session_write(tls_session *s, const uint8_t *data, size_t len)
{
    s->lib->ERR_clear_error();
    return len == 0 || s->lib->SSL_write(s->ssl, data, (int)len) == (int)len;
}

void tls_session_end(tls_session *s)
{
    if (s->up) {
        s->lib->ERR_clear_error();
        (void)s->lib->SSL_shutdown(s->ssl);
    }
}

byte_buffer *tls_session_output(tls_session *s)
{
    return &s->out;
}
