/* SPDX-License-Identifier: Apache-2.0 */
/* A port of the bus is one of the broker, and what it is told is the bridge's: only the time is added on the way, since the
 * loop may have slept since the last call. */
#include "broker/bus_local.h"

#include <stdlib.h>
#include <string.h>

struct bus_port {
    port *port;
    const bus_handlers *handlers;
    void *user;
};

static void tell_time(const bus_local *b)
{
    broker_set_time(b->cores, b->now_ms(b->clock));
}

/* ---- down ---- */

static void on_deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    const bus_port *p = user;
    p->handlers->deliver(p->user, subscription, view);
}

static void on_pressure(void *user, bool on)
{
    const bus_port *p = user;
    p->handlers->pressure(p->user, on);
}

static void on_call(void *user, const frame_call *f, const envelope_view *view)
{
    const bus_port *p = user;
    p->handlers->call(p->user, f, view);
}

static void on_frame(void *user, const frame *f)
{
    const bus_port *p = user;
    p->handlers->frame(p->user, f);
}

/* ---- up ---- */

static loom_status attach(bus *base, bus_port **out, const bus_agent *agent, const bus_handlers *handlers, void *user)
{
    /* The bridge is in this process, and ends silent sessions by itself: no port expires. */
    static const port_handlers down = {.deliver = on_deliver, .pressure = on_pressure, .call = on_call, .frame = on_frame};
    const bus_local *b = (const bus_local *)base;
    *out = NULL;
    bus_port *p = malloc(sizeof *p);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    *p = (bus_port){.handlers = handlers, .user = user};
    tell_time(b);
    const loom_status st = port_open(b->cores, &p->port, &(directory_about){
        .agent = agent->id,
        .bridge = b->bridge,
        .software = agent->software,
        .peer = {agent->peer, agent->peer != NULL ? strlen(agent->peer) : 0},
        .instance = agent->instance,
        .heartbeat_ms = agent->heartbeat_ms < UINT32_MAX ? (uint32_t)agent->heartbeat_ms : UINT32_MAX,
    }, &down, p);
    if (st != LOOM_OK) {
        free(p);
        return st;
    }
    *out = p;
    return LOOM_OK;
}

static void detach(bus *base, bus_port *p, loom_status why)
{
    if (p != NULL) {
        tell_time((const bus_local *)base);
        port_close(p->port, why);
        free(p);
    }
}

static void grant(bus *base, bus_port *p, uint64_t messages, uint64_t bytes)
{
    (void)base;
    port_grant(p->port, messages, bytes);
}

static void publish(bus *base, bus_port *p, const envelope_view *view, uint8_t *wire)
{
    tell_time((const bus_local *)base);
    port_publish(p->port, view, wire);
}

static void call(bus *base, bus_port *p, const frame_call *f, const envelope_view *view, uint8_t *wire)
{
    tell_time((const bus_local *)base);
    port_call(p->port, f, view, wire);
}

static void pass(bus *base, bus_port *p, const frame *f)
{
    tell_time((const bus_local *)base);
    (void)!port_frame(p->port, f); /* the bridge has checked that it goes this way */
}

void bus_local_init(bus_local *b, const broker_cores *cores, loom_str bridge, uint64_t (*now_ms)(const void *clock),
                    const void *clock)
{
    static const bus_ops ops = {
        .attach = attach, .detach = detach, .grant = grant, .publish = publish, .call = call, .frame = pass};
    *b = (bus_local){{&ops}, cores, bridge, now_ms, clock};
}
