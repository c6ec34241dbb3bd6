/* SPDX-License-Identifier: Apache-2.0 */
/* Counters in the text format of Prometheus (exposition format 0.0.4). */
#ifndef LOOM_HOST_METRICS_TEXT_H
#define LOOM_HOST_METRICS_TEXT_H

#include <loom/api.h>
#include <stdio.h>

/* # HELP and # TYPE of a metric; type is "counter" or "gauge". Its samples follow. */
void metrics_describe(FILE *out, const char *name, const char *type, const char *help);
/* One sample. label NULL: none. A label's value may be any text. */
void metrics_sample(FILE *out, const char *name, const char *label, loom_str label_value, uint64_t value);
/* A metric with one sample and no label. */
void metrics_counter(FILE *out, const char *name, const char *help, uint64_t value);
void metrics_gauge(FILE *out, const char *name, const char *help, uint64_t value);

#endif
