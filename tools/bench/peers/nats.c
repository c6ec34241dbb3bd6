/* SPDX-License-Identifier: Apache-2.0 */
/* NATS: nats-server and nats.c, set up to be as fast as they can be.
 *
 * Highest rate: publishes gather in the client's buffer and its flusher thread writes them; latency: SendAsap, since the
 * flusher waits a millisecond for company. Buffers are large, pending limits of client and server are out of the way. NATS
 * drops what a slow consumer leaves behind, so that the producer is held back by the consumer's progress (needs_window). */
#include "tools/bench/peers/peers.h"

#include <nats/nats.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/peers/nats_server.h"

enum { IO_BUFFER_SIZE = 256 * 1024, TRACEPARENT_SIZE = 56, FLUSH_MS = 10000 };

typedef struct nats_client {
    natsConnection *connection;
    natsSubscription *subscription;
    bench_on_message on_message;
    void *user;
    bool traceparent;
    uint64_t span;     /* number of the last one */
    natsMsg *outgoing; /* with headers: made once, see publish_with_header() */
} nats_client;

static void close_client(void *client)
{
    nats_client *c = client;
    if (c != NULL) {
        natsMsg_Destroy(c->outgoing);
        natsSubscription_Destroy(c->subscription);
        natsConnection_Close(c->connection);
        natsConnection_Destroy(c->connection);
        free(c);
    }
}

static nats_client *open_client(const bench_site *site, bool at_once, bool traceparent)
{
    natsOptions *options = NULL;
    nats_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        bench_complain("out of memory");
        return NULL;
    }
    c->traceparent = traceparent;
    natsStatus st = natsOptions_Create(&options);
    if (st == NATS_OK && (st = natsOptions_SetURL(options, site->url)) == NATS_OK &&
        (st = natsOptions_SetIOBufSize(options, IO_BUFFER_SIZE)) == NATS_OK &&
        (st = natsOptions_SetSendAsap(options, at_once)) == NATS_OK) {
        st = natsConnection_Connect(&c->connection, options);
    }
    natsOptions_Destroy(options);
    if (st != NATS_OK) {
        bench_complain("cannot connect to nats-server: %s", natsStatus_GetText(st));
        close_client(c);
        return NULL;
    }
    return c;
}

static void *publisher_open(const bench_site *site, bool at_once)
{
    return open_client(site, at_once, false);
}

static void *traceparent_publisher_open(const bench_site *site, bool at_once)
{
    return open_client(site, at_once, true);
}

/* A new trace for each message: ids of the right form from a counter, which costs less than real ones. */
static void format_traceparent(char out[TRACEPARENT_SIZE], uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    memcpy(out, "00-0af7651916cd43dd0000000000000000-b7ad6b7100000000-00", TRACEPARENT_SIZE);
    for (size_t i = 0; i < 16; i++) {
        out[34 - i] = digits[number >> (4 * i) & 15];
    }
    for (size_t i = 0; i < 8; i++) {
        out[51 - i] = digits[number >> (4 * i) & 15];
    }
}

/* A message made for each publish costs this peer a third of its rate. So there is one, whose data, a copy that it owns, is
 * written anew; the library offers no call for that. Answers have a new subject each, and so a new message. */
static natsStatus prepare_with_header(nats_client *c, const char *subject, const uint8_t *data, size_t size)
{
    char traceparent[TRACEPARENT_SIZE];
    natsStatus st = NATS_OK;
    if (c->outgoing == NULL || natsMsg_GetDataLength(c->outgoing) != (int)size ||
        strcmp(natsMsg_GetSubject(c->outgoing), subject) != 0) {
        natsMsg_Destroy(c->outgoing);
        c->outgoing = NULL;
        st = natsMsg_Create(&c->outgoing, subject, NULL, (const char *)data, (int)size);
    } else {
        memcpy((char *)(uintptr_t)natsMsg_GetData(c->outgoing), data, size);
    }
    format_traceparent(traceparent, ++c->span);
    return st == NATS_OK ? natsMsgHeader_Set(c->outgoing, "traceparent", traceparent) : st;
}

static natsStatus publish_with_header(nats_client *c, const char *subject, const uint8_t *data, size_t size)
{
    const natsStatus st = prepare_with_header(c, subject, data, size);
    return st == NATS_OK ? natsConnection_PublishMsg(c->connection, c->outgoing) : st;
}

static bool publish(void *publisher, const uint8_t *data, size_t size)
{
    nats_client *c = publisher;
    const natsStatus st = c->traceparent ? publish_with_header(c, BENCH_TOPIC, data, size)
                                         : natsConnection_Publish(c->connection, BENCH_TOPIC, data, (int)size);
    if (st != NATS_OK) {
        bench_complain("NATS publish: %s", natsStatus_GetText(st));
    }
    return st == NATS_OK;
}

static bool flush(void *publisher)
{
    nats_client *c = publisher;
    const natsStatus st = natsConnection_FlushTimeout(c->connection, FLUSH_MS);
    if (st != NATS_OK) {
        bench_complain("NATS flush: %s", natsStatus_GetText(st));
    }
    return st == NATS_OK;
}

static void on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *msg, void *user)
{
    (void)connection;
    (void)subscription;
    nats_client *c = user;
    const char *traceparent = NULL;
    if (c->traceparent && (natsMsgHeader_Get(msg, "traceparent", &traceparent) != NATS_OK || traceparent == NULL)) {
        bench_complain("a message came without its traceparent");
    }
    c->on_message(c->user, (const uint8_t *)natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg));
    natsMsg_Destroy(msg);
}

static bool subscribe(nats_client *c, const char *subject, natsMsgHandler handler)
{
    natsStatus st = natsConnection_Subscribe(&c->subscription, c->connection, subject, handler, c);
    if (st == NATS_OK && (st = natsSubscription_SetPendingLimits(c->subscription, -1, -1)) == NATS_OK) {
        st = natsConnection_FlushTimeout(c->connection, FLUSH_MS);
    }
    if (st != NATS_OK) {
        bench_complain("NATS subscribe: %s", natsStatus_GetText(st));
    }
    return st == NATS_OK;
}

/* Subscriptions that nothing matches; they live as long as the connection. A synchronous one has no thread. */
static bool subscribe_more(nats_client *c, unsigned filters)
{
    natsStatus st = NATS_OK;
    for (unsigned i = 0; i < filters && st == NATS_OK; i++) {
        char filter[64];
        natsSubscription *subscription;
        snprintf(filter, sizeof filter, "bench.site%u.*", i);
        st = natsConnection_SubscribeSync(&subscription, c->connection, filter);
    }
    st = st == NATS_OK ? natsConnection_FlushTimeout(c->connection, FLUSH_MS) : st;
    if (st != NATS_OK) {
        bench_complain("NATS, %u subscriptions more: %s", filters, natsStatus_GetText(st));
    }
    return st == NATS_OK;
}

static void *open_subscriber(const bench_site *site, bench_on_message handler, void *user, bool traceparent)
{
    nats_client *c = open_client(site, false, traceparent);
    if (c == NULL) {
        return NULL;
    }
    c->on_message = handler;
    c->user = user;
    if (!subscribe_more(c, site->setup->shape.filters) || !subscribe(c, BENCH_TOPIC, on_message)) {
        close_client(c);
        return NULL;
    }
    return c;
}

static void *subscriber_open(const bench_site *site, bench_on_message handler, void *user)
{
    return open_subscriber(site, handler, user, false);
}

static void *traceparent_subscriber_open(const bench_site *site, bench_on_message handler, void *user)
{
    return open_subscriber(site, handler, user, true);
}

/* The answer is the request itself. */
static void on_request(natsConnection *connection, natsSubscription *subscription, natsMsg *msg, void *user)
{
    (void)subscription;
    nats_client *c = user;
    const char *reply = natsMsg_GetReply(msg);
    natsStatus st = NATS_OK;
    if (reply != NULL && c->traceparent) {
        st = publish_with_header(c, reply, (const uint8_t *)natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg));
    } else if (reply != NULL) {
        st = natsConnection_Publish(connection, reply, natsMsg_GetData(msg), natsMsg_GetDataLength(msg));
    }
    if (st != NATS_OK) {
        bench_complain("NATS answer: %s", natsStatus_GetText(st));
    }
    natsMsg_Destroy(msg);
}

static void *open_responder(const bench_site *site, bool traceparent)
{
    nats_client *c = open_client(site, true, traceparent);
    if (c != NULL && !subscribe(c, BENCH_REQUEST_TOPIC, on_request)) {
        close_client(c);
        return NULL;
    }
    return c;
}

static void *responder_open(const bench_site *site)
{
    return open_responder(site, false);
}

static void *traceparent_responder_open(const bench_site *site)
{
    return open_responder(site, true);
}

static void *requester_open(const bench_site *site)
{
    return open_client(site, true, false);
}

static void *traceparent_requester_open(const bench_site *site)
{
    return open_client(site, true, true);
}

/* One inbox for all requests of a connection, as nats.c does it. */
static bool request(void *requester, const uint8_t *data, size_t size, uint8_t *answer)
{
    nats_client *c = requester;
    natsMsg *msg = NULL;
    natsStatus st;
    if (c->traceparent) {
        st = prepare_with_header(c, BENCH_REQUEST_TOPIC, data, size);
        st = st == NATS_OK ? natsConnection_RequestMsg(&msg, c->connection, c->outgoing, FLUSH_MS) : st;
    } else {
        st = natsConnection_Request(&msg, c->connection, BENCH_REQUEST_TOPIC, data, (int)size, FLUSH_MS);
    }
    if (st != NATS_OK || (size_t)natsMsg_GetDataLength(msg) != size) {
        bench_complain("NATS request: %s", st != NATS_OK ? natsStatus_GetText(st) : "an answer of another size");
        natsMsg_Destroy(msg);
        return false;
    }
    memcpy(answer, natsMsg_GetData(msg), size);
    natsMsg_Destroy(msg);
    return true;
}

const bench_peer bench_peer_nats = {
    .name = "nats",
    .summary = "nats-server with nats.c over TCP; no headers, so no trace",
    .is_bus = true,
    .guarantee = "at most once; the producer is held back by the benchmark",
    .needs_window = true,
    .more_filters = true,
    .available = nats_server_available,
    .start = nats_server_start,
    .publisher_open = publisher_open,
    .publish = publish,
    .flush = flush,
    .publisher_close = close_client,
    .subscriber_open = subscriber_open,
    .subscriber_close = close_client,
    .responder_open = responder_open,
    .responder_close = close_client,
    .requester_open = requester_open,
    .request = request,
    .requester_close = close_client,
    .session_open = nats_session_open,
};

const bench_peer bench_peer_nats_traceparent = {
    .name = "nats-traceparent",
    .summary = "the same with a W3C traceparent header: what a trace takes there",
    .is_bus = true,
    .guarantee = "at most once; the producer is held back by the benchmark",
    .needs_window = true,
    .more_filters = true,
    .available = nats_server_available,
    .start = nats_server_start,
    .publisher_open = traceparent_publisher_open,
    .publish = publish,
    .flush = flush,
    .publisher_close = close_client,
    .subscriber_open = traceparent_subscriber_open,
    .subscriber_close = close_client,
    .responder_open = traceparent_responder_open,
    .responder_close = close_client,
    .requester_open = traceparent_requester_open,
    .request = request,
    .requester_close = close_client,
};
