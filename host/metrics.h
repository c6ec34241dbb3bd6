/* SPDX-License-Identifier: Apache-2.0 */
/* Counters in the text format of Prometheus (exposition format 0.0.4). */
#ifndef LOOM_HOST_METRICS_H
#define LOOM_HOST_METRICS_H

#include <stdio.h>

#include "base/counters.h"

/* Reads a source and writes all its counters, each with # HELP and # TYPE. */
void metrics_write_counters(FILE *out, const counter_source *source);

#endif
