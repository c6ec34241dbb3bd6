/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge's way to the broker inside one process: direct calls into the EventBus. */
#ifndef LOOM_BROKER_BUS_LOCAL_H
#define LOOM_BROKER_BUS_LOCAL_H

#include "bridge/bus.h"
#include "broker/eventbus.h"

typedef struct bus_local {
    bus base; /* what the bridge is given */
    eventbus *core;
    uint64_t (*now_ms)(const void *clock); /* monotonic */
    const void *clock;
} bus_local;

void bus_local_init(bus_local *b, eventbus *core, uint64_t (*now_ms)(const void *clock), const void *clock);

#endif
