/* SPDX-License-Identifier: Apache-2.0 */
/* An EventBus with subscribers, filters and messages, to be published in turn in one thread without I/O. */
#ifndef LOOM_BENCH_BUS_LOAD_H
#define LOOM_BENCH_BUS_LOAD_H

#include "tools/bench/setup.h"

typedef struct bus_load bus_load;

/* As many subscribers as the shape has consumers (at least one), each with all its filters (at least one), and messages
 * of the setup's size to up to topics of them. Spans are made as the setup's tracing says, and exported to nowhere.
 * NULL with a complaint. */
bus_load *bus_load_open(const bench_setup *setup, unsigned topics);
void bus_load_close(bus_load *load);
/* Publishes count messages; returns what was delivered. */
uint64_t bus_load_publish(bus_load *load, unsigned count);

#endif
