/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of bus_nng share. Everything belongs to the loop's thread. */
#ifndef LOOM_BRIDGE_BUS_NNG_INTERNAL_H
#define LOOM_BRIDGE_BUS_NNG_INTERNAL_H

#include "bridge/bus/bus_nng.h"
#include "bridge/bus/nng_closing.h"
#include "bridge/bus/nng_inbox.h"
#include "bridge/bus/number_table.h"
#include "envelope/bus_link.h"

/* ---- the control socket: one question at a time (bus_nng_control.c) ---- */

typedef struct control_client control_client;

typedef struct control_answer {
    uint64_t status; /* loom_status */
    uint64_t epoch;
    loom_str pull, pub, text, software;
} control_answer;

LOOM_MUST_CHECK loom_status control_client_open(control_client **out, const char *url, uint32_t answer_ms, uv_async_t *wake);
void control_client_close(control_client *c, nng_closings *closings); /* NULL is allowed */
/* op is "hello" or "ping". LOOM_EBUSY: a question is out.  LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status control_client_ask(control_client *c, const char *op, loom_str bridge, loom_str software,
                                               uint64_t epoch);
/* Gives up waiting: take() then tells LOOM_EIO, soon. */
void control_client_cancel(control_client *c);
/* LOOM_EBUSY: none is there yet.  LOOM_OK: *answer is filled, valid until the next question.  LOOM_ETIMEDOUT, LOOM_EIO,
 * LOOM_EMALFORMED: there will be none. */
LOOM_MUST_CHECK loom_status control_client_take(control_client *c, control_answer *answer);

/* ---- ports (bus_nng_port.c) ---- */

typedef struct port_subscription {
    struct port_subscription *next;
    uint64_t request; /* of ours; 0: it was answered */
    frame_subscribe f; /* its strings are in text */
    char text[];
} port_subscription;

/* Asked and not yet answered, in order. */
typedef struct port_request {
    struct port_request *next;
    uint64_t request, agent_request, subscription;
    bool unsubscribe;
} port_request;

struct bus_port {
    bus_nng *owner;
    uint64_t session;
    const bus_handlers *handlers;
    void *user;
    port_subscription *subscriptions, **subscriptions_end;
    port_request *requests, **requests_end;
    uint64_t granted_messages, granted_bytes;     /* totals since it was attached */
    uint64_t delivered_messages, delivered_bytes;
    uint64_t base_messages, base_bytes;           /* delivered when this attachment to the broker began */
    bool broker_pressing, told_pressing;
    size_t agent_len;
    char agent[LOOM_AGENT_ID_MAX];
};

extern const bus_ops bus_nng_ops;
void bus_port_free(bus_port *port);
/* Writes everything the broker needs to know of it. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status bus_port_replay(bus_port *port);
void bus_port_answered(bus_port *port, const frame_outcome *outcome);
/* Tells the agent's session when it has changed. */
void bus_port_tell_pressure(bus_port *port);
/* The same for every port. */
void bus_nng_tell_pressure(bus_nng *b);

/* ---- what the broker says (bus_nng_frames.c) ---- */

/* The frames of one message. LOOM_EMALFORMED, LOOM_ETOOBIG: what follows cannot be trusted; reason says why. */
LOOM_MUST_CHECK loom_status bus_nng_take_frames(bus_nng *b, loom_bytes frames, char reason[FRAME_REASON_SIZE]);

/* ---- the connection (bus_nng_link.c) ---- */

typedef enum bus_nng_state {
    BUS_NNG_WAITING,    /* to say hello (again), at retry_ms */
    BUS_NNG_HELLO,      /* hello is out */
    BUS_NNG_CONNECTING, /* the sockets are dialing, then probes go out until something comes back */
    BUS_NNG_UP,
    BUS_NNG_CLOSED      /* what is left is to close the sockets, then the handles */
} bus_nng_state;

struct bus_nng {
    bus base;
    uv_loop_t *loop;
    uv_async_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t timer;
    unsigned handles; /* open */
    bus_nng_options options;
    char *control_url, *software;
    char bridge_id[BUS_BRIDGE_ID_MAX + 1];

    bus_nng_state state;
    control_client *control;
    bool sockets_open;
    nng_socket push, sub;
    pipe_watch *push_watch, *sub_watch;
    nng_inbox *inbox;
    nng_closings *closings; /* of sockets that were given up */
    bus_link link;
    uint64_t epoch;
    uint64_t retry_ms, backoff_ms, deadline_ms, ping_due_ms;
    bool pinging;

    number_table ports;
    uint64_t next_session, next_request;
    bool pressing, pressure_changed;
    bool must_reattach; /* the broker was not told something, for want of memory */

    bool closing;
    uint64_t drain_until_ms, close_until_ms;
    void (*closed)(void *user);
    void *closed_user;
    bus_nng_stats stats;
};

void bus_nng_log(const bus_nng *b, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What is due at this time: the whole state machine hangs on this. */
void bus_nng_turn(bus_nng *b);
/* Ends a round of work: what was written leaves. */
void bus_nng_flush(bus_nng *b);
void bus_nng_close_sockets(bus_nng *b);

#endif
