/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's sockets (WIRE.md, "The bus"), on the loop that runs its cores. They speak nng's protocols:
 *   bus_pull      PULL  bare envelopes from any nng program
 *   bus_pub       PUB   every publish, for any nng program: topic, NUL, number, envelopes
 *   bus_bridge    PAIR  one connection for each bridge in a process of its own
 *   control       REP   requests as msgpack maps: ping, stats, counters, agents, capabilities, topics, flow, invoke, kick,
 *                       drain
 * It answers calls of the broker's own capabilities, too, when the cores have a place for that (broker_system).
 *
 * Expiry (broker_expire) stays with the caller.
 * Threads: the loop's. */
#ifndef LOOM_BROKER_ENDPOINTS_SERVER_H
#define LOOM_BROKER_ENDPOINTS_SERVER_H

#include <stdarg.h>
#include <uv.h>

#include "base/counters.h"
#include "base/log_level.h"
#include "broker/port/port.h"

typedef struct bus_server bus_server;

typedef struct bus_server_options {
    const char *bus_pull, *bus_pub, *bus_bridge, *control; /* URLs; NULL or "": not opened */
    const char *software;      /* such as "loom-broker/0.1.0"; NULL: none */
    uint32_t ping_ms;          /* silence before a bridge is asked for a sign of life; 0: 2000 */
    uint32_t silence_ms;       /* silence that ends its connection; 0: 10000 */
    uint32_t parts_ms;         /* large frames for a bridge leave in parts so long after small ones; 0: 100 */
    uint32_t max_bridges;      /* 0: 64 */
    uint32_t max_sessions;     /* of one bridge; 0: 65536 */
    uint32_t payload_max;      /* bytes of an open publish, or of an invocation by control; 0: LOOM_PAYLOAD_MAX */
    size_t bridge_hold_bytes;  /* unsent to a bridge: its agents' new credit waits until half is gone; 0: 16 MiB */
    size_t bridge_end_bytes;   /* unsent to a bridge that does not read: its connection ends; 0: 256 MiB */
    uint8_t ttl;               /* of an open publish that brings none; 0: LOOM_TTL_DEFAULT */
    struct span_intake *spans; /* of bridges; NULL: none are taken. It outlives the server */
    void (*on_keep)(void *user, const frame_keep *f); /* a bridge or the control socket wants a trace kept, in this process, too; NULL: nothing */
    /* The control socket wants it to take no new agents; within_ms: its own may take so long to leave. Or to go on. NULL: nothing */
    void (*on_drain)(void *user, bool draining, uint32_t within_ms);
    const counter_list *counters; /* what the operation "stats" reports; NULL: of the cores and the server alone */
    uint32_t ipc_mode;         /* permissions of ipc sockets; 0: 0600 */
    void (*log)(void *user, log_level level, const char *format, va_list args); /* of a log_sink; NULL: no log */
    void *user;
} bus_server_options;

/* clock is the one of the cores, which the server sets when the loop wakes for it. cores are copied; what they point to must
 * outlive the server, as must clock. LOOM_EINVAL: a URL is not valid.  LOOM_EBUSY: an address is in use.  LOOM_EDENIED,
 * LOOM_EIO, LOOM_ENOMEM.  Each is logged with the URL. After an error nothing is left on the loop, which has been run for
 * that. */
LOOM_MUST_CHECK loom_status bus_server_open(bus_server **out, uv_loop_t *loop, loop_clock *clock, const broker_cores *cores,
                                            const bus_server_options *options);
/* Flushes, closes the sockets and leaves the cores at once; frees itself and calls closed (may be NULL) from the loop. */
void bus_server_close(bus_server *s, void (*closed)(void *user), void *user);

typedef enum bus_server_url {
    BUS_SERVER_PULL,
    BUS_SERVER_PUB,
    BUS_SERVER_BRIDGE,
    BUS_SERVER_CONTROL,
    BUS_SERVER_URLS
} bus_server_url;
/* As it is really listened on (a tcp port 0 filled in); "" when it is off. Valid until close. */
const char *bus_server_url_of(const bus_server *s, bus_server_url which);

typedef struct bus_server_stats {
    uint64_t open_received, open_malformed, open_denied; /* envelopes in, messages refused, envelopes for system. topics */
    uint64_t open_sent, open_dropped;                    /* messages out; copies that a peer had no room for */
    uint64_t open_lost_memory;
    uint64_t bridge_received, bridge_sent;               /* messages */
    uint64_t bridge_malformed;                           /* connections ended for what they said */
    uint64_t unconfirmed;                                /* deliveries that may have been lost with a bridge */
    uint64_t keeps_dropped;                              /* traces to be kept that a bridge was not told of */
    uint64_t held;                                       /* times credit was held back because a bridge did not keep up */
    uint64_t deferred;                                   /* times the rest of an agent's frames was put off (deferred.c) */
    uint64_t deferred_lost;                              /* messages of bridges that went while they were put off */
    uint64_t refused_calls, dropped_progress;            /* because too much waited for a bridge */
    uint64_t lost_memory;                                /* bridges dropped because memory ran out */
    uint64_t control_requests, system_calls;             /* questions; those that came as calls over the agent link */
    uint64_t attachments, bridges_lost;                  /* connections that greeted, and that ended */
    uint32_t bridges, sessions, open_peers;              /* now */
    bool open_waiting;                                   /* now: the open PULL is not read, a queue is full */
} bus_server_stats;
bus_server_stats bus_server_get_stats(const bus_server *s);
/* Before the end: publishers get no more credit. at_once: what still comes of theirs is not taken, and so not confirmed. */
void bus_server_hold_publishers(bus_server *s, bool at_once);
/* Nothing was put off: all that bridges and nng programs have sent has been done. */
bool bus_server_is_through(const bus_server *s);
/* Events of the open bus that wait; those of bridges are what they have not been confirmed. */
uint64_t bus_server_unread(const bus_server *s);
/* Answers a question of the control socket to somebody in this process: all but "invoke", whose answer comes later. take is
 * called before it returns. LOOM_EBUSY: such questions have used up their share of the loop's time.  LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status bus_server_ask(bus_server *s, loom_bytes question, void (*take)(void *to, loom_bytes answer), void *to);
/* A trace that is to be kept: every bridge is told. */
void bus_server_keep(bus_server *s, const frame_keep *f);
counter_source bus_server_counter_source(const bus_server *s);

#endif
