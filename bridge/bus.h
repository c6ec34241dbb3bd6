/* SPDX-License-Identifier: Apache-2.0 */
/* The way from a bridge to the broker: one small interface with two implementations, a direct call into the broker core
 * (broker/bus_local.h) and nng sockets (bridge/bus_nng.h). The bridge does not know which one it has.
 *
 * A session has one port on the bus. Requests are answered through the handlers, at once or later, in order.
 * Threads: the loop's. Handlers run inside calls of the bus or from the loop, and may call the bus only where it says so. */
#ifndef LOOM_BRIDGE_BUS_H
#define LOOM_BRIDGE_BUS_H

#include "envelope/frame.h"
#include "envelope/view.h"

typedef struct bus bus;
typedef struct bus_port bus_port;

typedef struct bus_handlers {
    /* One message for one subscription. view is borrowed for the call and shared: copy, then patch the copy. */
    void (*deliver)(void *user, uint64_t subscription, const envelope_view *view);
    /* on: a queue is full, stop granting publish credit to the agent. off: go on. */
    void (*pressure)(void *user, bool on);
    /* A subscribe or unsubscribe is done. text may be empty. */
    void (*answered)(void *user, uint64_t request, loom_status status, const char *text);
    /* The bus has refused one published message. */
    void (*refused)(void *user, const uint8_t id[LOOM_UUID_SIZE], loom_status status, const char *text);
} bus_handlers;

typedef struct bus_ops {
    /* LOOM_ENOMEM; LOOM_EFULL: too many. handlers must outlive the port. */
    loom_status (*attach)(bus *b, bus_port **out, loom_str agent, const bus_handlers *handlers, void *user);
    /* Ends its subscriptions; no handler is called after this. NULL is allowed. */
    void (*detach)(bus *b, bus_port *port);
    void (*subscribe)(bus *b, bus_port *port, const frame_subscribe *request);
    void (*unsubscribe)(bus *b, bus_port *port, const frame_unsubscribe *request);
    /* Credit of the agent behind the port, as totals since it was attached. Delivers at once what waited for it. */
    void (*grant)(bus *b, bus_port *port, uint64_t messages, uint64_t bytes);
    /* One scanned envelope, hop in place; wire is view->data, the caller's, and may be patched. Refusals come through
     * the handler. Takes nothing over: the bytes may go when it returns. */
    void (*publish)(bus *b, bus_port *port, const envelope_view *view, uint8_t *wire);
} bus_ops;

struct bus {
    const bus_ops *ops;
};

#endif
