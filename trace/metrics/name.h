/* SPDX-License-Identifier: Apache-2.0 */
/* OpenTelemetry's names as Prometheus has them (OpenTelemetry, "Prometheus and OpenMetrics Compatibility"). */
#ifndef LOOM_TRACE_METRICS_NAME_H
#define LOOM_TRACE_METRICS_NAME_H

#include "trace/otlp/protobuf_write.h"

#include <loom/metrics.h>

#define METRIC_NAME_SIZE 256 /* bytes of an instrument's name, NUL included */
#define METRIC_UNIT_SIZE 64

#define FAMILY_NAME_SIZE 400 /* a name, a unit of two words, and NUL */

/* What # TYPE, # UNIT and # HELP say. */
typedef struct metric_family {
    loom_metric_kind kind;
    char name[FAMILY_NAME_SIZE]; /* without _total */
    const char *unit;            /* the end of name that is a unit; NULL: none */
    const char *help;
} metric_family;

/* Name and unit by the rules of the instrument API. unit NULL is fine. */
bool metric_name_valid(const char *name);
bool metric_unit_valid(const char *unit);
void metric_family_init(metric_family *out, loom_metric_kind kind, const char *name, const char *unit, const char *help);

/* Whether the two cannot be shown together: they are the same family, or a name of one's samples in a text format is one of the
 * other's, or its family ("requests" the counter and "requests.total" the gauge, "took" the histogram and "took.count"). */
bool metric_families_collide(const metric_family *a, const metric_family *b);

/* a="x",b="y" of attributes whose keys all differ, in their order; keys that become the same are one label, with their values
 * joined by ';'. histogram: "le" is taken. */
void metric_labels(pb_buf *out, const loom_attr *attrs, size_t count, bool histogram);
/* A label's value, or a help text: escaped, and UTF-8. */
void metric_escaped(pb_buf *out, loom_str text, bool quotes);

#endif
