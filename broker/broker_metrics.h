/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker counts, as metrics. */
#ifndef LOOM_BROKER_BROKER_METRICS_H
#define LOOM_BROKER_BROKER_METRICS_H

#include <stdio.h>

#include "broker/endpoints/server.h"
#include "broker/port/port.h"

void eventbus_write_metrics(const eventbus *bus, FILE *out);
void actionbroker_write_metrics(const actionbroker *broker, FILE *out);
void directory_write_metrics(const directory *agents, FILE *out);
void bus_server_write_metrics(const bus_server *bus, FILE *out);

#endif
