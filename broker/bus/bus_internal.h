/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the bus server share. Everything belongs to the loop's thread. */
#ifndef LOOM_BROKER_BUS_INTERNAL_H
#define LOOM_BROKER_BUS_INTERNAL_H

#include "bridge/bus/nng_closing.h"
#include "bridge/bus/nng_inbox.h"
#include "bridge/bus/number_table.h"
#include "broker/bus/bus_server.h"
#include "broker/topic_table.h"
#include "envelope/bus_link.h"

enum { BUS_URL_SIZE = 256, BUS_BRIDGES_MAX = 64, BUS_CONTROLS = 4 };

/* ---- the open bus (bus_open.c) ---- */

typedef struct open_bus {
    bool pull_open, pub_open;
    nng_socket pull, pub;
    nng_inbox *inbox;
    pipe_watch *peers;
    eventbus_publisher *publisher;
    bool pressing;
    eventbus_subscriber *subscriber; /* while there are peers */
    topic_table topics;             /* numbers of the envelopes sent: published */
    bool topics_open;
    nng_msg *batch;                 /* NULL: none is open */
    topic_entry *batch_topic;       /* valid while batch is */
    uint8_t *scratch;               /* for envelopes that are rewritten; made when first needed */
} open_bus;

LOOM_MUST_CHECK loom_status open_bus_open(bus_server *s);
void open_bus_close(bus_server *s);
void open_bus_turn(bus_server *s);
void open_bus_flush(bus_server *s);

/* ---- bridges (bus_bridges.c) and their sessions (bus_session.c) ---- */

typedef struct bus_bridge {
    struct bus_bridge *next;
    bus_server *server;
    bus_link link;
    number_table sessions;
    uint64_t heard_ms;
    uint32_t pipe; /* of bridge_pull; 0: nothing has come yet */
    bool failed;   /* to be closed at the end of the turn */
    size_t id_len;
    char id[BUS_BRIDGE_ID_MAX];
} bus_bridge;

typedef struct bus_session {
    bus_bridge *bridge;
    uint64_t number;
    eventbus_publisher *publisher;
    eventbus_subscriber *subscriber;
} bus_session;

typedef struct bridge_bus {
    bool pull_open, pub_open;
    nng_socket pull, pub;
    nng_inbox *inbox;
    pipe_watch *pipes;
    bus_bridge *first;
    uint32_t count;
} bridge_bus;

LOOM_MUST_CHECK loom_status bridge_bus_open(bus_server *s);
void bridge_bus_close(bus_server *s);
void bridge_bus_turn(bus_server *s);
void bridge_bus_flush(bus_server *s, bool complete_only);
void bridge_bus_tick(bus_server *s);
/* A bridge says hello; an older one of the same id is closed. LOOM_EFULL, LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status bridge_bus_hello(bus_server *s, loom_str id, loom_str software, uint64_t *epoch);
/* LOOM_ENOTFOUND: no such bridge.  LOOM_EREPLACED: one of this id said hello later. */
LOOM_MUST_CHECK loom_status bridge_bus_ping(bus_server *s, loom_str id, uint64_t epoch);

/* Handles one frame of the session. LOOM_OK also when the request was refused: the answer says so.
 * LOOM_EMALFORMED: the bytes cannot be trusted any more. */
LOOM_MUST_CHECK loom_status bus_session_frame(bus_bridge *bridge, uint64_t session, bus_frame *f,
                                              char reason[FRAME_REASON_SIZE]);
void bus_session_close(bus_session *session);

/* ---- control (bus_control.c, bus_stats.c) ---- */

typedef struct control_request {
    loom_str op, bridge, software;
    uint64_t protocol, epoch;
    loom_bytes body; /* the whole map, for ops with keys of their own */
} control_request;

typedef struct control_context {
    bus_server *server;
    nng_ctx ctx;
    nng_aio *aio;
    bool open;
    /* guarded by the lock of control_bus: */
    enum { CONTROL_RECEIVING, CONTROL_ASKED, CONTROL_SENDING, CONTROL_OVER } phase;
} control_context;

typedef struct control_bus {
    bool socket_open;
    nng_socket socket;
    uv_mutex_t lock;
    control_context contexts[BUS_CONTROLS];
} control_bus;

LOOM_MUST_CHECK loom_status control_bus_open(bus_server *s);
void control_bus_close(bus_server *s);
void control_bus_turn(bus_server *s);

struct msgpack_packer;
void control_stats(bus_server *s, const control_request *request, struct msgpack_packer *pk);
void control_pack_str(struct msgpack_packer *pk, loom_str text);
void control_pack_key(struct msgpack_packer *pk, const char *key);
void control_pack_uint(struct msgpack_packer *pk, const char *key, uint64_t value);

/* ---- the server ---- */

typedef struct log_limit {
    uint64_t next_ms;
    uint64_t suppressed;
} log_limit;

struct bus_server {
    uv_loop_t *loop;
    uv_async_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t timer;
    unsigned handles; /* open */
    eventbus *core;
    bus_server_options options;
    char *software;
    char urls[BUS_SERVER_URLS][BUS_URL_SIZE];
    open_bus open;
    bridge_bus bridges;
    control_bus control;
    nng_closings *closings;
    bus_server_stats stats;
    log_limit malformed_log, stale_log, memory_log;
    uint64_t started_ms;
    bool closing;
    void (*closed)(void *user);
    void *closed_user;
};

void bus_log(const bus_server *s, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* At most once a second for each limit; says how often it kept quiet. */
void bus_log_limited(bus_server *s, log_limit *limit, int level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Listens and fills s->urls[which]. Failures are logged. */
LOOM_MUST_CHECK loom_status bus_listen(bus_server *s, nng_socket socket, bus_server_url which, const char *url);
static inline bool bus_url_wanted(const char *url)
{
    return url != NULL && url[0] != '\0';
}

#endif
