/* SPDX-License-Identifier: Apache-2.0 */
/* One message bus under measurement. A peer is one file that fills this table; scenarios know nothing else of it.
 *
 * start() runs in the conductor, which uses no bus library itself, so that all others can be forked from it. Everything
 * else runs in processes of its own; site->index tells which producer or consumer that is.
 * What fails says why on standard error, through bench_complain(), and returns false or NULL. */
#ifndef LOOM_TOOLS_BENCH_PEERS_PEER_H
#define LOOM_TOOLS_BENCH_PEERS_PEER_H

#include "tools/bench/site.h"

#define BENCH_TOPIC         "bench.pubsub"
#define BENCH_REQUEST_TOPIC "bench.request"

/* Data is borrowed for the call. From any one thread of the consumer, one call at a time. false: it fails, on purpose. */
typedef bool (*bench_on_message)(void *user, const uint8_t *data, size_t size);

typedef struct bench_peer {
    const char *name;
    const char *summary;
    const char *guarantee; /* of delivery, in the words of the results */
    /* Drops what a slow consumer leaves behind, or keeps it without bound, so that the producer has to be held back by
     * the consumer's progress. window_max: the most that fits its queues; 0: no limit of its own. */
    bool needs_window;
    /* subscriber_open() takes the setup's filters as subscriptions that nothing matches, next to the one that counts. */
    bool more_filters;
    unsigned window_max;
    /* NULL: always. Otherwise false with what to install in why. */
    bool (*available)(const bench_setup *setup, char *why, size_t why_size);
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
    /* Requests. The responder answers each with its own data. request() waits for the answer, which has the same size
     * and is written to answer. requester_open NULL: this peer has none. */
    void *(*responder_open)(const bench_site *site);
    void (*responder_close)(void *responder);
    void *(*requester_open)(const bench_site *site);
    bool (*request)(void *requester, const uint8_t *data, size_t size, uint8_t *answer);
    void (*requester_close)(void *requester);
    /* Opens the idle session number index with one subscription of its own; it stays open while the process lives.
     * NULL: not measured with this peer. */
    bool (*session_open)(const bench_site *site, unsigned index);
    /* The program of the span scenario, a full path. False: it is not there; available() says why. NULL: no tracing SDK. */
    bool (*span_program)(char out[SITE_URL_SIZE]);
    bool is_bus;  /* it carries messages */
    bool is_http; /* start() writes to site->url_out where it serves HTTP */
} bench_peer;

/* bench_peer.available of a peer that is a program of a Debian package. */
bool peer_has_program(const char *program, const char *package, char *why, size_t why_size);

extern const bench_peer bench_peer_loom;

/* All but Loom itself; the list ends with NULL. */
const bench_peer *const *bench_peers(void);
const bench_peer *bench_peer_find(const char *name);

#endif
