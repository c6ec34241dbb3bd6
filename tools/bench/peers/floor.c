/* SPDX-License-Identifier: Apache-2.0 */
/* The floor: Unix sockets and a relay of one thread that hands whole messages on. It knows no topics and has nothing to
 * decide: what a machine allows, and no bus. A message is four bytes of length and its data. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench/peers/floor_relay.h"
#include "tools/bench/peers/peers.h"
#include "tools/bench/stream.h"

typedef struct floor_client {
    int fd;
    bool at_once;
    floor_buffer buffer;
    bench_on_message on_message;
    void *user;
    pthread_t thread;
} floor_client;

static bool start(bench_site *site)
{
    const int in = stream_listen(site, "in.sock");
    const int out = in >= 0 ? stream_listen(site, "out.sock") : -1;
    const pid_t pid = out >= 0 ? processes_fork(&site->processes, "relay") : -1;
    if (pid == 0) {
        floor_relay(site, in, out);
        _exit(0);
    }
    close(in);
    close(out);
    return pid > 0;
}

static void close_client(void *client)
{
    floor_client *c = client;
    close(c->fd);
    free(c->buffer.data);
    free(c);
}

static floor_client *open_client(const bench_site *site, const char *name)
{
    floor_client *c = calloc(1, sizeof *c);
    if (c == NULL || !floor_buffer_init(&c->buffer, site->setup->size)) {
        bench_complain("out of memory");
        free(c);
        return NULL;
    }
    c->fd = stream_connect(site, name);
    if (c->fd < 0) {
        free(c->buffer.data);
        free(c);
        return NULL;
    }
    return c;
}

static void *publisher_open(const bench_site *site, bool at_once)
{
    floor_client *c = open_client(site, "in.sock");
    if (c != NULL) {
        c->at_once = at_once;
    }
    return c;
}

static bool flush(void *publisher)
{
    floor_client *c = publisher;
    const bool ok = stream_put(c->fd, c->buffer.data, c->buffer.used);
    c->buffer.used = 0;
    if (!ok) {
        bench_complain("the relay is gone: %s", strerror(errno));
    }
    return ok;
}

static bool publish(void *publisher, const uint8_t *data, size_t size)
{
    floor_client *c = publisher;
    const uint32_t header = (uint32_t)size;
    if (c->buffer.used + FLOOR_HEADER_SIZE + size > c->buffer.size && !flush(c)) {
        return false;
    }
    memcpy(c->buffer.data + c->buffer.used, &header, FLOOR_HEADER_SIZE);
    memcpy(c->buffer.data + c->buffer.used + FLOOR_HEADER_SIZE, data, size);
    c->buffer.used += FLOOR_HEADER_SIZE + size;
    return !c->at_once || flush(c);
}

static void *receive(void *arg)
{
    floor_client *c = arg;
    while (floor_buffer_read(&c->buffer, c->fd)) {
        const size_t whole = floor_buffer_whole(&c->buffer);
        for (size_t at = 0; at < whole;) {
            uint32_t size;
            memcpy(&size, c->buffer.data + at, FLOOR_HEADER_SIZE);
            c->on_message(c->user, c->buffer.data + at + FLOOR_HEADER_SIZE, size);
            at += FLOOR_HEADER_SIZE + size;
        }
        floor_buffer_drop(&c->buffer, whole);
    }
    return NULL;
}

/* Sends each request back as it came. */
static void *echo(void *arg)
{
    floor_client *c = arg;
    while (floor_buffer_read(&c->buffer, c->fd)) {
        const size_t whole = floor_buffer_whole(&c->buffer);
        if (!stream_put(c->fd, c->buffer.data, whole)) {
            break;
        }
        floor_buffer_drop(&c->buffer, whole);
    }
    return NULL;
}

static void *open_reader(const bench_site *site, void *(*run)(void *client), bench_on_message on_message, void *user)
{
    floor_client *c = open_client(site, "out.sock");
    if (c == NULL) {
        return NULL;
    }
    c->on_message = on_message;
    c->user = user;
    if (pthread_create(&c->thread, NULL, run, c) != 0) {
        bench_complain("cannot start a thread");
        close_client(c);
        return NULL;
    }
    return c;
}

static void *subscriber_open(const bench_site *site, bench_on_message on_message, void *user)
{
    return open_reader(site, receive, on_message, user);
}

static void *responder_open(const bench_site *site)
{
    return open_reader(site, echo, NULL, NULL);
}

static void close_reader(void *reader)
{
    floor_client *c = reader;
    shutdown(c->fd, SHUT_RDWR);
    pthread_join(c->thread, NULL);
    close_client(c);
}

static void *requester_open(const bench_site *site)
{
    return publisher_open(site, true);
}

static bool request(void *requester, const uint8_t *data, size_t size, uint8_t *answer)
{
    floor_client *c = requester;
    uint32_t header = 0;
    if (publish(c, data, size) && stream_read(c->fd, (uint8_t *)&header, sizeof header) && header == size &&
        stream_read(c->fd, answer, size)) {
        return true;
    }
    bench_complain("no answer through the relay");
    return false;
}

const bench_peer bench_peer_floor = {
    .name = "floor",
    .summary = "no bus: bare Unix sockets and a relay of one thread, in this program",
    .is_bus = true,
    .guarantee = "none lost while all processes live",
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
