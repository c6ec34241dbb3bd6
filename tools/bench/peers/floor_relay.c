/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/peers/floor_relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench/stream.h"

enum { BUFFER_SIZE = 64 * 1024 };

bool floor_buffer_init(floor_buffer *b, size_t payload)
{
    b->used = 0;
    b->size = 2 * (payload + FLOOR_HEADER_SIZE);
    b->size = b->size > BUFFER_SIZE ? b->size : BUFFER_SIZE;
    b->data = malloc(b->size);
    return b->data != NULL;
}

bool floor_buffer_read(floor_buffer *b, int fd)
{
    ssize_t n;
    do {
        n = read(fd, b->data + b->used, b->size - b->used);
    } while (n < 0 && errno == EINTR);
    b->used += n > 0 ? (size_t)n : 0;
    return n > 0;
}

size_t floor_buffer_whole(const floor_buffer *b)
{
    size_t at = 0;
    for (uint32_t size; b->used - at >= FLOOR_HEADER_SIZE; at += FLOOR_HEADER_SIZE + size) {
        memcpy(&size, b->data + at, FLOOR_HEADER_SIZE);
        if (b->used - at - FLOOR_HEADER_SIZE < size) {
            break;
        }
    }
    return at;
}

void floor_buffer_drop(floor_buffer *b, size_t bytes)
{
    b->used -= bytes;
    memmove(b->data, b->data + bytes, b->used);
}

/* Slots: the listener of producers, consumers, producers. */
typedef struct relay {
    struct pollfd fds[1 + BENCH_CONSUMERS_MAX + BENCH_PRODUCERS_MAX];
    floor_buffer buffers[1 + BENCH_CONSUMERS_MAX + BENCH_PRODUCERS_MAX];
    size_t consumers, slots;
    size_t payload;
} relay;

/* To the slots from first to before end; one direction only: a slot never writes to its own side. */
static bool pass_on(relay *r, floor_buffer *b, size_t first, size_t end)
{
    const size_t whole = floor_buffer_whole(b);
    for (size_t i = first; i < end && whole > 0; i++) {
        if (r->fds[i].fd >= 0 && !stream_put(r->fds[i].fd, b->data, whole)) {
            return false;
        }
    }
    floor_buffer_drop(b, whole);
    return true;
}

static bool add(relay *r, size_t slot, int fd)
{
    r->fds[slot] = (struct pollfd){.fd = fd, .events = POLLIN};
    if (r->buffers[slot].data == NULL && !floor_buffer_init(&r->buffers[slot], r->payload)) {
        return false;
    }
    r->buffers[slot].used = 0;
    return fd >= 0;
}

static bool add_producer(relay *r, int listener)
{
    const int fd = accept(listener, NULL, NULL);
    for (size_t i = 1 + r->consumers; i < sizeof r->fds / sizeof r->fds[0]; i++) {
        if (i == r->slots) {
            r->slots++;
            return add(r, i, fd);
        }
        if (r->fds[i].fd < 0) {
            return add(r, i, fd);
        }
    }
    close(fd);
    return true;
}

/* False: a consumer is gone. */
static bool serve(relay *r, size_t slot)
{
    if (r->fds[slot].revents == 0) {
        return true;
    }
    const bool is_consumer = slot <= r->consumers;
    if (!floor_buffer_read(&r->buffers[slot], r->fds[slot].fd)) {
        close(r->fds[slot].fd);
        r->fds[slot].fd = -1;
        return !is_consumer;
    }
    if (is_consumer) {
        (void)pass_on(r, &r->buffers[slot], 1 + r->consumers, r->slots); /* a producer may go before its answer */
        return true;
    }
    return pass_on(r, &r->buffers[slot], 1, 1 + r->consumers);
}

static void pass_all(relay *r, int in_listener, int out_listener)
{
    r->fds[0] = (struct pollfd){.fd = in_listener, .events = POLLIN};
    for (r->slots = 1; r->slots <= r->consumers; r->slots++) {
        if (!add(r, r->slots, accept(out_listener, NULL, NULL))) {
            return;
        }
    }
    while (poll(r->fds, r->slots, -1) >= 0 || errno == EINTR) {
        if ((r->fds[0].revents & POLLIN) != 0 && !add_producer(r, in_listener)) {
            return;
        }
        for (size_t i = 1; i < r->slots; i++) {
            if (!serve(r, i)) {
                return;
            }
        }
    }
}

void floor_relay(const bench_site *site, int in_listener, int out_listener)
{
    relay *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return;
    }
    r->consumers = site->setup->shape.consumers;
    r->payload = site->setup->size;
    pass_all(r, in_listener, out_listener); /* returns when this process may end, and connections with it */
    free(r);
}
