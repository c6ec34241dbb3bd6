/* SPDX-License-Identifier: Apache-2.0 */
/* Raw nng, without Loom: PUSH to a relay that takes from PULL and gives to PUB, SUB at the consumer; requests are REQ and
 * REP through nng_device. One nng message for each message, as a program without a bus would do it.
 *
 * PUB and SUB drop when their queues of a few thousand are full, so that the producer is held back to what fits. */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/peers/peers.h"
#include "tools/bench/relay.h"

enum {
    TOPIC_SIZE = sizeof BENCH_TOPIC, /* with its NUL, which ends it */
    QUEUE = 8192,                    /* the most that nng allows */
    WINDOW = 1024
};

typedef struct nng_client {
    nng_socket socket;
    bench_on_message on_message;
    void *user;
    pthread_t thread;
} nng_client;

static bool check(int rv, const char *what)
{
    if (rv != 0) {
        bench_complain("nng %s: %s", what, nng_strerror(rv));
    }
    return rv == 0;
}

/* rv: of opening it. */
static bool prepare(int rv, const nng_socket *socket, const char *what)
{
    if (!check(rv, what)) {
        return false;
    }
    (void)nng_socket_set_int(*socket, NNG_OPT_SENDBUF, QUEUE); /* a protocol without such a queue refuses; so be it */
    (void)nng_socket_set_int(*socket, NNG_OPT_RECVBUF, QUEUE);
    (void)nng_socket_set_size(*socket, NNG_OPT_RECVMAXSZ, 0);
    return true;
}

static bool listen_on(nng_socket socket, const char *url, char real[SITE_URL_SIZE])
{
    nng_listener listener;
    nng_sockaddr at;
    if (!check(nng_listen(socket, url, &listener, 0), "listen")) {
        return false;
    }
    snprintf(real, SITE_URL_SIZE, "%s", url);
    if (strncmp(url, "tcp:", 4) == 0) {
        if (!check(nng_listener_get_addr(listener, NNG_OPT_LOCADDR, &at), "address")) {
            return false;
        }
        const uint8_t *port = (const uint8_t *)&at.s_in.sa_port; /* in network order */
        snprintf(real, SITE_URL_SIZE, "tcp://127.0.0.1:%u", (unsigned)port[0] << 8 | port[1]);
    }
    return true;
}

static int relay(const bench_site *site)
{
    const bool requests = site->setup->requests;
    nng_socket in, out;
    char url[SITE_URL_SIZE], url_out[SITE_URL_SIZE];
    if (!prepare(requests ? nng_rep0_open_raw(&in) : nng_pull0_open(&in), &in, "open") ||
        !prepare(requests ? nng_req0_open_raw(&out) : nng_pub0_open(&out), &out, "open") || !listen_on(in, site->url, url) ||
        !listen_on(out, site->url_out, url_out)) {
        return 1;
    }
    if (!relay_ready(site, url, url_out)) {
        return 1;
    }
    if (requests) {
        nng_device(in, out); /* until the conductor ends it */
        return 0;
    }
    for (nng_msg *msg; check(nng_recvmsg(in, &msg, 0), "receive");) {
        if (!check(nng_sendmsg(out, msg, 0), "send")) {
            nng_msg_free(msg);
        }
    }
    return 1;
}

static bool start(bench_site *site)
{
    return relay_start(site, "nng-relay", "tcp://127.0.0.1:0", relay);
}

static void close_client(void *client)
{
    nng_client *c = client;
    nng_close(c->socket);
    free(c);
}

static nng_client *open_client(int (*open)(nng_socket *), const char *url)
{
    nng_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        bench_complain("out of memory");
        return NULL;
    }
    if (!prepare(open(&c->socket), &c->socket, "open")) {
        free(c);
        return NULL;
    }
    if (!check(nng_dial(c->socket, url, NULL, 0), "dial")) {
        nng_close(c->socket);
        free(c);
        return NULL;
    }
    return c;
}

static void *publisher_open(const bench_site *site, bool at_once)
{
    (void)at_once; /* there is no other way */
    return open_client(nng_push0_open, site->url);
}

static bool publish(void *publisher, const uint8_t *data, size_t size)
{
    const nng_client *c = publisher;
    nng_msg *msg;
    if (!check(nng_msg_alloc(&msg, TOPIC_SIZE + size), "message")) {
        return false;
    }
    memcpy(nng_msg_body(msg), BENCH_TOPIC, TOPIC_SIZE);
    memcpy((uint8_t *)nng_msg_body(msg) + TOPIC_SIZE, data, size);
    if (!check(nng_sendmsg(c->socket, msg, 0), "send")) {
        nng_msg_free(msg);
        return false;
    }
    return true;
}

static bool flush(void *publisher)
{
    (void)publisher;
    return true;
}

static void *receive(void *arg)
{
    nng_client *c = arg;
    for (nng_msg *msg; nng_recvmsg(c->socket, &msg, 0) == 0; nng_msg_free(msg)) {
        const size_t size = nng_msg_len(msg);
        if (size > TOPIC_SIZE) {
            c->on_message(c->user, (const uint8_t *)nng_msg_body(msg) + TOPIC_SIZE, size - TOPIC_SIZE);
        }
    }
    return NULL; /* closed */
}

/* Sends each request back as it came. */
static void *echo(void *arg)
{
    const nng_client *c = arg;
    for (nng_msg *msg; nng_recvmsg(c->socket, &msg, 0) == 0;) {
        if (nng_sendmsg(c->socket, msg, 0) != 0) {
            nng_msg_free(msg);
        }
    }
    return NULL;
}

static void close_reader(void *reader)
{
    nng_client *c = reader;
    nng_close(c->socket);
    pthread_join(c->thread, NULL);
    free(c);
}

static void *start_thread(nng_client *c, void *(*run)(void *client))
{
    if (pthread_create(&c->thread, NULL, run, c) != 0) {
        bench_complain("cannot start a thread");
        nng_close(c->socket);
        free(c);
        return NULL;
    }
    return c;
}

static void *subscriber_open(const bench_site *site, bench_on_message on_message, void *user)
{
    nng_client *c = open_client(nng_sub0_open, site->url_out);
    if (c == NULL) {
        return NULL;
    }
    c->on_message = on_message;
    c->user = user;
    if (!check(nng_socket_set(c->socket, NNG_OPT_SUB_SUBSCRIBE, BENCH_TOPIC, TOPIC_SIZE), "subscribe")) {
        close_client(c);
        return NULL;
    }
    return start_thread(c, receive);
}

static void *responder_open(const bench_site *site)
{
    nng_client *c = open_client(nng_rep0_open, site->url_out);
    return c != NULL ? start_thread(c, echo) : NULL;
}

static void *requester_open(const bench_site *site)
{
    return open_client(nng_req0_open, site->url);
}

static bool request(void *requester, const uint8_t *data, size_t size, uint8_t *answer)
{
    const nng_client *c = requester;
    size_t got = size;
    if (!check(nng_send(c->socket, (void *)(uintptr_t)data, size, 0), "request") ||
        !check(nng_recv(c->socket, answer, &got, 0), "answer")) {
        return false;
    }
    return got == size;
}

const bench_peer bench_peer_nng = {
    .name = "nng",
    .summary = "raw nng, one message each: PUSH, PULL, PUB, SUB; REQ and REP",
    .is_bus = true,
    .guarantee = "at most once; the producer is held back by the benchmark to what nng's queues hold",
    .needs_window = true,
    .window_max = WINDOW,
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
