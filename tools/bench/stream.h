/* SPDX-License-Identifier: Apache-2.0 */
/* Plain sockets for the peers that are spoken to without a library. What fails is told with bench_complain(). */
#ifndef LOOM_BENCH_STREAM_H
#define LOOM_BENCH_STREAM_H

#include "tools/bench/site.h"

/* Unix sockets in the round's directory. -1: failed. */
int stream_listen(const bench_site *site, const char *name);
int stream_connect(const bench_site *site, const char *name);
/* A TCP port of the loopback, without delay. -1: failed. */
int stream_connect_port(unsigned port);
/* A port that nobody uses at the moment; 0: failed. */
unsigned stream_free_port(void);
/* Waits until somebody accepts there; the connection is closed again. */
bool stream_wait_port(bench_site *site, unsigned port);

/* All of it, blocking; errno tells why not. read_all fails at the end of the stream too. */
bool stream_put(int fd, const uint8_t *data, size_t size);
bool stream_read(int fd, uint8_t *data, size_t size);

#endif
