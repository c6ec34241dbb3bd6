/* SPDX-License-Identifier: Apache-2.0 */
/* One message bus under measurement. A peer is one file that fills this table; scenarios know nothing else of it.
 *
 * start() runs in the conductor, which uses no bus library itself, so that producer and consumer can be forked from it.
 * publisher_*() and subscriber_*() run in processes of their own, one of each.
 * What fails says why on standard error, through bench_complain(), and returns false or NULL. */
#ifndef LOOM_BENCH_PEER_H
#define LOOM_BENCH_PEER_H

#include "tools/bench/site.h"

#define BENCH_TOPIC "bench.pubsub"

/* Data is borrowed for the call. From any one thread of the consumer, one call at a time. */
typedef void (*bench_on_message)(void *user, const uint8_t *data, size_t size);

typedef struct bench_peer {
    const char *name;
    const char *summary;
    /* Drops what a slow consumer leaves behind, so that the producer has to be held back by the consumer's progress. */
    bool needs_window;
    /* NULL: always. Otherwise false with what to install in why. */
    bool (*available)(const bench_options *options, char *why, size_t why_size);
    /* Starts the servers and writes where they are reached to site->url. */
    bool (*start)(bench_site *site);
    /* at_once: each message leaves by itself; otherwise as many together as the peer likes, for the highest rate. */
    void *(*publisher_open)(const bench_site *site, bool at_once);
    bool (*publish)(void *publisher, const uint8_t *data, size_t size);
    /* Everything published is on its way to the server. */
    bool (*flush)(void *publisher);
    void (*publisher_close)(void *publisher);
    void *(*subscriber_open)(const bench_site *site, bench_on_message on_message, void *user);
    void (*subscriber_close)(void *subscriber);
} bench_peer;

extern const bench_peer bench_peer_loom;

/* All but Loom itself; the list ends with NULL. */
const bench_peer *const *bench_peers(void);
const bench_peer *bench_peer_find(const char *name);

#endif
