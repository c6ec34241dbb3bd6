/* SPDX-License-Identifier: Apache-2.0 */
/* The way from a bridge to the broker: one small interface with two implementations, a direct call into the broker core
 * (broker/bus_local.h) and a connection to a broker process (bridge/bus/remote/remote.h). The bridge does not know which one
 * it has.
 *
 * A session has one port on the bus. What a port says and hears are the frames of the agent link; the two that come with
 * an envelope, publish and call, have functions of their own, because the bridge has scanned and may patch it.
 * Which way a frame goes says what it means: a call that goes up is an invocation, one that comes down is work for a
 * provider; a result or report goes up from a provider, and comes down to a caller; cancel and call_credit the other way.
 *
 * Up:   subscribe, unsubscribe, provide (each answered by an ack), result, report, cancel, call_credit,
 *       ask (before the publish of its message),
 *       ping (the agent was heard: at most one a heartbeat; number: ms since)
 * Down: matched (the answer to an ask), ack, notice (one published message was refused), result, report, cancel, call_credit,
 *       move (the agent is asked to connect elsewhere), error (the broker has ended the port: so does the session)
 *
 * Threads: the loop's. Handlers run inside calls of the bus or from the loop. A handler must not call the bus, but for
 * grant(). */
#ifndef LOOM_BRIDGE_BUS_H
#define LOOM_BRIDGE_BUS_H

#include "bridge/bus_port.h"

typedef struct bus bus;

/* What is known of the agent behind a port. Borrowed for the call. */
typedef struct bus_agent {
    loom_str id;
    loom_str software;    /* such as "libloom/0.1.0"; may be empty */
    loom_bytes instance;  /* 16 bytes or none */
    uint64_t heartbeat_ms;
    const char *peer;     /* its connection, for people */
    bool quiet;           /* its coming and going is no news */
    bool own;             /* the process's own, such as its gateway's: a drain neither counts nor refuses it */
    bool unrecorded;      /* it has no flight recorder */
} bus_agent;

typedef struct bus_ops {
    /* LOOM_ENOMEM; LOOM_EFULL: too many; LOOM_ECLOSED: the broker is being drained. handlers must outlive the port. */
    loom_status (*attach)(bus *b, bus_port **out, const bus_agent *agent, const bus_handlers *handlers, void *user);
    /* Ends its subscriptions, capabilities and calls; no handler is called after this. NULL is allowed. why: what the
     * directory says about it (LOOM_OK: the agent said goodbye). */
    void (*detach)(bus *b, bus_port *port, loom_status why);
    /* Credit of the agent behind the port, as totals since it was attached. Delivers at once what waited for it. */
    void (*grant)(bus *b, bus_port *port, uint64_t messages, uint64_t bytes);
    /* One scanned envelope, hop in place; wire is view->data, the caller's, and may be patched. Refusals come as notices.
     * Takes nothing over: the bytes may go when it returns. */
    void (*publish)(bus *b, bus_port *port, const envelope_view *view, uint8_t *wire);
    /* The same for an invocation; its outcome comes as a result. f->envelope is not looked at. */
    void (*call)(bus *b, bus_port *port, const frame_call *f, const envelope_view *view, uint8_t *wire);
    /* A delivery for this subscription, which is in a group, that the agent was never sent: another member gets it. The port is
     * about to be detached. view is borrowed. */
    void (*give_back)(bus *b, bus_port *port, uint64_t subscription, const envelope_view *view);
    /* Any other frame that goes up. */
    void (*frame)(bus *b, bus_port *port, const frame *f);
    /* A trace that is to be kept, for all that is elsewhere on the bus. */
    void (*keep)(bus *b, const frame_keep *f);
    /* What this process has of a trace, for a keep that asks. NULL: the broker is in this process, and knows. */
    void (*held)(bus *b, const frame_held *f);
    /* Of all that deliver() brought the port, so many the agent's connection has taken: they are not lost when this process is
     * killed. Only of ports whose handlers confirm. NULL: the bus does not count them. */
    void (*sent)(bus *b, bus_port *port, uint64_t messages);
} bus_ops;

struct bus {
    const bus_ops *ops;
    bool in_process;    /* the broker's spans are of this process, too */
    uint64_t mark;      /* that what is said now goes with; 0: the bus does at once what it is told, or there is no broker */
    uint64_t mark_done; /* the broker has done all that went with this mark, or an earlier one */
    uint64_t work;      /* subscriptions that messages have matched so far, news of agents and capabilities among them, and what
                           takes as long, besides the bytes that it was handed. Of a bus that is in_process */
    bool mark_wanted;   /* a session waits for what it has said: set by sessions */
    void (*told_to_keep)(void *bridge, const frame_keep *f); /* the same from elsewhere; NULL: nobody listens. Set by the bridge */
    void (*is_up)(void *bridge); /* a broker elsewhere has been reached; NULL: nobody listens. Set by the bridge */
    void *bridge;
};

/* bus_ops.sent, where the bus counts; to NULL: there is none any more. */
static inline void bus_sent(bus *b, bus_port *to, uint64_t messages)
{
    if (to != NULL && b->ops->sent != NULL) {
        b->ops->sent(b, to, messages);
    }
}

#endif
