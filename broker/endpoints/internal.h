/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the bus server share. Everything belongs to the loop's thread. */
#ifndef LOOM_BROKER_ENDPOINTS_INTERNAL_H
#define LOOM_BROKER_ENDPOINTS_INTERNAL_H

#include "base/number_table.h"
#include "base/rate_limit.h"
#include "host/net/sp/sp.h"
#include "broker/endpoints/server.h"
#include "broker/eventbus/topic_table.h"
#include "envelope/frame/bus_message.h"

/* ---- the open bus (open.c) ---- */

typedef struct open_bus {
    sp_server *pull, *pub;
    eventbus_publisher *publisher;
    bool pressing;
    eventbus_subscriber *subscriber; /* while there are peers */
    topic_table topics;       /* numbers of the envelopes sent: published */
    bool topics_open;
    frame_writer batch;       /* bytes of the message in the making; len 0: none */
    topic_entry *batch_topic; /* valid while there is one */
    uint8_t *scratch;         /* for envelopes that are rewritten; made when first needed */
} open_bus;

LOOM_MUST_CHECK loom_status open_bus_open(bus_server *s);
void open_bus_close(bus_server *s);
void open_bus_flush(bus_server *s);

/* ---- bridges (bridges.c) and their sessions (session.c) ---- */

typedef struct bus_bridge {
    struct bus_bridge *next;
    bus_server *server;
    sp_peer *peer;
    bus_outgoing out;
    number_table sessions;
    bool greeted;
    bool heard;                   /* since the last tick */
    unsigned silent;              /* ticks without a word */
    uint64_t taken, told_taken;   /* publishes had on this connection, and as told */
    unsigned unanswered;          /* messages since they were told */
    bool asked;                   /* it wants to be told */
    uint64_t delivered, confirmed; /* deliveries written, and what the bridge has taken of them */
    bool held;                    /* new credit of its sessions waits */
    loom_status failed;           /* not OK: to be closed at the end of the round */
    const char *failure;          /* why */
    size_t id_len;
    char id[BUS_BRIDGE_ID_MAX];
} bus_bridge;

typedef struct bus_session {
    bus_bridge *bridge;
    uint64_t number;
    port *port;
    uint64_t messages, bytes; /* credit, as it was granted last */
} bus_session;

typedef struct bridge_bus {
    sp_server *server;
    bus_bridge *first;
    uint32_t count;
} bridge_bus;

LOOM_MUST_CHECK loom_status bridge_bus_open(bus_server *s);
void bridge_bus_close(bus_server *s);
void bridge_bus_flush(bus_server *s);
void bridge_bus_tick(bus_server *s);
/* The message that is being written to the bridge. */
bus_outgoing *bus_bridge_out(bus_bridge *b);
/* Where frames of a session go (0: the bridge's own). NULL: out of memory; the bridge has been given up. */
frame_writer *bus_bridge_writer(bus_bridge *b, uint64_t session);
/* What could not be written is lost to the bridge: it has to start over and ask again. */
void bus_bridge_wrote(bus_bridge *b, loom_status st);

/* Handles one frame of the session. LOOM_OK also when the request was refused: the answer says so.
 * Otherwise the bytes cannot be trusted any more. */
LOOM_MUST_CHECK loom_status bus_session_frame(bus_bridge *b, uint64_t number, bus_frame *f, char reason[FRAME_REASON_SIZE]);
void bus_session_close(bus_session *session, loom_status why);

/* ---- control (control.c, control_*.c) ---- */

struct invocation;

typedef struct control_bus {
    sp_server *server;
    port *port;                /* of invocations; opened with the first */
    struct invocation *first, **end;
} control_bus;

LOOM_MUST_CHECK loom_status control_bus_open(bus_server *s);
void control_bus_close(bus_server *s);

/* ---- the server ---- */

struct bus_server {
    uv_loop_t *loop;
    loop_clock *clock;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t timer;
    unsigned closing_parts; /* handles and sockets that are not closed yet */
    broker_cores cores;
    bus_server_options options;
    counter_list own_counters; /* when the options bring none */
    char *software;
    open_bus open;
    bridge_bus bridges;
    control_bus control;
    bus_server_stats stats;
    rate_limit malformed_log, denied_log, memory_log;
    uint64_t started_ms;
    bool closing;
    void (*closed)(void *user);
    void *closed_user;
};

void bus_log(const bus_server *s, log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* At most once a second for each limit; then also how many were suppressed. */
void bus_log_limited(bus_server *s, rate_limit *limit, log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Listens; failures are logged. options need protocol, handlers and limits only. url NULL or "": *out is NULL. */
LOOM_MUST_CHECK loom_status bus_listen(bus_server *s, sp_server **out, const char *url, sp_options options);
/* Closes it as a part of the server's end. */
void bus_unlisten(bus_server *s, sp_server **server);
/* First in what the loop calls for a socket of ours: it may have slept since the clock was set. */
static inline void bus_woke(const bus_server *s)
{
    s->clock->now_ms = uv_now(s->loop);
}

#endif
