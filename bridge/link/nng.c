/* SPDX-License-Identifier: Apache-2.0 */
/* The carriers tls+tcp, ws and wss: nng streams.
 *
 * nng completes its operations on its own threads. There a callback only puts its operation into the inbox (one mutex,
 * held for a list insert) and wakes the loop; everything else runs on the loop. An operation is in the inbox at most
 * once, and is started again only by the loop, so the inbox is bounded by three entries a connection. */
#include <arpa/inet.h>
#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "bridge/link/link.h"

enum {
    RECEIVE_SIZE = 64 * 1024,
    ACCEPT_PAUSE_MS = 100, /* when the process is out of descriptors, say: trying at once would keep a core busy */
    WEBSOCKET_FRAME_MAX = FRAME_HEADER_SIZE + FRAME_MAX /* a browser sends what it is given as one frame */
};

typedef struct inbox inbox;

typedef struct operation {
    nng_aio *aio;
    inbox *inbox;
    struct operation *next;
    void (*finished)(struct operation *op); /* on the loop */
    void *owner;
} operation;

struct inbox {
    pthread_mutex_t lock;
    operation *first, **last; /* lock */
    uv_async_t *wake;
};

typedef struct nng_link {
    link_t link;
    nng_stream *stream;
    operation receive, send, reap;
    const uint8_t *unsent;
    size_t unsent_len;
    uint8_t buffer[RECEIVE_SIZE];
} nng_link;

typedef struct nng_listener_link {
    listener listener;
    nng_stream_listener *stream;
    operation accept, reap;
    bool resting; /* accept is a pause after a failure */
} nng_listener_link;

static void on_nng_thread(void *user)
{
    operation *op = user;
    inbox *in = op->inbox;
    pthread_mutex_lock(&in->lock);
    op->next = NULL;
    *in->last = op;
    in->last = &op->next;
    pthread_mutex_unlock(&in->lock);
    uv_async_send(in->wake);
}

static bool operation_init(operation *op, inbox *in, void (*finished)(operation *op), void *owner)
{
    *op = (operation){.inbox = in, .finished = finished, .owner = owner};
    return nng_aio_alloc(&op->aio, on_nng_thread, op) == 0;
}

/* Waits for a callback that runs, then takes the operation out of the inbox. */
static void operation_fini(operation *op)
{
    if (op->aio == NULL) {
        return;
    }
    nng_aio_stop(op->aio);
    inbox *in = op->inbox;
    pthread_mutex_lock(&in->lock);
    for (operation **at = &in->first; *at != NULL; at = &(*at)->next) {
        if (*at == op) {
            *at = op->next;
            if (in->last == &op->next) {
                in->last = at;
            }
            break;
        }
    }
    pthread_mutex_unlock(&in->lock);
    nng_aio_free(op->aio);
    op->aio = NULL;
}

loom_status link_nng_init(link_server *server)
{
    inbox *in = calloc(1, sizeof *in);
    if (in == NULL) {
        return LOOM_ENOMEM;
    }
    pthread_mutex_init(&in->lock, NULL);
    in->last = &in->first;
    in->wake = &server->nng_wake;
    server->nng_inbox = in;
    return LOOM_OK;
}

void link_nng_fini(link_server *server)
{
    inbox *in = server->nng_inbox;
    pthread_mutex_destroy(&in->lock);
    free(in);
    server->nng_inbox = NULL;
}

void link_nng_drain(link_server *server)
{
    inbox *in = server->nng_inbox;
    for (;;) {
        pthread_mutex_lock(&in->lock);
        operation *op = in->first;
        if (op != NULL) {
            in->first = op->next;
            if (in->first == NULL) {
                in->last = &in->first;
            }
        }
        pthread_mutex_unlock(&in->lock);
        if (op == NULL) {
            return;
        }
        op->finished(op);
    }
}

/* Runs fn on the loop in a later round: a zero sleep completes like any other operation. */
static void later(operation *op)
{
    nng_sleep_aio(0, op->aio);
}

/* ---- a connection ---- */

static void start_receive(nng_link *n)
{
    nng_iov iov = {n->buffer, sizeof n->buffer};
    nng_aio_set_iov(n->receive.aio, 1, &iov);
    nng_stream_recv(n->stream, n->receive.aio);
}

static void start_send(nng_link *n)
{
    nng_iov iov = {(void *)(uintptr_t)n->unsent, n->unsent_len};
    nng_aio_set_iov(n->send.aio, 1, &iov);
    nng_stream_send(n->stream, n->send.aio);
}

static void on_received(operation *op)
{
    nng_link *n = op->owner;
    if (n->link.closing) {
        return;
    }
    if (nng_aio_result(op->aio) != 0) {
        link_broken(&n->link);
        return;
    }
    size_t len = nng_aio_count(op->aio);
    for (size_t done = 0; done < len && !n->link.closing;) {
        size_t room;
        uint8_t *at = link_room(&n->link, &room);
        size_t part = len - done < room ? len - done : room;
        memcpy(at, n->buffer + done, part);
        done += part;
        link_received(&n->link, part);
    }
    if (!n->link.closing) {
        start_receive(n);
    }
}

static void on_sent(operation *op)
{
    nng_link *n = op->owner;
    if (n->link.closing) {
        return;
    }
    if (nng_aio_result(op->aio) != 0) {
        link_sent(&n->link, false);
        return;
    }
    size_t sent = nng_aio_count(op->aio);
    n->unsent += sent;
    n->unsent_len -= sent;
    if (n->unsent_len > 0) {
        start_send(n);
        return;
    }
    link_sent(&n->link, true);
    link_server_flush(n->link.server);
}

static void nng_link_send(link_t *l, const uint8_t *data, size_t len)
{
    nng_link *n = (nng_link *)l;
    n->unsent = data;
    n->unsent_len = len;
    start_send(n);
}

/* After this nng touches neither the link nor the bytes it was sending. */
static void nng_link_fini(nng_link *n)
{
    operation_fini(&n->receive);
    operation_fini(&n->send);
    operation_fini(&n->reap);
    nng_stream_free(n->stream);
}

static void on_reap(operation *op)
{
    nng_link *n = op->owner;
    nng_link_fini(n);
    link_gone(&n->link);
    free(n);
}

static void nng_link_close(link_t *l)
{
    nng_link *n = (nng_link *)l;
    nng_stream_close(n->stream);
    later(&n->reap);
}

static const link_carrier carrier = {nng_link_send, nng_link_close};

/* ---- a listener ---- */

static void describe_peer(nng_stream *stream, char *out, size_t size)
{
    nng_sockaddr addr;
    char host[INET6_ADDRSTRLEN];
    snprintf(out, size, "?");
    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &addr) != 0) {
        return;
    }
    if (addr.s_family == NNG_AF_INET && inet_ntop(AF_INET, &addr.s_in.sa_addr, host, sizeof host) != NULL) {
        snprintf(out, size, "nng:%s:%u", host, (unsigned)ntohs(addr.s_in.sa_port));
    } else if (addr.s_family == NNG_AF_INET6 && inet_ntop(AF_INET6, addr.s_in6.sa_addr, host, sizeof host) != NULL) {
        snprintf(out, size, "nng:[%s]:%u", host, (unsigned)ntohs(addr.s_in6.sa_port));
    }
}

static void take_connection(nng_listener_link *ls, nng_stream *stream)
{
    link_server *server = ls->listener.server;
    nng_link *n = malloc(sizeof *n);
    if (n == NULL) {
        server->refused++;
        nng_stream_free(stream);
        return;
    }
    memset(n, 0, offsetof(nng_link, buffer)); /* pages of the buffer that nothing was read into cost nothing */
    n->stream = stream;
    char peer[128];
    describe_peer(stream, peer, sizeof peer);
    if (!operation_init(&n->receive, server->nng_inbox, on_received, n) ||
        !operation_init(&n->send, server->nng_inbox, on_sent, n) ||
        !operation_init(&n->reap, server->nng_inbox, on_reap, n) ||
        link_init(&n->link, server, &carrier, peer) != LOOM_OK) {
        server->refused++;
        nng_link_fini(n);
        free(n);
        return;
    }
    start_receive(n);
}

static void on_accepted(operation *op)
{
    nng_listener_link *ls = op->owner;
    int rc = nng_aio_result(op->aio);
    if (rc == 0 && !ls->resting) {
        nng_stream *stream = nng_aio_get_output(op->aio, 0);
        if (ls->listener.closing) {
            nng_stream_free(stream);
        } else {
            take_connection(ls, stream);
        }
    }
    if (ls->listener.closing || rc == NNG_ECLOSED) {
        return;
    }
    ls->resting = rc != 0 && rc != NNG_ECONNABORTED;
    if (ls->resting) {
        nng_sleep_aio(ACCEPT_PAUSE_MS, op->aio);
    } else {
        nng_stream_listener_accept(ls->stream, op->aio);
    }
}

static void nng_listener_fini(nng_listener_link *ls)
{
    operation_fini(&ls->accept);
    operation_fini(&ls->reap);
    if (ls->stream != NULL) {
        nng_stream_listener_free(ls->stream);
    }
}

static void on_listener_reap(operation *op)
{
    nng_listener_link *ls = op->owner;
    nng_listener_fini(ls);
    listener_gone(&ls->listener);
    free(ls);
}

static void nng_listener_close_link(listener *base)
{
    nng_listener_link *ls = (nng_listener_link *)base;
    nng_stream_listener_close(ls->stream);
    later(&ls->reap);
}

static const listener_ops ops = {nng_listener_close_link, NULL}; /* never stuck */

/* tls needs a certificate; ws takes a path, and "/" when none is given. */
static int open_listener(nng_listener_link *ls, const link_server *server, const url *u, const char **fault)
{
    char text[URL_MAX];
    if (url_format(text, sizeof text, u) != LOOM_OK) {
        return NNG_EADDRINVAL;
    }
    int rc = nng_stream_listener_alloc(&ls->stream, text);
    if (rc != 0) {
        return rc;
    }
    if ((u->scheme & (URL_TLS | URL_WSS)) != 0) {
        if (server->options.tls_cert_key_file == NULL) {
            *fault = "a certificate is needed: set tls_cert_key_file";
            return NNG_EINVAL;
        }
        rc = nng_stream_listener_set_string(ls->stream, NNG_OPT_TLS_CERT_KEY_FILE, server->options.tls_cert_key_file);
        if (rc != 0) {
            *fault = "tls_cert_key_file cannot be read as PEM with a certificate and its key";
            return rc;
        }
    }
    if ((u->scheme & (URL_WS | URL_WSS)) != 0 &&
        ((rc = nng_stream_listener_set_string(ls->stream, NNG_OPT_WS_PROTOCOL, "loom.v1")) != 0 || /* refused unless it is ours */
         (rc = nng_stream_listener_set_size(ls->stream, NNG_OPT_WS_RECVMAXFRAME, WEBSOCKET_FRAME_MAX)) != 0)) {
        return rc;
    }
    return nng_stream_listener_listen(ls->stream);
}

loom_status link_nng_listen(link_server *server, const url *asked, char *bound, size_t bound_size, char why[LINK_ERROR_SIZE])
{
    url u = *asked;
    const char *fault = NULL;
    nng_listener_link *ls = calloc(1, sizeof *ls);
    if (ls == NULL || !operation_init(&ls->accept, server->nng_inbox, on_accepted, ls) ||
        !operation_init(&ls->reap, server->nng_inbox, on_listener_reap, ls)) {
        snprintf(why, LINK_ERROR_SIZE, "out of memory");
        if (ls != NULL) {
            nng_listener_fini(ls);
            free(ls);
        }
        return LOOM_ENOMEM;
    }
    int rc = open_listener(ls, server, &u, &fault);
    if (rc != 0) {
        snprintf(why, LINK_ERROR_SIZE, "%s", fault != NULL ? fault : nng_strerror(rc));
        nng_listener_fini(ls);
        free(ls);
        return rc == NNG_EADDRINUSE ? LOOM_EBUSY : rc == NNG_EINVAL ? LOOM_EINVAL : LOOM_EIO;
    }
    int port;
    if (u.port == 0 && nng_stream_listener_get_int(ls->stream, NNG_OPT_TCP_BOUND_PORT, &port) == 0) {
        u.port = (uint16_t)port;
    }
    listener_init(&ls->listener, server, &ops);
    nng_stream_listener_accept(ls->stream, ls->accept.aio);
    return url_format(bound, bound_size, &u);
}
