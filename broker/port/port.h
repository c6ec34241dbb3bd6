/* SPDX-License-Identifier: Apache-2.0 */
/* A port: one agent's session as the broker's cores see it. It is a publisher and a subscriber of the EventBus, a party of
 * the ActionBroker, and an entry in the directory. Ports of local agents (bus_local.c), of agents behind a bridge process
 * (broker/endpoints/session.c) and of in-process users are all the same.
 *
 * Input and output are the frames of the agent link, as bridge/bus.h has them, and so are the handlers.
 *
 * Threads: the loop's. Handlers run inside calls of this interface, of the cores, and of broker_expire(). A handler must not
 * call back, but for port_grant(); ended may close the port. */
#ifndef LOOM_BROKER_PORT_PORT_H
#define LOOM_BROKER_PORT_PORT_H

#include "bridge/bus_port.h"
#include "broker/actions/actionbroker.h"
#include "broker/directory/directory.h"
#include "broker/eventbus/eventbus.h"

/* The broker's own capabilities: who answers calls of names that begin with "system.". All zero: nobody. */
typedef struct broker_system {
    /* name: what follows. LOOM_OK: take was called, once. LOOM_ENOTFOUND: there is no such capability. LOOM_EBUSY: too much was
     * asked lately. LOOM_ENOMEM. */
    loom_status (*answer)(void *user, loom_str name, loom_bytes question, void (*take)(void *to, loom_bytes answer), void *to);
    void *user;
} broker_system;

/* The cores of one broker, owned by their creator. */
typedef struct broker_cores {
    eventbus *events;
    actionbroker *actions;
    directory *agents;
    broker_system *system; /* NULL: there are no capabilities of the broker's */
} broker_cores;

/* When broker_expire() has something to do, by the clock of the cores; UINT64_MAX: never. */
uint64_t broker_next_deadline_ms(const broker_cores *cores);
void broker_expire(const broker_cores *cores);
/* What agents have given the cores to do besides taking their bytes, in subscriptions that a message matches. */
static inline uint64_t broker_work(const broker_cores *cores)
{
    return eventbus_work(cores->events) + actionbroker_work(cores->actions);
}

/* What bus_ops.attach() of a broker in the same process gives out. */
typedef bus_port port;

/* about is copied. handlers must outlive the port. An older port of the same agent is told to end (LOOM_EREPLACED).
 * LOOM_EINVAL, LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status port_open(const broker_cores *cores, port **out, const directory_about *about,
                                      const bus_handlers *handlers, void *user);
/* What the port publishes has the spans of this process for parents. */
void port_set_in_process(port *p);
/* No handler is called any more. NULL is allowed. why: for the directory; LOOM_OK: it said goodbye. */
void port_close(port *p, loom_status why);

/* It will be closed: its subscriptions end, and nothing but port_close() is called for it any more. */
void port_deafen(port *p);

void port_grant(port *p, uint64_t messages, uint64_t bytes);
uint64_t port_queued(const port *p); /* bytes that wait for its credit */
bool port_has_credit(const port *p); /* nothing waits for more */
uint64_t port_used_messages(const port *p); /* of its credit */
uint64_t port_used_bytes(const port *p);
loom_str port_agent(const port *p);  /* valid as long as the port */
/* One scanned envelope, hop in place; wire is view->data and may be patched. A refusal comes as a notice: LOOM_EINVAL, or
 * LOOM_EDENIED for a topic that is the broker's (reserved.h). */
void port_publish(port *p, const envelope_view *view, uint8_t *wire);
/* What a member of a group was not sent (bus.h). */
void port_give_back(port *p, uint64_t subscription, const envelope_view *view);
/* An invocation; exactly one result comes for it, now or later, unless the port closes first. */
void port_call(port *p, const frame_call *f, const envelope_view *view, uint8_t *wire);
/* subscribe, unsubscribe, provide, result, report, cancel, call_credit, ask, ping. LOOM_EPROTO: another one does not go this way;
 * whatever else is wrong is answered, or counted. */
LOOM_MUST_CHECK loom_status port_frame(port *p, const frame *f);

#endif
