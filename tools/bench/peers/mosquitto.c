/* SPDX-License-Identifier: Apache-2.0 */
/* mosquitto, MQTT 3.1.1, QoS 0. The client is our own, see mqtt.h: libmosquitto writes every message by itself.
 *
 * The server's limits are out of the way. It is reached over a Unix socket, or TCP without delay as --transport says.
 * Requests: the answer comes back over a topic of the requester, which both sides know. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench/peers/mqtt.h"
#include "tools/bench/peers/peers.h"
#include "tools/bench/stream.h"

#define ANSWER_TOPIC "bench.answer"
#define SOCKET_NAME  "mosquitto.sock"

typedef struct mosquitto_client {
    mqtt mqtt;
    bool at_once;
    bool is_responder;
    bench_on_message on_message;
    void *user;
    pthread_t thread;
} mosquitto_client;

static bool available(const bench_setup *setup, char *why, size_t why_size)
{
    (void)setup;
    return peer_has_program("mosquitto", "mosquitto", why, why_size);
}

static bool write_config(const bench_site *site, const char *path, unsigned port)
{
    FILE *config = fopen(path, "we");
    if (config == NULL) {
        bench_complain("cannot write %s", path);
        return false;
    }
    if (site->setup->transport == TRANSPORT_IPC) {
        fprintf(config, "listener 0 %s/" SOCKET_NAME "\n", site->dir);
    } else {
        fprintf(config, "listener %u 127.0.0.1\n", port);
    }
    fputs("allow_anonymous true\npersistence false\nlog_dest stderr\nlog_type error\nset_tcp_nodelay true\n"
          "max_queued_messages 0\nmax_queued_bytes 0\nmax_inflight_messages 0\n",
          config);
    if (geteuid() == 0) {
        fputs("user root\n", config); /* or it could not write into our directory */
    }
    return fclose(config) == 0;
}

static bool has_socket(const bench_site *site)
{
    char path[SITE_URL_SIZE];
    site_path(site, path, SOCKET_NAME);
    return access(path, F_OK) == 0;
}

static bool start(bench_site *site)
{
    char server[SITE_URL_SIZE], config[SITE_URL_SIZE], log[SITE_URL_SIZE];
    const bool tcp = site->setup->transport == TRANSPORT_TCP;
    const unsigned port = tcp ? stream_free_port() : 0;
    site_path(site, config, "mosquitto.conf");
    site_path(site, log, "mosquitto.log");
    snprintf(site->url, sizeof site->url, "%u", port);
    if ((tcp && port == 0) || !site_find_program(server, "mosquitto") || !write_config(site, config, port)) {
        return false;
    }
    char *argv[] = {server, "-c", config, NULL};
    return processes_run(&site->processes, "mosquitto", argv, log) &&
           (tcp ? stream_wait_port(site, port) : site_wait(site, has_socket, "mosquitto's socket"));
}

static void close_client(void *client)
{
    mosquitto_client *c = client;
    mqtt_close(&c->mqtt);
    free(c);
}

static mosquitto_client *open_client(const bench_site *site, const char *role)
{
    char id[64];
    mosquitto_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        bench_complain("out of memory");
        return NULL;
    }
    const int fd = site->setup->transport == TRANSPORT_TCP ? stream_connect_port((unsigned)atoi(site->url))
                                                           : stream_connect(site, SOCKET_NAME);
    static unsigned number; /* of this process's clients */
    snprintf(id, sizeof id, "%s-%d-%u", role, (int)getpid(), number++);
    if (fd < 0 || !mqtt_open(&c->mqtt, fd, id, site->setup->size)) {
        free(c);
        return NULL;
    }
    return c;
}

static void *publisher_open(const bench_site *site, bool at_once)
{
    mosquitto_client *c = open_client(site, "producer");
    if (c != NULL) {
        c->at_once = at_once;
    }
    return c;
}

static bool flush(void *publisher)
{
    mosquitto_client *c = publisher;
    if (!mqtt_flush(&c->mqtt)) {
        bench_complain("mosquitto is gone: %s", strerror(errno));
        return false;
    }
    return true;
}

static bool publish(void *publisher, const uint8_t *data, size_t size)
{
    mosquitto_client *c = publisher;
    if (!mqtt_publish(&c->mqtt, BENCH_TOPIC, data, size)) {
        bench_complain("mosquitto is gone: %s", strerror(errno));
        return false;
    }
    return !c->at_once || flush(c);
}

static void *receive(void *arg)
{
    mosquitto_client *c = arg;
    mqtt_message m;
    while (mqtt_next(&c->mqtt, &m)) {
        if (!c->is_responder) {
            c->on_message(c->user, m.data, m.size);
        } else if (!mqtt_publish(&c->mqtt, ANSWER_TOPIC, m.data, m.size) || !mqtt_flush(&c->mqtt)) {
            break;
        }
    }
    return NULL;
}

/* Subscriptions that nothing matches. */
static bool subscribe_more(mosquitto_client *c, unsigned filters)
{
    bool ok = true;
    for (unsigned i = 0; i < filters && ok; i++) {
        char filter[64];
        snprintf(filter, sizeof filter, "bench/site%u/+", i);
        ok = mqtt_subscribe(&c->mqtt, filter);
    }
    return ok;
}

static void *open_reader(const bench_site *site, const char *topic, bool is_responder, bench_on_message on_message, void *user)
{
    mosquitto_client *c = open_client(site, "consumer");
    if (c == NULL) {
        return NULL;
    }
    c->is_responder = is_responder;
    c->on_message = on_message;
    c->user = user;
    if (!subscribe_more(c, site->setup->shape.filters) || !mqtt_subscribe(&c->mqtt, topic)) {
        close_client(c);
        return NULL;
    }
    if (pthread_create(&c->thread, NULL, receive, c) != 0) {
        bench_complain("cannot start a thread");
        close_client(c);
        return NULL;
    }
    return c;
}

static void *subscriber_open(const bench_site *site, bench_on_message on_message, void *user)
{
    return open_reader(site, BENCH_TOPIC, false, on_message, user);
}

static void *responder_open(const bench_site *site)
{
    return open_reader(site, BENCH_REQUEST_TOPIC, true, NULL, NULL);
}

static void close_reader(void *reader)
{
    mosquitto_client *c = reader;
    mqtt_shutdown(&c->mqtt);
    pthread_join(c->thread, NULL);
    close_client(c);
}

static void *requester_open(const bench_site *site)
{
    mosquitto_client *c = open_client(site, "producer");
    if (c != NULL && !mqtt_subscribe(&c->mqtt, ANSWER_TOPIC)) {
        close_client(c);
        return NULL;
    }
    return c;
}

static bool request(void *requester, const uint8_t *data, size_t size, uint8_t *answer)
{
    mosquitto_client *c = requester;
    mqtt_message m;
    if (!mqtt_publish(&c->mqtt, BENCH_REQUEST_TOPIC, data, size) || !mqtt_flush(&c->mqtt) || !mqtt_next(&c->mqtt, &m) ||
        m.size != size) {
        bench_complain("no answer through mosquitto");
        return false;
    }
    memcpy(answer, m.data, size);
    return true;
}

static bool session_open(const bench_site *site, unsigned index)
{
    char topic[64];
    mosquitto_client *c = open_client(site, "idle");
    snprintf(topic, sizeof topic, "bench.idle.%u", index);
    return c != NULL && mqtt_subscribe(&c->mqtt, topic); /* stays open */
}

const bench_peer bench_peer_mosquitto = {
    .name = "mosquitto",
    .summary = "mosquitto, MQTT 3.1.1, QoS 0; our own client, which gathers messages",
    .is_bus = true,
    .guarantee = "at most once (QoS 0); the producer is held back by the benchmark",
    .needs_window = true,
    .more_filters = true,
    .available = available,
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
    .session_open = session_open,
};
