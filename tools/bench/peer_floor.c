/* SPDX-License-Identifier: Apache-2.0 */
/* The floor: two Unix sockets and a relay of one thread that hands bytes from the one to the other. It looks at nothing,
 * knows no topics and one consumer: what a machine allows, and no bus. A message is four bytes of length and its data. */
#include "tools/bench/peer_floor.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BUFFER_SIZE = 64 * 1024, HEADER_SIZE = 4 };

static bool address(struct sockaddr_un *out, const bench_site *site, const char *name)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    return (size_t)snprintf(out->sun_path, sizeof out->sun_path, "%s/%s", site->dir, name) < sizeof out->sun_path;
}

static int listen_on(const bench_site *site, const char *name)
{
    struct sockaddr_un at;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !address(&at, site, name) || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4) != 0) {
        bench_complain("cannot listen on %s/%s: %s", site->dir, name, strerror(errno));
        return -1;
    }
    return fd;
}

static int connect_to(const bench_site *site, const char *name)
{
    struct sockaddr_un at;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !address(&at, site, name) || connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        bench_complain("cannot connect to %s/%s: %s", site->dir, name, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* One consumer, one producer after the other. */
static void relay(int in_listener, int out_listener)
{
    static uint8_t buffer[BUFFER_SIZE]; /* this process ends with this function */
    const int out = accept(out_listener, NULL, NULL);
    for (int in; out >= 0 && (in = accept(in_listener, NULL, NULL)) >= 0; close(in)) {
        for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;) {
            if (!write_all(out, buffer, (size_t)n)) {
                return;
            }
        }
    }
}

static bool start(bench_site *site)
{
    const int in = listen_on(site, "in.sock");
    const int out = in >= 0 ? listen_on(site, "out.sock") : -1;
    const pid_t pid = out >= 0 ? processes_fork(&site->processes, "relay") : -1;
    if (pid == 0) {
        relay(in, out);
        _exit(0);
    }
    close(in);
    close(out);
    return pid > 0;
}

typedef struct floor_client {
    int fd;
    bool at_once;
    uint8_t buffer[BUFFER_SIZE];
    size_t used;
    bench_on_message on_message;
    void *user;
    pthread_t thread;
} floor_client;

static floor_client *open_client(const bench_site *site, const char *name)
{
    floor_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        bench_complain("out of memory");
        return NULL;
    }
    c->fd = connect_to(site, name);
    if (c->fd < 0) {
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
    const bool ok = write_all(c->fd, c->buffer, c->used);
    c->used = 0;
    if (!ok) {
        bench_complain("the relay is gone: %s", strerror(errno));
    }
    return ok;
}

static bool publish(void *publisher, const uint8_t *data, size_t size)
{
    floor_client *c = publisher;
    const uint32_t header = (uint32_t)size;
    if (size > BUFFER_SIZE - HEADER_SIZE) {
        bench_complain("the floor takes messages of at most %d bytes", BUFFER_SIZE - HEADER_SIZE);
        return false;
    }
    if (c->used + HEADER_SIZE + size > BUFFER_SIZE && !flush(c)) {
        return false;
    }
    memcpy(c->buffer + c->used, &header, HEADER_SIZE);
    memcpy(c->buffer + c->used + HEADER_SIZE, data, size);
    c->used += HEADER_SIZE + size;
    return !c->at_once || flush(c);
}

static void publisher_close(void *publisher)
{
    floor_client *c = publisher;
    close(c->fd);
    free(c);
}

/* Hands whole messages on; returns how many bytes they were. */
static size_t take(floor_client *c)
{
    size_t at = 0;
    for (uint32_t size; c->used - at >= HEADER_SIZE; at += HEADER_SIZE + size) {
        memcpy(&size, c->buffer + at, HEADER_SIZE);
        if (c->used - at - HEADER_SIZE < size) {
            break;
        }
        c->on_message(c->user, c->buffer + at + HEADER_SIZE, size);
    }
    return at;
}

static void *receive(void *arg)
{
    floor_client *c = arg;
    for (ssize_t n; (n = read(c->fd, c->buffer + c->used, BUFFER_SIZE - c->used)) > 0;) {
        c->used += (size_t)n;
        const size_t taken = take(c);
        c->used -= taken;
        memmove(c->buffer, c->buffer + taken, c->used);
    }
    return NULL;
}

static void *subscriber_open(const bench_site *site, bench_on_message on_message, void *user)
{
    floor_client *c = open_client(site, "out.sock");
    if (c == NULL) {
        return NULL;
    }
    c->on_message = on_message;
    c->user = user;
    if (pthread_create(&c->thread, NULL, receive, c) != 0) {
        bench_complain("cannot start a thread");
        publisher_close(c);
        return NULL;
    }
    return c;
}

static void subscriber_close(void *subscriber)
{
    floor_client *c = subscriber;
    shutdown(c->fd, SHUT_RDWR);
    pthread_join(c->thread, NULL);
    publisher_close(c);
}

static bool available(const bench_options *options, char *why, size_t why_size)
{
    for (size_t i = 0; i < options->size_count; i++) {
        if (options->sizes[i] > BUFFER_SIZE - HEADER_SIZE) {
            snprintf(why, why_size, "the floor takes messages of at most %d bytes", BUFFER_SIZE - HEADER_SIZE);
            return false;
        }
    }
    return true;
}

const bench_peer bench_peer_floor = {
    .name = "floor",
    .summary = "no bus: bare Unix sockets and a relay of one thread, in this program",
    .available = available,
    .start = start,
    .publisher_open = publisher_open,
    .publish = publish,
    .flush = flush,
    .publisher_close = publisher_close,
    .subscriber_open = subscriber_open,
    .subscriber_close = subscriber_close,
};
