/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the bus server share. Everything belongs to the loop's thread. */
#ifndef LOOM_BROKER_ENDPOINTS_INTERNAL_H
#define LOOM_BROKER_ENDPOINTS_INTERNAL_H

#include "base/bytes_table.h"
#include "base/list.h"
#include "base/log_sink.h"
#include "base/number_table.h"
#include "base/rate_limit.h"
#include "base/time_share.h"
#include "bridge/bus/lane.h"
#include "bridge/bus/ledger.h"
#include "bridge/bus/parts.h"
#include "bridge/spans/intake.h"
#include "broker/endpoints/server.h"
#include "broker/eventbus/topic_table.h"
#include "envelope/frame/bus_message.h"
#include "host/net/sp/sp.h"

/* ---- turns (endpoint.c) ---- */

/* What somebody may cost others in a round, besides bytes (bus_fan_out()). All zero: nothing was spent. */
typedef struct work_turn {
    uint64_t round, spent; /* in that round */
} work_turn;

/* Whether it may do more in this round. */
bool work_turn_is_left(work_turn *t, const bus_server *s);
/* So far (broker_work()), for the next. */
static inline uint64_t work_done(const bus_server *s);
/* What the messages since then have cost. */
static inline uint64_t work_since(const bus_server *s, uint64_t work_before);

/* ---- the open bus (open.c) ---- */

typedef struct open_endpoint {
    sp_server *pull, *pub;
    eventbus_publisher *publisher;
    bool pressing;
    linked_list peers, waiting; /* of pull; those that have had their turn (open_in.c) */
    eventbus_subscriber *subscriber; /* while there are peers */
    topic_table topics;       /* numbers of the envelopes sent: published */
    bool topics_open;
    frame_writer batch;       /* bytes of the message in the making; len 0: none */
    topic_entry *batch_topic; /* valid while there is one */
    uint8_t *scratch;         /* for envelopes that are rewritten; made when first needed */
} open_endpoint;

LOOM_MUST_CHECK loom_status open_endpoint_open(bus_server *s);
void open_endpoint_close(bus_server *s);
LOOM_MUST_CHECK loom_status open_in_open(bus_server *s);
void open_in_close(bus_server *s);
/* The next turn of what came in and has to wait, if there is one. */
void open_in_take_turn(bus_server *s);
/* There is one. */
bool open_in_is_due(const bus_server *s);
/* Reads, or reads no more: whether the bus presses or takes nothing has changed. */
void open_in_look(bus_server *s);
/* Events that wait so. */
uint64_t open_in_waiting(const bus_server *s);
void open_endpoint_flush(bus_server *s);

/* ---- bridges: accepted (bridges.c), their sessions (session.c), and what is sent to one (bridge_peer.c) ---- */

/* A bridge that has left with agents, and may be back with them in a moment (absent.c). */
typedef struct absent_bridge {
    uint64_t until_ms; /* it is expected no longer */
    uint32_t agents;   /* that a drain waits for; 0: a free place */
    size_t id_len;
    char id[BUS_BRIDGE_ID_MAX];
} absent_bridge;

enum { ABSENT_BRIDGES_MAX = 64 };

enum {
    DEFERRED_AHEAD = 16 * 1024 /* that is about as much as a bridge may have to read of what came of such turns */
};

typedef struct bridge_peer {
    struct bridge_peer *next;
    bus_server *server;
    sp_peer *peer;
    bus_outgoing out;
    bus_lane lane;                /* large frames, which leave in parts */
    size_t lane_passed;           /* bytes that left beside it since its last part */
    bool takes_parts;
    uint64_t small_ms;            /* when one of its agents was told something that is not large */
    bus_parts parts;              /* of a large frame that comes */
    number_table sessions;
    linked_list deferred;         /* frames of sessions that have had their turn (deferred.c) */
    unsigned deferred_count;
    work_turn news;               /* of agents that come and go */
    uint32_t awaited;             /* agents that it left with and has not attached yet, until it has said that it is through */
    bool greeted;
    bus_ledger ledger;            /* of this connection: deliveries go, publishes come */
    bool held;                    /* new credit of its sessions waits */
    linked_list credit_due;       /* sessions that have more credit than they were given (credit.c) */
    span_sender *spans;           /* NULL: it may not send any */
    linked_list refusals;         /* of calls that found no room (session.c), answered at the end of the round */
    loom_status failed;           /* not OK: to be closed at the end of the round */
    const char *failure;          /* why */
    size_t id_len;
    char id[BUS_BRIDGE_ID_MAX];
} bridge_peer;

typedef struct peer_session {
    bridge_peer *bridge;
    uint64_t number;
    port *port;
    uint64_t granted_messages, granted_bytes; /* by its agent */
    uint64_t passed_messages, passed_bytes;   /* of them, what its port was given (credit.c) */
    list_node credit_node;
    bool in_credit_list;
    uint64_t lane_item;                       /* the last one in the lane that has frames of it */
    work_turn turn;
    bool pressing, waits;                     /* what its bridge was told */
    bool guest;                               /* a drain waits for it */
} peer_session;

typedef struct bridge_endpoint {
    sp_server *server;
    bridge_peer *first, *gone; /* gone: without connections, and sessions that are still to be closed */
    uint32_t count;
    absent_bridge absent[ABSENT_BRIDGES_MAX];
} bridge_endpoint;

/* The connection of a bridge has ended: its agents are expected back with it for as long as a bridge may be silent. With more
 * bridges than there is room for, the one that left first is expected no longer. */
void absent_bridge_add(bus_server *s, const bridge_peer *b);
/* It is back. Returns how many agents it had. */
uint32_t absent_bridge_take(bus_server *s, loom_str id);
/* Agents of bridges that are away, or are back and have not attached them yet. */
uint32_t absent_bridge_agents(const bus_server *s);

/* The bridge has no connection any more, and is in no list: its sessions are closed, in turns, and it is freed (gone.c). */
void bridge_gone(bridge_peer *b, loom_status why);
/* The next turn, if one of them has any left. */
void bridge_gone_take_turn(bus_server *s);
/* All of it, of the bridge with this id. NULL: of all. */
void bridge_gone_finish(bus_server *s, const loom_str *id);

/* Spans of the bridge and its agents (bridge_spans.c). Returns the credit for its greeting. */
uint64_t bridge_spans_open(bridge_peer *b);
void bridge_spans_take(bridge_peer *b, const frame_spans *f);

LOOM_MUST_CHECK loom_status bridge_endpoint_open(bus_server *s);
void bridge_endpoint_close(bus_server *s);
void bridge_endpoint_flush(bus_server *s);
void bridge_endpoint_tick(bus_server *s);
/* No session gets more credit to publish: the server winds down. */
void bridge_endpoint_hold_publishers(bus_server *s);
/* Of each bridge a turn of what was put off. */
void bridge_endpoint_take_turns(bus_server *s);
/* There are such turns. */
bool bridge_endpoint_has_turns(const bus_server *s);
/* A trace that is to be kept, for this process and all bridges but the one it comes from (NULL: none). */
void bridge_endpoint_keep(bus_server *s, const frame_keep *f, const bridge_peer *from);

/* Tells every bridge that no new agents are taken, and asks the agents there to connect elsewhere. 0: they are taken again. */
void bridge_endpoint_tell_draining(bus_server *s, uint32_t within_ms);

/* The message that is being written to the bridge. */
bus_outgoing *bridge_peer_out(bridge_peer *b);
/* Where frames of a session go (0: the bridge's own). NULL: out of memory; the bridge has been given up. */
frame_writer *bridge_peer_writer(bridge_peer *b, uint64_t session);
/* The same for a frame of about so many bytes, which its agent waits for. A large one is written alone. */
frame_writer *bridge_peer_large_writer(bridge_peer *b, uint64_t session, size_t size);
/* One message for one of its sessions. */
void bridge_peer_deliver(peer_session *session, uint64_t subscription, const envelope_view *view);
/* Bytes that wait for it. */
size_t bridge_peer_unsent(const bridge_peer *b);
/* What could not be written is lost to the bridge: it has to start over and ask again. */
void bridge_peer_wrote(bridge_peer *b, loom_status st);
/* It will be closed at the end of the round; the first reason counts. text must stay valid. */
void bridge_peer_fail(bridge_peer *b, loom_status why, const char *text);
/* Reports what was taken. ask: the bridge is to do so, too. */
void bridge_peer_report(bridge_peer *b, bool ask);
/* So much waits for a bridge that does not read that only what cannot be refused may be added. */
bool bridge_peer_is_full(const bridge_peer *b);
/* A part of what is in its lane may leave now. */
bool bridge_peer_takes_part(const bridge_peer *b);
/* Sends what was written, with a report when one is due, and holds back a bridge that does not keep up. */
void bridge_peer_flush(bridge_peer *b);

/* Handles one frame of the session. LOOM_OK also when the request was refused: the answer says so.
 * LOOM_EBUSY: its turn is over; the frame is to come again, or what is left of its batch. Otherwise the bytes cannot be trusted
 * any more. */
LOOM_MUST_CHECK loom_status peer_session_frame(bridge_peer *b, uint64_t number, bus_frame *f, char reason[FRAME_REASON_SIZE]);
void peer_session_close(peer_session *session, loom_status why);
/* It will be closed: nothing is delivered to it any more. */
void peer_session_deafen(peer_session *session);
/* Tells its bridge whether it may publish. */
void peer_session_tell_pressure(const peer_session *session);
/* Tells its bridge to send nothing more of it, or to go on. */
void peer_session_wait(peer_session *session, bool wait);
/* Asks its agent to connect elsewhere. */
void peer_session_ask_to_move(peer_session *session, uint32_t within_ms);
/* Answers, in the providers' place, the calls that found no room. */
void peer_session_answer(bridge_peer *b);

/* ---- frames of sessions that have had their turn (deferred.c) ---- */

/* peer_session_frame(), now or in a later round: behind those of its session that wait. */
LOOM_MUST_CHECK loom_status deferred_pass(bridge_peer *b, uint64_t number, bus_frame *f, char reason[FRAME_REASON_SIZE]);
/* The next turn of one of the sessions whose frames wait, if there are any and the bridge keeps up. */
void deferred_take_turn(bridge_peer *b);
/* There is a turn to be taken. */
bool deferred_is_due(const bridge_peer *b);
/* The bridge has gone: what it has said is done all the same, or counted. */
void deferred_finish(bridge_peer *b);
/* Nothing waits any more; what did has not been taken. */
void deferred_drop(bridge_peer *b);

/* ---- credit that is handed on in slices (credit.c) ---- */

/* Totals, of the agent. */
void credit_granted(peer_session *session, uint64_t messages, uint64_t bytes);
/* The next slice of one of the sessions that have more, if the bridge keeps up. */
void credit_take_turn(bridge_peer *b);
/* There is one. */
bool credit_is_due(const bridge_peer *b);
/* The session ends. */
void credit_forget(peer_session *session);

/* ---- control (control.c, control_*.c) ---- */

typedef struct control_endpoint {
    sp_server *server;
    port *port;                /* of invocations; opened with the first */
    bytes_table by_call, by_question, by_peer; /* all invocations, in each */
    struct held_question *questions; /* who holds what of a trace (control_held.c) */
    size_t question_count;
    time_share system;         /* of the loop, for the broker's own capabilities (system.c) */
} control_endpoint;

/* A bridge answers; it has gone; a tick has passed (control_held.c). */
void control_held(bus_server *s, const bridge_peer *b, const frame_held *f);
void control_held_bridge_gone(bus_server *s, const bridge_peer *b);
void control_held_tick(bus_server *s);

LOOM_MUST_CHECK loom_status control_endpoint_open(bus_server *s);
void control_endpoint_close(bus_server *s);

/* ---- the server ---- */

struct bus_server {
    uv_loop_t *loop;
    loop_clock *clock;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t timer;
    uv_idle_t turns;        /* runs while frames that were put off wait for their turn */
    uint64_t round;
    unsigned closing_parts; /* handles and sockets that are not closed yet */
    broker_cores cores;
    bus_server_options options;
    log_sink log;
    counter_list own_counters; /* when the options bring none */
    char *software;
    open_endpoint open;
    bridge_endpoint bridges;
    control_endpoint control;
    shared_pool *blocks; /* of large frames of bridges */
    bus_server_stats stats;
    rate_limit malformed_log, denied_log, memory_log, refused_log, spans_log;
    uint64_t started_ms;
    uint64_t drain_until_ms; /* while the directory drains: by when agents are asked to leave */
    bool winding_down, takes_no_publishes; /* its end is near: bus_server_hold_publishers() */
    bool closing;
    void (*closed)(void *user);
    void *closed_user;
};

/* ---- what the endpoints share (endpoint.c) ---- */

/* Listens; failures are logged. options need protocol, handlers and limits only. url NULL or "": *out is NULL. */
LOOM_MUST_CHECK loom_status bus_listen(bus_server *s, sp_server **out, const char *url, sp_options options);
/* Closes it as a part of the server's end. */
void bus_unlisten(bus_server *s, sp_server **server);
/* The same for a handle of the server's own. */
void endpoint_handle_closed(uv_handle_t *handle);
/* For what anybody may cause: one line a second of each kind. */
#define bus_log_limited(s, limit, level, ...) \
    log_to_limited(&(s)->log, (limit), 1, (s)->clock->now_ms, (level), __VA_ARGS__)
static inline uint64_t work_done(const bus_server *s)
{
    return broker_work(&s->cores);
}

static inline uint64_t work_since(const bus_server *s, uint64_t work_before)
{
    return bus_fan_out(work_done(s) - work_before);
}
/* First in what the loop calls for a socket of ours: it may have slept since the clock was set. */
static inline void bus_woke(const bus_server *s)
{
    s->clock->now_ms = uv_now(s->loop);
}

#endif
