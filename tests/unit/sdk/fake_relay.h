/* SPDX-License-Identifier: Apache-2.0 */
/* A bridge with a broker behind it, for one agent that talks to itself: what it publishes is delivered to its subscriptions
 * of exactly that topic, and what it invokes comes back to it as work. Runs in a thread, through as many connections as the
 * agent makes, until it has gone. */
#ifndef LOOM_TESTS_FAKE_RELAY_H
#define LOOM_TESTS_FAKE_RELAY_H

#include "tests/unit/sdk/fake_server.h"

enum { RELAY_SUBSCRIPTIONS = 16, RELAY_CALLS = 4096 };

typedef struct relayed_call {
    uint8_t id[FRAME_CALL_ID_MAX];
    size_t len;
} relayed_call;

typedef struct fake_relay {
    fake_bridge *bridge;
    fake_server server;
    char filters[RELAY_SUBSCRIPTIONS][64];
    uint64_t numbers[RELAY_SUBSCRIPTIONS];
    unsigned subscriptions;
    relayed_call calls[RELAY_CALLS]; /* the id at the provider is the place */
    unsigned call_count;
    _Atomic uint64_t credit_messages; /* the agent's last grant; 0: none in this session */
} fake_relay;

/* Takes the agent's connections, and serves them. */
void fake_relay_start(fake_relay *r, fake_bridge *b);
/* The agent has been closed. */
void fake_relay_end(fake_relay *r);

#endif
