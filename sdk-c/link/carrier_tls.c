/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier of tls+tcp://, and the lower half of wss://: OpenSSL over the plain socket's carrier.
 *
 * OpenSSL reads and writes through a BIO that calls the carrier below, so that nothing blocks and no SIGPIPE is raised. Its
 * object is not thread safe: one lock guards it, held for one record at a time.
 *
 * Nothing stays hidden from the epoll set. OpenSSL reads one record at a time (read_ahead is off), and is always given room
 * for a whole one; so what the agent has not been given is still in the socket. A send counts no byte before its record has
 * been handed to the kernel; the bytes it did not count come again, and OpenSSL goes on with the record it has begun. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk-c/link/carrier_layer.h"
#include "sdk-c/link/tls_library.h"
#include "sdk-c/link/tls_peer.h"

enum { RECORD_MAX = SSL3_RT_MAX_PLAIN_LENGTH }; /* 16 KiB */

static_assert((int)RECORD_MAX <= (int)CARRIER_ROOM_MIN, "a receive has room for a whole record");

typedef struct tls_carrier {
    carrier base;
    const tls_library *lib;
    carrier *under;
    room_watch room;
    SSL_CTX *context;
    BIO_METHOD *method;
    tls_peer peer;           /* who it has to be, and what was wrong with it; the agent's thread */
    bool connected, up;      /* the socket is; the handshake is over. The agent's thread */
    loom_status ended;       /* not LOOM_OK: why it ended has been told, or waits to be. The agent's thread */

    pthread_mutex_t lock;    /* of what follows */
    SSL *ssl;
    loom_status under_status; /* what the carrier below last failed with */
    bool heard, is_tls;      /* something came; it began like TLS */
    bool broken;             /* OpenSSL may not be asked for a closing alert any more */
    uint8_t gathered[RECORD_MAX];
} tls_carrier;

/* ---- the BIO: OpenSSL's way to the carrier below; lock held ---- */

static int bio_write(BIO *bio, const char *data, int len)
{
    const tls_library *lib = tls_library_get();
    tls_carrier *t = lib->BIO_get_data(bio);
    struct iovec iov = {(void *)(uintptr_t)data, (size_t)len};
    size_t sent;
    lib->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    loom_status st = t->under->ops->send(t->under, &iov, 1, &sent);
    if (st == LOOM_OK) {
        return (int)sent;
    }
    if (st == LOOM_EBUSY) {
        lib->BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
    } else {
        t->under_status = st;
    }
    return -1;
}

static int bio_read(BIO *bio, char *into, int room)
{
    const tls_library *lib = tls_library_get();
    tls_carrier *t = lib->BIO_get_data(bio);
    size_t got;
    lib->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    loom_status st = t->under->ops->receive(t->under, into, (size_t)room, &got);
    if (st == LOOM_OK) {
        if (!t->heard) {
            t->heard = true;
            t->is_tls = into[0] == SSL3_RT_HANDSHAKE || into[0] == SSL3_RT_ALERT;
        }
        return (int)got;
    }
    if (st == LOOM_EBUSY) {
        lib->BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
        return -1;
    }
    t->under_status = st;
    return st == LOOM_ECLOSED ? 0 : -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* nothing is held back */
}

/* ---- what went wrong ---- */

/* Lock held, on the agent's thread: says why, in the words of whoever knows best. */
static loom_status explain(tls_carrier *t)
{
    char *why = t->base.why;
    const char *reason = t->lib->ERR_reason_error_string(t->lib->ERR_peek_error());
    const char *stage = t->up ? "connection broken: TLS" : "TLS handshake";
    if (t->peer.fault[0] != '\0') {
        snprintf(why, LINK_WHY_SIZE, "%s", t->peer.fault);
        return LOOM_EDENIED;
    }
    if (t->heard && !t->is_tls) {
        snprintf(why, LINK_WHY_SIZE, "not a TLS server");
        return LOOM_EPROTO;
    }
    if (t->under_status == LOOM_ECLOSED) {
        snprintf(why, LINK_WHY_SIZE, "the %s", t->up ? "bridge closed the connection without closing TLS"
                                                     : "server closed the connection during the TLS handshake");
        return LOOM_ECLOSED;
    }
    if (t->under_status != LOOM_OK) {
        snprintf(why, LINK_WHY_SIZE, "%s", t->under->why[0] != '\0' ? t->under->why : "connection broken");
        return t->under_status;
    }
    snprintf(why, LINK_WHY_SIZE, "%s: %s", stage, reason != NULL ? reason : "failed");
    return LOOM_EPROTO;
}

/* Lock held, on the agent's thread. LOOM_EBUSY: OpenSSL waits for the socket. */
static loom_status outcome(tls_carrier *t, int result)
{
    int error = t->lib->SSL_get_error(t->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        room_watch_layer(&t->room, error == SSL_ERROR_WANT_WRITE);
        return LOOM_EBUSY;
    }
    if (error == SSL_ERROR_ZERO_RETURN) {
        snprintf(t->base.why, LINK_WHY_SIZE, "the bridge closed the connection");
        return LOOM_ECLOSED;
    }
    t->broken = true;
    return explain(t);
}

/* ---- the carrier ---- */

static loom_status tls_connect(carrier *c)
{
    tls_carrier *t = (tls_carrier *)c;
    if (!t->connected) {
        loom_status st = t->under->ops->connect(t->under);
        if (st != LOOM_OK) {
            memcpy(c->why, t->under->why, sizeof c->why);
            return st;
        }
        t->connected = true;
    }
    pthread_mutex_lock(&t->lock);
    t->lib->ERR_clear_error();
    int result = t->lib->SSL_connect(t->ssl);
    loom_status st = LOOM_OK;
    if (result == 1) {
        t->up = true;
        room_watch_layer(&t->room, false);
    } else {
        st = outcome(t, result);
        t->lib->ERR_clear_error(); /* the user's thread, in poll mode, may ask OpenSSL about errors of its own */
    }
    pthread_mutex_unlock(&t->lock);
    return st;
}

typedef struct cursor {
    const struct iovec *iov;
    size_t left, offset; /* entries; bytes of the first that are done */
} cursor;

static void advance(cursor *at, size_t len)
{
    while (at->left > 0 && len >= at->iov->iov_len - at->offset) {
        len -= at->iov->iov_len - at->offset;
        at->iov++;
        at->left--;
        at->offset = 0;
    }
    at->offset += len;
}

/* What goes into the next record: in place when that fills one, else gathered, so that small frames share it. The same
 * bytes again make the same record. */
static loom_bytes next_record(tls_carrier *t, cursor at)
{
    const uint8_t *first = (const uint8_t *)at.iov->iov_base + at.offset;
    size_t len = at.iov->iov_len - at.offset;
    if (len >= RECORD_MAX || at.left == 1) {
        return (loom_bytes){first, len < RECORD_MAX ? len : RECORD_MAX};
    }
    size_t have = 0;
    while (at.left > 0 && have < RECORD_MAX) {
        size_t part = at.iov->iov_len - at.offset;
        part = part < RECORD_MAX - have ? part : RECORD_MAX - have;
        memcpy(t->gathered + have, (const uint8_t *)at.iov->iov_base + at.offset, part);
        have += part;
        advance(&at, part);
    }
    return (loom_bytes){t->gathered, have};
}

/* Lock held. */
static loom_status write_record(tls_carrier *t, const cursor *at, size_t *taken)
{
    loom_bytes record = next_record(t, *at);
    t->lib->ERR_clear_error();
    int result = t->lib->SSL_write(t->ssl, record.data, (int)record.len);
    *taken = result > 0 ? (size_t)result : 0;
    if (result > 0) {
        return LOOM_OK;
    }
    int error = t->lib->SSL_get_error(t->ssl, result);
    if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) {
        return LOOM_EBUSY;
    }
    t->broken = true;
    t->lib->ERR_clear_error();
    return LOOM_EIO;
}

static loom_status tls_send(carrier *c, const struct iovec *iov, size_t count, size_t *sent)
{
    tls_carrier *t = (tls_carrier *)c;
    cursor at = {iov, count, 0};
    loom_status st = LOOM_OK;
    *sent = 0;
    advance(&at, 0); /* over empty ones */
    while (st == LOOM_OK && at.left > 0) {
        size_t taken;
        pthread_mutex_lock(&t->lock);
        st = write_record(t, &at, &taken);
        pthread_mutex_unlock(&t->lock);
        advance(&at, taken);
        *sent += taken;
    }
    return st == LOOM_EBUSY && *sent > 0 ? LOOM_OK : st;
}

static void tls_watch_room(carrier *c, bool on)
{
    room_watch_agent(&((tls_carrier *)c)->room, on);
}

static loom_status tls_receive(carrier *c, void *into, size_t room, size_t *got)
{
    tls_carrier *t = (tls_carrier *)c;
    loom_status st = t->ended;
    *got = 0;
    while (st == LOOM_OK && room - *got >= RECORD_MAX) {
        pthread_mutex_lock(&t->lock);
        t->lib->ERR_clear_error();
        int result = t->lib->SSL_read(t->ssl, (uint8_t *)into + *got, (int)(room - *got < INT_MAX ? room - *got : INT_MAX));
        if (result > 0) {
            *got += (size_t)result;
        } else {
            st = outcome(t, result);
            t->lib->ERR_clear_error();
        }
        pthread_mutex_unlock(&t->lock);
    }
    if (st == LOOM_OK || st == LOOM_EBUSY) {
        return *got > 0 ? LOOM_OK : LOOM_EBUSY;
    }
    t->ended = st;
    if (*got == 0) {
        return st;
    }
    room_watch_layer(&t->room, true); /* to be asked again */
    return LOOM_OK;
}

/* Lock held. True: the closing alert has been handed to the kernel. */
static bool say_goodbye(tls_carrier *t)
{
    if (!t->up || t->broken) {
        return false;
    }
    t->lib->ERR_clear_error();
    int result = t->lib->SSL_shutdown(t->ssl);
    t->lib->ERR_clear_error();
    return result >= 0;
}

static void tls_finish(carrier *c)
{
    tls_carrier *t = (tls_carrier *)c;
    pthread_mutex_lock(&t->lock);
    bool said = say_goodbye(t);
    pthread_mutex_unlock(&t->lock);
    if (said) {
        t->under->ops->finish(t->under);
    }
}

static void tls_close(carrier *c)
{
    tls_carrier *t = (tls_carrier *)c;
    if (t->ssl != NULL) {
        (void)say_goodbye(t); /* once more does no harm */
        t->lib->SSL_free(t->ssl);
    }
    t->lib->SSL_CTX_free(t->context);
    t->lib->BIO_meth_free(t->method);
    if (t->under != NULL) {
        t->under->ops->close(t->under);
    }
    room_watch_fini(&t->room);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static const carrier_ops tls_ops = {tls_connect, tls_send, tls_watch_room, tls_receive, tls_finish, tls_close};

/* ---- setting up ---- */

static loom_status no_memory(tls_carrier *t)
{
    snprintf(t->base.why, LINK_WHY_SIZE, "%s", loom_status_text(LOOM_ENOMEM));
    return LOOM_ENOMEM;
}

/* The given file replaces the system's authorities, which OpenSSL looks up one by one as it needs them. */
static loom_status trust(tls_carrier *t, const char *configured)
{
    const char *file = configured != NULL ? configured : getenv("LOOM_TLS_CA");
    if (file == NULL || file[0] == '\0') {
        (void)t->lib->SSL_CTX_set_default_verify_paths(t->context); /* none at all shows at the handshake */
        return LOOM_OK;
    }
    if (t->lib->SSL_CTX_load_verify_locations(t->context, file, NULL) != 1) {
        const char *reason = t->lib->ERR_reason_error_string(t->lib->ERR_peek_error());
        snprintf(t->base.why, LINK_WHY_SIZE, "certificate authorities in %.100s: %s", file, reason != NULL ? reason : "unreadable");
        t->lib->ERR_clear_error();
        return LOOM_EINVAL;
    }
    return LOOM_OK;
}

static loom_status make_context(tls_carrier *t, const char *ca_file)
{
    const tls_library *lib = t->lib;
    lib->ERR_clear_error();
    t->context = lib->SSL_CTX_new(lib->TLS_client_method());
    if (t->context == NULL) {
        return no_memory(t);
    }
    lib->SSL_CTX_ctrl(t->context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    lib->SSL_CTX_ctrl(t->context, SSL_CTRL_MODE,
                      SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS, NULL);
    lib->SSL_CTX_ctrl(t->context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
    (void)lib->SSL_CTX_set_options(t->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    lib->SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, tls_peer_verify);
    return trust(t, ca_file);
}

static loom_status make_ssl(tls_carrier *t)
{
    const tls_library *lib = t->lib;
    t->ssl = lib->SSL_new(t->context);
    t->method = lib->BIO_meth_new(BIO_TYPE_SOURCE_SINK, "loom carrier");
    if (t->ssl == NULL || t->method == NULL) {
        return no_memory(t);
    }
    lib->BIO_meth_set_write(t->method, bio_write);
    lib->BIO_meth_set_read(t->method, bio_read);
    lib->BIO_meth_set_ctrl(t->method, bio_ctrl);
    BIO *bio = lib->BIO_new(t->method);
    if (bio == NULL) {
        return no_memory(t);
    }
    lib->BIO_set_data(bio, t);
    lib->BIO_set_init(bio, 1);
    lib->SSL_set_bio(t->ssl, bio, bio); /* the SSL owns it now */
    return tls_peer_expect(&t->peer, t->ssl) ? LOOM_OK : no_memory(t);
}

loom_status carrier_tls_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE])
{
    *out = NULL;
    const tls_library *lib = tls_library_get();
    if (lib == NULL) {
        snprintf(why, LINK_WHY_SIZE, "%s", tls_library_problem());
        return LOOM_EINVAL;
    }
    tls_carrier *t = calloc(1, sizeof *t);
    if (t == NULL) {
        snprintf(why, LINK_WHY_SIZE, "%s", loom_status_text(LOOM_ENOMEM));
        return LOOM_ENOMEM;
    }
    t->base.ops = &tls_ops;
    t->lib = lib;
    t->peer = (tls_peer){.lib = lib, .host = options->url->host};
    pthread_mutex_init(&t->lock, NULL);
    room_watch_init(&t->room);
    loom_status st = make_context(t, options->tls_ca_file);
    if (st == LOOM_OK) {
        st = make_ssl(t);
    }
    if (st == LOOM_OK) {
        st = carrier_socket_open(&t->under, options, t->base.why);
        t->room.under = t->under;
    }
    if (st != LOOM_OK) {
        snprintf(why, LINK_WHY_SIZE, "%s", t->base.why);
        tls_close(&t->base);
        return st;
    }
    *out = &t->base;
    return LOOM_OK;
}
