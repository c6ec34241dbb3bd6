/* SPDX-License-Identifier: Apache-2.0 */
/* Who is slow, as metrics: a series for each subscription that lost messages or has a backlog. */
#ifndef LOOM_BROKER_SUBSCRIPTION_METRICS_H
#define LOOM_BROKER_SUBSCRIPTION_METRICS_H

#include <stdio.h>

#include "broker/eventbus/eventbus.h"

void subscriptions_write_metrics(const eventbus *bus, FILE *out);
/* Series of single topics and agents, at most so many of each kind; 0: none. */
void series_write_metrics(const eventbus *bus, uint32_t most, FILE *out);

#endif
