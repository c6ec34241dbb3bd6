/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/agent_site.h"

#include <stdlib.h>

void *site_set_up(void **state, size_t size)
{
    agent_site *s = calloc(1, size);
    assert_non_null(s);
    fake_bridge_open(&s->bridge);
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    *state = s;
    return s;
}

void site_relay(agent_site *s)
{
    fake_relay_start(&s->relay, &s->bridge);
    s->relayed = true;
    assert_status(LOOM_OK, loom_agent_wait_connected(s->agent, FAKE_DEADLINE_MS));
}

void site_close_agent(agent_site *s)
{
    if (!s->relayed) {
        fake_bridge_drop(&s->bridge); /* nobody answers a goodbye */
    }
    loom_agent_close_within(s->agent, 100);
    s->agent = NULL;
    if (s->relayed) {
        fake_relay_end(&s->relay);
        s->relayed = false;
    }
}

void site_tear_down(agent_site *s)
{
    site_close_agent(s);
    fake_bridge_close(&s->bridge);
    free(s);
}
