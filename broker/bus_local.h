/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge's way to the broker inside one process: direct calls into its cores. */
#ifndef LOOM_BROKER_BUS_LOCAL_H
#define LOOM_BROKER_BUS_LOCAL_H

#include "bridge/bus.h"
#include "broker/port/port.h"

typedef struct bus_local {
    bus base; /* what the bridge is given */
    const broker_cores *cores;
    loom_str bridge; /* its id, for the directory */
    void (*keep)(void *user, const frame_keep *f); /* a trace that is to be kept, for other bridges; NULL: there are none */
    void *user;
} bus_local;

/* cores and bridge must outlive it. */
void bus_local_init(bus_local *b, const broker_cores *cores, loom_str bridge);

#endif
