/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the Loom peer share: an agent of a round's process. */
#ifndef LOOM_TOOLS_BENCH_PEERS_LOOM_H
#define LOOM_TOOLS_BENCH_PEERS_LOOM_H

#include <loom/agent.h>

#include "tools/bench/peers/peer.h"

typedef struct loom_client {
    loom_agent *agent;
    bench_on_message on_message;
    void *user;
    shared *shared;
    bool spans_go_nowhere; /* on purpose */
    bench_api api;
    uint8_t *answer; /* where the answer goes; NULL when it is there */
    size_t answer_size;
} loom_client;

/* topic may be NULL: it subscribes to nothing. more gives handler and mode. NULL with a complaint. */
loom_client *loom_client_open(const bench_site *site, const char *role, unsigned index, const char *topic,
                              const loom_agent_options *more);
void loom_client_close(void *client);
bool loom_client_emit(const loom_client *c, const char *topic, loom_bytes payload, const loom_emit_options *options);

/* Requests, as bench_peer has them: events with a reply_to, or actions. */
void *loom_responder_open(const bench_site *site);
void *loom_requester_open(const bench_site *site);
bool loom_request(void *requester, const uint8_t *data, size_t size, uint8_t *answer);

/* As actions: provides, and invokes. The first is false with a complaint in a build whose SDK has none. */
bool loom_action_provide(loom_client *c);
bool loom_action_request(loom_client *c, const uint8_t *data, size_t size, uint8_t *answer);

#endif
