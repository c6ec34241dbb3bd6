/* SPDX-License-Identifier: Apache-2.0 */
/* ZeroMQ: PUB and SUB through zmq_proxy between XSUB and XPUB in a process of its own; requests are REQ and REP through
 * zmq_proxy between ROUTER and DEALER. A message is one frame, topic first, which is the cheapest that filters.
 *
 * High-water marks are off: with one, PUB drops what a slow consumer leaves behind. Nothing is lost then, and it is the
 * benchmark that holds the producer back (needs_window). libzmq writes at once and gathers what comes meanwhile. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "tools/bench/peers/peers.h"
#include "tools/bench/relay.h"

enum { TOPIC_SIZE = sizeof BENCH_TOPIC /* with its NUL, which ends it */, HWM_NONE = 0, LINGER_MS = 5000, IDLE_MS = 100 };

typedef struct zmq_client {
    void *context, *socket;
    uint8_t *frame; /* topic, then room for a payload */
    size_t size;    /* of payloads */
    bench_on_message on_message;
    void *user;
    pthread_t thread;
    _Atomic bool ending;
} zmq_client;

static void complain(const char *what)
{
    bench_complain("ZeroMQ %s: %s", what, zmq_strerror(zmq_errno()));
}

static void *open_socket(void *context, int type)
{
    static const int none = HWM_NONE, linger = LINGER_MS;
    void *socket = zmq_socket(context, type);
    if (socket != NULL) {
        zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
        zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
        zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    }
    return socket;
}

static int proxy(const bench_site *site)
{
    const bool requests = site->setup->requests;
    void *context = zmq_ctx_new();
    void *in = context != NULL ? open_socket(context, requests ? ZMQ_ROUTER : ZMQ_XSUB) : NULL;
    void *out = in != NULL ? open_socket(context, requests ? ZMQ_DEALER : ZMQ_XPUB) : NULL;
    char url[SITE_URL_SIZE], url_out[SITE_URL_SIZE];
    size_t url_size = sizeof url, url_out_size = sizeof url_out;
    if (out == NULL || zmq_bind(in, site->url) != 0 || zmq_bind(out, site->url_out) != 0 ||
        zmq_getsockopt(in, ZMQ_LAST_ENDPOINT, url, &url_size) != 0 ||
        zmq_getsockopt(out, ZMQ_LAST_ENDPOINT, url_out, &url_out_size) != 0) {
        complain("proxy");
        return 1;
    }
    if (!relay_ready(site, url, url_out)) {
        return 1;
    }
    zmq_proxy(in, out, NULL); /* until the conductor ends it */
    return 0;
}

static bool start(bench_site *site)
{
    return relay_start(site, "zmq-proxy", "tcp://127.0.0.1:*", proxy);
}

static void close_client(void *client)
{
    zmq_client *c = client;
    if (c->socket != NULL) {
        zmq_close(c->socket);
    }
    if (c->context != NULL) {
        zmq_ctx_term(c->context);
    }
    free(c->frame);
    free(c);
}

static zmq_client *open_client(const bench_site *site, int type, const char *url)
{
    zmq_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        bench_complain("out of memory");
        return NULL;
    }
    c->size = site->setup->size;
    c->frame = malloc(TOPIC_SIZE + c->size);
    c->context = zmq_ctx_new();
    c->socket = c->context != NULL ? open_socket(c->context, type) : NULL;
    if (c->frame == NULL || c->socket == NULL || zmq_connect(c->socket, url) != 0) {
        complain("connect");
        close_client(c);
        return NULL;
    }
    memcpy(c->frame, BENCH_TOPIC, TOPIC_SIZE);
    return c;
}

static void *publisher_open(const bench_site *site, bool at_once)
{
    (void)at_once; /* every message leaves at once, if none is under way */
    return open_client(site, ZMQ_PUB, site->url);
}

static bool publish(void *publisher, const uint8_t *data, size_t size)
{
    zmq_client *c = publisher;
    memcpy(c->frame + TOPIC_SIZE, data, size);
    if (zmq_send(c->socket, c->frame, TOPIC_SIZE + size, 0) < 0) {
        complain("send");
        return false;
    }
    return true;
}

static bool flush(void *publisher)
{
    (void)publisher; /* its I/O thread writes without being asked; closing waits for the rest */
    return true;
}

static void *receive(void *arg)
{
    zmq_client *c = arg;
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    while (!c->ending) {
        if (zmq_msg_recv(&msg, c->socket, 0) < 0) {
            continue; /* IDLE_MS without a message */
        }
        const size_t size = zmq_msg_size(&msg);
        if (size > TOPIC_SIZE) {
            c->on_message(c->user, (const uint8_t *)zmq_msg_data(&msg) + TOPIC_SIZE, size - TOPIC_SIZE);
        }
    }
    zmq_msg_close(&msg);
    return NULL;
}

/* Sends each request back as it came. */
static void *echo(void *arg)
{
    zmq_client *c = arg;
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    while (!c->ending) {
        if (zmq_msg_recv(&msg, c->socket, 0) >= 0 && zmq_msg_send(&msg, c->socket, 0) < 0) {
            complain("answer");
            break;
        }
    }
    zmq_msg_close(&msg);
    return NULL;
}

/* Prefixes that nothing has. */
static bool subscribe_more(const zmq_client *c, unsigned filters)
{
    for (unsigned i = 0; i < filters; i++) {
        char filter[64];
        const int len = snprintf(filter, sizeof filter, "bench.site%u.", i);
        if (zmq_setsockopt(c->socket, ZMQ_SUBSCRIBE, filter, (size_t)len) != 0) {
            return false;
        }
    }
    return true;
}

static void *open_reader(const bench_site *site, int type, void *(*run)(void *client), bench_on_message on_message, void *user)
{
    static const int idle = IDLE_MS;
    zmq_client *c = open_client(site, type, site->url_out);
    if (c == NULL) {
        return NULL;
    }
    c->on_message = on_message;
    c->user = user;
    zmq_setsockopt(c->socket, ZMQ_RCVTIMEO, &idle, sizeof idle);
    if (!subscribe_more(c, site->setup->shape.filters) ||
        (type == ZMQ_SUB && zmq_setsockopt(c->socket, ZMQ_SUBSCRIBE, BENCH_TOPIC, TOPIC_SIZE) != 0) ||
        pthread_create(&c->thread, NULL, run, c) != 0) {
        complain("subscribe");
        close_client(c);
        return NULL;
    }
    return c;
}

static void *subscriber_open(const bench_site *site, bench_on_message on_message, void *user)
{
    return open_reader(site, ZMQ_SUB, receive, on_message, user);
}

static void *responder_open(const bench_site *site)
{
    return open_reader(site, ZMQ_REP, echo, NULL, NULL);
}

static void close_reader(void *reader)
{
    zmq_client *c = reader;
    c->ending = true;
    pthread_join(c->thread, NULL);
    close_client(c);
}

static void *requester_open(const bench_site *site)
{
    return open_client(site, ZMQ_REQ, site->url);
}

static bool request(void *requester, const uint8_t *data, size_t size, uint8_t *answer)
{
    zmq_client *c = requester;
    if (zmq_send(c->socket, data, size, 0) < 0 || zmq_recv(c->socket, answer, size, 0) != (int)size) {
        complain("request");
        return false;
    }
    return true;
}

const bench_peer bench_peer_zmq = {
    .name = "zmq",
    .summary = "ZeroMQ: PUB and SUB through a proxy; requests REQ and REP through one",
    .is_bus = true,
    .guarantee = "at most once, queues without bound; the producer is held back by the benchmark",
    .needs_window = true,
    .more_filters = true,
    .start = start,
    .publisher_open = publisher_open,
    .publish = publish,
    .flush = flush,
    .publisher_close = close_client,
    .subscriber_open = subscriber_open,
    .subscriber_close = close_reader,
    .responder_open = responder_open,
    .responder_close = close_reader,
    .requester_open = requester_open,
    .request = request,
    .requester_close = close_client,
};
