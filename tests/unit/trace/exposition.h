/* SPDX-License-Identifier: Apache-2.0 */
/* A strict reader of what /metrics shows: what a scraper would refuse fails the test. */
#ifndef LOOM_TESTS_TRACE_EXPOSITION_H
#define LOOM_TESTS_TRACE_EXPOSITION_H

#include <stdbool.h>

/* Prometheus' text format 0.0.4, or OpenMetrics 1.0: grammar of names, labels and values; each family once and in one piece; each
 * sample of its family, with a suffix of its type, and once; buckets that grow up to +Inf, which is the count. */
void exposition_check(const char *text, bool openmetrics);

#endif
