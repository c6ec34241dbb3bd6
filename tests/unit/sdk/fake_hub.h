/* SPDX-License-Identifier: Apache-2.0 */
/* Bridges with a broker behind them, for some agents that talk to one another: what one publishes is delivered to all
 * subscriptions of exactly that topic. Each agent has a url of its own. Who goes is news on system.agents. One thread. */
#ifndef LOOM_TESTS_FAKE_HUB_H
#define LOOM_TESTS_FAKE_HUB_H

#include "tests/unit/sdk/fake_server.h"

enum { HUB_AGENTS = FAKE_SERVER_BRIDGES, HUB_SUBSCRIPTIONS = 64 };

typedef struct hub_subscription {
    unsigned agent;
    uint64_t number; /* 0: a free place */
    char filter[96];
} hub_subscription;

typedef struct fake_hub {
    fake_bridge bridges[HUB_AGENTS];
    char ids[HUB_AGENTS][32];
    hub_subscription subscriptions[HUB_SUBSCRIPTIONS];
    fake_server server;
    atomic_uint published; /* messages that agents have published */
} fake_hub;

/* ids: of the agents that will connect, in the order of their bridges, ended by NULL. */
void fake_hub_start(fake_hub *h, const char *const *ids);
/* The agents have been closed. */
void fake_hub_end(fake_hub *h);
/* Cuts the connection of an agent, which may connect again. */
void fake_hub_drop(fake_hub *h, unsigned agent);

#endif
