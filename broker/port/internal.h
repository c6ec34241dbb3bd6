/* SPDX-License-Identifier: Apache-2.0 */
/* What a port is made of. Only port*.c look inside. One thread at a time, so no field has a guard. */
#ifndef LOOM_BROKER_PORT_INTERNAL_H
#define LOOM_BROKER_PORT_INTERNAL_H

#include <string.h>

#include "broker/port/port.h"

/* An ask whose message has not come yet. */
typedef struct port_ask {
    uint8_t message_id[LOOM_UUID_SIZE];
    uint64_t number, how;
} port_ask;

/* In a ring, the oldest first: an agent asks in the order in which it publishes. */
typedef struct port_asks {
    port_ask *ring;
    uint32_t first, count, capacity;
} port_asks;

struct bus_port {
    broker_cores cores;
    eventbus_publisher *publisher;
    eventbus_subscriber *subscriber;
    action_party *party;
    directory_entry *entry;
    port_asks asks;
    const bus_handlers *handlers;
    void *user;
};

static inline void port_say(const port *p, const frame *f)
{
    p->handlers->frame(p->user, f);
}

/* ---- request.c: what is answered by an ack ---- */

void port_subscribe(port *p, const frame_subscribe *f);
void port_unsubscribe(port *p, const frame_unsubscribe *f);
void port_provide(port *p, const frame_provide *f);

/* ---- ask.c ---- */

void port_ask_add(port *p, const frame_ask *f);
/* As eventbus_publish(); answers the ask for this message, if there is one. */
loom_status port_publish_asked(port *p, const envelope_view *view, uint8_t *wire);

/* ---- action.c ---- */

extern const action_handlers port_action_handlers;
void port_result(port *p, const frame_result *f);
void port_report(port *p, const frame_report *f);

#endif
