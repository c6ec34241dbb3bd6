/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge's way to a broker in another process: one connection (WIRE.md, "The bridge bus").
 *
 * Usable from the start: what agents subscribe to, provide and publish while there is no broker is kept, and done once
 * there is one. After the loss of a broker every port is attached again with all its subscriptions and capabilities, its
 * open requests in order, and what is left of its credit; publishes that had not left go then. Publishes that had left and
 * were not confirmed may have been lost: they are counted (unconfirmed) and logged, and not sent twice.
 * Calls do not wait: without a broker, and when the connection breaks, each gets the result ERROR, code "bus_lost".
 * Calls that a port was working on are cancelled, and what it still says about them goes nowhere.
 *
 * Threads: the loop's. */
#ifndef LOOM_BRIDGE_BUS_REMOTE_REMOTE_H
#define LOOM_BRIDGE_BUS_REMOTE_REMOTE_H

#include <stdarg.h>
#include <uv.h>

#include "base/counters.h"
#include "base/log_level.h"
#include "bridge/bus.h"

typedef struct bus_remote bus_remote;

typedef struct bus_remote_options {
    const char *url;       /* the broker's bus_bridge: ipc, tcp */
    const char *bridge_id; /* unique among the bridges of the broker; printable ASCII, at most 128 bytes */
    const char *software;  /* such as "loom-bridge/0.1.0"; NULL: none */
    struct span_link *spans; /* processor_span_link() of a process whose spans the broker exports; NULL: it does not. Outlives this */
    size_t buffer_bytes;   /* of what waits for the broker, before ports are told of pressure; 0: 4 MiB */
    uint32_t ping_ms;      /* silence before the broker is asked for a sign of life; 0: 2000 */
    uint32_t silence_ms;   /* silence that ends the connection; 0: 10000 */
    uint32_t parts_ms;          /* large frames leave in parts so long after what others said; 0: 100 */
    void (*on_limits)(void *user, uint32_t payload_max, uint8_t ttl); /* the broker's, each time it is reached; 0: it does not say. NULL: nobody is told */
    void (*on_drain)(void *user, bool draining); /* the broker takes no new agents, and so does this; or takes them again. NULL: nobody is told */
    void (*log)(void *user, log_level level, const char *format, va_list args); /* of a log_sink; NULL: no log */
    void *user;
} bus_remote_options;

/* Starts to connect and returns. LOOM_EINVAL: the URL or bridge id is not valid.  LOOM_ENOMEM, LOOM_EIO. */
LOOM_MUST_CHECK loom_status bus_remote_open(bus_remote **out, uv_loop_t *loop, const bus_remote_options *options);
/* What the bridge is given; valid until bus_remote_close(). */
bus *bus_remote_bus(bus_remote *b);
/* Whether the broker is connected. */
bool bus_remote_connected(const bus_remote *b);
/* Whether nothing waits, here for the broker or there for agents of this bridge. Asks the broker, so call it repeatedly. */
bool bus_remote_idle(bus_remote *b);
/* Published events that a close left behind: never sent, or sent and not confirmed. */
typedef struct bus_remote_losses {
    uint64_t unsent, unconfirmed;
} bus_remote_losses;

/* Sends what waits, until the broker has confirmed it, for at most drain_ms; then closes and calls closed (may be NULL)
 * from the loop. Ports that are still attached hear nothing more and are freed. */
void bus_remote_close(bus_remote *b, uint32_t drain_ms, void (*closed)(void *user, const bus_remote_losses *lost),
                      void *user);

typedef struct bus_remote_stats {
    uint64_t sent, received;  /* messages of the bus, either way */
    uint64_t malformed;       /* connections given up for what the broker said */
    uint64_t attachments;     /* times the broker was reached */
    uint64_t unconfirmed;     /* envelopes that may have been lost with a broker */
    uint64_t refused;         /* envelopes refused: too much was waiting, or memory ran out */
    uint64_t calls_lost;      /* answered with bus_lost */
    uint64_t undeliverable;   /* envelopes for a session that had ended; the broker has them in its unconfirmed */
    uint64_t late;            /* results and reports of calls that were over */
    uint64_t keeps_dropped;   /* traces to be kept of which the broker was not told */
    uint64_t lost_memory;     /* connections dropped because memory ran out */
    uint64_t not_restored;    /* subscriptions and capabilities that a later broker refused */
    size_t unsent_bytes;      /* now */
    uint32_t ports;           /* now */
    bool connected;           /* now */
    bool draining;            /* the broker, as far as is known */
} bus_remote_stats;
bus_remote_stats bus_remote_get_stats(const bus_remote *b);
counter_source bus_remote_counter_source(const bus_remote *b);

#endif
