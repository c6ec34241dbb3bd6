/* SPDX-License-Identifier: Apache-2.0 */
/* A port of the bus, as its owner sees it: what it is told. bus.h says what the frames mean. The broker's own ports
 * (broker/port/port.h) and those of a connection to a broker process (bridge/bus/remote/) tell it in the same way. */
#ifndef LOOM_BRIDGE_BUS_PORT_H
#define LOOM_BRIDGE_BUS_PORT_H

#include "envelope/frame/frame.h"
#include "envelope/view.h"

typedef struct bus_port bus_port;

enum {
    BUS_MATCHES_FREE = 64, /* subscriptions that one message may match at the price of its bytes */
    BUS_MATCH_COST = 4,    /* what each further one costs, in bytes that are published. It takes as long as 64: but what goes to
                              many connections has to come in batches that are worth a write to each */
    BUS_TURN = 32 * 1024   /* what one publisher may cost others so, until they have their turn */
};

/* Few bytes may go to many subscriptions, which is work that others wait for: what a message has cost besides its bytes. */
static inline uint64_t bus_fan_out(uint64_t work)
{
    return work > BUS_MATCHES_FREE ? (work - BUS_MATCHES_FREE) * BUS_MATCH_COST : 0;
}

/* deliver, call and frame must be there. */
typedef struct bus_handlers {
    /* One message for one subscription. view is borrowed for the call and shared: copy, then patch the copy. */
    void (*deliver)(void *user, uint64_t subscription, const envelope_view *view);
    /* on: a queue is full, stop granting publish credit to the agent. off: go on. NULL: cannot be pushed back on. */
    void (*pressure)(void *user, bool on);
    /* on: the agent has sent what is much work: send up nothing more but credit. off: go on. NULL: told as pressure. */
    void (*wait)(void *user, bool on);
    /* A provider is asked to work. view as in deliver; f->envelope is not set. */
    void (*call)(void *user, const frame_call *f, const envelope_view *view);
    /* Any other frame. Borrowed for the call. */
    void (*frame)(void *user, const frame *f);
    /* The port's time is over. LOOM_EREPLACED: a newer session of the same agent took its place; the port must be detached
     * before this returns. LOOM_ECANCELED: an operator ends it; the same. LOOM_EEXPIRED: the agent has been silent for long and nobody has ended its session; it may be.
     * Only from a broker in the same process, from the loop. NULL: it stays. */
    void (*ended)(void *user, loom_status why);
    /* Messages have arrived when bus_ops.sent says so, not when deliver() returns. */
    bool confirms;
} bus_handlers;

#endif
