/* SPDX-License-Identifier: Apache-2.0 */
/* Counters in the text format of Prometheus (exposition format 0.0.4). */
#ifndef LOOM_HOST_METRICS_H
#define LOOM_HOST_METRICS_H

#include <stdio.h>

#include "base/counters.h"

/* # HELP and # TYPE of a metric; type is "counter" or "gauge". Its samples follow. */
void metrics_describe(FILE *out, const char *name, const char *type, const char *help);
/* One sample. label NULL: none. A label's value may be any text. */
void metrics_sample(FILE *out, const char *name, const char *label, loom_str label_value, uint64_t value);
/* Reads a source and writes all its counters, each with # HELP and # TYPE. */
void metrics_write_counters(FILE *out, const counter_source *source);

#endif
