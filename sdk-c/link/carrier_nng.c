/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier on nng streams: tls+tcp://, ws://, wss://. The only file here that includes nng.h.
 *
 * nng calls back on threads of its own. A callback moves the state below on, under the lock, and makes event_fd readable;
 * the agent's thread takes the bytes from there. One receive and one send are under way at a time. */
#include "sdk-c/link/carrier.h"

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { NNG_BUFFER_SIZE = 64 * 1024 };

typedef struct nng_carrier {
    carrier base;
    int event_fd;
    char text[URL_MAX];
    nng_stream_dialer *dialer;
    nng_aio *dial_aio, *receive_aio, *send_aio;
    nng_stream *stream; /* set by the agent's thread when dialing is done */
    pthread_mutex_t lock;
    /* guarded by lock; the buffers belong to nng while their busy flag is set */
    bool dialed, receiving, sending;
    int dial_error, receive_error, send_error; /* of nng */
    size_t received, taken; /* bytes in receive_buffer, and how many of them the agent has */
    size_t to_send, sent;
    uint8_t receive_buffer[NNG_BUFFER_SIZE];
    uint8_t send_buffer[NNG_BUFFER_SIZE];
} nng_carrier;

static loom_status fail(nng_carrier *n, int error)
{
    snprintf(n->base.why, sizeof n->base.why, "%s", nng_strerror(error));
    return error == NNG_ENOMEM ? LOOM_ENOMEM : LOOM_EIO;
}

static void signal_agent(nng_carrier *n)
{
    uint64_t one = 1;
    ssize_t written = write(n->event_fd, &one, sizeof one);
    (void)written; /* full means readable, which is what is wanted */
}

static void begin_receive(nng_carrier *n)
{
    nng_iov iov = {n->receive_buffer, sizeof n->receive_buffer};
    nng_aio_set_iov(n->receive_aio, 1, &iov);
    nng_stream_recv(n->stream, n->receive_aio);
}

static void begin_send(nng_carrier *n)
{
    nng_iov iov = {n->send_buffer + n->sent, n->to_send - n->sent};
    nng_aio_set_iov(n->send_aio, 1, &iov);
    nng_stream_send(n->stream, n->send_aio);
}

static void on_dialed(void *arg)
{
    nng_carrier *n = arg;
    pthread_mutex_lock(&n->lock);
    n->dialed = true;
    n->dial_error = nng_aio_result(n->dial_aio);
    pthread_mutex_unlock(&n->lock);
    signal_agent(n);
}

static void on_received(void *arg)
{
    nng_carrier *n = arg;
    pthread_mutex_lock(&n->lock);
    n->receiving = false;
    n->taken = 0;
    n->received = nng_aio_count(n->receive_aio);
    n->receive_error = nng_aio_result(n->receive_aio);
    if (n->receive_error != 0) {
        n->received = 0;
    } else if (n->received == 0) {
        n->receive_error = NNG_ECONNSHUT;
    }
    pthread_mutex_unlock(&n->lock);
    signal_agent(n);
}

static void on_sent(void *arg)
{
    nng_carrier *n = arg;
    pthread_mutex_lock(&n->lock);
    n->send_error = nng_aio_result(n->send_aio);
    n->sent += n->send_error == 0 ? nng_aio_count(n->send_aio) : 0;
    bool more = n->send_error == 0 && n->sent < n->to_send;
    n->sending = more;
    pthread_mutex_unlock(&n->lock);
    if (more) {
        begin_send(n);
    } else {
        signal_agent(n);
    }
}

static loom_status carrier_nng_connect(carrier *c)
{
    nng_carrier *n = (nng_carrier *)c;
    pthread_mutex_lock(&n->lock);
    bool dialed = n->dialed;
    int error = n->dial_error;
    pthread_mutex_unlock(&n->lock);
    if (!dialed) {
        return LOOM_EBUSY;
    }
    if (error != 0) {
        return fail(n, error);
    }
    n->stream = nng_aio_get_output(n->dial_aio, 0);
    n->receiving = true;
    begin_receive(n);
    return LOOM_OK;
}

static loom_status carrier_nng_send(carrier *c, const struct iovec *iov, size_t count, size_t *sent)
{
    nng_carrier *n = (nng_carrier *)c;
    *sent = 0;
    pthread_mutex_lock(&n->lock);
    bool busy = n->sending;
    int error = n->send_error;
    pthread_mutex_unlock(&n->lock);
    if (error != 0) {
        return LOOM_EIO;
    }
    if (busy) {
        return LOOM_EBUSY;
    }
    n->sent = n->to_send = 0;
    for (size_t i = 0; i < count && n->to_send < sizeof n->send_buffer; i++) {
        size_t room = sizeof n->send_buffer - n->to_send;
        size_t len = iov[i].iov_len < room ? iov[i].iov_len : room;
        memcpy(n->send_buffer + n->to_send, iov[i].iov_base, len);
        n->to_send += len;
    }
    *sent = n->to_send;
    if (n->to_send > 0) {
        pthread_mutex_lock(&n->lock);
        n->sending = true;
        pthread_mutex_unlock(&n->lock);
        begin_send(n);
    }
    return LOOM_OK;
}

static loom_status carrier_nng_receive(carrier *c, void *into, size_t room, size_t *got)
{
    nng_carrier *n = (nng_carrier *)c;
    uint64_t count;
    ssize_t cleared = read(n->event_fd, &count, sizeof count);
    (void)cleared; /* nothing to clear is fine */
    *got = 0;
    pthread_mutex_lock(&n->lock);
    bool receiving = n->receiving;
    int error = n->receive_error != 0 ? n->receive_error : n->send_error;
    pthread_mutex_unlock(&n->lock);
    if (receiving) {
        return error != 0 ? fail(n, error) : LOOM_EBUSY;
    }
    size_t len = n->received - n->taken < room ? n->received - n->taken : room;
    if (len == 0) {
        if (error == NNG_ECLOSED || error == NNG_ECONNSHUT) {
            snprintf(c->why, sizeof c->why, "the bridge closed the connection");
            return LOOM_ECLOSED;
        }
        return error != 0 ? fail(n, error) : LOOM_EBUSY;
    }
    memcpy(into, n->receive_buffer + n->taken, len);
    n->taken += len;
    *got = len;
    if (n->taken < n->received) {
        signal_agent(n); /* the rest is there at once */
    } else if (n->receive_error == 0) {
        pthread_mutex_lock(&n->lock);
        n->receiving = true;
        pthread_mutex_unlock(&n->lock);
        begin_receive(n);
    }
    return LOOM_OK;
}

static bool carrier_nng_drained(carrier *c)
{
    nng_carrier *n = (nng_carrier *)c;
    pthread_mutex_lock(&n->lock);
    bool drained = !n->sending;
    pthread_mutex_unlock(&n->lock);
    return drained;
}

/* The end of a send wakes the agent, asked or not; one that has ended meanwhile has done so too early. */
static void carrier_nng_watch_room(carrier *c, bool on)
{
    if (on && carrier_nng_drained(c)) {
        signal_agent((nng_carrier *)c);
    }
}

static void carrier_nng_finish(carrier *c)
{
    (void)c; /* nng has no half-close: the goodbye frame does */
}

static void free_aio(nng_aio *aio)
{
    if (aio != NULL) {
        nng_aio_stop(aio); /* waits for its callback */
        nng_aio_free(aio);
    }
}

static void carrier_nng_close(carrier *c)
{
    nng_carrier *n = (nng_carrier *)c;
    if (n->dialer != NULL) {
        nng_stream_dialer_close(n->dialer);
    }
    if (n->stream != NULL) {
        nng_stream_close(n->stream);
    }
    if (n->dial_aio != NULL) {
        nng_aio_stop(n->dial_aio);
        if (n->stream == NULL && n->dialed && n->dial_error == 0) {
            n->stream = nng_aio_get_output(n->dial_aio, 0); /* connected while nobody looked */
            nng_stream_close(n->stream);
        }
    }
    free_aio(n->dial_aio);
    free_aio(n->receive_aio);
    free_aio(n->send_aio);
    if (n->stream != NULL) {
        nng_stream_free(n->stream);
    }
    if (n->dialer != NULL) {
        nng_stream_dialer_free(n->dialer);
    }
    close(n->event_fd);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

static const carrier_ops nng_ops = {carrier_nng_connect, carrier_nng_send,   carrier_nng_watch_room, carrier_nng_receive,
                                    carrier_nng_drained, carrier_nng_finish, carrier_nng_close};

static const char *ca_file(const char *configured)
{
    const char *from_env = getenv("LOOM_TLS_CA");
    if (configured != NULL) {
        return configured;
    }
    return from_env != NULL && from_env[0] != '\0' ? from_env : "/etc/ssl/certs/ca-certificates.crt";
}

/* The peer's certificate has to be signed by the given authority and to name the host. */
static int set_tls(nng_carrier *n, const carrier_options *options)
{
    nng_tls_config *tls;
    int error = nng_tls_config_alloc(&tls, NNG_TLS_MODE_CLIENT);
    if (error != 0) {
        return error;
    }
    if ((error = nng_tls_config_server_name(tls, options->url->host)) == 0 &&
        (error = nng_tls_config_auth_mode(tls, NNG_TLS_AUTH_MODE_REQUIRED)) == 0 &&
        (error = nng_tls_config_ca_file(tls, ca_file(options->tls_ca_file))) == 0) {
        error = nng_stream_dialer_set_ptr(n->dialer, NNG_OPT_TLS_CONFIG, tls);
    }
    nng_tls_config_free(tls); /* the dialer has its own hold */
    return error;
}

static int begin(nng_carrier *n, const carrier_options *options)
{
    int error;
    if ((error = nng_aio_alloc(&n->dial_aio, on_dialed, n)) != 0 ||
        (error = nng_aio_alloc(&n->receive_aio, on_received, n)) != 0 ||
        (error = nng_aio_alloc(&n->send_aio, on_sent, n)) != 0 ||
        (error = nng_stream_dialer_alloc(&n->dialer, n->text)) != 0) {
        return error;
    }
    nng_aio_set_timeout(n->receive_aio, NNG_DURATION_INFINITE);
    nng_aio_set_timeout(n->send_aio, NNG_DURATION_INFINITE);
    bool tls = options->url->scheme == URL_TLS || options->url->scheme == URL_WSS;
    if (tls && (error = set_tls(n, options)) != 0) {
        return error;
    }
    nng_stream_dialer_dial(n->dialer, n->dial_aio);
    return 0;
}

loom_status carrier_nng_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE])
{
    *out = NULL;
    nng_carrier *n = calloc(1, sizeof *n);
    if (n == NULL) {
        snprintf(why, LINK_WHY_SIZE, "%s", loom_status_text(LOOM_ENOMEM));
        return LOOM_ENOMEM;
    }
    n->base.ops = &nng_ops;
    loom_status whole = url_format(n->text, sizeof n->text, options->url);
    (void)whole;
    pthread_mutex_init(&n->lock, NULL);
    n->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = CARRIER_TAG};
    int error = NNG_ENOFILES;
    if (n->event_fd >= 0 && epoll_ctl(options->epoll_fd, EPOLL_CTL_ADD, n->event_fd, &event) == 0) {
        error = begin(n, options);
    }
    if (error != 0) {
        loom_status st = fail(n, error);
        snprintf(why, LINK_WHY_SIZE, "%.100s: %.80s", n->text, n->base.why);
        carrier_nng_close(&n->base);
        return st;
    }
    *out = &n->base;
    return LOOM_OK;
}
