/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's nng sockets (WIRE.md, "The open bus" and "The bridge bus"), on the loop that runs the EventBus:
 *   bus_pull      PULL  bare envelopes from any nng program
 *   bus_pub       PUB   every publish, for any nng program: topic, NUL, number, envelopes
 *   bridge_pull   PULL  messages of the bridges
 *   bridge_pub    PUB   messages to the bridges
 *   control       REP   questions as msgpack maps: hello, ping, stats
 * nng's threads hand over messages through bounded queues; everything else runs on the loop.
 *
 * The server tells the EventBus the time before its rounds. Expiry (eventbus_expire) stays with the caller.
 * Threads: the loop's. */
#ifndef LOOM_BROKER_BUS_SERVER_H
#define LOOM_BROKER_BUS_SERVER_H

#include <uv.h>

#include "broker/eventbus.h"

typedef struct bus_server bus_server;

typedef struct bus_server_options {
    const char *bus_pull, *bus_pub, *bridge_pull, *bridge_pub, *control; /* URLs; NULL or "": not opened */
    const char *software;      /* such as "loom-broker/0.1.0"; NULL: none */
    uint32_t bridge_expiry_ms; /* a bridge that was silent for so long is given up; 0: 10000 */
    uint32_t bridge_send_buffer; /* messages that may wait for one bridge, 1 to 8192, more overflow; 0: every window */
    uint32_t max_bridges;      /* 0 or more than 64: 64 */
    uint32_t max_sessions;     /* of one bridge; 0: 65536 */
    uint32_t payload_max;      /* bytes of an open publish; 0: LOOM_PAYLOAD_MAX */
    uint8_t ttl;               /* of an open publish that brings none; 0: LOOM_TTL_DEFAULT */
    uint32_t ipc_mode;         /* permissions of ipc sockets; 0: 0600 */
    void (*log)(void *user, int level, const char *text); /* levels as in log_level; NULL: no log */
    void *user;
} bus_server_options;

/* LOOM_EINVAL: a URL is not valid.  LOOM_EBUSY: an address is in use.  LOOM_EIO, LOOM_ENOMEM.  Each is logged with the
 * URL. Bridges need control, bridge_pull and bridge_pub. */
LOOM_MUST_CHECK loom_status bus_server_open(bus_server **out, uv_loop_t *loop, eventbus *core,
                                            const bus_server_options *options);
/* Flushes, closes the sockets and leaves the EventBus at once; frees itself and calls closed (may be NULL) from the loop. */
void bus_server_close(bus_server *s, void (*closed)(void *user), void *user);
/* Sends what collected. Runs by itself around each sleep of the loop. */
void bus_server_round_end(bus_server *s);

typedef enum bus_server_url {
    BUS_SERVER_PULL,
    BUS_SERVER_PUB,
    BUS_SERVER_BRIDGE_PULL,
    BUS_SERVER_BRIDGE_PUB,
    BUS_SERVER_CONTROL,
    BUS_SERVER_URLS
} bus_server_url;
/* As it is really listened on (a tcp port 0 filled in); "" when it is off. Valid until close. */
const char *bus_server_url_of(const bus_server *s, bus_server_url which);

typedef struct bus_server_stats {
    uint64_t open_received, open_malformed, open_sent; /* envelopes in, messages refused, messages out */
    uint64_t open_lost_memory;
    uint64_t bridge_received, bridge_sent;             /* messages */
    uint64_t bridge_malformed, bridge_stale;           /* stale: of no attachment that is known */
    uint64_t gaps, resent;
    uint64_t lost_memory;                              /* deliveries or answers to bridges given up for want of memory */
    uint64_t control_requests;
    uint64_t attachments, bridges_lost;                /* hellos; given up without having left */
    uint32_t bridges, sessions, open_peers;            /* now */
    bool open_waiting;                                 /* now: the open PULL is not read, a queue is full */
} bus_server_stats;
bus_server_stats bus_server_get_stats(const bus_server *s);

#endif
