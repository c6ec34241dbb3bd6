/* SPDX-License-Identifier: Apache-2.0 */
/* A relay between producers and consumers in a process of its own, for peers that are a library and no server. */
#ifndef LOOM_BENCH_RELAY_H
#define LOOM_BENCH_RELAY_H

#include "tools/bench/site.h"

/* Forks a process that runs run() with site->url and site->url_out set to what it is to listen on; any_port is how the
 * library wants a TCP port of its choice. Returns when relay_ready() was called there, with the real URLs in place. */
bool relay_start(bench_site *site, const char *name, const char *any_port, int (*run)(const bench_site *site));
/* In run(): it listens, there. */
bool relay_ready(const bench_site *site, const char *url, const char *url_out);

#endif
