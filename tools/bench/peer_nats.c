/* SPDX-License-Identifier: Apache-2.0 */
/* NATS: nats-server and nats.c, set up to be as fast as they can be.
 *
 * Highest rate: publishes gather in the client's buffer and its flusher thread writes them; latency: SendAsap, since the
 * flusher waits a millisecond for company. Buffers are large, pending limits of client and server are out of the way. NATS
 * drops what a slow consumer leaves behind, so that the producer is held back by the consumer's progress (needs_window). */
#include "tools/bench/peer_nats.h"

#include <nats/nats.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_LINE_SIZE = 512, IO_BUFFER_SIZE = 256 * 1024, TRACEPARENT_SIZE = 56, FLUSH_MS = 10000 };

typedef struct nats_client {
    natsConnection *connection;
    natsSubscription *subscription;
    bench_on_message on_message;
    void *user;
    bool traceparent;
    uint64_t span;      /* number of the last one */
    natsMsg *outgoing;  /* with headers: made once, see publish_with_header() */
} nats_client;

static bool find_server(char out[SITE_URL_SIZE])
{
    const char *path = getenv("PATH");
    char dirs[PATH_LINE_SIZE * 4];
    snprintf(dirs, sizeof dirs, "%s:/usr/sbin:/usr/local/sbin", path != NULL ? path : "/usr/bin");
    char *rest = dirs;
    for (char *dir; (dir = strsep(&rest, ":")) != NULL;) {
        if (snprintf(out, SITE_URL_SIZE, "%s/nats-server", dir) < SITE_URL_SIZE && access(out, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

static bool available(const bench_options *options, char *why, size_t why_size)
{
    (void)options;
    char server[SITE_URL_SIZE];
    if (find_server(server)) {
        return true;
    }
    snprintf(why, why_size, "there is no nats-server in PATH. Install the Debian package nats-server (tools/bench/peers.sh does)");
    return false;
}

static bool write_config(const char *path)
{
    FILE *config = fopen(path, "we");
    if (config == NULL) {
        bench_complain("cannot write %s", path);
        return false;
    }
    fputs("listen: \"127.0.0.1:-1\"\nmax_pending: 512MB\nwrite_deadline: \"60s\"\n", config);
    return fclose(config) == 0;
}

/* nats-server writes {"nats":["nats://127.0.0.1:PORT"]}, among others. */
static bool read_url(char out[SITE_URL_SIZE], const char *path)
{
    char text[PATH_LINE_SIZE * 2];
    FILE *ports = fopen(path, "re");
    if (ports == NULL) {
        return false;
    }
    text[fread(text, 1, sizeof text - 1, ports)] = '\0';
    fclose(ports);
    char *url = strstr(text, "nats://");
    const size_t len = url != NULL ? strcspn(url, "\"") : 0;
    if (len == 0 || len >= SITE_URL_SIZE || url[len] != '"') {
        return false;
    }
    memcpy(out, url, len);
    out[len] = '\0';
    return true;
}

static bool start(bench_site *site)
{
    char server[SITE_URL_SIZE], config[SITE_URL_SIZE], log[SITE_URL_SIZE], name[64], ports[SITE_URL_SIZE];
    site_path(site, config, "nats.conf");
    site_path(site, log, "nats.log");
    if (!find_server(server) || !write_config(config)) {
        return false;
    }
    char *argv[] = {server, "-c", config, "--ports_file_dir", site->dir, NULL};
    if (!processes_run(&site->processes, "nats-server", argv, log)) {
        return false;
    }
    snprintf(name, sizeof name, "nats-server_%d.ports", (int)site->processes.items[site->processes.count - 1].pid);
    site_path(site, ports, name);
    if (!site_wait_file(site, ports)) {
        return false;
    }
    for (int tries = 0; !read_url(site->url, ports); tries++) { /* it may be half written */
        if (tries == 100 || !site_sleep(site, 0.005)) {
            bench_complain("nats-server does not say where it listens");
            return false;
        }
    }
    return true;
}

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
 * written anew; the library offers no call for that. */
static natsStatus publish_with_header(nats_client *c, const uint8_t *data, size_t size)
{
    char traceparent[TRACEPARENT_SIZE];
    natsStatus st = NATS_OK;
    if (c->outgoing == NULL || natsMsg_GetDataLength(c->outgoing) != (int)size) {
        natsMsg_Destroy(c->outgoing);
        c->outgoing = NULL;
        st = natsMsg_Create(&c->outgoing, BENCH_TOPIC, NULL, (const char *)data, (int)size);
    } else {
        memcpy((char *)(uintptr_t)natsMsg_GetData(c->outgoing), data, size);
    }
    format_traceparent(traceparent, ++c->span);
    if (st == NATS_OK && (st = natsMsgHeader_Set(c->outgoing, "traceparent", traceparent)) == NATS_OK) {
        st = natsConnection_PublishMsg(c->connection, c->outgoing);
    }
    return st;
}

static bool publish(void *publisher, const uint8_t *data, size_t size)
{
    nats_client *c = publisher;
    const natsStatus st = c->traceparent ? publish_with_header(c, data, size)
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

static void *open_subscriber(const bench_site *site, bench_on_message handler, void *user, bool traceparent)
{
    nats_client *c = open_client(site, false, traceparent);
    if (c == NULL) {
        return NULL;
    }
    c->on_message = handler;
    c->user = user;
    natsStatus st = natsConnection_Subscribe(&c->subscription, c->connection, BENCH_TOPIC, on_message, c);
    if (st == NATS_OK && (st = natsSubscription_SetPendingLimits(c->subscription, -1, -1)) == NATS_OK) {
        st = natsConnection_FlushTimeout(c->connection, FLUSH_MS);
    }
    if (st != NATS_OK) {
        bench_complain("NATS subscribe: %s", natsStatus_GetText(st));
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

const bench_peer bench_peer_nats = {
    .name = "nats",
    .summary = "nats-server with nats.c over TCP on the loopback; no headers, so no trace",
    .needs_window = true,
    .available = available,
    .start = start,
    .publisher_open = publisher_open,
    .publish = publish,
    .flush = flush,
    .publisher_close = close_client,
    .subscriber_open = subscriber_open,
    .subscriber_close = close_client,
};

const bench_peer bench_peer_nats_traceparent = {
    .name = "nats-traceparent",
    .summary = "the same with a W3C traceparent header, which is what a trace takes there",
    .needs_window = true,
    .available = available,
    .start = start,
    .publisher_open = traceparent_publisher_open,
    .publish = publish,
    .flush = flush,
    .publisher_close = close_client,
    .subscriber_open = traceparent_subscriber_open,
    .subscriber_close = close_client,
};
