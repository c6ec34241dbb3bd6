/* SPDX-License-Identifier: Apache-2.0 */
/* Who is slow, as metrics: a series for each subscription that lost messages or has a backlog. */
#ifndef LOOM_BROKER_SUBSCRIPTION_METRICS_H
#define LOOM_BROKER_SUBSCRIPTION_METRICS_H

#include <stdio.h>

#include "broker/eventbus/eventbus.h"

void subscriptions_write_metrics(const eventbus *bus, FILE *out);

#endif
