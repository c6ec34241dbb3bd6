/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge's way to a broker in another process: nng sockets (WIRE.md, "The bridge bus").
 *
 * Usable from the start: what agents ask for while there is no broker is kept, and done once there is one. After the
 * loss of a broker every port is attached again with all its subscriptions and what is left of its credit, and
 * publishes that were not yet sent go then. Publishes that were sent and not acknowledged may have been lost: they are
 * counted (unconfirmed) and logged, and not sent twice.
 *
 * Threads: the loop's. */
#ifndef LOOM_BRIDGE_BUS_NNG_H
#define LOOM_BRIDGE_BUS_NNG_H

#include <uv.h>

#include "bridge/bus.h"

typedef struct bus_nng bus_nng;

typedef struct bus_nng_options {
    const char *control;   /* URL of the broker's control socket; ipc, tcp, inproc */
    const char *bridge_id; /* unique among the bridges of the broker; printable ASCII, at most 128 bytes */
    const char *software;  /* such as "loom-bridge/0.1.0"; NULL: none */
    size_t buffer_bytes;   /* of what waits for the broker, before ports are told of pressure; 0: 4 MiB */
    uint32_t ping_ms;      /* 0: 2000 */
    uint32_t answer_ms;    /* how long the broker may take to answer; 0: 3000 */
    void (*log)(void *user, int level, const char *text); /* levels as in log_level; NULL: no log */
    void (*connected)(void *user, bool on);               /* ports reach the broker, or do not any more; may be NULL */
    void *user;
} bus_nng_options;

/* Starts to connect and returns. LOOM_EINVAL: the URL or bridge id is not valid.  LOOM_ENOMEM, LOOM_EIO. */
LOOM_MUST_CHECK loom_status bus_nng_open(bus_nng **out, uv_loop_t *loop, const bus_nng_options *options);
/* What the bridge is given; valid until bus_nng_close(). */
bus *bus_nng_bus(bus_nng *b);
/* Sends what waits for at most drain_ms, then closes and calls closed (may be NULL) from the loop. Ports that are still
 * attached hear nothing more and are freed. */
void bus_nng_close(bus_nng *b, uint32_t drain_ms, void (*closed)(void *user), void *user);

typedef struct bus_nng_stats {
    uint64_t sent, received;  /* messages of the bus, either way */
    uint64_t gaps, resent;    /* messages that did not follow; messages sent again */
    uint64_t malformed;       /* from the broker */
    uint64_t attachments;     /* times the broker was reached */
    uint64_t unconfirmed;     /* envelopes that may have been lost with a broker */
    uint64_t refused;         /* envelopes refused because too much waits */
    uint64_t lost_memory;     /* requests to the broker given up for want of memory */
    uint64_t resubscribe_failed;
    size_t unsent_bytes;      /* now */
    uint32_t ports;           /* now */
    bool connected;           /* now */
} bus_nng_stats;
bus_nng_stats bus_nng_get_stats(const bus_nng *b);

#endif
