/* SPDX-License-Identifier: Apache-2.0 */
/* One agent and the fake bridge that it connects to, with a relay behind the bridge where a test wants one: what the
 * fixtures of tests have in common, as their first member. */
#ifndef LOOM_TESTS_AGENT_SITE_H
#define LOOM_TESTS_AGENT_SITE_H

#include <loom/loom.h>

#include "tests/unit/sdk/fake_relay.h"

typedef struct agent_site {
    fake_bridge bridge;
    fake_relay relay;
    bool relayed;
    loom_agent *agent;
} agent_site;

/* A zeroed fixture of this size, with an open bridge, as *state. */
void *site_set_up(void **state, size_t size);
/* The relay takes the connection; the agent, which is open, is connected when it returns. */
void site_relay(agent_site *s);
/* Closes the agent, unless it was closed before, and ends the relay. */
void site_close_agent(agent_site *s);
/* That, and everything else; frees the fixture. */
void site_tear_down(agent_site *s);

#endif
