/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of HTTP that mean no good: many that say nothing, or say it slowly, bodies without an end, requests that have to be
 * refused, answers that nobody reads. */
#ifndef LOOM_BENCH_HTTP_FLOOD_H
#define LOOM_BENCH_HTTP_FLOOD_H

#include "tools/bench/site.h"

/* The whole life of such a process, at site->url_out, until PHASE_END; returns its exit code. What it got done, in the unit of
 * its kind, counts as sent of the last producer. */
int http_flood(const bench_site *site);

#endif
