/* SPDX-License-Identifier: Apache-2.0 */
/* A process that takes OTLP over HTTP and throws it away, so that --tracing on measures the bus with its exporters at work
 * and no trace store. */
#ifndef LOOM_BENCH_OTLP_SINK_H
#define LOOM_BENCH_OTLP_SINK_H

#include "tools/bench/site.h"

/* Writes its base URL. False with a complaint. */
bool otlp_sink_start(bench_site *site, char url[SITE_URL_SIZE]);

#endif
