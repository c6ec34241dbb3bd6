/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of bus_remote share. Everything belongs to the loop's thread. */
#ifndef LOOM_BRIDGE_BUS_REMOTE_INTERNAL_H
#define LOOM_BRIDGE_BUS_REMOTE_INTERNAL_H

#include "bridge/bus/remote/remote.h"
#include "base/hash_index.h"
#include "base/list.h"
#include "base/number_table.h"
#include "base/log_sink.h"
#include "base/rate_limit.h"
#include "bridge/bus/lane.h"
#include "bridge/bus/ledger.h"
#include "bridge/bus/parts.h"
#include "bridge/bus/remote/call_set.h"
#include "host/net/sp/sp.h"
#include "envelope/frame/bus_message.h"
#include "trace/export/span_link.h"

/* ---- what waits for the broker (queue.c) ---- */

typedef struct remote_chunk {
    struct remote_chunk *next;
    bus_outgoing out;
    uint64_t envelopes; /* published ones in it */
} remote_chunk;

/* Messages of about BUS_MESSAGE_TARGET bytes; the last one is still being written. All zero: empty. */
typedef struct remote_queue {
    remote_chunk *first, *last;
    remote_chunk *spare;
    size_t bytes; /* of all but the last */
    uint64_t added, gone; /* chunks */
} remote_queue;

/* The chunk to write to. NULL: out of memory. */
remote_chunk *remote_queue_open(remote_queue *q);
/* The same, for frames of this session; 0: of none. */
frame_writer *remote_queue_writer(remote_queue *q, uint64_t session);
void remote_queue_fini(remote_queue *q);
static inline size_t remote_queue_bytes(const remote_queue *q)
{
    return q->bytes + (q->last != NULL ? q->last->out.w.len : 0);
}
uint64_t remote_queue_envelopes(const remote_queue *q);
/* Hands as much to the connection as it should hold, so that the rest survives it. LOOM_ENOMEM: try again later. */
LOOM_MUST_CHECK loom_status remote_queue_send(bus_remote *b);
/* Where a frame of this port goes; NULL: the broker is away, or there is no memory. It will be told on its return. */
frame_writer *remote_port_writer(bus_port *port);
/* The same for one of about so many bytes, which is written alone. */
frame_writer *remote_port_large_writer(bus_port *port, size_t size);
/* Where its goodbye goes, and what is of about so many bytes before that: behind the publishes that are held. */
frame_writer *remote_port_last_writer(bus_port *port, size_t size);
/* What was written may not be all: another connection will tell the broker everything. */
void remote_port_wrote(bus_port *port, loom_status st);
/* Moves what old holds to another queue of b, and empties old: all of it for the connection it was written for, else the
 * publishes of ports that are still there. Returns how many envelopes were lost on the way. */
uint64_t remote_queue_carry(bus_remote *b, remote_queue *to, remote_queue *old, bool same_connection);
/* The same for the bytes of one message. */
uint64_t remote_frames_carry(bus_remote *b, remote_queue *to, loom_bytes frames, bool same_connection);

/* ---- large frames, which leave in parts (lane.c) ---- */

/* It says something for whose sake others must not be in its way. */
void remote_port_speaks(bus_port *port);
/* Where a frame of this port of about so many bytes goes, whatever the state. NULL: out of memory. */
frame_writer *remote_stream_writer(bus_port *port, size_t size);
/* Writes the envelope behind what the port has said, or to what is held. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status remote_publish(bus_port *port, const envelope_view *view);
/* For what has to come behind all that was written. NULL: out of memory. */
frame_writer *remote_last_writer(bus_remote *b);
/* Hands parts to the connection while it has little to send, or others have sent much since. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status remote_lane_send(bus_remote *b);
/* Moves the publishes in old, of a connection that has ended, to a queue of b, and empties it. Returns how many were lost. */
uint64_t remote_lane_carry(bus_remote *b, remote_queue *to, bus_lane *old);

/* ---- requests that are answered by an ack (requests.c) ---- */

typedef struct remote_request {
    hash_node node;         /* first; in the bridge's index while it stands */
    bus_port *port;
    struct remote_request *next, *prev;
    uint64_t number;        /* of ours, instead of the agent's */
    uint64_t agent_request;
    bool standing;          /* was answered: a subscription or capability that the next broker has to hear of */
    size_t len;
    uint8_t frame[];        /* as it is sent */
} remote_request;

typedef struct remote_requests {
    remote_request *first, *last;
    remote_request *awaited; /* the one that the next ack is for; NULL: none is out */
    size_t open_bytes;       /* of those that were not answered yet */
} remote_requests;

/* subscribe, unsubscribe or provide, remembered and sent. */
void remote_request_make(bus_port *port, const frame *f);
void remote_request_answered(bus_port *port, const frame_outcome *ack);
/* All of them again, for a broker that knows nothing. */
LOOM_MUST_CHECK loom_status remote_requests_replay(bus_port *port);
/* Forgets the first of them, of a port that has ended. False: there is none. */
bool remote_requests_drop(bus_port *port);

/* ---- credit that is said later (due.c) ---- */

/* More than this waits for the broker only when agents come and go whose requests it does not read: no new ones then. */
#define REMOTE_UNSENT_MAX ((size_t)256 * 1024 * 1024)

/* Bytes on their way to the broker, but for large frames. */
static inline size_t remote_waiting(const bus_remote *b);
/* The broker does not keep up: what can be said later should be. */
bool remote_is_behind(const bus_remote *b);
/* The port has newer totals than it has told the broker: its own (credit_due), or of calls. */
void remote_port_due(bus_port *port);
void remote_port_not_due(bus_port *port);
/* Writes as much of it as should be. True: there was something. */
bool remote_say_due(bus_remote *b);

/* ---- ports (port.c) ---- */

struct bus_port {
    bus_remote *owner;
    uint64_t session;
    const bus_handlers *handlers;
    void *user;
    remote_requests requests;
    call_set asked;   /* calls of the agent without an outcome */
    call_set working; /* calls that the broker gave it, on this connection, without an answer */
    uint64_t granted_messages, granted_bytes;     /* totals since it was attached */
    uint64_t delivered_messages, delivered_bytes;
    uint64_t sent_messages;                       /* of them, what the agent's connection has taken; only where that is told */
    uint64_t base_messages, base_bytes;           /* delivered when this connection began */
    bus_pressure broker_says;
    bool told_pressing, told_to_wait;
    bool due;                                     /* in the list of those that have totals to say; no other field tells */
    bool credit_due;                              /* its own are among them */
    list_node in_due;
    list_node in_ended;                           /* once its session has ended */
    size_t dropped_asked, dropped_working;        /* how far these have been forgotten then */
    uint64_t lane_item;                           /* the last one in the lane that has frames of it */
    size_t agent_len;
    char agent[LOOM_AGENT_ID_MAX];
    uint64_t opened_ms;
    size_t attach_len;
    uint8_t attach[];   /* the frame that begins it at a broker */
};

extern const bus_ops remote_ops;
loom_status remote_port_put_credit(bus_port *port);
/* Writes everything the broker needs to know of it. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status remote_port_replay(bus_port *port);
/* The connection has ended: its calls are over. */
void remote_port_lost(bus_port *port);
/* Tells the agent's session when it has changed. */
void remote_port_tell_pressure(bus_port *port);
/* The same for every port. */
void remote_tell_pressure(bus_remote *b);

/* ---- ports whose sessions have ended (ended.c) ---- */

/* It is no handler's any more, and not in the table of ports. */
void remote_port_end(bus_port *port);
/* The next slice of what is remembered of them; and all of it. */
void remote_ended_take_turn(bus_remote *b);
void remote_ended_finish(bus_remote *b);

/* ---- what a connection begins and ends with (attach.c) ---- */

/* The broker's greeting has come: it is told everything. */
void remote_become_up(bus_remote *b, const bus_greeting *greeting);
/* Publishes may go to the broker now. */
void remote_end_hold(bus_remote *b);
/* A connection that was up is over: what may be lost is counted, and calls end. */
void remote_become_down(bus_remote *b);

/* ---- how far the broker has come (mark.c) ---- */

void remote_mark_up(bus_remote *b);
void remote_mark_down(bus_remote *b);
/* Puts one behind what waits, when one is wanted and none is on its way. */
void remote_mark_send(bus_remote *b);
/* LOOM_EPROTO: not the one that is on its way. */
LOOM_MUST_CHECK loom_status remote_mark_returned(bus_remote *b, uint64_t number, char reason[FRAME_REASON_SIZE]);

/* ---- spans that go to the broker (spans.c); all do nothing where the exporter is another ---- */

void remote_spans_open(bus_remote *b);
/* Counts as one of the handles. */
void remote_spans_close(bus_remote *b, uv_close_cb closed);
void remote_spans_up(bus_remote *b, uint64_t credit);
void remote_spans_down(bus_remote *b);
void remote_spans_answered(bus_remote *b, const frame_span_credit *f);
/* Puts a frame of them behind what waits, when there is one. */
void remote_spans_send(bus_remote *b);
/* There may be some, and little enough else waits. */
bool remote_spans_are_due(const bus_remote *b);

/* ---- what the broker says (frames.c) ---- */

/* What the broker says of new agents. */
void remote_set_draining(bus_remote *b, bool draining);
/* The frames of one message. LOOM_EMALFORMED, LOOM_ETOOBIG: what follows cannot be trusted; reason says why. */
LOOM_MUST_CHECK loom_status remote_take_frames(bus_remote *b, loom_bytes frames, char reason[FRAME_REASON_SIZE]);

/* ---- the connection (link.c) ---- */

typedef enum remote_state {
    REMOTE_WAITING,  /* to dial (again), at retry_ms */
    REMOTE_DIALLING,
    REMOTE_GREETING, /* our greeting is out */
    REMOTE_UP,
    REMOTE_CLOSED
} remote_state;

struct bus_remote {
    bus base;
    uv_loop_t *loop;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t timer;
    uv_idle_t turns;  /* on while something is left of ports that have ended */
    unsigned handles; /* open */
    bus_remote_options options;
    log_sink log;
    rate_limit refused_log;
    char *url, *software;
    char bridge_id[BUS_BRIDGE_ID_MAX + 1];
    call_set_key key;

    remote_state state;
    sp_peer *peer;
    unsigned attempts;       /* to reach the broker, in a row */
    bool replaced;           /* another bridge has our id: do not come back at once */
    bus_ledger ledger;       /* of this connection: publishes go, deliveries come */

    remote_queue queue;
    bus_lane lane;
    size_t lane_passed;             /* bytes that left beside it since its last part */
    bool lane_goes_on;              /* in the next round, whether or not something happens until then */
    bool broker_takes_parts;
    uint64_t speaker, speaker_ms;   /* session that was the last to say something, and when another was before it */
    bus_parts parts;                /* of a large frame that comes */
    shared_pool *blocks;            /* for such frames */
    remote_queue held;              /* publishes, while a broker that has just started lets them wait */
    bool draining;                  /* the broker, which takes no new agents */
    uint64_t hold_until_ms;         /* 0: it does not */
    linked_list due;               /* ports with totals to say */
    linked_list ended;              /* ports whose sessions have ended */
    uint64_t due_sent;              /* stats.sent when they were looked at last */
    frame_writer scratch;
    number_table ports;
    hash_index standing;            /* requests of all ports, by port and subject */
    size_t open_bytes;              /* of requests of all ports without an answer */
    uint64_t next_session, next_request;
    uint64_t last_mark;
    bool mark_out;      /* one is on its way */
    bool pressing, pressure_changed;
    bool idle_asked;    /* the broker's next report says whether it keeps anything for this bridge's agents */
    bool broker_idle;   /* it did, and keeps nothing */
    uv_async_t spans_wake;
    span_carrier carrier;
    bool spans_wait;    /* there may be some to send */
    bool must_reattach; /* memory ran out, so the broker misses something */

    bool closing;
    uint64_t drain_until_ms;
    void (*closed)(void *user, const bus_remote_losses *lost);
    bus_remote_losses lost; /* set when it closes */
    void *closed_user;
    bus_remote_stats stats;
};

static inline size_t remote_waiting(const bus_remote *b)
{
    return remote_queue_bytes(&b->queue) + (b->peer != NULL ? sp_peer_unsent(b->peer) : 0);
}

static inline size_t remote_unsent(const bus_remote *b)
{
    return remote_waiting(b) + bus_lane_bytes(&b->lane) + remote_queue_bytes(&b->held);
}

/* LOOM_EINVAL: the URL. Other failures are tried again. */
LOOM_MUST_CHECK loom_status remote_dial(bus_remote *b);
/* The next step in time: dials again, looks for silence. */
void remote_tick(bus_remote *b);
/* Ends a round of work: what was written leaves. */
void remote_flush(bus_remote *b);
/* Ends the connection and, unless it closes, dials again later. why is for the log. */
void remote_lost(bus_remote *b, const char *why);
/* Everything has been confirmed. */
bool remote_drained(const bus_remote *b);

#endif
