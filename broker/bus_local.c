/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's own ports, behind the interface that the bridge knows. */
#include "broker/bus_local.h"

#include <string.h>

static void count_work(bus *base)
{
    base->work = broker_work(((const bus_local *)base)->cores);
}

static loom_status attach(bus *base, bus_port **out, const bus_agent *agent, const bus_handlers *handlers, void *user)
{
    const bus_local *b = (const bus_local *)base;
    loom_status st = port_open(b->cores, out, &(directory_about){
        .agent = agent->id,
        .bridge = b->bridge,
        .software = agent->software,
        .peer = {agent->peer, agent->peer != NULL ? strlen(agent->peer) : 0},
        .instance = agent->instance,
        .heartbeat_ms = agent->heartbeat_ms < UINT32_MAX ? (uint32_t)agent->heartbeat_ms : UINT32_MAX,
        .quiet = agent->quiet,
        .own = agent->own,
        .unrecorded = agent->unrecorded,
    }, handlers, user);
    if (st == LOOM_OK) {
        port_set_in_process(*out);
    }
    count_work(base);
    return st;
}

static void detach(bus *base, bus_port *p, loom_status why)
{
    (void)base;
    port_close(p, why);
}

static void grant(bus *base, bus_port *p, uint64_t messages, uint64_t bytes)
{
    (void)base;
    port_grant(p, messages, bytes);
}

static void publish(bus *base, bus_port *p, const envelope_view *view, uint8_t *wire)
{
    port_publish(p, view, wire);
    count_work(base);
}

static void call(bus *base, bus_port *p, const frame_call *f, const envelope_view *view, uint8_t *wire)
{
    port_call(p, f, view, wire);
    count_work(base);
}

static void give_back(bus *base, bus_port *p, uint64_t subscription, const envelope_view *view)
{
    (void)base;
    port_give_back(p, subscription, view);
}

static void pass(bus *base, bus_port *p, const frame *f)
{
    (void)!port_frame(p, f); /* the bridge has checked that it goes this way */
    count_work(base);
}

static void keep(bus *base, const frame_keep *f)
{
    const bus_local *b = (const bus_local *)base;
    if (b->keep != NULL) {
        b->keep(b->user, f);
    }
}

void bus_local_init(bus_local *b, const broker_cores *cores, loom_str bridge)
{
    static const bus_ops ops = {
        .attach = attach, .detach = detach, .grant = grant, .publish = publish, .call = call, .give_back = give_back, .frame = pass, .keep = keep};
    *b = (bus_local){.base = {.ops = &ops, .in_process = true}, .cores = cores, .bridge = bridge};
}
