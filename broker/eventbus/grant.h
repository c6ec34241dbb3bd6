/* SPDX-License-Identifier: Apache-2.0 */
/* The bracket around every call of the bus that may run callbacks. A callback may only grant, and what it grants counts when
 * the call under way leaves. */
#ifndef LOOM_BROKER_EVENTBUS_GRANT_H
#define LOOM_BROKER_EVENTBUS_GRANT_H

#include "broker/eventbus/internal.h"

static inline void eventbus_enter(eventbus *bus)
{
    assert(!bus->running && "a callback called back");
    bus->running = true;
}

/* What callbacks have granted meanwhile. */
void eventbus_grant_later(eventbus *bus);

static inline void eventbus_leave(eventbus *bus)
{
    bus->running = false;
    if (bus->later != NULL) {
        eventbus_grant_later(bus);
    }
}

#endif
